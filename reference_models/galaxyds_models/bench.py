"""One benchmark: train a model on a dataset, predict its test split, score it, write it down."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from galaxyds.errors import DataIntegrityError, ResumeConflictError, UsageError, one_line
from galaxyds.refs import to_snake
from galaxyds.store.files import publish_bytes, sha256
from galaxyds_models.distributed import processes, wait_for_all
from galaxyds_models.ensemble import Estimates, combine
from galaxyds_models.estimator import Estimator, Facts, count_parameters
from galaxyds_models.evaluate import Origin, as_results, score
from galaxyds_models.feed import Feed
from galaxyds_models.hardware import Hardware
from galaxyds_models.objects import Objects
from galaxyds_models.predictions import Predictions, write_predictions
from galaxyds_models.preparation import Preparation, features, missing_inputs
from galaxyds_models.provenance import (
    code_version,
    command_line,
    hardware_words,
    software_versions,
)
from galaxyds_models.recipe import Preset, Recipe
from galaxyds_models.registry import Entry
from galaxyds_models.results import Result, append, read
from galaxyds_models.tables import open_any
from galaxyds_models.train import Engine, EpochReport, Job, predict, train

_RECORD = "result.json"
_FEWEST = 2
"""Objects that a split needs for a training and its scores."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to run.

    Attributes
    ----------
    entry, recipe, preset
        The model, the recipe before the preset, how much of it.
    dataset : str
        Address of a build, or name of a table.
    seeds, divisions : tuple of int
        One result for every pair; the seeds of a division are trained side by side on a card.
    root, table : pathlib.Path or None
        Folder of the builds; file of a real table.
    hardware : Hardware
        Where.
    split : str
        Which one is predicted and scored.
    output : pathlib.Path
        Folder of checkpoints, predictions and ``results.jsonl``.
    code : str
        Link to the code, for the results.
    resamples : int
        Of the bootstrap.
    processes : int
        That train each network; :func:`run` fills it in.
    """

    entry: Entry
    recipe: Recipe
    preset: Preset
    dataset: str
    seeds: tuple[int, ...] = (0,)
    divisions: tuple[int, ...] = (0,)
    root: Path | None = None
    table: Path | None = None
    hardware: Hardware
    split: str = "test"
    output: Path = Path("runs")
    code: str = ""
    resamples: int = 1000
    processes: int = 1

    @property
    def results(self) -> Path:
        """File that results are appended to."""
        return self.output / "results.jsonl"


@dataclass(frozen=True, kw_only=True)
class Data:
    """The three splits of one division, and what was learnt of the first."""

    train: Objects
    validation: Objects
    test: Objects
    preparation: Preparation

    def facts(self) -> Facts:
        """What a network is told."""
        images = self.train.dataset
        return Facts(
            bands=self.train.bands if images is not None else (),
            size=images.image_shape[-1] if images is not None else 0,
            filters=self.train.filters,
            redshift_range=self.train.redshift_range,
            objects=len(self.train),
        )


@dataclass(kw_only=True)
class Outcome:
    """Estimates of one run on two splits, and what they cost."""

    validation: Estimates
    test: Estimates
    parameters: int
    seconds: float
    speed: float | None = None
    edges: NDArray[np.float32] | None = None


Reporter = Callable[[EpochReport], None]
Speaker = Callable[[str], None]
Status = Literal["run", "kept"]


def run(
    request: Request, *, report: Reporter = lambda _: None, say: Speaker = lambda _: None
) -> list[tuple[Result, Status]]:
    """Run a benchmark; what an earlier call finished is kept, what it began goes on.

    Parameters
    ----------
    request : Request
        What to run.
    report : callable
        Called after every epoch.
    say : callable
        Called with a sentence where something is worth knowing.

    Returns
    -------
    list of (Result, str)
        One per division, seed and pattern of inputs; ``kept`` were there before.

    Raises
    ------
    DatasetNotFoundError, UsageError
        If the dataset is not built, or has not what the recipe needs.
    ResumeConflictError, DataIntegrityError, StorageError
        If the output folder holds another run, is damaged, or cannot be written.
    """
    recipe = request.preset.apply(request.recipe)
    if recipe.inputs.image is None:  # without convolutions nothing is left to autocast
        request = replace(request, hardware=replace(request.hardware, precision="fp32"))
    request = replace(request, seeds=tuple(dict.fromkeys(request.seeds)),
                      divisions=tuple(dict.fromkeys(request.divisions)))  # fmt: skip
    check_writable(request.output)
    found: list[tuple[Result, Status]] = []
    with processes(request.hardware.device) as part:
        request = replace(request, processes=part.of)
        for division in request.divisions:
            data = load(request, recipe, division)
            kept = {seed: _kept(request, recipe, data, seed) for seed in request.seeds}
            if part.rank == 0:
                for results in kept.values():
                    append_missing(request.results, results)
                for words in _made_up(recipe, data.train):
                    say(words)
            missing = [seed for seed, results in kept.items() if not results]
            engine = Engine(hardware=request.hardware, part=part, report=report, say=say)
            made = _run_division(request, recipe, data, missing, engine=engine)
            for seed in request.seeds:
                status: Status = "kept" if kept[seed] else "run"
                found += [(result, status) for result in kept[seed] or made.get(seed, [])]
    return found


def load(request: Request, recipe: Recipe, division: int) -> Data:
    """Open the splits of a division, as large as the preset allows, and fit the preparation.

    Raises
    ------
    DatasetNotFoundError, UsageError
        If the dataset is not built, or has not what the recipe needs.
    """
    preset = request.preset
    limits = {"train": preset.train, "validation": preset.evaluate, request.split: preset.evaluate}
    opened = {
        split: open_any(
            request.dataset,
            split,
            root=request.root,
            table=request.table,
            division=division,
            limit=limit,
            pixels=recipe.inputs.image is not None,
        )
        for split, limit in limits.items()
    }
    for objects in opened.values():
        _check_inputs(request.entry, recipe, objects)
        _check_size(objects)
    return Data(
        train=opened["train"],
        validation=opened["validation"],
        test=opened[request.split],
        preparation=Preparation.fit(opened["train"], recipe.inputs),
    )


def _run_division(
    request: Request,
    recipe: Recipe,
    data: Data,
    seeds: Sequence[int],
    *,
    engine: Engine,
) -> dict[int, list[Result]]:
    if not seeds:
        return {}
    if request.entry.network is not None:
        outcomes = _train_networks(request, recipe, data, seeds=seeds, engine=engine)
    else:
        outcomes = {seed: _fit_regressor(request, recipe, data, seed) for seed in seeds}
    made = {}
    if engine.part.rank == 0:
        for seed in seeds:
            made[seed] = _write(request, recipe, data, seed=seed, outcome=outcomes[seed])
    wait_for_all()
    return made


def _train_networks(
    request: Request, recipe: Recipe, data: Data, *, seeds: Sequence[int], engine: Engine
) -> dict[int, Outcome]:
    feeds = [_feed(objects, recipe, data, engine) for objects in (data.train, data.validation)]
    jobs = {
        seed: [
            _job(request, recipe, data, seed, member=member, feeds=(feeds[0], feeds[1]))
            for member in range(recipe.members)
        ]
        for seed in seeds
    }
    everything = [job for members in jobs.values() for job in members]
    progress = dict(zip((j.label for j in everything), train(everything, engine), strict=True))
    test = _feed(data.test, recipe, data, engine)
    outcomes = {}
    for seed, members in jobs.items():
        spent = [progress[job.label] for job in members]
        training = sum(p.training_seconds for p in spent)
        outcomes[seed] = Outcome(
            validation=_answers(members, feeds[1], engine.hardware),
            test=_answers(members, test, engine.hardware),
            parameters=count_parameters(members[0].network),
            seconds=sum(p.seconds for p in spent),
            speed=sum(p.objects for p in spent) / training if training else None,
            edges=_edges(members[0].network),
        )
    return outcomes


def _job(
    request: Request,
    recipe: Recipe,
    data: Data,
    seed: int,
    *,
    member: int,
    feeds: tuple[Feed, Feed],
) -> Job:
    assert request.entry.network is not None
    member_seed = 1_000 * seed + member
    torch.manual_seed(member_seed)  # first weights
    folder = _folder(request, recipe, data, seed)
    return Job(
        label=f"{request.entry.name} division {data.train.division} seed {seed}"
        + (f" member {member + 1}/{recipe.members}" if recipe.members > 1 else ""),
        network=request.entry.network(recipe.config, data.facts()),
        recipe=recipe,
        train=feeds[0],
        validation=feeds[1],
        seed=member_seed,
        digest=_digest(request, recipe, data, member_seed),
        checkpoint=folder / f"member{member}.safetensors",
    )


def _feed(objects: Objects, recipe: Recipe, data: Data, engine: Engine) -> Feed:
    device = engine.hardware.device
    return Feed(objects, recipe.inputs, preparation=data.preparation, device=device)


def _answers(members: Sequence[Job], feed: Feed, hardware: Hardware) -> Estimates:
    answers = [predict(job.network, feed, hardware, seed=job.seed) for job in members]
    first = members[0].network
    return combine(answers, first.edges(), point=first.point)


def _edges(network: Estimator) -> NDArray[np.float32] | None:
    edges = network.edges()
    return None if edges is None else edges.detach().cpu().numpy()


def _fit_regressor(request: Request, recipe: Recipe, data: Data, seed: int) -> Outcome:
    assert request.entry.regressor is not None
    started = time.monotonic()
    model = request.entry.regressor(recipe.config)
    fitted = model.fit(features(data.train, recipe.inputs), data.train.redshift, seed=seed)
    answers = [
        {"z": torch.from_numpy(fitted.predict(features(objects, recipe.inputs)))}
        for objects in (data.validation, data.test)
    ]
    seconds = time.monotonic() - started
    return Outcome(validation=answers[0], test=answers[1], parameters=0, seconds=seconds)


def _write(
    request: Request, recipe: Recipe, data: Data, *, seed: int, outcome: Outcome
) -> list[Result]:
    folder = _folder(request, recipe, data, seed)
    predictions = as_predictions(data.test, outcome.test, outcome.edges)
    path = folder / "predictions.parquet"
    write_predictions(path, predictions)
    publish_bytes(folder / "preparation.json", data.preparation.to_json().encode())
    publish_bytes(folder / "recipe.json", msgspec.json.format(msgspec.json.encode(asdict(recipe))))
    scored = score(predictions, data.test, resamples=request.resamples)
    validation = as_predictions(data.validation, outcome.validation, outcome.edges)
    origin = Origin(
        model=request.entry.name,
        seed=seed,
        code=request.code or code_version(),
        hardware=hardware_words(request),
        software=software_versions(),
        command=command_line(request, recipe, seed, data.train.division),
        predictions=sha256(path),
    )
    chosen = score(validation, data.validation, resamples=0)
    results = [
        msgspec.structs.replace(
            result,
            recipe=recipe.name,
            preset=request.preset.name,
            members=recipe.members,
            train_objects=len(data.train),
            parameters=outcome.parameters,
            wall_seconds=round(outcome.seconds, 3),
            images_per_second=outcome.speed,
        )
        for result in as_results(scored, data.test, origin, validation=chosen)
    ]
    # Written first: what a kill leaves out of the results file, the next call appends.
    record = _Record(digest=_digest(request, recipe, data, seed), results=results)
    publish_bytes(folder / _RECORD, msgspec.json.encode(record))
    append_missing(request.results, results)
    return results


def as_predictions(
    objects: Objects, estimates: Estimates, edges: NDArray[np.float32] | None
) -> Predictions:
    """Estimates of networks as the predictions that anyone may hand in."""
    arrays = {name: np.asarray(values, np.float32) for name, values in estimates.items()}
    return Predictions(
        object_id=objects.object_id,
        z=arrays["z"],
        sigma=arrays.get("sigma"),
        pdf=arrays.get("pdf"),
        edges=edges.astype(np.float64) if edges is not None and "pdf" in arrays else None,
        patterns={
            name.removeprefix("z."): values
            for name, values in arrays.items()
            if name.startswith("z.")
        },
    )


def _check_inputs(entry: Entry, recipe: Recipe, objects: Objects) -> None:
    """Refuse a recipe that needs what the objects have not; name those that do without."""
    lack = missing_inputs(objects, recipe.inputs)
    if not lack:
        return
    fitting = [r.name for r in entry.recipes if not missing_inputs(objects, r.inputs)]
    advice = (
        f"choose --recipe {' or '.join(fitting)}"
        if fitting
        else f"no recipe of {entry.name} does without: choose another model (galaxyds bench list)"
    )
    raise UsageError(
        f"{objects.address} has no {' and no '.join(lack)}, which recipe {recipe.name} of "
        f"{entry.name} needs: {advice}",
        missing=lack,
    )


def _made_up(recipe: Recipe, objects: Objects) -> list[str]:
    """Say which inputs are zeros because the objects have none."""
    absent = missing_inputs(objects, replace(recipe.inputs, optional=()))
    return [f"{objects.address} has no {name}: zeros stand for them" for name in absent]


def check_writable(folder: Path) -> None:
    """Write and remove a file, before hours go into what could not be kept.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    probe = folder / f".writable-{os.getpid()}"
    publish_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def _check_size(objects: Objects) -> None:
    if len(objects) < _FEWEST:
        raise UsageError(
            f"{objects.address} has {len(objects)} objects in {objects.split} of division "
            f"{objects.division}: build more of it (--limit)"
        )


