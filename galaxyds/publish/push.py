"""Publishing builds on a hub: one commit and one tag per version, and a version is never changed.

A push carries every config that is built here with one version.  ``main`` moves to it, unless what
is on ``main`` is better (full before partial, real before simulated, newer before older): then the
commit goes to the branch ``other-versions``, and the tag is the way to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyds.download.hub import (
    Hub,
    has_token,
    own_host_only,
    quiet_bars,
    shown,
    speaking,
    token_advice,
)
from galaxyds.download.names import MAIN, tag
from galaxyds.download.progress import LogWatcher, Watcher
from galaxyds.errors import (
    ArchiveError,
    CredentialsError,
    DataIntegrityError,
    DatasetNotFoundError,
    UsageError,
)
from galaxyds.publish.hub_state import HubFile, HubState, ask, is_same, listed, nothing_there, rank
from galaxyds.publish.repository import RepositoryFile, Snapshot, snapshot, without_copies
from galaxyds.refs import DatasetRef
from galaxyds.store.layout import BuildDirectory, find_build, list_builds, preference
from galaxyds.store.verify import verify

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec

OTHER = "other-versions"
"""Branch for versions that do not belong on ``main``."""
NEW, CHANGED, SAME = "new", "changed", "there"
_IN_MEMORY = 32 << 20
"""Bytes up to which a file is read once, to be checked and sent.

