"""Several processes that train one network, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from galaxyds_models.feed import Part


@contextmanager
def processes() -> Iterator[Part]:
    """Join the group that ``torchrun`` describes in the environment; alone without one.

    Yields
    ------
    Part
        This process's share of every batch.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Part()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Part(rank=distributed.get_rank(), of=size)
    finally:
        distributed.destroy_process_group()


def wait_for_all() -> None:
    """Wait until every process is here; nothing to wait for alone."""
    if distributed.is_initialized():
        distributed.barrier()