def _folder(request: Request, recipe: Recipe, data: Data, seed: int) -> Path:
    dataset = to_snake(data.train.address.replace("/", "-"))
    name = f"{request.entry.name}-{recipe.name}-{request.preset.name}"
    version = data.train.version
    run_name = f"{request.split}-division{data.train.division}-seed{seed}"
    return request.output / f"{dataset}-{version}" / name / run_name


def _digest(request: Request, recipe: Recipe, data: Data, seed: int) -> str:
    """Of everything that a result depends on, but the machine and the version of the code."""
    inputs = {
        "model": request.entry.name,
        "recipe": {**asdict(recipe), "about": ""},
        "preset": asdict(request.preset),
        "manifest": data.train.manifest,
        "split": request.split,
        "division": data.train.division,
        "objects": [len(objects) for objects in (data.train, data.validation, data.test)],
        "facts": asdict(data.facts()),
        "precision": request.hardware.precision,
        "processes": request.processes,
        "seed": seed,
    }
    return hashlib.sha256(msgspec.json.encode(inputs, order="deterministic")).hexdigest()


def _kept(request: Request, recipe: Recipe, data: Data, seed: int) -> list[Result]:
    """Results that an earlier call with the same inputs finished; none if it did not."""
    path = _folder(request, recipe, data, seed) / _RECORD
    if not path.exists():
        return []
    try:
        record = msgspec.json.decode(path.read_bytes(), type=_Record)
    except msgspec.MsgspecError as error:
        raise DataIntegrityError(
            f"{path} is no record of a finished run ({one_line(str(error))}): remove it to predict "
            "and score again from the checkpoints beside it",
            file=str(path),
        ) from error
    if record.digest != _digest(request, recipe, data, seed):
        raise ResumeConflictError(
            f"{path.parent} holds the result of another recipe, build, precision or number of "
            "processes: choose another --output",
            path=str(path.parent),
        )
    return record.results


class _Record(msgspec.Struct):
    digest: str
    results: list[Result]


def append_missing(path: Path, results: Sequence[Result]) -> None:
    """Append those results that a results file has not yet."""
    there = read(path) if path.exists() else []
    for result in results:
        if result not in there:
            append(path, result)
