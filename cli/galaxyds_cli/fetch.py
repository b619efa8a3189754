"""``galaxyds fetch``: a published build from a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds.errors import one_line
from galaxyds.shown import gigabytes
from galaxyds_cli.options import Name, Root

if TYPE_CHECKING:
    from galaxyds.download import Fetched
    from galaxyds.download.revision import Revision
    from galaxyds.refs import DatasetRef
    from galaxyds.spec import DatasetSpec

Repo = Annotated[
    str | None,
    typer.Option("--repo", metavar="ID", help="Repository: owner/name (default: galaxyds/NAME)."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--revision",
        metavar="REV",
        help="Branch, tag or commit (default: main, or the tag of the version).",
    ),
]
All = Annotated[bool, typer.Option("--all-configs", help="Every config that the revision has.")]


def fetch(
    name: Name, *, repo: Repo = None, revision: At = None, all_configs: All = False,
    root: Root = None,
) -> None:  # fmt: skip
    """Fetch a published build from a hub, verify it and put it where builds are.

    Interrupted, it goes on with the same command.  The hub is that of HF_ENDPOINT, the token, if
    one is needed, HF_TOKEN or that of hf auth login.

    Example: galaxyds fetch sdss-qso/extended:1.0.0
    """
    from galaxyds import settings
    from galaxyds.download import fetch as bring
    from galaxyds.download.fetch import find_revision
    from galaxyds.errors import UsageError
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import get_spec
    from galaxyds_cli.progress import terminal_reporter

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    if all_configs and ref.config:
        raise UsageError(f"{name} names a config: leave it or --all-configs out")
    try:
        found = find_revision(ref, spec, repo=repo, revision=revision)
        for one in _refs(ref, spec, found, all_configs=all_configs):
            with terminal_reporter() as reporter:
                done = bring(one, spec, home=settings.home(root), revision=found, watcher=reporter)
            _show(done)
    except KeyboardInterrupt:
        typer.echo("interrupted: what came is kept; run the same command again", err=True)
        raise typer.Exit(130) from None


def _refs(
    ref: DatasetRef, spec: DatasetSpec, found: Revision, *, all_configs: bool
) -> list[DatasetRef]:
    """What to fetch; all of it from one commit."""
    from dataclasses import replace

    configs = found.configs(spec) if all_configs else ()
    return [replace(ref, config=config) for config in configs] or [ref]


def _show(done: Fetched) -> None:
    manifest = done.build.manifest
    what = f"{done.build.address}, {manifest.rows:,} objects, {manifest.nature()}"
    if done.was_here:
        print(f"Already here: {what}: {done.build.path}")
        if done.differs:
            print(f"note         its files are not those of {done.revision.hub.url}: it was built "
                  "on its own")  # fmt: skip
        return
    print(f"dataset      {done.build.path}")
    for warning in manifest.warnings:
        print(f"note         {one_line(warning, 600)}")
    print(f"Fetched {what}, verified: {gigabytes(done.received)} from {done.revision.hub.repo_id} "
          f"at {done.revision.commit[:12]} in {done.seconds:.1f} s")  # fmt: skip
