"""Two processes on one network: they step as one, decide alike, and one of them writes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import torch

from galaxyds_models.hardware import Hardware
from galaxyds_models.results import read
from galaxyds_models.train import Engine, train
from tests.models.test_train import RECIPE, TinyNetwork, answers, job_of
from tests.models.tiny import TinyConfig, tiny_objects

REPOSITORY = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from galaxyds_models.distributed import processes, wait_for_all
from tests.models.test_distributed import Engine, Hardware, answers, plain, torch, train, wandering
home, target = Path(sys.argv[1]), Path(sys.argv[2])
device = torch.device("cpu")
with processes(device) as part:
    engine = Engine(hardware=Hardware(device=device), part=part)
    job = plain(home)
    train([job], engine)
    (progress,) = train([wandering(home)], engine)
    wait_for_all()
    torch.save((answers(job), progress.step), target.with_suffix(f".{part.rank}"))
"""


def plain(home):
    # Augmentation differs between processes, and batch statistics are each process's own.
    image = dataclasses.replace(RECIPE.inputs.image, augment=False)
    recipe = dataclasses.replace(
        RECIPE, config=TinyConfig(), inputs=dataclasses.replace(RECIPE.inputs, image=image)
    )
    torch.manual_seed(1)
    return job_of(home, recipe=recipe, network=TinyNetwork(TinyConfig(), normalise=False))


def wandering(home):
    """Each process has its own running statistics, and so its own validation loss."""
    optimiser = dataclasses.replace(RECIPE.optimiser, lr=0.1)
    recipe = dataclasses.replace(RECIPE, epochs=25, patience=1, optimiser=optimiser)
    return job_of(home, recipe=recipe)


def launch(*words, **options):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
                "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*torchrun, *map(str, words)], check=True, cwd=REPOSITORY,
                          env=environment, timeout=240, **options)  # fmt: skip


def test_two_processes_train_as_one_and_stop_together(tmp_path):
    tiny_objects(tmp_path)
    script, target = tmp_path / "script.py", tmp_path / "answers"
    script.write_text(SCRIPT)
    launch(script, tmp_path, target)
    (first, steps), (second, others) = (
        torch.load(target.with_suffix(f".{rank}"), weights_only=True) for rank in (0, 1)
    )
    assert steps == others
    assert torch.equal(first, second)
    alone = plain(tmp_path)
    train([alone], Engine(hardware=Hardware(device=torch.device("cpu"))))
    # Means of halves are the mean of the whole but for rounding.
    torch.testing.assert_close(first, answers(alone), rtol=1e-3, atol=1e-4)


def test_the_command_runs_under_torchrun_and_writes_once(cfhtls_root, tmp_path):
    words = ["-m", "galaxyds_cli.main", "bench", "run", "galaxiesml-nn", "cfhtls-wide", "--preset",
             "smoke", "--root", cfhtls_root, "--output", tmp_path]  # fmt: skip
    shown = launch(*words, capture_output=True, text=True).stdout
    (result,) = read(tmp_path / "results.jsonl")
    assert result.hardware.startswith("2 x ")
    assert shown.count("results.jsonl") == 1
