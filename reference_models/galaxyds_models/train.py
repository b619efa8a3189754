"""The training loop, for every network and device; read it from top to bottom.

Chance is a function of the seed and the number of a step: a training that was killed and goes on
from its checkpoint ends with the same bits on a processor.  Networks that are trained side by side
on one card take turns, each on a stream of its own, and do not depend on each other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from galaxyds_models import checkpoint
from galaxyds_models.checkpoint import Progress
from galaxyds_models.estimator import Estimator
from galaxyds_models.feed import Feed, Part, epoch_order, in_batches
from galaxyds_models.hardware import Hardware, operations_per_object
from galaxyds_models.pixels import turn
from galaxyds_models.recipe import Optimiser, Recipe, Schedule

Forward = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
_EVALUATION_BATCH = 256


@dataclass(kw_only=True)
class Job:
    """One network to train.

    Attributes
    ----------
    label : str
        Shown beside its progress.
    network : Estimator
        With its first weights; trained in place.
    recipe : Recipe
        How.
    train, validation : Feed
        Objects that it learns from, and those that choose its weights.
    seed : int
        Of the order of objects, augmentation and dropout.
    digest : str
        Of everything that the training depends on; a checkpoint of another one is refused.
    checkpoint : pathlib.Path or None
        File to go on from and to write to.
    """

    label: str
    network: Estimator
    recipe: Recipe
    train: Feed
    validation: Feed
    seed: int = 0
    digest: str = ""
    checkpoint: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """How trainings run, whatever they train.

    Attributes
    ----------
    hardware : Hardware
        Device, precision, compiling.
    part : Part
        This process's share of every batch, under ``torchrun``.
    checkpoint_seconds : float
        Time between checkpoints; one is also written after every epoch.
    report : callable
        Called with an :class:`EpochReport` after every epoch.
    """

    hardware: Hardware
    part: Part = field(default_factory=Part)
    checkpoint_seconds: float = 60.0
    report: Callable[[EpochReport], None] = lambda report: None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """What an epoch brought.

    ``utilisation`` is the share of the device's dense bf16 peak, None where that is not known.
    """

    label: str
    epoch: int
    epochs: int
    loss: float
    validation_loss: float
    validation_scatter: float
    objects_per_second: float
    operations_per_second: float
    utilisation: float | None
    best: bool


def train(jobs: Sequence[Job], engine: Engine) -> list[Progress]:
    """Train networks, each to its end; their kept weights are in them afterwards.

    Parameters
    ----------
    jobs : sequence of Job
        On a card they take turns step by step; on a processor they run one after the other.
    engine : Engine
        How.

    Returns
    -------
    list of Progress
        One per job.

    Raises
    ------
    ResumeConflictError, DataIntegrityError, StorageError
        If a checkpoint is another training's, damaged, or cannot be written.
    """
    runs = [_Run(job, engine) for job in jobs]
    if engine.hardware.device.type == "cuda":
        _take_turns([(run.steps(), run.stream()) for run in runs])
    else:
        for run in runs:
            for _ in run.steps():
                pass
    return [run.progress for run in runs]


def _take_turns(waiting: list[tuple[Iterator[None], AbstractContextManager[Any]]]) -> None:
    while waiting:
        still = []
        for steps, stream in waiting:
            with stream:
                if next(steps, False) is None:
                    still.append((steps, stream))
        waiting = still
    torch.cuda.synchronize()


class _Run:
    """A training under way."""

    def __init__(self, job: Job, engine: Engine) -> None:
        self.job, self.engine = job, engine
        self.device = engine.hardware.device
        self.network = job.network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.forward = _wrap(self.network, engine)
        self.optimiser = make_optimiser(self.network, job.recipe.optimiser)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.steps_per_epoch = len(self._batches(0))
        self._resume()
        self._saved = time.monotonic()
        self._operations: float | None = None

    def stream(self) -> AbstractContextManager[Any]:
        """Context that puts a step on this network's own stream."""
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(stream)

    def steps(self) -> Iterator[None]:
        """Train to the end, yielding after every step."""
        job, progress = self.job, self.progress
        while not progress.finished:
            epoch, begun = divmod(progress.step, self.steps_per_epoch)
            batches = self.engine.part(self._batches(epoch)[begun:])
            loss = torch.tensor(progress.loss_sum, dtype=torch.float64, device=self.device)
            started, objects = time.monotonic(), sum(len(rows) for rows in batches)
            self.network.train()
            for batch in job.train.batches(batches):
                loss += self._step(batch)
                progress.step += 1
                if self._checkpoint_is_due():
                    progress.loss_sum = loss.item()
                    self._save()
                yield
            progress.loss_sum = 0.0
            train_loss = loss.item() / self.steps_per_epoch  # waits for the device
            rate = objects * self.engine.part.of / (time.monotonic() - started)
            self._end_epoch(epoch, train_loss, rate)
            progress.seconds += time.monotonic() - started
            self._save()
        if job.recipe.keep == "best" and self.best:
            self.network.load_state_dict(self.best)

    def _step(self, batch: dict[str, Tensor]) -> Tensor:
        job, step = self.job, self.progress.step
        # All chance of a step hangs on the seed and its number: augmentation, dropout, sampling.
        torch.manual_seed(_mix(job.seed, step) + self.engine.part.rank)
        batch = augment(batch, job.recipe)
        set_rate(self.optimiser, job.recipe, step / self._total_steps())
        with self.engine.hardware.autocast():
            outputs = self.forward(batch)
        loss = job.network.objective(outputs, batch)["loss"]
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if job.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), job.recipe.clip)
        self.optimiser.step()
        return loss.detach()

    def _end_epoch(self, epoch: int, train_loss: float, rate: float) -> None:
        progress, recipe = self.progress, self.job.recipe
        validation_loss, scatter = validate(self.network, self.job.validation, self.engine.hardware)
        # A loss that is no number is never the best; the first epoch is kept whatever it is.
        best = math.inf if progress.best_loss is None else progress.best_loss
        better = validation_loss < best or not self.best
        if better:
            progress.best_loss, progress.best_epoch = _number(validation_loss), epoch
            self.best = {name: x.detach().clone() for name, x in self.network.state_dict().items()}
        progress.history.append(
            {
                "epoch": epoch,
                "loss": _number(train_loss),
                "validation_loss": _number(validation_loss),
                "validation_sigma_mad": _number(scatter),
            }
        )
        waited = epoch - progress.best_epoch
        impatient = recipe.patience is not None and waited >= recipe.patience
        progress.finished = epoch + 1 >= recipe.epochs or impatient
        self._tell((train_loss, validation_loss, scatter), rate, better)

    def _tell(self, scores: tuple[float, float, float], rate: float, better: bool) -> None:
        if self.engine.part.rank:
            return
        if self._operations is None:
            first = next(iter(self.job.validation.batches([np.arange(2)])))
            self._operations = operations_per_object(self.network, first)
        peak, speed = self.engine.hardware.peak, rate * self._operations
        self.engine.report(
            EpochReport(
                label=self.job.label,
                epoch=len(self.progress.history) - 1,
                epochs=self.job.recipe.epochs,
                loss=scores[0],
                validation_loss=scores[1],
                validation_scatter=scores[2],
                objects_per_second=rate,
                operations_per_second=speed,
                utilisation=speed / peak if peak else None,
                best=better,
            )
        )

    def _batches(self, epoch: int) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        order = epoch_order(len(self.job.train), self.job.seed, epoch)
        return in_batches(order, self.job.recipe.batch_size, whole=True)

    def _total_steps(self) -> int:
        return self.job.recipe.epochs * self.steps_per_epoch

    def _resume(self) -> None:
        path = self.job.checkpoint
        if path is not None and path.exists():
            self.progress, self.best = checkpoint.load(
                path, digest=self.job.digest, network=self.network, optimiser=self.optimiser
            )

    def _checkpoint_is_due(self) -> bool:
        waited = time.monotonic() - self._saved
        return self.job.checkpoint is not None and waited >= self.engine.checkpoint_seconds

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self.job.checkpoint is None or self.engine.part.rank:
            return
        checkpoint.save(
            self.job.checkpoint,
            digest=self.job.digest,
            progress=self.progress,
            network=self.network,
            best=self.best,
            optimiser=self.optimiser,
        )


