"""``galaxyds bench compare``: whether one model is better than another, on the same objects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Dataset, Division, Json, Root, Table

if TYPE_CHECKING:
    from galaxyds.metrics import PairedResult

_METRICS = ("sigma_mad", "outliers_15", "outliers_05", "rmse", "bias_mean")


def compare(
    dataset: Dataset,
    *,
    baseline: Annotated[
        list[Path],
        typer.Option("--baseline", "-a", metavar="FILE", help="Predictions; several are averaged."),
    ],
    contender: Annotated[
        list[Path],
        typer.Option("--contender", "-b", metavar="FILE", help="Predictions of the other model."),
    ],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="NAME", help="Repeat it for several.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="What was predicted.")] = "test",
    division: Division = 0,
    table: Table = None,
    root: Root = None,
    resamples: Annotated[
        int, typer.Option("--resamples", min=1, help="Of the paired bootstrap.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Compare two models by the paired bootstrap of Ait-Ouahmed et al. (2023, App. D).

    A gain is positive where the contender is better; p is the chance of such a gain if it were not.

    Example: galaxyds bench compare cfhtls-wide -a baseline.parquet -b mine.parquet
    """
    from galaxyds.metrics import paired_bootstrap
    from galaxyds_models.evaluate import mean_prediction
    from galaxyds_models.tables import open_any

    objects = open_any(dataset, split, root=root, table=table, division=division, pixels=False)
    first, second = (mean_prediction(paths, objects) for paths in (baseline, contender))
    found = [
        paired_bootstrap(first, second, objects.redshift, name, resamples=resamples)
        for name in metric or _METRICS
    ]
    if as_json:
        from dataclasses import asdict

        show_json([asdict(result) for result in found])
        return
    show_table(
        ("metric", "baseline", "contender", "gain", "better by (95 %)", "p"),
        [_row(result) for result in found],
        right=(1, 2, 3, 5),
    )
    print(f"{objects.address}:{objects.version} ({objects.nature}), {objects.split} of division "
          f"{objects.division}: {len(objects):,} objects, {resamples:,} resamples")  # fmt: skip


def _row(result: PairedResult) -> tuple[str, ...]:
    interval = result.interval
    return (
        result.metric,
        f"{result.a:.4f}",
        f"{result.b:.4f}",
        f"{result.gain:+.1%}",
        f"{result.difference:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})",
        f"{result.p_value:.4f}",
    )
