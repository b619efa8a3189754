"""``galaxyds new``: the beginning of a dataset of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new dataset, e.g. demo-set.")],
    *,
    like: Annotated[
        str,
        typer.Option(
            "--like",
            metavar="DATASET",
            help="name[/config] of the dataset that it derives from: archive, columns, bands, "
            "pixels and licence are its own.",
        ),
    ] = "sdss-qso",
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where the folder NAME is made."),
    ] = Path(),
) -> None:
    """Write a small package with a dataset of your own: a spec to fill in, and its test.

    Example: galaxyds new demo-set --like sdss-qso/baseline
    """
    from galaxyds.scaffold import plan_package, write_package
    from galaxyds.scaffold.package import LIMIT

    scaffold = plan_package(name, like)
    folder = write_package(scaffold, output)
    for path in scaffold.files():
        print(folder / path)
    print(
        f"\n{scaffold.name} derives from {scaffold.like}/{scaffold.config}. Write the places "
        f"marked FILL IN in {folder / scaffold.module}.py, then:\n\n"
        f"  pip install -e {folder}\n"
        f"  galaxyds build {scaffold.name} --archive simulated --limit {LIMIT}\n"
        f"  galaxyds verify {scaffold.name}\n"
        f"  galaxyds preview {scaffold.name}\n"
        f"  pytest {folder}"
    )
