"""Where a training stands, in one file: written whole or not at all, and read without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from galaxyds.errors import DataIntegrityError, ResumeConflictError, missing_extra
from galaxyds.store.files import publishing

try:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file
except ImportError as error:
    raise missing_extra("safetensors", "models", "Training a model") from error

_FORMAT = "galaxyds training 1"


class Progress(msgspec.Struct, kw_only=True):
    """How far a training is; the order of objects and all chance follow from it and the seed.

    Attributes
    ----------
    step : int
        Steps done.
    best_loss, best_epoch : float or None, int
        Lowest validation loss, and the epoch that had it; None before there is one.
    history : list of dict
        One row per finished epoch: losses and scores, None where they are no numbers.
    loss_sum : float
        Of the steps of the epoch that has begun.
    finished : bool
        Whether nothing is left to do.
    seconds, training_seconds : float
        Spent on steps and validation, and on steps alone, compiling included; of networks that take
        turns, each one's share.
    objects : int
        Trained on, every pass counted.
    """

    step: int = 0
    best_loss: float | None = None
    best_epoch: int = -1
    history: list[dict[str, float | None]] = []
    loss_sum: float = 0.0
    finished: bool = False
    seconds: float = 0.0
    training_seconds: float = 0.0
    objects: int = 0


def save(
    path: Path,
    *,
    digest: str,
    progress: Progress,
    network: nn.Module,
    best: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint in place of the last one.

    Parameters
    ----------
    path : pathlib.Path
        A safetensors file.
    digest : str
        Of everything that the training depends on.
    progress, network, best, optimiser
        Its state; ``best`` are the weights of the best validation loss.

    Raises
    ------
    StorageError
        If it cannot be written; the last one is then as it was.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= _optimiser_tensors(optimiser)
    # Parameters may share memory, and may lie in the order of channels-last.
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {
        "format": _FORMAT,
        "digest": digest,
        "progress": msgspec.json.encode(progress).decode(),
    }
    with publishing(path) as temporary:
        try:
            save_file(whole, temporary, metadata)
        except SafetensorError as error:  # it wraps what the operating system said
            raise OSError(str(error)) from error
        temporary.chmod(0o644)  # safetensors lets the owner read only


def load(
    path: Path,
    *,
    digest: str,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> tuple[Progress, dict[str, Tensor]]:
    """Put a training where its checkpoint stands; return how far it is, and the best weights.

    Raises
    ------
    DataIntegrityError
        If the file is no checkpoint of ours, or damaged.
    ResumeConflictError
        If it belongs to another training.
    """
    metadata, tensors = read(path)
    if metadata["digest"] != digest:
        raise ResumeConflictError(
            f"{path} was begun with another recipe, build, seed, precision or number of "
            "processes: choose another --output, or remove that folder to begin anew",
            path=str(path),
        )
    network.load_state_dict(_below(tensors, "network."))
    _restore_optimiser(optimiser, tensors)
    progress = msgspec.json.decode(metadata["progress"], type=Progress)
    return progress, _below(tensors, "best.")


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read a checkpoint's metadata and tensors.

    Raises
    ------
    DataIntegrityError
        If the file is no checkpoint of ours, or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    if metadata.get("format") != _FORMAT:
        raise _damaged(path, f"its format is {metadata.get('format')!r}, not {_FORMAT!r}")
    return metadata, tensors


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _below(tensors, "optimiser.").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    # Fused optimisers walk through memory: moments must lie in it as their parameters do.
    for parameter, values in optimiser.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(value)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _damaged(path: Path, cause: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path} is no checkpoint that can be read ({cause}): remove it to begin this run anew",
        file=str(path),
    )
