"""``galaxyds push``: builds to a hub, one commit and one tag per version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds.shown import gigabytes
from galaxyds_cli.console import show_table
from galaxyds_cli.options import Name, Root

if TYPE_CHECKING:
    from galaxyds.download.progress import Watcher
    from galaxyds.publish.push import Plan, Pushed

Repo = Annotated[
    str | None,
    typer.Option("--repo", metavar="ID", help="Repository: owner/name (default: galaxyds/NAME)."),
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
]
Partial = Annotated[
    bool, typer.Option("--partial", help="Publish a simulated or limited build, under its label.")
]
Private = Annotated[
    bool, typer.Option("--private", help="Make a new repository visible to its owners only.")
]
Create = Annotated[
    bool, typer.Option("--create/--no-create", help="Make the repository if it is missing.")
]


def push(
    name: Name, *, repo: Repo = None, root: Root = None, dry_run: DryRun = False,
    partial: Partial = False, private: Private = False, create: Create = True,
) -> None:  # fmt: skip
    """Publish every built config of a version on a hub: card, shards, catalogue, manifest.

    Nothing is sent before each build is verified.  A version is never changed: its tag is set
    once.  The token is HF_TOKEN or that of hf auth login, the hub that of HF_ENDPOINT.

    Example: galaxyds push sdss-qso --repo galaxyds/sdss_qso --dry-run
    """
    from galaxyds import settings
    from galaxyds.download.hub import open_hub
    from galaxyds.download.names import repo_id
    from galaxyds.publish.push import builds_to_push, check_plan, plan_push
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import get_spec
    from galaxyds_cli.progress import terminal_reporter

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    hub = open_hub(repo or repo_id(spec.name), what="galaxyds push")
    builds = builds_to_push(settings.home(root), ref, spec)
    with terminal_reporter() as reporter:
        plan = plan_push(builds, spec, hub, offline_ok=dry_run, watcher=reporter)
        show_plan(plan)
        check_plan(plan, partial=partial, create=create)
        if dry_run:
            print("Nothing was sent (--dry-run)")
            return
        sent = _send(plan, private=private, create=create, watcher=reporter)
    _show_sent(plan, sent)


def _send(plan: Plan, *, private: bool, create: bool, watcher: Watcher) -> Pushed:
    from galaxyds.publish.push import push as send

    try:
        return send(plan, private=private, create=create, watcher=watcher)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was sent is kept; run the same command again", err=True)
        raise typer.Exit(130) from None


def show_plan(plan: Plan) -> None:
    """Write what a push would send, and under which terms it may be passed on."""
    files, states, licence = plan.snapshot.files, plan.states(), plan.spec.licence
    for build in plan.snapshot.builds:
        print(f"build        {build.address} ({build.manifest.rows:,} objects, "
              f"{build.manifest.nature()}), verified")  # fmt: skip
    print(f"licence      {licence.name}, {licence.url}")
    print(f"             redistribution: {licence.redistribution}")
    print(f"             {licence.acknowledgement}")
    show_table(
        ("file", "size", "on the hub"),
        [
            (path, gigabytes(file.size), "?" if plan.state.problem else states[path])
            for path, file in files.items()
        ],
        right=(1,),
    )
    total = sum(file.size for file in files.values())
    print(f"to           {plan.hub.url} ({_there(plan)})")
    if plan.state.problem:
        print(f"note         {plan.state.problem}")
    print(f"commit       {plan.message} (branch {plan.branch}; {len(files)} files, "
          f"{gigabytes(total)})")  # fmt: skip
    print(f"tag          {plan.tag}")


def _there(plan: Plan) -> str:
    state = plan.state
    if state.problem:
        return "what is there is not known"
    if not state.exists:
        return "no such repository yet, or not visible"
    tags = ", ".join(sorted(state.tags)) or "none"
    configs = ", ".join(state.configs) or "no build of galaxyds"
    return f"main has {configs}; tags: {tags}"


def _show_sent(plan: Plan, sent: Pushed) -> None:
    if plan.is_done:
        print(f"Already there: {plan.hub.url} has {plan.tag} with the same contents, nothing to do")
        return
    print(f"Pushed {plan.message} to {plan.hub.url}: {sent.files} files, {gigabytes(sent.bytes)}, "
          f"commit {sent.commit[:12]}, tag {plan.tag}")  # fmt: skip