def augment(batch: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """Turn the images of a batch at random, if the recipe says so."""
    image = recipe.inputs.image
    if image is None:
        return batch
    pixels = turn(batch["image"]) if image.augment else batch["image"]
    return {**batch, "image": pixels.contiguous(memory_format=torch.channels_last)}


@torch.no_grad()
def validate(network: Estimator, feed: Feed, hardware: Hardware) -> tuple[float, float]:
    """Return the mean loss and the scatter (1.4826 MAD of dz) of a split.

    The loss is ``selection`` where the network's objective has one, else ``loss``.
    """
    network.eval()
    total, residuals = 0.0, []
    for batch in _evaluation_batches(feed):
        with hardware.autocast():
            outputs = network(batch)
        losses, z = network.objective(outputs, batch), network.estimates(outputs)["z"]
        total += len(z) * losses.get("selection", losses["loss"]).item()
        residuals.append(((z - batch["redshift"]) / (1 + batch["redshift"])).cpu())
    dz = torch.cat(residuals)
    scatter = 1.4826 * (dz - dz.median()).abs().median().item()
    return total / len(feed), scatter


@torch.no_grad()
def predict(
    network: Estimator, feed: Feed, hardware: Hardware, *, seed: int = 0
) -> dict[str, Tensor]:
    """Return the estimates of all objects, in their order, on the processor.

    Parameters
    ----------
    network : Estimator
        Trained.
    feed : Feed
        What to predict.
    hardware : Hardware
        Where.
    seed : int
        Of networks that sample when they predict.

    Returns
    -------
    dict of str to Tensor
        As :meth:`Estimator.estimates`, over all objects.
    """
    network.to(hardware.device).eval()
    torch.manual_seed(seed)
    parts = []
    for batch in _evaluation_batches(feed):
        with hardware.autocast():
            outputs = network(batch)
        parts.append({name: x.float().cpu() for name, x in network.estimates(outputs).items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def make_optimiser(network: nn.Module, chosen: Optimiser) -> torch.optim.Optimizer:
    """Make the optimiser that a recipe names, fused where torch has it."""
    fused = next(network.parameters()).device.type in ("cuda", "cpu")
    parameters = [p for p in network.parameters() if p.requires_grad]
    if chosen.kind == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=chosen.lr,
            momentum=chosen.momentum,
            weight_decay=chosen.weight_decay,
            fused=fused,
        )
    kind = torch.optim.AdamW if chosen.kind == "adamw" else torch.optim.Adam
    return kind(
        parameters,
        lr=chosen.lr,
        betas=chosen.betas,
        weight_decay=chosen.weight_decay,
        amsgrad=chosen.amsgrad,
        fused=fused,
    )


def set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, done: float) -> None:
    """Set the learning rate for the share of the training that is done."""
    for group in optimiser.param_groups:
        group["lr"] = recipe.optimiser.lr * rate_factor(recipe.schedule, done)


def rate_factor(schedule: Schedule, done: float) -> float:
    """Factor of the learning rate, from the share of the training that is done (0 to 1)."""
    if schedule.warmup and done < schedule.warmup:
        return (done + 1e-3) / (schedule.warmup + 1e-3)  # the first step is not lost
    left = (1 - done) / (1 - schedule.warmup)
    if schedule.kind == "steps":
        return math.prod(schedule.factor for place in schedule.at if done >= place)
    if schedule.kind == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return left if schedule.kind == "one-cycle" else 1.0


def _wrap(
    network: Estimator, engine: Engine
) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """Forward pass as it is called: compiled, and distributed where there are several processes."""
    called: nn.Module = network
    if engine.part.of > 1:
        cuda = engine.hardware.device.type == "cuda"
        if cuda:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        called = DistributedDataParallel(
            network,
            device_ids=[engine.hardware.device.index] if cuda else None,
            find_unused_parameters=True,
        )
    mode = engine.hardware.compiled
    return called if mode is None else torch.compile(called, mode=mode)


def _evaluation_batches(feed: Feed) -> Iterator[dict[str, Tensor]]:
    places = in_batches(np.arange(len(feed)), _EVALUATION_BATCH)
    for batch in feed.batches(places):
        if "image" in batch:
            batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
        yield batch


def _mix(seed: int, step: int) -> int:
    """One number from two, far apart for neighbours."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 2)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
