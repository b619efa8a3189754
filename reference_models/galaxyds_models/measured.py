"""What the reference models scored here, for their cards: ``docs/benchmarks.md`` as data.

A number is text, as printed there: the mean over three seeds, its deviation, and in brackets half
the 95 % bootstrap interval of one seed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

METRICS = ("sigma_mad", "outliers_15", "rmse", "within_10")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One row of a benchmark.

    Attributes
    ----------
    model, recipe, pattern : str
        What was trained, and from which inputs it predicted; empty for the default.
    dataset : str
        ``name/config``, or a real table.
    sky : str
        What it was measured on: a real table, or how many objects of the simulated sky.
    objects : int
        Scored.
    numbers : dict of str to str
        By metric; those that were not measured are left out.
    """

    model: str
    recipe: str
    pattern: str
    dataset: str
    sky: str
    objects: int
    numbers: dict[str, str]


def measured() -> tuple[Measured, ...]:
    """Return every row, in the order of the page."""
    text = resources.files(__package__).joinpath("measured.csv").read_text("utf-8")
    return tuple(_row(cells) for cells in csv.DictReader(text.splitlines()))


def _row(cells: dict[str, str]) -> Measured:
    names = ("model", "recipe", "pattern", "dataset", "sky")
    return Measured(
        **{name: cells[name] for name in names},
        objects=int(cells["objects"]),
        numbers={name: cells[name] for name in METRICS if cells[name]},
    )
