"""``galaxyds info``: what a dataset is, from its declaration."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json, Name

if TYPE_CHECKING:
    from galaxyds.spec import Config, DatasetSpec


def info(
    name: Name,
    *,
    columns: bool = typer.Option(False, "--columns", help="List every column."),
    page: bool = typer.Option(False, "--page", help="Write the dataset's page, as Markdown."),
    as_json: Json = False,
) -> None:
    """Show what a dataset is: configs, cuts with their reasons, columns, errata, licence.

    Example: galaxyds info sdss-qso/baseline --columns
    """
    from dataclasses import asdict

    from galaxyds.errors import UsageError
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import declared

    if page and as_json:
        raise UsageError("--page writes Markdown, not JSON: leave out --page or --json")
    ref = DatasetRef.parse(name)
    spec = declared(ref)
    if page:
        from galaxyds.build.pages import page_of

        print(page_of(spec), end="")
        return
    configs = (spec.config(ref.config),) if ref.config else spec.configs
    if as_json:
        show_json({**asdict(spec), "configs": [asdict(c) for c in configs]})
        return
    _head(spec)
    for number, config in enumerate(configs):
        _config(config, told=configs[0] if number else None)
    _repeats(spec)
    if columns:
        _columns(spec)
    else:
        print(f"{len(spec.stored_columns())} columns: galaxyds info {spec.name} --columns\n")
    if spec.errata:
        print("Where the paper contradicts itself, and the choice taken:")
        rows = [(e.point, e.paper, e.choice) for e in spec.errata]
        show_table(("point", "the paper", "here"), rows)
    _paragraph(f"Licence: {spec.licence.name}. {spec.licence.redistribution} {spec.licence.url}")
    print("Cite:")
    for citation in spec.citations:
        _paragraph(f"[{citation.role}] {citation.text}", indent="  ", hanging="  ")


def _paragraph(text: str, indent: str = "", hanging: str = "") -> None:
    print(textwrap.fill(text, 100, initial_indent=indent, subsequent_indent=indent + hanging))


def _head(spec: DatasetSpec) -> None:
    print(f"{spec.name} {spec.version}: {spec.title}")
    _paragraph(spec.summary)
    print(f"Paper: {spec.paper}. Data release: {spec.data_release}.")
    names = ", ".join(spec.band_names())
    unit, zero = spec.bands[0].unit, spec.bands[0].zero_point
    sizes = dict.fromkeys(spec.of(config.name).image_shape() for config in spec.configs)
    shapes = " or ".join("x".join(str(n) for n in shape) for shape in sizes)
    print(f"Image: {shapes} float32 ({names}), {unit} (AB zero point {zero}), "
          f"{spec.pixels.scale} arcsec per pixel\n")  # fmt: skip


def _config(config: Config, told: Config | None) -> None:
    """Print a config; cuts that the first one has too are not told again."""
    counts = "; ".join(f"{p.count:,} {p.what} ({p.source})" for p in config.published)
    print(f"Config {config.name}: {config.description}")
    _paragraph(f"Published: {counts}")
    if told is not None and told.cuts == config.cuts:
        print(f"Cuts: those of {told.name}\n")
        return
    show_table(
        ("cut", "keeps rows where", "why", "source"),
        [
            (cut.name, cut.shown, cut.why + ("" if cut.has_effect else " (no effect)"), cut.source)
            for cut in config.cuts
        ],
    )


def _repeats(spec: DatasetSpec) -> None:
    print("Repeats, in this order:")
    show_table(
        ("rule", "what they share", "kept", "why", "source"),
        [(r.name, r.what, r.rule(), r.why, r.source) for r in spec.duplicates],
    )


def _columns(spec: DatasetSpec) -> None:
    show_table(
        ("column", "dtype", "unit", "description", "from"),
        [
            (c.name, c.dtype, c.unit, c.description, c.archive or c.derived)
            for c in spec.stored_columns()
        ],
    )
