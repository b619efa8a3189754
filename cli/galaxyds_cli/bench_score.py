"""``galaxyds bench score``: every metric of two columns of any table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from galaxyds_models.results import Interval

Resamples = Annotated[
    int, typer.Option("--resamples", metavar="N", min=1, help="Of the bootstrap, for intervals.")
]


def score(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="CSV, text in columns, Parquet or FITS.")
    ],
    *,
    true: Annotated[str, typer.Option("--true", metavar="COLUMN", help="Spectroscopic redshifts.")],
    pred: Annotated[str, typer.Option("--pred", metavar="COLUMN", help="Estimates.")],
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out rows that lack one of the two.")
    ] = False,
    resamples: Resamples = 1000,
    as_json: Json = False,
) -> None:
    """Score two columns of a table by every metric, with 95 % bootstrap intervals.

    Example: galaxyds bench score predictions.csv --true z_spec --pred z_phot
    """
    from galaxyds_models.evaluate import score_columns
    from galaxyds_models.tables.reading import numbers, read_frame

    frame = read_frame(table, (pred, true))
    predicted, truth = numbers(frame, pred, table), numbers(frame, true, table)
    known = _known(predicted, truth, table, drop_missing=drop_missing)
    metrics = score_columns(predicted[known], truth[known], resamples=resamples)
    kept, lost = int(known.sum()), int((~known).sum())
    if as_json:
        values = {name: plain(found) for name, found in metrics.items()}
        show_json({"table": str(table), "objects": kept, "dropped": lost, "metrics": values})
        return
    show_metrics(metrics)
    print(f"{table}: {kept:,} rows, {pred} against {true}"
          + (f"; {lost:,} without a value left out" if lost else ""))  # fmt: skip


def _known(
    predicted: NDArray[np.float64], truth: NDArray[np.float64], table: Path, *, drop_missing: bool
) -> NDArray[np.bool_]:
    """Which rows have both values, codes for missing ones apart.

    Raises
    ------
    UsageError
        If some have not and may not be left out, or none has.
    """
    import numpy as np

    from galaxyds.errors import UsageError

    # Not above -1 is no redshift: -99 and the like stand for a missing one.
    known = np.isfinite(predicted) & np.isfinite(truth) & (predicted > -1) & (truth > -1)
    lost = int((~known).sum())
    if lost == len(known):
        raise UsageError(f"{table}: none of {lost:,} rows has both values: choose other columns")
    if lost and not drop_missing:
        raise UsageError(
            f"{table}: {lost:,} of {len(known):,} rows lack a redshift above -1 (row "
            f"{int(np.flatnonzero(~known)[0]) + 1} first): a score without them is another "
            "sample's; --drop-missing takes it",
            count=lost,
        )
    return known


def show_metrics(metrics: dict[str, Interval]) -> None:
    """Print a line per metric: value, interval, definition."""
    from galaxyds.metrics import METRICS, PDF_METRICS

    formulas = {name: metric.formula for name, metric in METRICS.items()}
    formulas |= {name: metric.formula for name, metric in PDF_METRICS.items()}
    rows = [
        (name, _number(found.value), _range(found), formulas.get(name, ""))
        for name, found in metrics.items()
    ]
    show_table(("metric", "value", "95 % interval", "definition"), rows, right=(1,))


def _range(found: Interval) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"{_number(found.low)} to {_number(found.high)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def plain(found: Interval) -> dict[str, float | None]:
    """Return an interval for JSON."""
    return {"value": found.value, "low": found.low, "high": found.high}
