"""Whole coadds from CADC, each fetched once, kept in a folder of bounded size, read by memory map.

A file is checked against the md5 of the archive's catalogue, whether it comes as it is or gzipped
(stored so, or on the way); what is kept is the plain file.
"""

from __future__ import annotations

import gzip
import hashlib
import mmap
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import requests

from galaxyds.archives.bounded import broken
from galaxyds.archives.cadc_fits import Coadd, read_coadd
from galaxyds.archives.cadc_tiles import COLLECTION, Artifact
from galaxyds.archives.tap import OpenHttp
from galaxyds.errors import storage_error

LARGEST = 4 << 30
"""Bytes that a coadd may have; those of the Wide have 1,498,320,000."""
TYPICAL = 1_498_320_000
"""Bytes of a coadd whose size the catalogue does not state."""
KEPT = 60 * 10**9
"""Bytes of coadds that are kept: forty of them."""

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_TRIES = 3  # another process may make room between two looks


class FileHttp(OpenHttp):
    """The session for files that may come gzipped although plain bytes were asked.

    Bodies are never unpacked here: who reads one looks at its first bytes, and unpacks it up to a
    size.
    """

    def _refuse_size(self, reply: requests.Response, offset: int, max_bytes: int) -> None:
        if "gzip" in reply.headers.get("Content-Encoding", "").lower():
            reply.headers["Content-Encoding"] = "identity"
        super()._refuse_size(reply, offset, max_bytes)


class CoaddFiles:
    """Coadds as files.

    Parameters
    ----------
    url : str
        Base of the public files; a file is at ``<url>/<collection>/<file>``.
    http : FileHttp
        Session.
    folder : pathlib.Path
        Where they are kept, shared by the processes of a user.
    most : int
        Bytes that may be kept; the coadds used longest ago go first.
    """

    def __init__(self, url: str, http: FileHttp, folder: Path, *, most: int = KEPT) -> None:
        self.url = url.rstrip("/")
        self.http = http
        self.folder = folder
        self.most = most

    def open(self, artifact: Artifact) -> Coadd:
        """Return a coadd, fetching its file if it is not kept; pixels are read when used.

        Raises
        ------
        NotInArchiveError
            If the archive does not hold it.
        ArchiveError
            If the transfer is refused or fails for good.
        DataIntegrityError
            If it is not the file that the catalogue describes, or no coadd.
        StorageError
            If it cannot be written.
        """
        for _ in range(_TRIES):
            path = self.path(artifact)
            try:
                with path.open("rb") as file:
                    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:
                continue
            return read_coadd(memoryview(content), path.name, limit=LARGEST)
        raise storage_error(FileNotFoundError(f"{self.folder} holds too little"), self.folder)

    def path(self, artifact: Artifact) -> Path:
        """Return the file of a coadd, complete and checked; errors as :meth:`open`."""
        from filelock import FileLock

        final = self.folder / artifact.file.removesuffix(".gz")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{final}.lock"):
                if not final.exists():
                    self._fetch(artifact, final)
                os.utime(final)  # used now: it goes last
        except OSError as error:
            raise storage_error(error, final) from error
        return final

    def _fetch(self, artifact: Artifact, final: Path) -> None:
        self._make_room(artifact.bytes or TYPICAL)
        delivered = final.with_name(f"{final.name}.delivered")
        self.http.fetch(
            f"{self.url}/{COLLECTION}/{artifact.file}", delivered, max_bytes=LARGEST,
            check=lambda path: _check(path, artifact),
        )  # fmt: skip
        if not _is_gzip(delivered):
            delivered.replace(final)
            return
        plain = final.with_name(f"{final.name}.plain")
        with plain.open("wb") as file:
            for piece in unpacked(delivered):
                file.write(piece)
        plain.replace(final)
        delivered.unlink()

    def _make_room(self, needed: int) -> None:
        kept = sorted(self.folder.glob("*.fits"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in kept)
        for path in kept:
            if total + needed <= self.most:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def unpacked(path: Path, *, limit: int = LARGEST) -> Iterator[bytes]:
    """Yield the content of a gzip file in pieces.

    Raises
    ------
    DataIntegrityError
        If it is damaged, cut, or holds more than ``limit`` bytes.
    """
    total = 0
    try:
        with gzip.open(path) as stream:
            while piece := stream.read(_CHUNK):
                total += len(piece)
                if total > limit:
                    cause = "this is another kind of file, or a decompression bomb"
                    raise broken(path, f"at most {limit} bytes of content", "more", cause)
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        cause = f"the bytes were damaged on the way ({error}): fetch it again"
        raise broken(path, "a sound gzip stream", "a damaged one", cause) from error


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _check(path: Path, artifact: Artifact) -> None:
    """Hold a delivered file, as it is or unpacked, against the catalogue's md5."""
    found = _md5(_pieces(path))
    if not artifact.md5 or found == artifact.md5:
        return
    if _is_gzip(path):
        found = _md5(unpacked(path))
    if found != artifact.md5:
        cause = "it was damaged on the way or replaced at its source: fetch it again"
        raise broken(Path(artifact.file), f"md5 {artifact.md5}", f"md5 {found}", cause)


def _md5(pieces: Iterator[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _read(file)


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece
