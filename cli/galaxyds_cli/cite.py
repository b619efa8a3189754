"""``galaxyds cite``: what to cite for a dataset."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.options import Root

if TYPE_CHECKING:
    from galaxyds.publish.citing import Reference

FORMATS = ("text", "bibtex")


def cite(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Datasets, e.g. sdss-qso hsc-deep.")
    ],
    *,
    layout: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text or bibtex.")
    ] = "text",
    root: Root = None,
) -> None:
    """Show what to cite for datasets: papers, survey and its acknowledgement, software.

    Where only simulated builds of a dataset are on this machine, that is said.

    Example: galaxyds cite sdss-qso --format bibtex >> paper.bib
    """
    from galaxyds import settings
    from galaxyds.errors import UsageError, did_you_mean
    from galaxyds.publish.citing import as_bibtex, reference
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import declared

    if layout not in FORMATS:
        hint = did_you_mean(layout, FORMATS)
        raise UsageError(f"there is no format '{layout}': {hint}one of {', '.join(FORMATS)}")
    specs = {spec.name: spec for spec in (declared(DatasetRef.parse(name)) for name in names)}
    home = settings.home(root)
    found = [reference(spec, home) for spec in specs.values()]
    if layout == "bibtex":
        typer.echo(as_bibtex(found), nl=False)
        return
    for one in found:
        _show(one)


def _show(one: Reference) -> None:
    from galaxyds.publish.citing import as_text

    print(f"{one.spec.name} {one.spec.version}: {one.spec.title}")
    for heading, text in as_text(one):
        print(textwrap.fill(f"[{heading}] {text}", 100, initial_indent="  ",
                            subsequent_indent="    ", break_long_words=False,
                            break_on_hyphens=False))  # fmt: skip
    print()
