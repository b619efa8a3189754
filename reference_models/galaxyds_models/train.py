"""The training loop, for every network and device; read it from top to bottom.

Chance is a function of the seed and the number of a step: a training that was killed and goes on
from its checkpoint ends with the same bits on a processor, with the same number of threads.
Networks that are trained side by side on one card take turns, each on a stream of its own, and do
not depend on each other.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from galaxyds.errors import UsageError
from galaxyds.metrics import sigma_mad
from galaxyds_models import checkpoint
from galaxyds_models.checkpoint import Progress
from galaxyds_models.distributed import agree
from galaxyds_models.estimator import Estimator
from galaxyds_models.feed import Feed, Part, epoch_order, in_batches
from galaxyds_models.hardware import Hardware, operations_per_object
from galaxyds_models.optimise import make_optimiser, set_rate
from galaxyds_models.pixels import turn
from galaxyds_models.recipe import Recipe

Forward = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
_EVALUATION_BATCH = 256
_END = object()


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
    together : int
        Networks that take turns on a card at a time; on a processor it is always one.
    report : callable
        Called with an :class:`EpochReport` after every epoch.
    say : callable
        Called with a sentence where a training goes on from a checkpoint.
    """

    hardware: Hardware
    part: Part = field(default_factory=Part)
    checkpoint_seconds: float = 60.0
    together: int = 8
    report: Callable[[EpochReport], None] = lambda report: None
    say: Callable[[str], None] = lambda words: None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochReport:
    """What an epoch brought.

    Speeds are the device's, all networks that take turns on it together; ``utilisation`` is the
    share of its dense bf16 peak, None where that is not known.
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
    cuda = engine.hardware.device.type == "cuda"
    stream = _stream if cuda else lambda device: nullcontext()
    progress = take_turns(jobs, engine, together=engine.together if cuda else 1, stream=stream)
    if cuda:
        torch.cuda.synchronize(engine.hardware.device)
    return progress


def take_turns(
    jobs: Sequence[Job],
    engine: Engine,
    *,
    together: int,
    stream: Callable[[torch.device], AbstractContextManager[Any]],
) -> list[Progress]:
    """Train networks step by step in turns, at most ``together`` of them at a time.

    Parameters
    ----------
    jobs, engine
        As of :func:`train`.
    together : int
        Networks under way; the next one begins when one has ended.
    stream : callable
        From the device to the context of all steps of one network.

    Returns
    -------
    list of Progress
        One per job.
    """
    waiting, active = deque(jobs), deque[tuple[_Run, Iterator[None], AbstractContextManager[Any]]]()
    progress: dict[int, Progress] = {}
    clock = _Clock()
    while waiting or active:
        while waiting and len(active) < together:
            run = _Run(waiting.popleft(), engine, clock)
            active.append((run, run.steps(), stream(engine.hardware.device)))
        run, steps, context = active.popleft()
        with context:
            ended = next(steps, _END) is _END
        if ended:
            clock.leave(run)
            progress[id(run.job)] = run.progress
        else:
            active.append((run, steps, context))
    return [progress[id(job)] for job in jobs]


def _stream(device: torch.device) -> AbstractContextManager[Any]:
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


class _Clock:
    """Time on the wall, shared equally among those that take turns."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._owed: dict[_Run, float] = {}

    def join(self, run: _Run) -> None:
        self._share()
        self._owed[run] = 0.0

    def leave(self, run: _Run) -> None:
        self._share()
        del self._owed[run]

    def spent(self, run: _Run) -> float:
        """Return a run's share of the time since it asked last, in seconds."""
        self._share()
        owed, self._owed[run] = self._owed[run], 0.0
        return owed

    def _share(self) -> None:
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        for run in self._owed:
            self._owed[run] += elapsed / len(self._owed)


