"""``galaxyds doctor``: is everything here that a build needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json, Root

if TYPE_CHECKING:
    from galaxyds.machine.health import Check

_WIDTHS = (10, 18, 7, 0)


_NAMED = 4
"""Checks up to which an advice names them all."""


def doctor(
    *,
    root: Root = None,
    offline: bool = typer.Option(False, "--offline", help="Send nothing to the archives."),
    as_json: Json = False,
) -> None:
    """Look at what a build needs: packages, data home, settings, accounts, GPU, archives.

    Ends with 0 unless something is broken that every build needs, else with the exit code of that
    error. An archive that is not reached, an absent account or package breaks nothing by itself.

    Example: galaxyds doctor --offline
    """
    from galaxyds.machine.health import examine

    checks = list(examine(root, offline=offline))
    broken = [check for check in checks if check.state == "BROKEN"]
    if as_json:
        show_json({"ok": not broken, "checks": [asdict(check) for check in checks]})
    else:
        _show(checks, broken)
    if broken:
        raise typer.Exit(broken[0].code)


def _show(checks: Sequence[Check], broken: Sequence[Check]) -> None:
    rows, area = [], ""
    for check in checks:
        rows.append((check.area if check.area != area else "", check.name, check.state, check.told))
        area = check.area
    _table(("area", "what", "state", "found"), rows)
    for advice, names in _advice(checks).items():
        who = ", ".join(names) if len(names) <= _NAMED else f"the {len(names)} above"
        print(f"Next: {who}: {advice}")
    count = f"{len(broken)} thing{'' if len(broken) == 1 else 's'} broken"
    print(count if broken else "Nothing is broken: galaxyds build sdss-qso --preset tiny")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    try:
        show_table(header, rows)
    except ImportError:  # what draws tables is missing, which is one of the rows
        for row in (header, *rows):
            print(
                "  ".join(
                    cell.ljust(width) for cell, width in zip(row, _WIDTHS, strict=True)
                ).rstrip()
            )


def _advice(checks: Sequence[Check]) -> dict[str, list[str]]:
    """Names of the checks that ask for the same next step; what is broken comes first."""
    same: dict[str, list[str]] = {}
    for check in sorted(checks, key=lambda check: check.state != "BROKEN"):
        if check.advice:
            same.setdefault(check.advice, []).append(check.name)
    return same
