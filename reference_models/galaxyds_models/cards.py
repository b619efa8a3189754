"""Model cards from registry and published numbers: ``python -m galaxyds_models.cards``."""

from __future__ import annotations

import sys
from pathlib import Path

from galaxyds.store.files import publish_bytes
from galaxyds_models.measured import METRICS, Measured, measured
from galaxyds_models.published import Published, published
from galaxyds_models.registry import Entry, get_entry, names, parameters


def card(entry: Entry) -> str:
    """Return the card of a model, as Markdown: paper, recipes, what differs, numbers."""
    parts = [
        f"# {entry.name}\n\n{entry.title}.\n\n{entry.paper}.",
        *([_datasets(entry)] if entry.datasets else []),
        "## Recipes\n\n" + _recipes(entry),
    ]
    if entry.differs:
        differs = "\n".join(f"- {sentence}" for sentence in entry.differs)
        parts.append(f"## What differs from the paper, and why\n\n{differs}")
    rows = [row for row in published() if row.model == entry.name]
    if rows:
        parts.append("## Published numbers\n\n" + _published(rows))
    here = [row for row in measured() if row.model == entry.name]
    if here:
        parts.append("## Measured here\n\n" + _measured(here))
    parts.append(
        "## Run it\n\n```\n"
        f"galaxyds bench run {entry.name} {(entry.datasets or ('cfhtls-wide',))[0]} --seed 0 "
        "--seed 1 --seed 2\n```"
    )
    return "\n\n".join(parts) + "\n"


def index(entries: list[Entry]) -> str:
    """Return the list of models, as Markdown."""
    head = (
        "# Reference models\n\n| model | what | parameters of the default recipe |\n|---|---|---|\n"
    )
    return head + "".join(
        f"| [{e.name}]({e.name}.md) | {_cell(e.title)} | {_count(parameters(e, e.recipes[0]))} |\n"
        for e in entries
    )


def pages() -> dict[str, str]:
    """Return every page by its file name."""
    entries = [get_entry(name) for name in names()]
    return {"index.md": index(entries)} | {f"{e.name}.md": card(e) for e in entries}


def main(folder: Path) -> None:
    """Write every page into a folder."""
    for name, text in pages().items():
        publish_bytes(folder / name, text.encode())


def _datasets(entry: Entry) -> str:
    return f"Scored in its paper on: {', '.join(f'`{name}`' for name in entry.datasets)}."


def _recipes(entry: Entry) -> str:
    head = "| recipe | parameters | inputs | what |\n|---|---:|---|---|\n"
    return head + "\n".join(
        f"| `{r.name}` | {_count(parameters(entry, r))} | {_inputs(entry, k)} | {_cell(r.about)} |"
        for k, r in enumerate(entry.recipes)
    )


def _inputs(entry: Entry, place: int) -> str:
    inputs = entry.recipes[place].inputs
    return ", ".join(("image",) * (inputs.image is not None) + inputs.photometry)


def _published(rows: list[Published]) -> str:
    groups: dict[tuple[str, str, str], list[Published]] = {}
    for row in rows:
        groups.setdefault((row.label, row.dataset, row.source), []).append(row)
    head = "| row | dataset | numbers | source | note |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {_cell(label)} | `{dataset}` | {_numbers(cells)} | {_cell(source)} | {_notes(cells)} |"
        for (label, dataset, source), cells in groups.items()
    )


def _numbers(cells: list[Published]) -> str:
    shown = (
        f"`{cell.metric}` {'unknown' if cell.value is None else f'{cell.value:g}'}"
        for cell in cells
    )
    return ", ".join(dict.fromkeys(shown))


def _notes(cells: list[Published]) -> str:
    told = dict.fromkeys(cell.why_unknown or cell.note for cell in cells)
    return _cell("; ".join(note for note in told if note))


def _measured(rows: list[Measured]) -> str:
    head = (
        "On two cores, on simulated skies and on real tables of photometry: not the samples of the "
        "papers, so not to be compared with their numbers. Means over three seeds, plus or minus "
        "their deviation, in brackets half the 95 % interval of one seed "
        "([how](../benchmarks.md)).\n\n"
        f"| recipe | dataset | on | {' | '.join(f'`{name}`' for name in METRICS)} |\n"
        f"|---|---|---|{'---|' * len(METRICS)}\n"
    )
    return head + "\n".join(
        f"| {_cell(', '.join(filter(None, (row.recipe and f'`{row.recipe}`', row.pattern))))} "
        f"| `{row.dataset}` | {row.sky}; {row.objects:,} scored "
        f"| {' | '.join(row.numbers.get(name, '') for name in METRICS)} |"
        for row in rows
    )


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/models"))
