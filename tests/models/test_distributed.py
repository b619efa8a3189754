"""Two processes on one network step as one process does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from galaxyds_models.hardware import Hardware
from galaxyds_models.train import Engine, train
from tests.models.test_train import RECIPE, TinyNetwork, answers, dataclasses, job_of
from tests.models.tiny import TinyConfig, tiny_objects

SCRIPT = """
import sys
from pathlib import Path
from galaxyds_models.distributed import processes, wait_for_all
from tests.models.test_distributed import the_job, torch, train, Engine, Hardware, answers
home, target = Path(sys.argv[1]), sys.argv[2]
with processes() as part:
    job = the_job(home)
    train([job], Engine(hardware=Hardware(device=torch.device("cpu")), part=part))
    wait_for_all()
    if part.rank == 0:
        torch.save(answers(job), target)
"""


def the_job(home):
    # Augmentation differs between processes, and batch statistics are each process's own.
    image = dataclasses.replace(RECIPE.inputs.image, augment=False)
    recipe = dataclasses.replace(
        RECIPE, config=TinyConfig(), inputs=dataclasses.replace(RECIPE.inputs, image=image)
    )
    torch.manual_seed(1)
    return job_of(home, recipe=recipe, network=TinyNetwork(TinyConfig(), normalise=False))


def test_two_processes_train_as_one(tmp_path):
    tiny_objects(tmp_path)
    script, target = tmp_path / "script.py", tmp_path / "answers.pt"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
              "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]  # fmt: skip
    repository = Path(__file__).parents[2]
    environment = {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run(
        [*launch, str(script), str(tmp_path), str(target)],
        check=True,
        cwd=repository,
        env=environment,
    )
    alone = the_job(tmp_path)
    train([alone], Engine(hardware=Hardware(device=torch.device("cpu"))))
    together = torch.load(target, weights_only=True)
    # Means of halves are the mean of the whole but for rounding.
    torch.testing.assert_close(together, answers(alone), rtol=1e-3, atol=1e-4)
