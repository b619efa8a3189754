"""Where a result is from: device, versions, code, command."""

from __future__ import annotations

import platform
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from galaxyds import __version__
from galaxyds_models.recipe import Recipe

if TYPE_CHECKING:
    from galaxyds_models.bench import Request


def hardware_words(request: Request) -> str:
    """Device, how many of them, and precision, for the results."""
    count = f"{request.processes} x " if request.processes > 1 else ""
    return f"{count}{request.hardware.name}, {request.hardware.precision}"


def software_versions() -> str:
    """Versions that a result depends on."""
    return (
        f"galaxyds {__version__}, torch {torch.__version__}, numpy {np.__version__}, "
        f"python {platform.python_version()}"
    )


def code_version() -> str:
    """Version of the package, with the commit where it runs from a checkout."""
    try:
        # Installed inside somebody else's checkout, this file is none of that repository's.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        commit = _git("describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return f"galaxyds {__version__}"
    return f"galaxyds {__version__}, commit {commit}"


def _git(*words: str) -> str:
    folder = Path(__file__).parent
    found = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return found.stdout.strip()


def command_line(request: Request, recipe: Recipe, seed: int, division: int) -> str:
    """Return the command that makes one result again."""
    name, *adjustments = recipe.name.split("+")
    words = ["galaxyds", "bench", "run", request.entry.name, request.dataset]
    words += ["--recipe", name, "--preset", request.preset.name]
    words += ["--seed", str(seed), "--division", str(division)]
    words += ["--precision", request.hardware.precision]
    for adjustment in adjustments:  # as `adjusted` names them
        option = adjustment.rstrip("0123456789")
        words += [f"--{option}", adjustment.removeprefix(option)]
    if request.split != "test":
        words += ["--split", request.split]
    if request.table is not None:
        words += ["--table", request.table.name]
    return shlex.join(words)
