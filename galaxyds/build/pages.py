"""Pages of datasets, with the query of each: ``python -m galaxyds.build.pages docs/datasets``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from galaxyds.archives.base import CatalogArchive, CatalogQuery, Source
from galaxyds.build.archives import KINDS, open_archive
from galaxyds.errors import UsageError
from galaxyds.publish.page import render_index, render_page
from galaxyds.refs import to_snake
from galaxyds.spec import Config, DatasetSpec
from galaxyds.specs import OWN, get_spec
from galaxyds.store.files import publish_bytes

PICTURES = Path("../images")
"""Contact sheets, as seen from the pages."""
_STEPS = re.compile(r" (?=(?:FROM|JOIN|LEFT JOIN|WHERE|AND|ORDER BY) )|(?<=,) ")
_WIDTH = 96


def page_of(spec: DatasetSpec, *, picture: str | None = None) -> str:
    """Write the page of a dataset, with the query that its archive gets; sends nothing.

    Parameters
    ----------
    spec : DatasetSpec
        Of galaxyds or of another package.
    picture : str, optional
        Address of a contact sheet, as seen from the page.

    Returns
    -------
    str
        Markdown.
    """
    try:
        archive: Source = open_archive(spec, KINDS[0])
    except UsageError:  # a foreign dataset may name no archive of ours, and still has a page
        return render_page(spec, picture=picture)
    needs = [f"{need.what}: {need.advice}" for need in archive.needs()]
    queries = {
        config.name: folded(archive.sql(query_of(spec, config)))
        for config in spec.configs
        if isinstance(archive, CatalogArchive) and not config.cropped_from
    }
    return render_page(spec, queries=queries, needs=needs, picture=picture)


def query_of(spec: DatasetSpec, config: Config) -> CatalogQuery:
    """Return what the query stage of a full build asks.

    Parameters
    ----------
    spec : DatasetSpec
        A declaration.
    config : Config
        One of its configs.

    Returns
    -------
    CatalogQuery
        With every cut that the archive applies.
    """
    columns = spec.queried_columns()
    return CatalogQuery(
        columns=columns,
        tables=spec.tables,
        predicates=tuple(cut.sql for cut in config.cuts if cut.pushdown),
        key=spec.key,
        vocabulary=columns,
        exact=spec.tested_columns(),
        base=spec.base,
    )


def folded(sql: str) -> str:
    """Break a statement into lines for people: a clause begins one, a list fills them.

    Parameters
    ----------
    sql : str
        One line.

    Returns
    -------
    str
        The same statement; only white space differs.
    """
    lines: list[str] = []
    for piece in _STEPS.split(sql):
        listed = bool(lines) and lines[-1].endswith(",")
        if listed and len(lines[-1]) + len(piece) < _WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(f"    {piece}" if listed or piece.startswith("AND") else piece)
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return the pages of galaxyds' own datasets and their list, by file name."""
    specs = [get_spec(name) for name in OWN]
    made = {
        f"{spec.name}.md": page_of(
            spec, picture=(PICTURES / f"{to_snake(spec.name)}_simulated.png").as_posix()
        )
        for spec in specs
    }
    return {"index.md": render_index(specs), **made}


def main(folder: Path) -> None:
    """Write every page into a folder."""
    for name, text in pages().items():
        publish_bytes(folder / name, text.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/datasets"))
