"""``galaxyds bench check``: whether the rows of a results file are entries of the leaderboard."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json

if TYPE_CHECKING:
    from galaxyds_models.rules import Finding


def check(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Files that bench run wrote.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Check results against the rules for entries: seeds, intervals, validation, hardware, code.

    Example: galaxyds bench check runs/results.jsonl
    """
    from galaxyds.errors import UsageError
    from galaxyds_models import rules
    from galaxyds_models.results import read_all

    found = rules.check(read_all(results))
    groups: dict[str, list[Finding]] = {}
    for finding in found:
        groups.setdefault(finding.entry, []).append(finding)
    if as_json:
        show_json([asdict(finding) for finding in found])
    else:
        _show(groups)
    failed = sum(not _passes(findings) for findings in groups.values())
    if failed or not groups:
        what = (
            f"{failed} of {len(groups)} groups are no entries" if groups else "there is no result"
        )
        raise UsageError(f"{what}: do what the table says, then check again", failed=failed)


def _show(groups: dict[str, list[Finding]]) -> None:
    from galaxyds.shown import visible

    rows = [
        (
            visible(entry),
            "entry" if _passes(findings) else "NOT AN ENTRY",
            visible("; ".join(f"{f.rule}: {f.message}" for f in findings if not f.passed), 2000),
        )
        for entry, findings in groups.items()
    ]
    if rows:
        show_table(("group", "result", "what to do"), rows)


def _passes(findings: list[Finding]) -> bool:
    return all(finding.passed for finding in findings)
