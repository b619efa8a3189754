"""What a hub has of a dataset: files by their hashes, tags, and which version is on ``main``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from galaxyds.download.answers import Ref, ask_files, ask_refs
from galaxyds.download.hub import Hub, speaking
from galaxyds.download.names import CARD, CROISSANT, MAIN, build_file
from galaxyds.download.revision import check_commit, open_revision, published_manifest
from galaxyds.errors import NotInArchiveError, one_line
from galaxyds.store.layout import preference

if TYPE_CHECKING:
    from galaxyds.publish.repository import RepositoryFile
    from galaxyds.spec import DatasetSpec
    from galaxyds.store.manifest import Manifest

Rank = tuple[bool, bool, tuple[int, ...]]
"""How full, real and new a build is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubFile:
    """A file on the hub: ``sha256`` of its bytes if it is a large one, else git's ``blob`` id."""

    size: int
    blob: str
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HubState:
    """What the hub had when it was asked.

    Attributes
    ----------
    problem : str
        Why it could not be asked; empty if it could.
    exists : bool
        Whether there is such a repository.
    heads : mapping of str to str
        Commit by branch: what a push builds on.
    tags : mapping of str to str
        Commit by tag.
    main, tagged : mapping of str to HubFile
        Our files on ``main``, and under the tag that will be set.
    configs : mapping of str to Rank
        How full, real and new each config on ``main`` is.
    """

    problem: str = ""
    exists: bool = False
    heads: Mapping[str, str]
    tags: Mapping[str, str]
    main: Mapping[str, HubFile]
    tagged: Mapping[str, HubFile]
    configs: Mapping[str, Rank]


def nothing_there(*, problem: str = "") -> HubState:
    """State of a hub without the repository, or of one that could not be asked."""
    return HubState(problem=problem, heads={}, tags={}, main={}, tagged={}, configs={})


def ask(hub: Hub, spec: DatasetSpec, wanted: str) -> HubState:
    """Ask what a repository has, on ``main`` and under the tag ``wanted``.

    Raises
    ------
    ArchiveError, CredentialsError
        If the hub cannot be reached or refuses.
    DataIntegrityError
        If a manifest on ``main`` cannot be read.
    """
    try:
        refs = ask_refs(hub)
        heads, tags = _commits(hub, refs.branches), _commits(hub, refs.tags)
        # By its commit: what is compared has to be what the push will build on.
        main = open_revision(hub, heads.get(MAIN, MAIN))
    except NotInArchiveError:
        return nothing_there()
    ranks = {name: rank(published_manifest(main, name)[0]) for name in main.configs(spec)}
    return HubState(
        exists=True,
        heads={**heads, MAIN: main.commit},
        tags=tags,
        main=listed(hub, spec, main.commit),
        tagged=listed(hub, spec, tags[wanted]) if wanted in tags else {},
        configs=ranks,
    )


def _commits(hub: Hub, refs: Iterable[Ref]) -> dict[str, str]:
    with speaking(hub, "asking for the tags of"):
        return {one_line(one.name, 200): check_commit(one.target_commit) for one in refs}


def rank(manifest: Manifest) -> Rank:
    """How full, real and new a build is."""
    full, real, version, *_ = preference(manifest)
    return full, real, version


def listed(hub: Hub, spec: DatasetSpec, commit: str) -> dict[str, HubFile]:
    """Files of a commit that a push of ours may have made; others are none of our business."""
    return {
        entry.path: HubFile(
            size=entry.size, blob=entry.oid, sha256=entry.lfs.oid if entry.lfs else None
        )
        for entry in ask_files(hub, commit)
        if _is_ours(entry.path, spec)
    }


def _is_ours(path: str, spec: DatasetSpec) -> bool:
    return path in (CARD, CROISSANT) or any(
        build_file(config.name, path) is not None for config in spec.configs
    )


def is_same(file: RepositoryFile, there: HubFile | None) -> bool:
    """Whether a file on the hub has the bytes of one here."""
    if there is None or there.size != file.size:
        return False
    if there.sha256 is not None:
        return there.sha256 == file.sha256
    data = file.path.read_bytes() if file.path else file.data
    return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest() == there.blob
