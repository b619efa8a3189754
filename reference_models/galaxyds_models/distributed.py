"""Several processes that train one network, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from galaxyds_models.feed import Part


@contextmanager
def processes(device: torch.device) -> Iterator[Part]:
    """Join the group that ``torchrun`` describes in the environment; alone without one.

    Parameters
    ----------
    device : torch.device
        Where networks run: on CUDA each process takes the card of its local rank.

    Yields
    ------
    Part
        This process's share of every batch.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Part()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Part(rank=distributed.get_rank(), of=size)
    finally:
        distributed.destroy_process_group()


def agree(numbers: tuple[float, float]) -> tuple[float, float]:
    """Return what the first process found, so that all decide alike; alone, one's own."""
    if not distributed.is_initialized():
        return numbers
    told: list[tuple[float, float]] = [numbers]
    distributed.broadcast_object_list(told, src=0)
    return told[0]


def wait_for_all() -> None:
    """Wait until every process is here; nothing to wait for alone."""
    if distributed.is_initialized():
        distributed.barrier()
