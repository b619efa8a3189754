"""One commit of a repository: its manifests, and its files under the bounds that they state.

What a hub sends is hostile until a hash says otherwise.  A file is looked for where the manifest's
own names put it, never where the hub says; the only names that reach the file system are those of a
build's layout.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from galaxyds.download.answers import ask_revision
from galaxyds.download.hub import Hub, speaking
from galaxyds.download.names import CARD, build_file, repository_path
from galaxyds.download.transfer import TooMuchError, read_file
from galaxyds.errors import DataIntegrityError, one_line
from galaxyds.store.files import sha256
from galaxyds.store.layout import CATALOG, HUB, IMAGES, MANIFEST
from galaxyds.store.manifest import FileRecord, Manifest, read_manifest

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_MANIFEST = 64 << 20
_MOST_FILES = 20_000
Heard = Callable[[int], None]
"""Told how many bytes of a file have come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """What a branch, tag or commit of a repository is right now.

    Attributes
    ----------
    hub : Hub
        The repository.
    name : str
        What was asked for: ``main``, ``v1.0.0`` or a commit.
    commit : str
        The commit that it is; everything is read from it, whatever is pushed meanwhile.
    paths : frozenset of str
        Files that the hub lists; compared with, never used as names.
    """

    hub: Hub
    name: str
    commit: str
    paths: frozenset[str]

    def configs(self, spec: DatasetSpec) -> tuple[str, ...]:
        """Configs of a dataset that are here, in the order of its declaration."""
        names = (config.name for config in spec.configs)
        return tuple(name for name in names if f"{name}/{MANIFEST}" in self.paths)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A build that a repository has.

    Attributes
    ----------
    revision : Revision
        Where it is.
    raw : bytes
        Its ``manifest.json``.
    manifest : Manifest
        The same, read and checked against the declaration.
    files : dict of str to str
        Path in the repository by path in the build; ``images.hdf5`` is none of them.
    """

    revision: Revision
    raw: bytes
    manifest: Manifest
    files: dict[str, str]


def open_revision(hub: Hub, name: str) -> Revision:
    """Ask what a branch, tag or commit is.

    Raises
    ------
    NotInArchiveError
        If there is no such repository or revision.
    ArchiveError
        If the hub cannot be asked, or answers nonsense.
    """
    info = ask_revision(hub, name)
    with speaking(hub, "asking for"):
        check_commit(info.sha)
    paths = frozenset(one.rfilename for one in info.siblings or ())
    return Revision(hub=hub, name=name, commit=info.sha, paths=paths)


def check_commit(commit: str) -> str:
    """Return a commit's id.

    Raises
    ------
    ValueError
        If it is none.
    """
    if _COMMIT.fullmatch(commit) is None:
        raise ValueError(f"no commit but '{one_line(commit, 60)}'")
    return commit


def read_offer(revision: Revision, config: str, spec: DatasetSpec) -> Offer:
    """Read the manifest of a config.

    Parameters
    ----------
    revision : Revision
        Where.
    config : str
        Which.
    spec : DatasetSpec
        The declaration of the dataset.

    Returns
    -------
    Offer
        The manifest, and where its files are.

    Raises
    ------
    DataIntegrityError
        If it is no manifest of this dataset, or names files that no build has.
    """
    manifest, raw = published_manifest(revision, config)
    files = _checked(manifest, spec, config, revision)
    return Offer(revision=revision, raw=raw, manifest=manifest, files=files)


def published_manifest(revision: Revision, config: str) -> tuple[Manifest, bytes]:
    """Read the manifest of a config and hold it to nothing but its types.

    Raises
    ------
    DataIntegrityError
        If it is none.
    """
    with tempfile.TemporaryDirectory(prefix="galaxyds-") as folder:
        place = download(revision, f"{config}/{MANIFEST}", Path(folder), limit=_LARGEST_MANIFEST)
        try:
            return read_manifest(place), place.read_bytes()
        except DataIntegrityError as error:
            got = str(getattr(error, "got", error))
            raise _strange(_address(revision, config), "a readable manifest", got) from error


def _address(revision: Revision, config: str) -> str:
    return f"{revision.hub.url}/blob/{revision.commit}/{config}/{MANIFEST}"


def _checked(
    manifest: Manifest, spec: DatasetSpec, config: str, revision: Revision
) -> dict[str, str]:
    """Hold a manifest to the layout of a build; return the place of every file."""
    place, narrow = _address(revision, config), spec.of(config)
    if len(manifest.files) > _MOST_FILES:
        raise _strange(place, f"at most {_MOST_FILES} files", str(len(manifest.files)))
    expected = {"dataset": (spec.name, manifest.name), "config": (config, manifest.config),
                "shape": (narrow.image_shape(), manifest.shape)}  # fmt: skip
    for what, (wanted, got) in expected.items():
        if wanted != got:
            raise _strange(place, f"the {what} {wanted}", str(got))
    if manifest.public_version == spec.version and manifest.spec_digest != spec.digest(config):
        raise _strange(
            place,
            f"the declaration of {spec.name} {spec.version} that galaxyds has here",
            f"another one (galaxyds {one_line(manifest.package_version, 40)})",
        )
    if absent := {IMAGES, CATALOG, f"{HUB}/{CARD}"} - manifest.files.keys():
        raise _strange(place, ", ".join(sorted(absent)), "no such file")
    for file, record in manifest.files.items():
        if record.bytes < 0 or _SHA256.fullmatch(record.sha256) is None:
            raise _strange(place, f"size and sha256 of {one_line(file, 80)}", str(record))
    _check_rows(manifest, place)
    named = (file for file in manifest.files if file != IMAGES)
    return {file: _trusted_path(file, narrow, config, place) for file in named}


def _check_rows(manifest: Manifest, place: str) -> None:
    """Hold the number of objects, which bounds what is read, to the sizes that are compared."""
    pixels = 4 * math.prod(manifest.shape) * manifest.rows
    if manifest.rows < 0 or pixels > manifest.files[IMAGES].bytes:
        got = f"{manifest.files[IMAGES].bytes} bytes for {manifest.rows} objects"
        raise _strange(place, f"{IMAGES} of at least {max(pixels, 0)} bytes", got)
    counts = manifest.splits.get("0", {}).values()
    if sum(counts) != manifest.rows or min(counts, default=0) < 0:
        raise _strange(place, f"{manifest.rows} objects in the splits", str(sum(counts)))


def _trusted_path(file: str, spec: DatasetSpec, config: str, place: str) -> str:
    """Path in the repository of a file that builds have."""
    splits = "|".join(map(re.escape, spec.split.names))
    shard = rf"{HUB}/{re.escape(config)}/(?:{splits})-\d{{5}}-of-\d{{5}}\.parquet"
    known = file in (CATALOG, f"{HUB}/{CARD}") or re.fullmatch(shard, file, re.ASCII)
    path = repository_path(config, file) if known else None
    if path is None or build_file(config, path) != file:
        raise _strange(place, "the names of a build's files", f"'{one_line(file, 80)}'")
    return path


def _strange(place: str, expected: str, got: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{place} is refused: expected {expected}, got {got}; nothing was fetched. It may be of "
        "another version of galaxyds, or not ours: choose another --revision, or build the "
        "dataset here",
        file=place,
        expected=expected,
        got=got,
    )


def download(
    revision: Revision, path: str, folder: Path, *, limit: int, heard: Heard | None = None
) -> Path:
    """Bring one file here.

    Parameters
    ----------
    revision : Revision
        Whose file.
    path : str
        Path in the repository, from :class:`Offer`.
    folder : pathlib.Path
        It comes to lie below it, under ``path``.
    limit : int
        Bytes after which the transfer is given up.
    heard : callable, optional
        Told how many bytes have come.

    Returns
    -------
    pathlib.Path
        The file, complete but not compared with anything.

    Raises
    ------
    ArchiveError, CredentialsError
        If the hub does not give it.
    DataIntegrityError
        If it is longer than ``limit``.
    StorageError
        If it cannot be written.
    """
    hub, place = revision.hub, folder / path
    url = f"{hub.api.endpoint}/datasets/{hub.repo_id}/resolve/{revision.commit}/{quote(path)}"
    with speaking(hub, f"fetching {path} from"):
        try:
            read_file(hub, url, place, limit=limit, heard=heard)
        except TooMuchError:
            place.unlink(missing_ok=True)
            raise mismatch(path, f"{limit} bytes", "more") from None
    return place


def check_file(path: Path, name: str, record: FileRecord) -> None:
    """Compare a file with its record; one that differs is removed.

    Raises
    ------
    DataIntegrityError
        If size or sha256 are other ones.
    """
    size = path.stat().st_size
    expected, got = f"{record.bytes} bytes", f"{size} bytes"
    if size == record.bytes:
        expected, got = f"sha256 {record.sha256}", f"sha256 {sha256(path)}"
    if expected != got:
        path.unlink()
        raise mismatch(name, expected, got)


def mismatch(name: str, expected: str, got: str) -> DataIntegrityError:
    """Say that a file of a hub is not the one that its manifest describes."""
    return DataIntegrityError(
        f"{name} is not what the manifest says: expected {expected}, got {got}; it was damaged on "
        "the way or on the hub. Run the same command again; if this comes again, choose another "
        "--revision or build the dataset here",
        file=name,
        expected=expected,
        got=got,
    )
