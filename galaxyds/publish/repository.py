"""Local builds as repositories of a hub: which files a revision has, and where they lie.

``galaxyds push`` sends a snapshot, ``galaxyds serve`` answers from it.  Every name comes from a
manifest; nothing here looks at a path that somebody asks for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.download.names import CARD, CROISSANT, MAIN, repo_id, repository_path, tag
from galaxyds.errors import DatasetNotFoundError
from galaxyds.publish.card import Part, render_card
from galaxyds.publish.croissant import render_croissant
from galaxyds.publish.hub import SplitSize, hub_features
from galaxyds.refs import to_snake
from galaxyds.specs import get_spec
from galaxyds.store.files import sha256
from galaxyds.store.layout import (
    MANIFEST,
    BuildDirectory,
    build_path,
    home_of,
    list_builds,
    preference,
)
from galaxyds.store.manifest import FileRecord

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec
    from galaxyds.store.manifest import Manifest

_log = logging.getLogger(__name__)
_SHORTEST_COMMIT = 7
_Known = dict[frozenset[Path], "Snapshot"]
"""Snapshots by the folders of their builds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryFile:
    """One file of a revision: on the disk, or made from the manifests.

    Attributes
    ----------
    size : int
        Bytes.
    sha256 : str
        In hexadecimal digits.
    path : pathlib.Path or None
        Where it lies; None if ``data`` is all of it.
    data : bytes
        Its contents, where it lies nowhere.
    """

    size: int
    sha256: str
    path: Path | None = None
    data: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """One revision of a repository.

    Attributes
    ----------
    name : str
        Of the repository, in snake_case.
    commit : str
        Forty hexadecimal digits that depend on names and contents of the files only.
    builds : tuple of BuildDirectory
        One per config, in the order of the declaration.
    files : mapping of str to RepositoryFile
        By path in the repository, in alphabetical order.
    """

    name: str
    commit: str
    builds: tuple[BuildDirectory, ...]
    files: Mapping[str, RepositoryFile]

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions of the builds; one, but for ``main`` where configs are at different ones."""
        return tuple(dict.fromkeys(build.manifest.version for build in self.builds))

    @property
    def created(self) -> str:
        """When the newest build was made, UTC in ISO format."""
        return max(build.manifest.created for build in self.builds)

    @property
    def notice(self) -> str:
        """What the builds are if not the full, real dataset; empty if they are."""
        partial = [b.manifest for b in self.builds if not b.manifest.is_full]
        return "; ".join(f"{m.config}: {m.nature()}, {m.rows:,} objects" for m in partial)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A dataset's builds, by revision.

    Attributes
    ----------
    name : str
        In snake_case.
    main : Snapshot
        Of every config the build that a loader would take.
    versions : mapping of str to Snapshot
        By tag (``v1.0.0``), the most preferred first.
    """

    name: str
    main: Snapshot
    versions: Mapping[str, Snapshot]

    def find(self, revision: str) -> Snapshot | None:
        """Return the snapshot of a branch, tag, version or commit (or its first digits)."""
        if revision == MAIN:
            return self.main
        found = self.versions.get(revision) or self.versions.get(tag(revision))
        if found is not None or len(revision) < _SHORTEST_COMMIT:
            return found
        snapshots = {one.commit: one for one in (self.main, *self.versions.values())}
        fitting = [one for commit, one in snapshots.items() if commit.startswith(revision)]
        return fitting[0] if len(fitting) == 1 else None


def snapshot(builds: Sequence[BuildDirectory], spec: DatasetSpec) -> Snapshot:
    """Describe the revision that some builds of a dataset make.

    Parameters
    ----------
    builds : sequence of BuildDirectory
        At least one, of different configs.
    spec : DatasetSpec
        Their declaration.

    Returns
    -------
    Snapshot
        Nothing but the manifests is read; sizes and hashes are those that they state.
    """
    order = [config.name for config in spec.configs]
    builds = sorted(builds, key=lambda build: order.index(build.manifest.config))
    files = {path: file for build in builds for path, file in _files_of(build)}
    card = render_card([_part(spec, b.manifest) for b in builds], repository=repo_id(spec.name))
    records = {path: FileRecord(bytes=f.size, sha256=f.sha256) for path, f in files.items()}
    files[CARD] = _in_memory(card)
    files[CROISSANT] = _in_memory(render_croissant(spec, [b.manifest for b in builds], records))
    files = dict(sorted(files.items()))
    return Snapshot(
        name=to_snake(spec.name), commit=_commit(files), builds=tuple(builds), files=files
    )


def without_copies(builds: Iterable[BuildDirectory]) -> list[BuildDirectory]:
    """Keep one build of every config and version.

    Parameters
    ----------
    builds : iterable of BuildDirectory
        Of one dataset.

    Returns
    -------
    list of BuildDirectory
        In the same order.  Of a build whose folder was copied (``1.0.0.bak``) the one in the
        folder of its config and version is kept, and a warning names the others.
    """
    kept: list[BuildDirectory] = []
    for address, same in _grouped(builds, lambda build: build.address).items():
        found = next((build for build in same if _is_at_home(build)), same[0])
        kept.append(found)
        for copy in same:
            if copy is not found:
                _log.warning("%s is left out: %s is %s too", copy.path, found.path, address)
    return kept


