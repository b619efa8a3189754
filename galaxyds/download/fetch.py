"""Bringing a published build here: shards and catalogue from a hub, the HDF5 file made of them.

What comes is compared with the sha256 of the manifest, file by file; the HDF5 file is written as
the builder wrote it, and its sha256 must be the manifest's too.  Then the whole build is verified
and renamed into its place.  Before that nothing of it can be seen.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from galaxyds.download.assemble import write_images
from galaxyds.download.hub import open_hub
from galaxyds.download.names import MAIN, repo_id, tag
from galaxyds.download.progress import LogWatcher, Watcher
from galaxyds.download.revision import (
    Offer,
    Revision,
    check_file,
    download,
    open_revision,
    read_offer,
)
from galaxyds.download.staging import is_plain_file, only_one, staging, tidy
from galaxyds.errors import (
    ArchiveError,
    DataIntegrityError,
    DatasetNotFoundError,
    NotInArchiveError,
    StorageError,
    UsageError,
    one_line,
    storage_error,
)
from galaxyds.refs import DatasetRef
from galaxyds.store.files import fsync_tree, move_into_place, publish_bytes, require_space, sha256
from galaxyds.store.layout import IMAGES, MANIFEST, WORK, BuildDirectory, build_path
from galaxyds.store.manifest import FileRecord, read_manifest, write_manifest
from galaxyds.store.verify import verify

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec

_log = logging.getLogger(__name__)
_BUILD, _CAME = "build", "came"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What a fetch did.

    Attributes
    ----------
    build : BuildDirectory
        The build that is here now.
    was_here : bool
        Whether it was here before, so that nothing was brought.
    differs : bool
        Whether the build that was here has other files than that of the hub.
    revision : Revision
        Where it was looked for.
    received : int
        Bytes that came over the network.
    seconds : float
        How long it took.
    """

    build: BuildDirectory
    was_here: bool
    differs: bool
    revision: Revision
    received: int
    seconds: float


def fetch(
    ref: DatasetRef,
    spec: DatasetSpec,
    *,
    home: Path,
    repo: str | None = None,
    revision: str | Revision | None = None,
    watcher: Watcher | None = None,
) -> Fetched:
    """Fetch a published build, unless it is here.

    Parameters
    ----------
    ref : DatasetRef
        Which dataset; config None means the default.  A version means its tag.
    spec : DatasetSpec
        The declaration.
    home : pathlib.Path
        Root of the builds.
    repo : str, optional
        Repository on the hub; ``galaxyds/<name>`` by default.
    revision : str or Revision, optional
        Branch, tag or commit; ``main``, or the tag of the version, by default.  One that
        :func:`find_revision` gave is taken as it is, so that several configs come from one commit.
    watcher : Watcher, optional
        Hears of progress; the log does by default.

    Returns
    -------
    Fetched
        The build, and what was done.

    Raises
    ------
    DatasetNotFoundError
        If the hub has no such repository, revision or config; the build command is quoted.
    DataIntegrityError
        If what came is not what the manifest says.
    ArchiveError, CredentialsError
        If the hub cannot be reached or refuses.
    StorageError
        If there is no room for it.
    """
    begun = time.monotonic()
    source = (
        revision
        if isinstance(revision, Revision)
        else find_revision(ref, spec, repo=repo, revision=revision)
    )
    config = spec.config(ref.config).name
    if config not in source.configs(spec):
        raise _no_config(spec, config, source)
    offer = read_offer(source, config, spec)
    if ref.version not in (None, offer.manifest.version):
        raise _other_version(ref, offer)
    target = build_path(home, spec.name, config, offer.manifest.version)
    received = _bring_once(offer, spec, target, watcher=watcher or LogWatcher())
    build = BuildDirectory(path=target, manifest=read_manifest(target / MANIFEST))
    return Fetched(
        build=build,
        was_here=received is None,
        differs=received is None and build.manifest.files != offer.manifest.files,
        revision=source,
        received=(received or 0) + len(offer.raw),
        seconds=time.monotonic() - begun,
    )