Hubs want larger ones as large files, whose bytes they compare with the hash that was checked.
"""
_TOLD, _CONFLICT = 3, 409
"""Differing files that a message names; what a hub answers if a tag is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a push would send.

    Attributes
    ----------
    hub : Hub
        Where to.
    snapshot : Snapshot
        The files.
    spec : DatasetSpec
        The declaration.
    state : HubState
        What is there.
    """

    hub: Hub
    snapshot: Snapshot
    spec: DatasetSpec
    state: HubState

    @property
    def version(self) -> str:
        """Version of all builds."""
        return self.snapshot.versions[0]

    @property
    def tag(self) -> str:
        """The tag that will be set."""
        return tag(self.version)

    @property
    def branch(self) -> str:
        """Where the commit goes."""
        ours = max(rank(build.manifest) for build in self.snapshot.builds)
        better = any(theirs > ours for theirs in self.state.configs.values())
        return OTHER if better else MAIN

    @property
    def is_done(self) -> bool:
        """Whether the hub has exactly this under its tag."""
        return self.tag in self.state.tags and not self.differing(self.state.tagged)

    @property
    def message(self) -> str:
        """First line of the commit."""
        return f"{self.spec.name} {self.version}"

    @property
    def description(self) -> str:
        """The other lines of the commit."""
        manifests = [build.manifest for build in self.snapshot.builds]
        lines = [f"{m.config}: {m.rows:,} objects, {m.nature()}" for m in manifests]
        made = ", ".join(dict.fromkeys(m.package_version for m in manifests))
        return "\n".join([*lines, f"built with galaxyds {made}"])

    def differing(self, there: Mapping[str, HubFile]) -> list[str]:
        """Paths that are not the same on the hub, or on one side only."""
        files = self.snapshot.files
        unlike = {path for path, file in files.items() if not is_same(file, there.get(path))}
        return sorted(unlike | (there.keys() - files.keys()))

    def states(self) -> dict[str, str]:
        """Whether each file is new, changed or there, on ``main``."""
        there = self.state.main
        return {
            path: NEW if path not in there else SAME if is_same(file, there[path]) else CHANGED
            for path, file in self.snapshot.files.items()
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """What a push did: the commit, and files and bytes that were handed to the client."""

    commit: str
    files: int
    bytes: int


def builds_to_push(home: Path, ref: DatasetRef, spec: DatasetSpec) -> list[BuildDirectory]:
    """Choose the builds of a push: every config that is built here with one version.

    Parameters
    ----------
    home : pathlib.Path
        Root of the builds.
    ref : DatasetRef
        Without a config.  Version None means the best version that is here.
    spec : DatasetSpec
        The declaration.

    Returns
    -------
    list of BuildDirectory
        In the order of the declaration.

    Raises
    ------
    UsageError
        If a config is named.
    DatasetNotFoundError
        If nothing is built.
    """
    if ref.config is not None:
        version = f":{ref.version}" if ref.version else ""
        raise UsageError(
            f"a push carries all configs of a version, since a version is never changed: write "
            f"{spec.name}{version}",
            config=ref.config,
        )
    mine = without_copies(b for b in list_builds(home) if b.manifest.name == spec.name)
    meant = [b for b in mine if ref.version in (None, b.manifest.version)]
    if not meant:
        find_build(home, ref, spec)  # says what is built, and how to build it
        raise DatasetNotFoundError(
            f"{spec.name}:{ref.version} is not built here: galaxyds list shows what is"
        )
    version = max(meant, key=lambda build: preference(build.manifest)).manifest.version
    order = [config.name for config in spec.configs]
    chosen = [b for b in meant if b.manifest.version == version and b.manifest.config in order]
    return sorted(chosen, key=lambda build: order.index(build.manifest.config))


def plan_push(
    builds: Sequence[BuildDirectory],
    spec: DatasetSpec,
    hub: Hub,
    *,
    offline_ok: bool = False,
    watcher: Watcher | None = None,
) -> Plan:
    """Verify builds and ask the hub what it has.

    Parameters
    ----------
    builds : sequence of BuildDirectory
        From :func:`builds_to_push`.
    spec : DatasetSpec
        Their declaration.
    hub : Hub
        Where they shall go.
    offline_ok : bool
        Whether a hub that cannot be reached is no error: for a rehearsal.
    watcher : Watcher, optional
        Hears of progress; the log does by default.

    Returns
    -------
    Plan
        Nothing was sent.

    Raises
    ------
    DataIntegrityError
        If a build fails a check.
    ArchiveError, CredentialsError
        If the hub cannot be asked.
    """
    for build in builds:
        _verify(build, spec, watcher or LogWatcher())
    files = snapshot(builds, spec)
    try:
        state = ask(hub, spec, tag(files.versions[0]))
    except (ArchiveError, CredentialsError) as error:
        if not offline_ok:
            raise
        state = nothing_there(problem=error.message)
    return Plan(hub=hub, snapshot=files, spec=spec, state=state)


def _verify(build: BuildDirectory, spec: DatasetSpec, watcher: Watcher) -> None:
    watcher.stage("verify", "started")
    results = list(verify(build.path, spec))
    bad = [result for result in results if not result.ok]
    if bad:
        first = bad[0]
        raise DataIntegrityError(
            f"{build.address} fails {len(bad)} checks and is not pushed; first: {first.file} "
            f"{first.check}: expected {first.expected}, got {first.got}; {first.advice}",
            file=first.file,
            expected=first.expected,
            got=first.got,
        )
    watcher.stage("verify", "done", f"{build.address}, {len(results)} checks")


def check_plan(plan: Plan, *, partial: bool, create: bool = True) -> None:
    """Refuse what must not be published.

    Parameters
    ----------
    plan : Plan
        What would be sent.
    partial : bool
        Whether builds that are not the full, real dataset may be.
    create : bool
        Whether a repository may be made.

    Raises
    ------
    UsageError
        If builds are partial without ``partial``; if the version is there with other contents; if
        ``main`` has configs that would vanish.
    DatasetNotFoundError
        If there is no repository and none may be made.
    """
    if plan.snapshot.notice and not partial:
        raise UsageError(
            f"{plan.message} is not the full dataset ({plan.snapshot.notice}): build that, or add "
            f"--partial to publish this under the tag {plan.tag}",
            notice=plan.snapshot.notice,
        )
    if plan.state.problem:
        return
    if not plan.state.exists and not create:
        raise DatasetNotFoundError(
            f"there is no repository {plan.hub.repo_id} at {plan.hub.endpoint}: leave --no-create "
            "out to make it, or name another one with --repo"
        )
    if plan.tag in plan.state.tags and not plan.is_done:
        raise _immutable(plan)
    _check_configs(plan)


def _immutable(plan: Plan) -> UsageError:
    unlike = plan.differing(plan.state.tagged)
    named = ", ".join(unlike[:_TOLD]) + (" ..." if len(unlike) > _TOLD else "")
    return UsageError(
        f"{plan.hub.url} has {plan.tag} with other contents ({len(unlike)} files differ: {named}), "
        f"and a version is never changed: raise the version of {plan.spec.name} in its declaration "
        "and build again, or push to another --repo",
        tag=plan.tag,
        differing=unlike,
    )


def _check_configs(plan: Plan) -> None:
    mine = {build.manifest.config for build in plan.snapshot.builds}
    absent = [config for config in plan.state.configs if config not in mine]
    if absent and plan.branch == MAIN and not plan.is_done:
        commands = " and ".join(f"galaxyds build {plan.spec.name}/{name}" for name in absent)
        raise UsageError(
            f"main of {plan.hub.url} has {', '.join(absent)}, which {plan.version} is not built "
            f"with here and which would vanish: run {commands} first",
            configs=absent,
        )


def push(
    plan: Plan, *, private: bool = False, create: bool = True, watcher: Watcher | None = None
) -> Pushed:
    """Send what a plan says; repeated after an interruption, only what is still missing.

    Parameters
    ----------
    plan : Plan
        Checked by :func:`check_plan`.
    private : bool
        Whether a repository that is made can be seen by its owners only.
    create : bool
        Whether to make the repository if it is missing.
    watcher : Watcher, optional
        Hears of progress; the log does by default.

    Returns
    -------
    Pushed
        The commit and what was sent.

    Raises
    ------
    CredentialsError
        If there is no token, or the hub refuses it.
    ArchiveError
        If the hub cannot be reached or refuses for another reason.
    UsageError
        If somebody published the version meanwhile, with other contents.
    DataIntegrityError
        If a file changed while it was sent.
    """
    if not has_token():
        raise CredentialsError(
            f"pushing to {plan.hub.url} needs a token and none is set: {token_advice(plan.hub)}",
            url=plan.hub.url,
        )
    with quiet_bars(), own_host_only(plan.hub):
        _make_repository(plan, private=private, create=create)
        plan = _asked_again(plan, create=create)
        if plan.is_done:
            return Pushed(commit=plan.state.tags[plan.tag], files=0, bytes=0)
        sent = _send(plan, *_parent(plan), watcher or LogWatcher())
        return replace(sent, commit=_set_tag(plan, sent.commit))


def _make_repository(plan: Plan, *, private: bool, create: bool) -> None:
    hub = plan.hub
    if create and not plan.state.exists:
        with speaking(hub, "preparing"):
            hub.api.create_repo(
                hub.repo_id, repo_type="dataset", private=private or None, exist_ok=True
            )


def _asked_again(plan: Plan, *, create: bool = True) -> Plan:
    """Return the plan for what the hub has now, unless somebody published the version meanwhile."""
    fresh = replace(plan, state=ask(plan.hub, plan.spec, plan.tag))
    check_plan(fresh, partial=True, create=create)  # whether it may be partial was asked before
    return fresh


def _parent(plan: Plan) -> tuple[str, Mapping[str, HubFile]]:
    """Commit to build on, and our files in it; a branch that is missing is made of ``main``.

    The hub refuses a commit whose parent is not the head any more, so what was checked holds.
    """
    hub, heads = plan.hub, plan.state.heads
    if plan.branch == MAIN:
        return heads[MAIN], plan.state.main
    if plan.branch in heads:
        return heads[plan.branch], listed(hub, plan.spec, heads[plan.branch])
    with speaking(hub, "preparing"):
        hub.api.create_branch(
            hub.repo_id,
            branch=plan.branch,
            revision=heads[MAIN],
            repo_type="dataset",
            exist_ok=True,
        )
    return heads[MAIN], plan.state.main


def _set_tag(plan: Plan, commit: str) -> str:
    """Set the tag; return the commit that it is at, which is another one if somebody was faster."""
    try:
        with speaking(plan.hub, f"setting the tag {plan.tag} of"):
            plan.hub.api.create_tag(
                plan.hub.repo_id,
                tag=plan.tag,
                tag_message=plan.message,
                revision=commit,
                repo_type="dataset",
            )
    except ArchiveError as error:
        if error.values.get("status") != _CONFLICT:
            raise
        return _asked_again(plan).state.tags[plan.tag]
    return commit


def _send(plan: Plan, parent: str, there: Mapping[str, HubFile], watcher: Watcher) -> Pushed:
    """Upload the files that differ, then make the commit that names them."""
    from huggingface_hub import CommitOperationDelete

    files = {p: f for p, f in plan.snapshot.files.items() if not is_same(f, there.get(p))}
    gone = sorted(there.keys() - plan.snapshot.files.keys())
    if not files and not gone:
        return Pushed(commit=parent, files=0, bytes=0)
    total = sum(file.size for file in files.values())
    watcher.stage("upload", "started")
    additions = _upload(plan, files, watcher)
    watcher.stage("upload", "done", f"{len(files)} files, {total / 1e6:,.1f} MB")
    with speaking(plan.hub, "making the commit in"):
        made = plan.hub.api.create_commit(
            plan.hub.repo_id,
            [*additions, *map(CommitOperationDelete, gone)],
            commit_message=plan.message,
            commit_description=plan.description,
            repo_type="dataset",
            revision=plan.branch,
            parent_commit=parent,
        )
    return Pushed(commit=shown(str(made.oid)), files=len(files), bytes=total)


def _upload(plan: Plan, files: Mapping[str, RepositoryFile], watcher: Watcher) -> list[Any]:
    """Hand the files over one by one; the hub takes those that it knows already for sent."""
    total, done, additions = sum(file.size for file in files.values()), 0, []
    for path, file in files.items():
        with speaking(plan.hub, f"sending {path} to"):
            additions.append(_addition(plan, path, file))
            plan.hub.api.preupload_lfs_files(
                plan.hub.repo_id,
                [additions[-1]],
                repo_type="dataset",
                revision=plan.branch,
                free_memory=True,
            )
            _refuse_unchecked(additions[-1], path, file)
        done += file.size
        watcher.progress(done // 1000, total // 1000, "kB")
    return additions


def _addition(plan: Plan, path: str, file: RepositoryFile) -> Any:
    """Prepare a file: its bytes are read once, or hashed as they will be read, and compared."""
    from huggingface_hub import CommitOperationAdd

    contents: Path | bytes = file.data
    if file.path is not None:
        contents = file.path.read_bytes() if file.size <= _IN_MEMORY else file.path
    addition = CommitOperationAdd(path, contents)
    got = addition.upload_info.sha256.hex()
    if got != file.sha256:
        raise DataIntegrityError(
            f"{file.path} changed while it was sent, nothing was published: run galaxyds "
            f"verify {plan.spec.name}",
            file=str(file.path),
            expected=file.sha256,
            got=got,
        )
    return addition


def _refuse_unchecked(addition: Any, path: str, file: RepositoryFile) -> None:
    """Refuse to have a file read again for the commit: it could be another one by then."""
    if file.size > _IN_MEMORY and getattr(addition, "_upload_mode", "lfs") != "lfs":
        raise ValueError(f"the hub does not take {path} as a large file")
