"""``galaxyds verify``: read every file of a build back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from galaxyds.errors import one_line
from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json, Name, Root

if TYPE_CHECKING:
    from galaxyds.store import BuildDirectory, Result


def verify(
    name: Name,
    *,
    root: Root = None,
    show_all: bool = typer.Option(False, "--all", help="Show passed checks too."),
    as_json: Json = False,
) -> None:
    """Check every file of a build against its manifest and its declaration.

    Without a config, every built config of one download is checked.

    Example: galaxyds verify sdss-qso --all
    """
    from galaxyds import settings
    from galaxyds.errors import DataIntegrityError
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build, find_family
    from galaxyds.store import verify as run_checks

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    home = settings.home(root)
    found = (
        [find_build(home, ref, spec, quiet=True)]
        if ref.config
        else find_family(home, ref, spec, quiet=True)
    )
    checked = [(build, list(run_checks(build.path, spec))) for build in found]
    if as_json:
        told = [{"path": str(build.path), "ok": all(r.ok for r in results),
                 "checks": [asdict(result) for result in results]}
                for build, results in checked]  # fmt: skip
        show_json(told[0] if len(told) == 1 else told)
    else:
        for build, results in checked:
            _show(build, results, show_all=show_all)
    if not all(result.ok for _, results in checked for result in results):
        raise typer.Exit(DataIntegrityError.exit_code)


def _show(build: BuildDirectory, results: list[Result], *, show_all: bool) -> None:
    shown = [result for result in results if show_all or not result.ok or result.is_note]
    if shown:
        show_table(
            ("check", "result", "expected", "got", "file"),
            [
                (_checks(same), _word(same[0]), same[0].expected, same[0].got, same[0].file)
                for same in _together(shown)
            ],
        )
    passed = sum(result.ok for result in results)
    print(f"{build.path}: {passed} of {len(results)} checks passed "
          f"({build.manifest.rows:,} objects, {build.manifest.nature()})")  # fmt: skip
    for advice in dict.fromkeys(result.advice for result in shown if result.advice):
        print(f"Next: {one_line(advice, 600)}")


def _together(results: list[Result]) -> list[list[Result]]:
    """Put failures in one list that say the same of the same file: one cause, several checks."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for number, result in enumerate(results):
        said = (result.expected, result.got, result.file, result.is_note)
        groups.setdefault((number,) if result.ok else said, []).append(result)
    return list(groups.values())


def _checks(same: list[Result]) -> str:
    return ", ".join(dict.fromkeys(result.check for result in same))


def _word(result: Result) -> str:
    if result.is_note:
        return "differs"
    return "ok" if result.ok else "FAILED"
