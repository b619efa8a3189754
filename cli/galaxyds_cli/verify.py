"""``galaxyds verify``: read every file of a build back."""

from __future__ import annotations

from dataclasses import asdict

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json, Name, Root


def verify(
    name: Name,
    *,
    root: Root = None,
    show_all: bool = typer.Option(False, "--all", help="Show passed checks too."),
    as_json: Json = False,
) -> None:
    """Check every file of a build against its manifest and its declaration.

    Example: galaxyds verify sdss-qso --all
    """
    from galaxyds import settings
    from galaxyds.errors import DataIntegrityError
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build
    from galaxyds.store import verify as run_checks

    ref = DatasetRef.parse(name)
    spec = get_spec(ref.name)
    found = find_build(settings.home(root), ref, spec)
    results = list(run_checks(found.path, spec))
    failed = [result for result in results if not result.ok]
    if as_json:
        show_json({"path": str(found.path), "ok": not failed,
                   "checks": [asdict(result) for result in results]})  # fmt: skip
    else:
        shown = results if show_all else failed
        if shown:
            show_table(
                ("check", "result", "expected", "got", "file", "next"),
                [
                    (r.check, "ok" if r.ok else "FAILED", r.expected, r.got, r.file, r.advice)
                    for r in shown
                ],
            )
        print(f"{found.path}: {len(results) - len(failed)} of {len(results)} checks passed "
              f"({found.manifest.rows:,} objects, {found.manifest.nature()})")  # fmt: skip
    if failed:
        raise typer.Exit(DataIntegrityError.exit_code)
