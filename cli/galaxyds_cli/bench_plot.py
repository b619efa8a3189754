"""``galaxyds bench plot``: predicted against true redshift, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.options import Dataset, Division, Root, Table

if TYPE_CHECKING:
    from galaxyds.metrics import Interval

_SHOWN = ("sigma_mad", "outliers_15", "bias_median", "rmse")


def plot(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Parquet with object_id (int64) and z.")
    ],
    dataset: Dataset,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PNG", help="Where to write it.")
    ] = Path("redshifts.png"),
    split: Annotated[
        str, typer.Option("--split", metavar="SPLIT", help="What was predicted.")
    ] = "test",
    division: Division = 0,
    table: Table = None,
    root: Root = None,
) -> None:
    """Draw predictions of a split against the true redshifts, with scores and their intervals.

    Example: galaxyds bench plot predictions.parquet cfhtls-wide -o redshifts.png
    """
    from galaxyds.metrics import evaluate
    from galaxyds.plots import plot_redshifts, save
    from galaxyds_models.evaluate import join, read_predictions
    from galaxyds_models.tables import open_any

    objects = open_any(dataset, split, root=root, table=table, division=division, pixels=False)
    z = join(read_predictions(predictions), objects).z
    scores = evaluate(z, objects.redshift, metrics=_SHOWN)
    nature = "" if objects.nature == "full" else f"\n{objects.nature}"
    figure = plot_redshifts(
        z,
        objects.redshift,
        title=f"{objects.address}:{objects.version}, {split}, {len(z):,} objects{nature}",
        scores={name: _shown(scores[name]) for name in _SHOWN},
    )
    save(figure, output)
    print(output.absolute())


def _shown(score: Interval) -> str:
    return f"{score.value:.4f} ({score.low:.4f} to {score.high:.4f})"