class _Run:
    """A training under way."""

    def __init__(self, job: Job, engine: Engine, clock: _Clock) -> None:
        self.job, self.engine, self.clock = job, engine, clock
        self.device = engine.hardware.device
        self.network = job.network.to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.steps_per_epoch = len(self._batches(0))
        _check_batches(self._batches(0), engine.part)
        self.forward = _wrap(self.network, engine)
        self.optimiser = make_optimiser(self.network, job.recipe.optimiser)
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self._resume()
        self._saved = time.monotonic()
        clock.join(self)
        self._operations: float | None = None

    def steps(self) -> Iterator[None]:
        """Train to the end, yielding after every step."""
        job, progress = self.job, self.progress
        while not progress.finished:
            # Of the history, not of the step: an epoch ends with its validation.
            begun = progress.step - len(progress.history) * self.steps_per_epoch
            batches = self.engine.part(self._batches(len(progress.history))[begun:])
            loss = torch.tensor(progress.loss_sum, dtype=torch.float64, device=self.device)
            before = progress.objects, progress.training_seconds
            self.network.train()
            for batch in job.train.batches(batches):
                loss += self._step(batch)
                progress.step += 1
                progress.objects += len(batch["redshift"]) * self.engine.part.of
                if self._checkpoint_is_due():
                    progress.loss_sum = loss.item()
                    self._spend(training=True)
                    self._save()
                yield
            progress.loss_sum = 0.0
            train_loss = loss.item() / self.steps_per_epoch  # waits for the device
            self._spend(training=True)
            seconds = progress.training_seconds - before[1]
            rate = (progress.objects - before[0]) / seconds if seconds else 0.0
            self._end_epoch(train_loss, rate)
            self._spend(training=False)
            self._save()
        if job.recipe.keep == "best" and self.best:
            self.network.load_state_dict(self.best)

    def _spend(self, *, training: bool) -> None:
        spent = self.clock.spent(self)
        self.progress.seconds += spent
        self.progress.training_seconds += spent if training else 0.0

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

    def _end_epoch(self, train_loss: float, rate: float) -> None:
        progress, recipe = self.progress, self.job.recipe
        epoch = len(progress.history)
        torch.manual_seed(_mix(self.job.seed, progress.step))  # of networks that sample
        found = validate(self.network, self.job.validation, self.engine.hardware)
        validation_loss, scatter = agree(found)
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

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
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
            done, epochs = len(self.progress.history), self.job.recipe.epochs
            state = "is finished" if self.progress.finished else "goes on"
            self.engine.say(f"{self.job.label}  {state} after epoch {done} of {epochs}")

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


def _check_batches(batches: Sequence[NDArray[np.int64]], part: Part) -> None:
    if len(part(batches)) < len(batches):
        raise UsageError(
            f"a batch of {min(map(len, batches))} objects cannot be shared by {part.of} processes: "
            "start fewer, or train on more objects"
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
    """Return the mean loss and ``sigma_mad`` of a split, NaN where an estimate is no number.

    The loss is ``selection`` where the network's objective has one, else ``loss``.
    """
    network.eval()
    total, answers, truths = 0.0, [], []
    for batch in _evaluation_batches(feed):
        with hardware.autocast():
            outputs = network(batch)
        losses, z = network.objective(outputs, batch), network.estimates(outputs)["z"]
        total += len(z) * losses.get("selection", losses["loss"]).item()
        answers.append(z.cpu())
        truths.append(batch["redshift"].cpu())
    found = torch.cat(answers)
    diverged = not torch.isfinite(found).all()
    scatter = math.nan if diverged else sigma_mad(found, torch.cat(truths))
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


def _wrap(
    network: Estimator, engine: Engine
) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """Forward pass as it is called: compiled, and distributed where there are several processes."""
    called: nn.Module = network
    if engine.part.of > 1:
        if engine.hardware.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        # Some recipes leave a head without a loss.
        called = DistributedDataParallel(network, find_unused_parameters=True)
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