def find_revision(
    ref: DatasetRef, spec: DatasetSpec, *, repo: str | None, revision: str | None
) -> Revision:
    """Ask the hub for the revision that is meant.

    Raises
    ------
    UsageError
        If version and revision are both given.
    DatasetNotFoundError
        If the hub has no such repository or revision.
    """
    if revision is not None and ref.version is not None:
        raise UsageError(
            f"{ref} names a version, which is the tag {tag(ref.version)}: leave --revision out",
            revision=revision,
        )
    name = revision or (tag(ref.version) if ref.version else MAIN)
    hub = open_hub(repo or repo_id(spec.name), what="Fetching a build")
    try:
        return open_revision(hub, name)
    except NotInArchiveError as error:
        what = f"{error.message}, so there is nothing to fetch at '{one_line(name, 80)}'"
        raise _not_published(what, spec, spec.config(ref.config).name) from error
    except ArchiveError as error:
        command = _build_command(spec, spec.config(ref.config).name)
        raise ArchiveError(f"{error.message}, or {command}", **error.values) from error


def _bring_once(offer: Offer, spec: DatasetSpec, target: Path, *, watcher: Watcher) -> int | None:
    """Fetch a build unless somebody has; return the bytes that came."""
    if _is_here(target):
        return None
    work = target.parents[2] / WORK / Path(*target.parts[-3:])
    with only_one(work):
        if _is_here(target):
            return None
        with staging(work) as folder:
            received = _complete(offer, spec, folder, watcher)
            _publish(folder / _BUILD, target)
        return received


def _is_here(target: Path) -> bool:
    """Whether a build is at its place.

    Raises
    ------
    StorageError
        If something else is.
    """
    if (target / MANIFEST).is_file():
        return True
    if target.is_symlink() or target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise StorageError(
            f"{target} is there and is no build (it has no {MANIFEST}): move it away, then run the "
            "same command again",
            path=str(target),
        )
    return False


def _complete(offer: Offer, spec: DatasetSpec, folder: Path, watcher: Watcher) -> int:
    """Make the whole build in a staging folder, keeping what is right of what is there."""
    build, manifest = folder / _BUILD, offer.manifest
    tidy(folder, {build / file for file in offer.files})
    missing = {f: p for f, p in offer.files.items() if not _is_right(build / f, manifest.files[f])}
    size = sum(manifest.files[file].bytes for file in missing)
    needed = size + manifest.files[IMAGES].bytes
    require_space(folder, needed, what=f"fetching {spec.name}/{manifest.config}")
    source = f"{size / 1e6:,.1f} MB of {spec.name}/{manifest.config} from {offer.revision.hub.url}"
    watcher.stage("fetch", "started", source)
    _receive(offer, missing, folder, watcher)
    watcher.stage("fetch", "done", f"{len(missing)} files, {size / 1e6:,.1f} MB")
    _write(build, spec, offer, watcher)
    _describe(build, offer)
    _verify(build, spec, watcher)
    return size


def _is_right(path: Path, record: FileRecord) -> bool:
    right = is_plain_file(path) and path.stat().st_size == record.bytes
    return right and sha256(path) == record.sha256


