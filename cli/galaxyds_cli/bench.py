"""``galaxyds bench``: reference models trained and scored, and anyone's predictions scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli import (
    bench_check,
    bench_compare,
    bench_evaluate,
    bench_objects,
    bench_plot,
    bench_score,
)
from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Dataset, Json, Root, Table

if TYPE_CHECKING:
    from galaxyds_models.bench import Request
    from galaxyds_models.registry import Entry
    from galaxyds_models.results import Result
    from galaxyds_models.train import EpochReport

bench = typer.Typer(
    help="Train and score reference models; score your own predictions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
bench.command("evaluate")(bench_evaluate.evaluate)
bench.command("score")(bench_score.score)
bench.command("objects")(bench_objects.objects)
bench.command("compare")(bench_compare.compare)
bench.command("check")(bench_check.check)
bench.command("plot")(bench_plot.plot)

_SHOWN = ("sigma_mad", "outliers_05", "outliers_15", "bias_mean", "rmse")
_HEADS = ("out>=.05", "out>=.15", "bias", "rmse")


@bench.command("run")
def run(
    model: Annotated[str, typer.Argument(help="Name of a model: galaxyds bench list.")],
    dataset: Dataset,
    *,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="RECIPE", help="Default: the model's first.")
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="PRESET", help="smoke, default or paper.")
    ] = "default",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[
        list[int] | None, typer.Option("--seed", min=0, metavar="N", help="Repeat it for several.")
    ] = None,
    division: Annotated[
        list[int] | None,
        typer.Option("--division", "--fold", metavar="N", help="Repeat it for several."),
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="auto, fp32 or bf16.")] = "auto",
    compiled: Annotated[
        str, typer.Option("--compile", metavar="MODE", help="auto, none, or of torch.compile.")
    ] = "auto",
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Instead of the recipe's.")
    ] = None,
    members: Annotated[
        int | None, typer.Option("--members", min=1, help="Networks that are averaged.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="What is predicted and scored.")] = "test",
    root: Root = None,
    table: Table = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Checkpoints and results.")
    ] = Path("runs"),
    code: Annotated[str, typer.Option("--code", metavar="LINK", help="Link to the code.")] = "",
    as_json: Json = False,
) -> None:
    """Train a reference model on a dataset, score its test split, append the result.

    What an interrupted call finished is kept, and what it began goes on.  Under torchrun several
    processes train one network.

    Example: galaxyds bench run knn cfhtls-wide --root data --seed 0 --seed 1 --seed 2
    """
    from galaxyds_models.bench import Request, run
    from galaxyds_models.hardware import Hardware, check_precision
    from galaxyds_models.recipe import adjusted, get_preset
    from galaxyds_models.registry import get_entry

    entry = get_entry(model)
    request = Request(
        entry=entry,
        recipe=adjusted(entry.recipe(recipe), epochs=epochs, members=members),
        preset=get_preset(preset),
        dataset=dataset,
        seeds=tuple(seed or [0]),
        divisions=tuple(division or [0]),
        root=root,
        table=table,
        hardware=Hardware.choose(device, check_precision(precision), compiled=compiled),
        split=split,
        output=output,
        code=code,
    )
    try:
        found = run(request, report=_progress, say=lambda words: typer.echo(words, err=True))
    except KeyboardInterrupt:
        typer.echo("interrupted: what was finished is kept; run the same command again", err=True)
        raise typer.Exit(130) from None
    results = [result for result, _ in found]
    if not results:  # another process of torchrun writes and shows them
        return
    if as_json:
        import msgspec

        show_json([msgspec.to_builtins(result) for result in results])
        return
    _show(request, results, kept=sum(status == "kept" for _, status in found))


def _progress(report: EpochReport) -> None:
    used = "" if report.utilisation is None else f" ({report.utilisation:.0%} of the peak)"
    typer.echo(
        f"{report.label}  epoch {report.epoch + 1}/{report.epochs}  loss {report.loss:.4f}  "
        f"validation {report.validation_loss:.4f}{'*' if report.best else ' '} "
        f"sigma_mad {report.validation_scatter:.4f}  {report.objects_per_second:,.0f} objects/s, "
        f"{report.operations_per_second / 1e9:,.1f} GFLOP/s{used}",
        err=True,
    )


def _show(request: Request, results: list[Result], *, kept: int) -> None:
    show_table(
        ("model", "division", "seed", "sigma_mad", "95 %", *_HEADS),
        [
            (
                result.model + (f" {result.pattern}" if result.pattern else ""),
                str(result.division),
                str(result.seed),
                _cell(result, _SHOWN[0]),
                _range(result, _SHOWN[0]),
                *(_cell(result, name) for name in _SHOWN[1:]),
            )
            for result in results
        ],
        right=tuple(range(1, 4 + len(_SHOWN))),
    )
    if kept:
        print(f"kept         {kept} of {len(results)} results were there before")
    first = results[0]
    print(f"dataset      {first.dataset}:{first.version} ({first.nature})")
    preset = request.preset
    # A preset says how long networks train; other models are fitted in one go.
    how = f", preset {preset.name}: {preset.about}" if request.entry.network else ""
    print(f"recipe       {request.recipe.name}{how}")
    some = f", at most {preset.evaluate} of the split" if preset.evaluate is not None else ""
    print(f"scored       {first.objects:,} objects{some}")
    print(f"hardware     {first.hardware}")
    print(f"results      {request.results}")


def _cell(result: Result, name: str) -> str:
    found = result.metrics.get(name)
    return "-" if found is None or found.value is None else f"{found.value:.4f}"


def _range(result: Result, name: str) -> str:
    found = result.metrics.get(name)
    if found is None or found.low is None or found.high is None:
        return "-"
    return f"{found.low:.4f}-{found.high:.4f}"


@bench.command("list")
def list_models(
    model: Annotated[str | None, typer.Argument(help="One model: what its recipes are.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List models and recipes, with their numbers of parameters for the papers' data.

    Example: galaxyds bench list multimodal
    """
    from galaxyds_models.registry import get_entry, names

    entries = [get_entry(name) for name in ((model,) if model else names())]
    rows = [row for entry in entries for row in _rows(entry)]
    if as_json:
        show_json(rows)
        return
    if model is None:
        _show_models(rows)
        return
    show_table(
        ("recipe", "parameters", "inputs", "what"),
        [
            (str(r["recipe"]), _count(r["parameters"]), str(r["inputs"]), str(r["about"]))
            for r in rows
        ],
        right=(1,),
    )
    (entry,) = entries
    print(f"{entry.title}. {entry.paper}.\n")
    for sentence in entry.differs:
        print(f"  - {sentence}")


def _show_models(rows: list[dict[str, object]]) -> None:
    from galaxyds_models.tables import TABLES

    show_table(
        ("model", "recipe", "parameters", "inputs"),
        [
            (
                str(row["model"]) if row["default"] else "",
                str(row["recipe"]),
                _count(row["parameters"]),
                str(row["inputs"]),
            )
            for row in rows
        ],
        right=(2,),
    )
    print("The first recipe of a model is its default; galaxyds bench list MODEL tells of each.")
    print("Photometry is enough for tables that you bring (--table FILE):")
    for table in TABLES.values():
        print(f"  {table.name}: {table.title}")


def _rows(entry: Entry) -> list[dict[str, object]]:
    from galaxyds_models.registry import parameters

    return [
        {
            "model": entry.name,
            "recipe": recipe.name,
            "default": recipe is entry.recipes[0],
            "parameters": parameters(entry, recipe),
            "inputs": ", ".join(
                ("image",) * (recipe.inputs.image is not None) + recipe.inputs.photometry
            ),
            "datasets": list(entry.datasets),
            "about": recipe.about,
        }
        for recipe in entry.recipes
    ]


def _count(parameters: object) -> str:
    return f"{parameters:,}" if isinstance(parameters, int) else "-"
