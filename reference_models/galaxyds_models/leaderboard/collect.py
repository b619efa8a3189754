"""Results and published numbers, gathered into the tables of the leaderboard.

A table holds rows that may be compared: one split of one build.  Real and simulated data never
share one, and published numbers stand only beside whole, real builds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from statistics import fmean, stdev

from galaxyds_models.leaderboard.columns import Column, column, main_metrics
from galaxyds_models.published import Published, datasets, published
from galaxyds_models.results import Result
from galaxyds_models.rules import Group, Place, findings, grouped

_HUGE = 1e100
"""Numbers above are no scores, and their squares no floats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A metric of a row.

    Attributes
    ----------
    value : float or None
        Mean over seeds, or the published number.
    spread : float or None
        Standard deviation over seeds (n - 1).
    error : float or None
        Half of the widest bootstrap interval of a single seed, on the scored split.
    digits : int
        Significant digits of a published number; 0 for ours.
    why : str
        Why there is no value.
    note : str
        What a reader must know of the value.
    printed : tuple of Published
        Published numbers that this recipe reproduces.
    """

    value: float | None = None
    spread: float | None = None
    error: float | None = None
    digits: int = 0
    why: str = ""
    note: str = ""
    printed: tuple[Published, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of a table: the seeds of one model, or a published model.

    Attributes
    ----------
    identifier : str
        Unique on the page.
    kind : str
        ``entry``, ``other`` (fails the rules) or ``published``.
    label, detail : str
        Name of the model, and how it was trained or what it was measured on.
    cells : dict of str to Cell
        By metric.
    validation : Cell
        The first metric of the table, on the validation split.
    reasons : dict of str to str
        Rules that fail, and what to do.
    runs : tuple of Result
        By seed and division.
    objects : int or None
        Scored, in all divisions together.
    rank : int or None
        Among the entries that were scored on the table's fullest set of divisions.
    partial : bool
        Whether it lacks a division of that set.
    comparable : bool
        Whether a published number is of this dataset's own split.
    tag : str
        Where a published number is from: ``paper``, ``abstract``, ``computed``.
    """

    identifier: str
    kind: str
    label: str
    detail: str = ""
    cells: Mapping[str, Cell]
    validation: Cell = field(default_factory=Cell)
    reasons: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Result, ...] = ()
    objects: int | None = None
    rank: int | None = None
    partial: bool = False
    comparable: bool = True
    tag: str = ""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Distinct seeds."""
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def divisions(self) -> tuple[int, ...]:
        """Distinct divisions."""
        return tuple(sorted({run.division for run in self.runs}))

    @property
    def deterministic(self) -> bool:
        """Whether in every division several seeds gave equal metrics."""
        found: dict[int, dict[int, dict[str, float | None]]] = {}
        for run in self.runs:
            values = {name: each.value for name, each in run.metrics.items()}
            found.setdefault(run.division, {})[run.seed] = values
        return bool(found) and all(_agree(list(seeds.values())) for seeds in found.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """A table.

    Attributes
    ----------
    identifier : str
        Unique on the page.
    place : Place
        What it is about.
    nature : str
        What the data are, in the rows' words.
    columns : tuple of Column
        The first ranks.
    rows : tuple of Row
        The best first.
    smoke : int
        Rows of the preset smoke that were left out.
    """

    identifier: str
    place: Place
    nature: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    smoke: int = 0

    @property
    def has_results(self) -> bool:
        """Whether a result belongs here, be it one of the preset smoke that was left out."""
        return self.smoke > 0 or any(row.runs for row in self.rows)


def _agree(seeds: Sequence[Mapping[str, float | None]]) -> bool:
    return len(seeds) > 1 and bool(seeds[0]) and all(each == seeds[0] for each in seeds)


def collect(results: Iterable[Result], *, smoke: bool = False) -> tuple[Board, ...]:
    """Gather results and published numbers into tables.

    Parameters
    ----------
    results : iterable of Result
        In any order.
    smoke : bool
        Keep rows of the preset smoke, which are no entries.

    Returns
    -------
    tuple of Board
        Datasets with results before those with published numbers only; both in the order of the
        papers, others behind; real before simulated.
    """
    groups = grouped(results)
    places: dict[Place, list[Group]] = {}
    for group in groups:
        places.setdefault(group.place, []).append(group)
    for number in published():
        if not any(_takes(place, number) for place in places):
            alone = Place(dataset=number.dataset, split=number.split, simulated=False)
            places.setdefault(alone, [])
    name = _names("run")
    boards = [
        _board(place, places[place], groups, smoke=smoke, name=name)
        for place in sorted(places, key=_place_order)
    ]
    found = {board.place.dataset for board in boards if board.has_results}
    boards.sort(key=lambda board: board.place.dataset not in found)
    return tuple(board for board in boards if board.rows or board.smoke)


def _names(prefix: str) -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{prefix}-{next(numbers)}"


def _takes(place: Place, number: Published) -> bool:
    here = (place.dataset, place.split) == (number.dataset, number.split)
    return place.has_published and here


def _place_order(place: Place) -> tuple[object, ...]:
    known = datasets()
    order = known.index(place.dataset) if place.dataset in known else len(known)
    return (order, place.dataset, place.simulated, place.split != "test", place)


def _board(
    place: Place,
    members: Sequence[Group],
    groups: Mapping[Group, list[Result]],
    *,
    smoke: bool,
    name: Callable[[], str],
) -> Board:
    kept = [group for group in members if smoke or group.preset != "smoke"]
    printed = [number for number in published(place.dataset) if _takes(place, number)]
    columns = _columns(place.dataset, [groups[group] for group in kept], printed)
    rows = [_row(group, groups, columns, printed, identifier=name()) for group in kept]
    rows += _published_rows(printed, name)
    natures = dict.fromkeys(run.nature for group in members for run in groups[group])
    return Board(
        identifier=f"table-{name()}",
        place=place,
        nature="; ".join(natures),
        columns=columns,
        rows=_ranked(rows, columns),
        smoke=len(members) - len(kept),
    )


def _columns(
    dataset: str, groups: Sequence[Sequence[Result]], printed: Sequence[Published]
) -> tuple[Column, ...]:
    """Return main metrics that some row has, then other published ones; any, where none is main."""
    has = dict.fromkeys(metric for rows in groups for row in rows for metric in row.metrics)
    named = dict.fromkeys(number.metric for number in printed)
    main = [metric for metric in main_metrics(dataset) if metric in has or metric in named]
    metrics = dict.fromkeys([*main, *named])
    return tuple(column(metric) for metric in metrics or list(has)[:6])


def _row(
    group: Group,
    groups: Mapping[Group, list[Result]],
    columns: Sequence[Column],
    printed: Sequence[Published],
    *,
    identifier: str,
) -> Row:
    runs = groups[group]
    reasons = {name: said for name, said in findings(group, groups).items() if said}
    same = [number for number in printed if _reproduces(group, number)]
    cells = {metric.name: _cell(runs, metric.name, same) for metric in columns}
    first = columns[0].name if columns else ""
    checked = _over_seeds(runs, lambda run: run.validation.get(first))
    return Row(
        identifier=identifier,
        kind="other" if reasons else "entry",
        label=group.model,
        detail=", ".join(filter(None, (group.recipe, group.preset, group.pattern))),
        cells=cells,
        validation=replace(checked, error=cells[first].error if columns else None),
        reasons=reasons,
        runs=tuple(runs),
        objects=sum({run.division: run.objects for run in runs}.values()),
    )


def _reproduces(group: Group, number: Published) -> bool:
    here = (group.model, group.pattern) == (number.model, number.pattern)
    return here and group.recipe in number.recipes


def _cell(runs: Sequence[Result], metric: str, printed: Sequence[Published]) -> Cell:
    same = tuple(number for number in printed if number.metric == metric)
    found = [run.metrics[metric] for run in runs if metric in run.metrics]
    if not found:
        return Cell(printed=same)
    widths = [
        (each.high - each.low) / 2
        for each in found
        if each.low is not None and each.high is not None
    ]
    cell = _over_seeds(
        runs, lambda run: run.metrics[metric].value if metric in run.metrics else None
    )
    return replace(cell, error=max(widths, default=None), printed=same)


def _over_seeds(runs: Sequence[Result], value: Callable[[Result], float | None]) -> Cell:
    """Mean over the divisions of each seed, then mean and deviation over seeds."""
    found: dict[int, list[float]] = {}
    for run in runs:
        number = value(run)
        if number is None or abs(number) > _HUGE:
            return Cell(why=f"seed {run.seed} has no finite value")
        found.setdefault(run.seed, []).append(number)
    means = [fmean(numbers) for numbers in found.values()]
    return Cell(value=fmean(means), spread=stdev(means) if len(means) > 1 else None)


def _published_rows(printed: Sequence[Published], name: Callable[[], str]) -> list[Row]:
    lines: dict[tuple[str, str], list[Published]] = {}
    for number in printed:
        lines.setdefault((number.label, number.source), []).append(number)
    return [
        Row(
            identifier=name(),
            kind="published",
            label=label,
            detail="; ".join(filter(None, (source, numbers[0].sample))),
            cells={
                n.metric: Cell(value=n.value, digits=n.digits, why=n.why_unknown, note=n.note)
                for n in numbers
            },
            objects=numbers[0].objects,
            comparable=numbers[0].comparable,
            tag=numbers[0].tag,
        )
        for (label, source), numbers in lines.items()
    ]


def _ranked(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Row, ...]:
    """Sort by the first column; number the entries that have every division of the fullest."""
    if not columns:
        return tuple(rows)
    first = columns[0]

    def key(row: Row) -> tuple[float, str]:
        return first.rank_key(row.cells.get(first.name, Cell()).value), row.label

    fullest = _fullest(rows)
    marked = [
        replace(row, partial=bool(row.runs) and not fullest <= {*row.divisions})
        for row in sorted(rows, key=key)
    ]
    ranks = count(1)
    return tuple(
        replace(row, rank=next(ranks)) if row.kind == "entry" and not row.partial else row
        for row in marked
    )


def _fullest(rows: Sequence[Row]) -> set[int]:
    """Return the largest set of divisions of an entry; of several the commonest, then the first."""
    counts = Counter(row.divisions for row in rows if row.kind == "entry")
    order = sorted(counts, key=lambda divisions: (-len(divisions), -counts[divisions], divisions))
    return set(order[0]) if order else set()
