"""``galaxyds bench evaluate``: anyone's predictions, scored on a split of a dataset."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.bench_score import Resamples, plain, show_metrics
from galaxyds_cli.console import show_json
from galaxyds_cli.options import Dataset, Division, Json, Root, Table

if TYPE_CHECKING:
    from galaxyds_models.evaluate import Scored
    from galaxyds_models.objects import Objects


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="Parquet with object_id (int64) and z; optionally sigma, pdf, z.PATTERN.",
        ),
    ],
    dataset: Dataset,
    *,
    split: Annotated[
        str, typer.Option("--split", metavar="SPLIT", help="What was predicted.")
    ] = "test",
    division: Division = 0,
    table: Table = None,
    root: Root = None,
    resamples: Resamples = 1000,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="FILE", help="Append the scores to it.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="For the results: name of the model.")
    ] = "",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="For the results: seed of the training.")
    ] = 0,
    code: Annotated[
        str, typer.Option("--code", metavar="LINK", help="For the results: link to its code.")
    ] = "",
    hardware: Annotated[
        str, typer.Option("--hardware", metavar="TEXT", help="For the results: trained on what.")
    ] = "",
    software: Annotated[
        str, typer.Option("--software", metavar="TEXT", help="For the results: with what.")
    ] = "",
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="FILE",
            help="For the results: the model's predictions of the split validation.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score predictions of a split: joined by object id, every object once, in any order.

    Example: galaxyds bench evaluate predictions.parquet sdss-qso --split test --division 0
    """
    from galaxyds.errors import UsageError
    from galaxyds_models.evaluate import Origin, as_results, read_predictions, score
    from galaxyds_models.tables import open_any

    if results is not None and not model:
        raise UsageError("--results needs --model NAME: a row without a name is nobody's")

    def scored_split(path: Path, name: str, resamples: int) -> tuple[Scored, Objects]:
        objects = open_any(dataset, name, root=root, table=table, division=division, pixels=False)
        return score(read_predictions(path), objects, resamples=resamples), objects

    found, objects = scored_split(predictions, split, resamples)
    if results is not None:
        from galaxyds.store import sha256
        from galaxyds_models.results import append

        chosen = scored_split(validation, "validation", 0)[0] if validation else None
        words = ["galaxyds", "bench", "evaluate", predictions.name, dataset, "--split", split]
        words += ["--division", str(division), *(("--table", table.name) if table else ())]
        origin = Origin(model=model, seed=seed, code=code, hardware=hardware, software=software,
                        command=shlex.join(words), predictions=sha256(predictions))  # fmt: skip
        for result in as_results(found, objects, origin, validation=chosen):
            append(results, result)
    if as_json:
        show_json(_plain(found, objects))
    else:
        _show(found, objects, results)


def _plain(found: Scored, objects: Objects) -> dict[str, object]:
    return {
        "dataset": objects.address,
        "version": objects.version,
        "nature": objects.nature,
        "split": objects.split,
        "division": objects.division,
        "objects": found.objects,
        "metrics": {name: plain(each) for name, each in found.metrics.items()},
        "bins": [
            {"low": row.low, "high": row.high, "count": row.count, "metrics": row.metrics}
            for row in found.bins
        ],
        "patterns": {
            pattern: {name: plain(each) for name, each in other.metrics.items()}
            for pattern, other in found.patterns.items()
        },
    }


def _show(found: Scored, objects: Objects, results: Path | None) -> None:
    show_metrics(found.metrics)
    for pattern, other in found.patterns.items():
        print(f"From the pattern {pattern}:")
        show_metrics(other.metrics)
    if found.pit is not None:
        print(f"PIT against uniform: KS {found.pit.ks:.4f}, CvM {found.pit.cvm:.4g}, "
              f"AD {found.pit.ad:.4g}")  # fmt: skip
    print(f"{objects.address}:{objects.version} ({objects.nature}), {objects.split} of division "
          f"{objects.division}: {found.objects:,} objects")  # fmt: skip
    if results is not None:
        rows = 1 + len(found.patterns)
        print(f"appended to {results}: {rows} row{'s' if rows > 1 else ''}")
