"""``galaxyds cache``: what lies in the data home, and removing what nothing needs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds.shown import gigabytes
from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.groups import Verbs
from galaxyds_cli.options import Json, Root, refuse_json

if TYPE_CHECKING:
    from pathlib import Path

    from galaxyds.store.usage import Item

cache = typer.Typer(
    help="Show what lies in the data home; remove what no finished build needs.\n\n"
    "Example: galaxyds cache clean --dry-run",
    invoke_without_command=True,
    cls=Verbs,
    rich_markup_mode=None,
)


@cache.callback()
def default(context: typer.Context, *, root: Root = None, as_json: Json = False) -> None:
    """Show what lies there where no verb is given."""
    if context.invoked_subcommand is None:
        list_items(root=root, as_json=as_json)
        return
    if as_json:
        refuse_json("cache list --json")
    if root is not None:  # an option before the verb is meant for the verb
        context.default_map = {context.invoked_subcommand: {"root": str(root)}}


@cache.command("list")
def list_items(*, root: Root = None, as_json: Json = False) -> None:
    """List builds, leftovers of interrupted ones, temporary files, and what archives sent.

    Example: galaxyds cache list --json
    """
    from galaxyds import settings
    from galaxyds.store.usage import survey, survey_archives

    home = settings.home(root)
    items = [*survey(home), *survey_archives()]
    if as_json:
        show_json({"home": str(home), "items": [asdict(item) for item in items]})
        return
    if not items:
        print(f"Nothing lies in {home}.")
        return
    _show(items)
    free = sum(item.bytes for item in items if item.removable)
    total = gigabytes(sum(item.bytes for item in items))
    print(
        f"{total} in {home}" + (f"; galaxyds cache clean frees {gigabytes(free)}" if free else "")
    )


@cache.command("clean")
def clean(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Remove these builds too: name[/config][:version]."),
    ] = None,
    *,
    root: Root = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed.")
    ] = False,
    archives: Annotated[
        bool, typer.Option("--archives", help="Remove dust maps and tables of archives too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove leftovers of interrupted builds and temporary files; a build only if it is named.

    What a running build works on stays. It is asked before anything is removed.

    Example: galaxyds cache clean sdss-qso:1.0.0+simulated.limit100
    """
    from galaxyds import settings

    home = settings.home(root)
    items = _chosen(home, name, archives=archives)
    if not items:
        print(f"Nothing to remove in {home}.")
        return
    _show(items)
    for item in items:
        print(item.path)
    size = gigabytes(sum(item.bytes for item in items))
    if dry_run:
        print(f"Would free {size} (--dry-run: nothing was removed).")
        return
    if not yes and not _agreed(size):
        print("Nothing was removed.")
        return
    _remove(items)


def _chosen(home: Path, name: str | None, *, archives: bool) -> list[Item]:
    from dataclasses import replace

    from galaxyds.refs import DatasetRef
    from galaxyds.store.usage import named_builds, survey, survey_archives

    named = named_builds(home, DatasetRef.parse(name)) if name else ()
    # A working folder goes after the builds that it made, whose lock it holds.
    found = list(survey(home, without=named))
    items = [item for item in found if item.removable]
    if archives and any(item.kind == "running" for item in found):
        print("What archives sent stays: a build is running.")
    elif archives:
        items += [replace(item, removable=True) for item in survey_archives()]
    return items


def _agreed(size: str) -> bool:
    from galaxyds.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("galaxyds cache clean asks before it removes anything, and there is no "
                         "terminal to ask: add --yes, or --dry-run to look")  # fmt: skip
    return typer.confirm(f"Remove these and free {size}?")


def _remove(items: Sequence[Item]) -> None:
    from galaxyds.store.removal import remove

    freed = 0
    for item in items:
        if kept := remove(item):
            print(f"kept: {item.path} ({kept})")
        else:
            freed += item.bytes
    print(f"Freed {gigabytes(freed)}.")


def _show(items: Sequence[Item]) -> None:
    show_table(
        ("what", "of", "size", "changed", "note"),
        [(i.kind, i.of, gigabytes(i.bytes), _age(i.changed), i.note) for i in items],
        right=(2,),
    )
    for item in items:
        if item.resume:
            print(f"{item.resume} would take it up again")


def _age(changed: float) -> str:
    seconds = max(0.0, time.time() - changed)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"
