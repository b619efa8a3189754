"""The tables of docs/metrics.md, generated from the declarations."""

from __future__ import annotations

from galaxyds.metrics.pdf import PDF_METRICS
from galaxyds.metrics.point import METRICS

_HEAD = "| name | definition | better | in | source | what it is |\n|---|---|---|---|---|---|"


def markdown() -> str:
    """Tables of all metrics in Markdown.

    Returns
    -------
    str
        What stands in docs/metrics.md between its two marks, with a final newline.
    """
    point = [
        _line(each.name, each.formula, each.better, each.scale, each.source, each.about)
        for each in METRICS.values()
    ]
    pdf = [
        _line(
            each.name,
            each.formula,
            each.better or f"{each.target:.4f}",
            each.scale,
            each.source,
            each.about,
        )
        for each in PDF_METRICS.values()
    ]
    return "\n".join(
        ["### Point estimates", "", _HEAD, *point, "", "### Binned PDFs", "", _HEAD, *pdf, ""]
    )


def _line(name: str, formula: str, *words: str) -> str:
    cells = (f"`{name}`", f"`{formula}`", *words)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