def _is_at_home(build: BuildDirectory) -> bool:
    manifest = build.manifest
    return build.path == build_path(
        home_of(build.path), manifest.name, manifest.config, manifest.version
    )


def repositories(
    home: Path, *, earlier: Mapping[str, Repository] | None = None
) -> dict[str, Repository]:
    """Describe every dataset that is built below a root.

    Parameters
    ----------
    home : pathlib.Path
        Root of the builds.
    earlier : mapping of str to Repository, optional
        As it was before: snapshots of builds whose manifests are the same are taken from it.

    Returns
    -------
    dict of str to Repository
        By snake_case name.  A build whose manifest cannot be read or whose dataset is not known
        here is left out, and a warning says so.
    """
    by_name: dict[str, list[BuildDirectory]] = {}
    for build in list_builds(home):
        by_name.setdefault(build.manifest.name, []).append(build)
    before = (earlier or {}).values()
    known = {_folders(s.builds): s for r in before for s in (r.main, *r.versions.values())}
    found = (_repository(name, builds, known) for name, builds in sorted(by_name.items()))
    return {one.name: one for one in found if one is not None}


def _repository(name: str, builds: list[BuildDirectory], known: _Known) -> Repository | None:
    try:
        spec = get_spec(name)
    except DatasetNotFoundError as error:
        _log.warning("%s is left out: %s", builds[0].path.parents[1], error)
        return None
    configs = {config.name for config in spec.configs}
    ours = without_copies(build for build in builds if build.manifest.config in configs)
    ours.sort(key=lambda build: preference(build.manifest), reverse=True)
    if not ours:
        return None
    by_version = _grouped(ours, lambda build: tag(build.manifest.version))
    chosen = [same[0] for same in _grouped(ours, lambda build: build.manifest.config).values()]
    versions = {key: _snapshot(same, spec, known) for key, same in by_version.items()}
    main = _snapshot(chosen, spec, known)
    return Repository(name=to_snake(spec.name), main=main, versions=versions)


def _snapshot(builds: Sequence[BuildDirectory], spec: DatasetSpec, known: _Known) -> Snapshot:
    """Take a snapshot from those that are known, or make it and remember it."""
    folders = _folders(builds)
    found = known.get(folders)
    if found is None or not _is_of(found, builds):
        found = known[folders] = snapshot(builds, spec)
    return found


def _folders(builds: Iterable[BuildDirectory]) -> frozenset[Path]:
    return frozenset(build.path for build in builds)


def _is_of(known: Snapshot, builds: Iterable[BuildDirectory]) -> bool:
    """Whether a snapshot has these manifests, byte by byte."""
    now = {build.path: build.manifest for build in builds}
    return all(
        build.manifest == now[build.path]
        and known.files[f"{build.manifest.config}/{MANIFEST}"].sha256
        == sha256(build.path / MANIFEST)
        for build in known.builds
    )


def _grouped(
    builds: Iterable[BuildDirectory], key: Callable[[BuildDirectory], str]
) -> dict[str, list[BuildDirectory]]:
    groups: dict[str, list[BuildDirectory]] = {}
    for build in builds:
        groups.setdefault(key(build), []).append(build)
    return groups


def _files_of(build: BuildDirectory) -> Iterable[tuple[str, RepositoryFile]]:
    config = build.manifest.config
    for file, record in build.manifest.files.items():
        path = repository_path(config, file)
        if path is not None:
            yield (
                path,
                RepositoryFile(size=record.bytes, sha256=record.sha256, path=build.path / file),
            )
    manifest = build.path / MANIFEST
    yield (
        f"{config}/{MANIFEST}",
        RepositoryFile(size=manifest.stat().st_size, sha256=sha256(manifest), path=manifest),
    )


def _part(spec: DatasetSpec, manifest: Manifest) -> Part:
    narrow = spec.of(manifest.config)
    bands, rows, columns = narrow.image_shape()
    row_bytes = 4 * bands * rows * columns + 8 * len(narrow.stored_columns())
    sizes = {
        split: SplitSize(rows=count, bytes=count * row_bytes)
        for split, count in manifest.splits.get("0", {}).items()
        if count
    }
    return Part(spec=narrow, manifest=manifest, features=hub_features(narrow), sizes=sizes)


def _in_memory(text: str) -> RepositoryFile:
    data = text.encode()
    return RepositoryFile(size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)


def _commit(files: Mapping[str, RepositoryFile]) -> str:
    """Forty digits, as hubs have them, from what the files are called and hold."""
    lines = "".join(f"{file.sha256}  {path}\n" for path, file in files.items())
    return hashlib.sha256(lines.encode()).hexdigest()[:40]
