"""The loop: it learns, it goes on from a kill with the same bits, and members do not disturb."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time

import pytest
import torch

from galaxyds.errors import DataIntegrityError, ResumeConflictError, UsageError
from galaxyds_models import checkpoint
from galaxyds_models.feed import Feed, Part
from galaxyds_models.hardware import Hardware
from galaxyds_models.optimise import rate_factor
from galaxyds_models.preparation import Preparation
from galaxyds_models.recipe import Optimiser, Schedule
from galaxyds_models.train import Engine, Job, _Run, predict, take_turns, train, validate
from tests.models.tiny import INPUTS, RECIPE, TinyNetwork, tiny_objects

CPU = Hardware(device=torch.device("cpu"))
EAGER = Engine(hardware=CPU, checkpoint_seconds=0.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def job_of(home, *, recipe=RECIPE, seed=1, path=None, network=None, digest="a"):
    train_objects, held = tiny_objects(home), tiny_objects(home, "validation")
    preparation = Preparation.fit(train_objects, INPUTS)
    feeds = [
        Feed(objects, INPUTS, preparation=preparation, device=torch.device("cpu"))
        for objects in (train_objects, held)
    ]
    torch.manual_seed(seed)
    network = network or TinyNetwork(recipe.config)
    return Job(label="tiny", network=network, recipe=recipe, train=feeds[0], validation=feeds[1],
               seed=seed, digest=digest, checkpoint=path)  # fmt: skip


def answers(job):
    return predict(job.network, job.validation, CPU)["z"]


def test_it_learns(home):
    job = job_of(home, recipe=dataclasses.replace(RECIPE, epochs=30))
    (progress,) = train([job], EAGER)
    losses = [row["loss"] for row in progress.history]
    assert losses[-1] < 0.2 * losses[0]
    assert progress.finished
    assert progress.step == 30 * (len(job.train) // 16)


class KilledError(Exception):
    """In place of a signal."""


@pytest.mark.parametrize(
    "optimiser", [Optimiser(lr=3e-3), Optimiser(kind="sgd", lr=1e-2, momentum=0.5)]
)
@pytest.mark.parametrize("step", [1, 9, 17])
def test_killed_at_any_step_it_ends_with_the_same_bits(
    home, tmp_path, monkeypatch, step, optimiser
):
    recipe = dataclasses.replace(RECIPE, optimiser=optimiser)
    whole = job_of(home, recipe=recipe)
    train([whole], EAGER)
    path = tmp_path / "run.safetensors"

    original = _Run._step

    def killing(self, batch):
        if self.progress.step == step:
            raise KilledError
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr("galaxyds_models.train._Run._step", killing)
        with pytest.raises(KilledError):
            train([job_of(home, recipe=recipe, path=path)], EAGER)
    resumed = job_of(home, recipe=recipe, path=path)
    (progress,) = train([resumed], EAGER)
    assert progress.step == 3 * (len(resumed.train) // 16)
    assert torch.equal(answers(whole), answers(resumed))
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_killed_while_it_validates_it_ends_with_the_same_bits(home, tmp_path, monkeypatch, epoch):
    whole = job_of(home)
    (expected,) = train([whole], EAGER)
    path = tmp_path / "run.safetensors"

    def killing(network, feed, hardware):
        if checkpoint_epochs(path) == epoch:
            raise KilledError
        return validate(network, feed, hardware)

    with monkeypatch.context() as patch:
        patch.setattr("galaxyds_models.train.validate", killing)
        with pytest.raises(KilledError):
            train([job_of(home, path=path)], EAGER)
    resumed = job_of(home, path=path)
    (progress,) = train([resumed], EAGER)
    assert torch.equal(answers(whole), answers(resumed))
    assert progress.history == expected.history
    assert (progress.step, progress.objects) == (expected.step, expected.objects)


def checkpoint_epochs(path):
    import json

    return len(json.loads(checkpoint.read(path)[0]["progress"])["history"])


SCRIPT = """
import sys
from pathlib import Path
import tests.models.test_train as t
home, path = Path(sys.argv[1]), Path(sys.argv[2])
recipe = t.dataclasses.replace(t.RECIPE, epochs=15)
job = t.job_of(home, recipe=recipe, path=path)
t.train([job], t.EAGER)
t.torch.save(t.answers(job), path.with_suffix(".pt"))
"""


def test_killed_by_a_signal_it_ends_with_the_same_bits(home, tmp_path):
    """The real thing: a process that gets SIGKILL wherever it is, twice."""
    tiny_objects(home)
    path = tmp_path / "run.safetensors"
    command = [sys.executable, "-c", SCRIPT, str(home), str(path)]
    # Sums are rounded in another order with another number of threads.
    alike = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    kills = 0
    while kills < 2:
        process = subprocess.Popen(command, env=alike)
        seen = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns > seen):
            time.sleep(0.01)
        time.sleep(0.05 + 0.07 * kills)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills
    begun = checkpoint.read(path)[0]
    assert '"finished":false' in begun["progress"]
    subprocess.run(command, check=True, env=alike)
    whole = job_of(home, recipe=dataclasses.replace(RECIPE, epochs=15))
    train([whole], EAGER)
    assert torch.equal(answers(whole), torch.load(path.with_suffix(".pt"), weights_only=True))


def test_a_finished_training_is_not_repeated(home, tmp_path):
    path = tmp_path / "run.safetensors"
    first = job_of(home, path=path)
    train([first], EAGER)
    written = path.stat().st_mtime_ns
    again = job_of(home, path=path, seed=1)
    train([again], EAGER)
    assert path.stat().st_mtime_ns == written
    assert torch.equal(answers(first), answers(again))


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(home, tmp_path):
    path = tmp_path / "run.safetensors"
    train([job_of(home, path=path)], EAGER)
    with pytest.raises(ResumeConflictError, match="another recipe, build, seed"):
        train([job_of(home, path=path, digest="b")], EAGER)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataIntegrityError, match="no checkpoint"):
        train([job_of(home, path=path)], EAGER)
    path.write_bytes(b"<html>")
    with pytest.raises(DataIntegrityError, match="no checkpoint"):
        train([job_of(home, path=path)], EAGER)


@pytest.mark.parametrize("together", [2, 3])
def test_members_are_the_same_alone_and_in_turns(home, together):
    """As on a card, where each has a stream of its own; here the steps alone take turns."""
    seeds = (1, 2, 3)
    jobs = [job_of(home, seed=seed) for seed in seeds]
    entered = []

    class Stream:
        def __init__(self, device):
            self.number = len(entered)
            entered.append(0)

        def __enter__(self):
            entered[self.number] += 1

        def __exit__(self, *error):
            pass

    started = time.monotonic()
    progress = take_turns(jobs, EAGER, together=together, stream=Stream)
    wall = time.monotonic() - started
    assert [p.step for p in progress] == [3 * (len(jobs[0].train) // 16)] * 3
    assert min(entered) > progress[0].step
    assert sum(p.seconds for p in progress) <= 1.05 * wall  # nobody counts another's time
    for seed, job in zip(seeds, jobs, strict=True):
        alone = job_of(home, seed=seed)
        train([alone], EAGER)
        assert torch.equal(answers(alone), answers(job))
    assert not torch.equal(answers(jobs[0]), answers(jobs[1]))


def test_a_batch_that_cannot_be_shared_is_refused(home):
    recipe = dataclasses.replace(RECIPE, batch_size=2)
    engine = dataclasses.replace(EAGER, part=Part(rank=0, of=4))
    with pytest.raises(UsageError, match="cannot be shared by 4 processes"):
        train([job_of(home, recipe=recipe)], engine)


class Counting(TinyNetwork):
    """Its score is best after the second epoch, whatever it learns; its weights tell the step."""

    def __init__(self, config, best):
        super().__init__(config)
        self.best = best
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, batch):
        if self.training:
            self.steps += 1
        return super().forward(batch)

    def objective(self, outputs, batch):
        return {**super().objective(outputs, batch), "selection": (self.steps - self.best).abs()}


def counting_job(home, **changes):
    per_epoch = len(tiny_objects(home)) // RECIPE.batch_size
    recipe = dataclasses.replace(RECIPE, epochs=9, **changes)
    return job_of(home, recipe=recipe, network=Counting(recipe.config, 2 * per_epoch)), per_epoch


def test_the_weights_of_the_best_validation_score_are_kept(home):
    job, per_epoch = counting_job(home)
    (progress,) = train([job], EAGER)
    assert (progress.best_epoch, progress.best_loss) == (1, 0.0)
    assert job.network.steps == 2 * per_epoch
    last, _ = counting_job(home, keep="last")
    train([last], EAGER)
    assert last.network.steps == 9 * per_epoch


def test_impatience_ends_it(home):
    job, _ = counting_job(home, patience=3)
    (progress,) = train([job], EAGER)
    assert progress.finished
    assert len(progress.history) == 2 + 3


def test_reports_count_objects_and_operations(home):
    reports = []
    engine = dataclasses.replace(EAGER, report=reports.append)
    train([job_of(home)], engine)
    assert [r.epoch for r in reports] == [0, 1, 2]
    # By hand: convolution 8 x 3 x 3 x 3 at 64 pixels forward and for its weights (an image needs no
    # gradient), head 11 x 16 + 16 forward and twice backward; two operations each.
    convolution, head = 8 * 27 * 64, 11 * 16 + 16
    per_object = 2 * (2 * convolution + 3 * head)
    for report in reports:
        found = report.operations_per_second / report.objects_per_second
        assert found == pytest.approx(per_object, rel=1e-6)
        assert report.utilisation is None


def test_schedules_begin_and_end_where_they_should():
    steps = Schedule(kind="steps", at=(0.5, 0.75), factor=0.2)
    assert [rate_factor(steps, d) for d in (0, 0.5, 0.8)] == pytest.approx([1, 0.2, 0.04])
    assert rate_factor(Schedule(kind="cosine"), 0) == 1
    assert rate_factor(Schedule(kind="cosine"), 0.5) == pytest.approx(0.5)
    assert rate_factor(Schedule(kind="cosine"), 1) == pytest.approx(0)
    cycle = Schedule(kind="one-cycle", warmup=0.2)
    assert 0 < rate_factor(cycle, 0) < 0.01
    assert rate_factor(cycle, 0.2) == pytest.approx(1)
    assert rate_factor(cycle, 0.6) == pytest.approx(0.5)