def _receive(offer: Offer, missing: dict[str, str], folder: Path, watcher: Watcher) -> None:
    records = offer.manifest.files
    total = sum(records[file].bytes for file in missing)
    done = 0
    for file, path in missing.items():
        size = records[file].bytes

        def heard(received: int, before: int = done) -> None:
            watcher.progress((before + received) // 1000, total // 1000, "kB")

        came = download(offer.revision, path, folder / _CAME, limit=size, heard=heard)
        check_file(came, path, records[file])
        (folder / _BUILD / file).parent.mkdir(parents=True, exist_ok=True)
        came.replace(folder / _BUILD / file)
        done += size


def _write(build: Path, spec: DatasetSpec, offer: Offer, watcher: Watcher) -> None:
    watcher.stage("write", "started")
    rows = offer.manifest.rows

    def heard(done: int) -> None:
        watcher.progress(done, rows, "objects")

    try:
        write_images(build, spec, offer.manifest, heard=heard)
    except DataIntegrityError as error:
        shutil.rmtree(build)  # its files are those of the manifest: to keep them would not help
        hub, commit = offer.revision.hub, offer.revision.commit
        raise DataIntegrityError(
            f"the files of {hub.url} at commit {commit} make no build, nothing is kept: "
            f"{error.message}. Choose another --revision, or build the dataset here",
            **{"file": hub.url, "expected": "a build", "got": error.message, **error.values},
        ) from error
    watcher.stage("write", "done", f"{rows:,} objects")


def _describe(build: Path, offer: Offer) -> None:
    """Leave the manifest as it came; if the HDF5 file got other bytes, say so in it."""
    images = build / IMAGES
    stated = offer.manifest.files[IMAGES]
    got = FileRecord(bytes=images.stat().st_size, sha256=sha256(images))
    if got == stated:
        publish_bytes(build / MANIFEST, offer.raw)
        return
    note = (
        f"{IMAGES} was written here from the shards of {offer.revision.hub.repo_id} at commit "
        f"{offer.revision.commit} and has other bytes than the published file (sha256 "
        f"{stated.sha256}): another HDF5 library, or another wording of the declaration. Pixels "
        "and columns are those of the published shards and catalogue, whose sha256 are right"
    )
    _log.warning("%s", note)
    changed = msgspec.structs.replace(
        offer.manifest,
        files={**offer.manifest.files, IMAGES: got},
        warnings=(*offer.manifest.warnings, note),
    )
    write_manifest(build / MANIFEST, changed)


def _verify(build: Path, spec: DatasetSpec, watcher: Watcher) -> None:
    watcher.stage("verify", "started")
    os.utime(build)  # a sign of life: nothing is written for a while
    results = list(verify(build, spec))
    bad = [result for result in results if not result.ok]
    if bad:
        shutil.rmtree(build)  # its files are those of the manifest: to keep them would not help
        first = bad[0]
        raise DataIntegrityError(
            f"{len(bad)} of {len(results)} checks of the fetched build failed, it is not kept; "
            f"first: {first.file} {first.check}: expected {first.expected}, got {first.got}. What "
            "is on the hub is broken or of another version of galaxyds: build the dataset here",
            file=first.file,
            expected=first.expected,
            got=first.got,
        )
    watcher.stage("verify", "done", f"{len(results)} checks")


def _publish(build: Path, target: Path) -> None:
    try:
        fsync_tree(build)
        target.parent.mkdir(parents=True, exist_ok=True)
        move_into_place(build, target, replace=False)
    except OSError as error:
        if not _is_here(target):  # else another process was faster
            raise storage_error(error, target) from error


def _no_config(spec: DatasetSpec, config: str, source: Revision) -> DatasetNotFoundError:
    there = ", ".join(source.configs(spec))
    has = f"it has {there}" if there else "it has no build of galaxyds"
    return _not_published(
        f"{source.hub.url} has no config {config} at '{one_line(source.name, 80)}': {has}",
        spec,
        config,
    )


def _other_version(ref: DatasetRef, offer: Offer) -> DataIntegrityError:
    return DataIntegrityError(
        f"{offer.revision.hub.url} has {offer.manifest.version} under the tag "
        f"{offer.revision.name}: fetch it with --revision {offer.revision.commit} instead, or "
        f"build {ref} here",
        file=MANIFEST,
        expected=ref.version,
        got=offer.manifest.version,
    )


def _not_published(what: str, spec: DatasetSpec, config: str) -> DatasetNotFoundError:
    command = _build_command(spec, config)
    return DatasetNotFoundError(
        f"{what}; build it here with {command}, or name another repository with --repo",
        name=spec.name,
        config=config,
        command=command,
    )


def _build_command(spec: DatasetSpec, config: str) -> str:
    address = spec.name if config == spec.configs[0].name else f"{spec.name}/{config}"
    return f"galaxyds build {address}"
