"""Whole coadds from CADC, each fetched once, kept in a folder of bounded size, read by memory map.

A file is checked before it is kept: its size and md5 against the archive's catalogue, whether it
comes as it is or gzipped (stored so, or on the way), and its structure.  What is kept is the plain
file, under a name that says where it came from and what the catalogue says about it, so that a file
of another server, or of another state of the catalogue, is never taken for it.

Processes share the folder.  Who fetches a file holds its lock; who makes room, gives a file its
name, or opens one holds the folder's.  A file that is mapped may be removed; its pixels stay.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import requests

from galaxyds.archives.base import RemoteFile
from galaxyds.archives.bounded import broken
from galaxyds.archives.cadc_fits import Coadd, read_coadd
from galaxyds.archives.cadc_tiles import COLLECTION, Artifact
from galaxyds.archives.records import require_transfer_space
from galaxyds.archives.tap import OpenHttp
from galaxyds.errors import DataIntegrityError, storage_error

if TYPE_CHECKING:
    from filelock import BaseFileLock

LARGEST = 4 << 30
"""Bytes that a coadd may have; those of the Wide have 1,498,320,000."""
TYPICAL = 1_498_320_000
"""Bytes of a coadd whose size the catalogue does not state."""
KEPT = 60 * 10**9
"""Bytes of coadds that are kept: forty of them."""

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_LOG = logging.getLogger(__name__)


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
            If it does not fit, or cannot be written.
        """
        from filelock import FileLock

        final = self.folder / kept_name(self.url, artifact)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            found = self._kept(final)
            if found is None:
                with FileLock(f"{final}.lock"):
                    found = self._kept(final) or self._fetched(artifact, final)
        except OSError as error:
            raise storage_error(error, final) from error
        return found

    def _folder_lock(self) -> BaseFileLock:
        from filelock import FileLock

        return FileLock(self.folder / "folder.lock")

    def _kept(self, final: Path) -> Coadd | None:
        """A coadd that is here; one that was spoiled since is removed."""
        with self._folder_lock():
            try:
                content = _mapped(final)
                os.utime(final)  # used now: it goes last
            except FileNotFoundError:
                return None
            try:
                return read_coadd(content, final.name, limit=LARGEST)
            except DataIntegrityError as error:
                _LOG.warning("%s; it is fetched again", error.message)
                final.unlink(missing_ok=True)
                return None

    def _fetched(self, artifact: Artifact, final: Path) -> Coadd:
        with self._folder_lock():
            self._make_room(artifact.bytes or TYPICAL)
        delivered = final.with_name(f"{final.name}.delivered")
        plain = final.with_name(f"{final.name}.plain")
        self._require_space(artifact, delivered)
        try:
            self.http.fetch(
                f"{self.url}/{COLLECTION}/{artifact.file}", delivered, max_bytes=LARGEST,
                check=lambda path: _check(path, artifact, plain),
            )  # fmt: skip
            ready = plain if plain.exists() else delivered
            with self._folder_lock():
                self._make_room(ready.stat().st_size)  # of another process meanwhile
                ready.replace(final)
                return read_coadd(_mapped(final), artifact.file, limit=LARGEST)
        finally:
            delivered.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)

    def _require_space(self, artifact: Artifact, delivered: Path) -> None:
        packed = artifact.file.endswith(".gz")
        size = (artifact.bytes or TYPICAL) + (TYPICAL if packed else 0)
        file = RemoteFile(name=artifact.file, url="", bytes=size, md5="")
        require_transfer_space(delivered, file, advice="free some space there")

    def _make_room(self, needed: int) -> None:
        """Remove what was used longest ago; the folder is locked."""
        kept = []
        for path in self.folder.glob("*.fits"):
            with suppress(FileNotFoundError):
                kept.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        total = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if total + needed <= self.most:
                return
            with suppress(PermissionError):  # not POSIX: it is in use
                path.unlink(missing_ok=True)
                total -= size


def kept_name(url: str, artifact: Artifact) -> str:
    """Name under which a coadd is kept: the archive's, and a hash of all that is known of it.

    Parameters
    ----------
    url : str
        Base of the public files.
    artifact : Artifact
        Which coadd.

    Returns
    -------
    str
        Ends in ``.fits``.
    """
    known = (url.rstrip("/"), artifact.uri, artifact.file, artifact.md5, str(artifact.bytes))
    key = hashlib.blake2b("\n".join(known).encode(), digest_size=8).hexdigest()
    return f"{artifact.file.removesuffix('.gz').removesuffix('.fits')}.{key}.fits"


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


def _check(path: Path, artifact: Artifact, plain: Path) -> None:
    """Hold a delivered file against the catalogue and against what a coadd is.

    One that came gzipped is left unpacked as ``plain``.
    """
    plain.unlink(missing_ok=True)
    packed = _is_gzip(path)
    if packed:
        with plain.open("wb") as file:
            for piece in unpacked(path):
                file.write(piece)
    whole = plain if packed else path
    try:
        _compare((path, plain) if packed else (path,), artifact)
        read_coadd(_mapped(whole), artifact.file, limit=LARGEST)
    except DataIntegrityError:
        plain.unlink(missing_ok=True)
        raise


def _compare(forms: Sequence[Path], artifact: Artifact) -> None:
    """Whether one of a file's forms, delivered or unpacked, is the one of the catalogue."""
    name = Path(artifact.file)
    cause = "it was damaged on the way or replaced at its source: fetch it again"
    sizes = [path.stat().st_size for path in forms]
    if artifact.bytes and artifact.bytes not in sizes:
        raise broken(name, f"{artifact.bytes} bytes", f"{sizes[-1]} bytes", cause)
    if artifact.md5:
        found = [_md5(_pieces(path)) for path in forms]
        if artifact.md5 not in found:
            raise broken(name, f"md5 {artifact.md5}", f"md5 {found[-1]}", cause)


def _mapped(path: Path) -> memoryview:
    """The content of a file, read when it is used."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


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
