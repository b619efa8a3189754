"""Batches on the device: from memory that holds all images, or from the mapped file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxyds.loaders import BatchLoader
from galaxyds_models.pixels import compress, standardise
from galaxyds_models.preparation import Preparation, image_chunks
from galaxyds_models.recipe import Inputs

if TYPE_CHECKING:
    from galaxyds_models.objects import Objects

Rows = NDArray[np.int64]
_SHARE = 0.5
"""Largest share of the free memory that images may take."""


def epoch_order(objects: int, seed: int, epoch: int) -> Rows:
    """Order of the objects in an epoch: the same for the same seed and epoch, anywhere."""
    return np.random.default_rng([seed, epoch]).permutation(objects)


def in_batches(order: Rows, size: int, *, whole: bool = False) -> list[Rows]:
    """Cut an order into batches; ``whole`` leaves out a last one that is smaller, if not alone."""
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    return batches[:-1] if whole and len(batches) > 1 and len(batches[-1]) < size else batches


class Feed:
    """Objects as batches of tensors on a device.

    Parameters
    ----------
    objects : Objects
        What to read.
    inputs : Inputs
        What of it.
    preparation : Preparation
        Fitted on the training split.
    device : torch.device
        Where batches are.
    resident : bool or None
        Keep all images, compressed to float16, on the device; None does where they take at most
        ``_SHARE`` of its free memory.  The values of a batch are the same either way.
    """

    def __init__(
        self,
        objects: Objects,
        inputs: Inputs,
        *,
        preparation: Preparation,
        device: torch.device,
        resident: bool | None = None,
    ) -> None:
        self.objects, self.inputs, self.device = objects, inputs, device
        self._columns = self._move_columns(preparation)
        self._mean = torch.tensor(preparation.image_mean, device=device)
        self._scale = torch.tensor(preparation.image_scale, device=device)
        self.resident = inputs.image is not None and (
            _fits(objects, device) if resident is None else resident
        )
        self._images = self._load() if self.resident else None

    def __len__(self) -> int:
        return len(self.objects)

    def batches(self, places: Sequence[Rows]) -> Iterator[dict[str, Tensor]]:
        """Yield one batch per list of places in the objects, in that order."""
        if not places:
            return
        # One copy to the device for all of them: a copy in every step would make the host wait.
        whole = torch.from_numpy(np.concatenate(places)).to(self.device)
        indices = torch.split(whole, [len(rows) for rows in places])
        if self.inputs.image is None:
            yield from (self._table(index) for index in indices)
        elif self._images is not None:
            for index in indices:
                yield self._with_image(self._table(index), self._images[index])
        else:
            yield from self._streamed(places, indices)

    def _streamed(
        self, places: Sequence[Rows], indices: Sequence[Tensor]
    ) -> Iterator[dict[str, Tensor]]:
        assert self.objects.dataset is not None
        assert self.inputs.image is not None
        loader = BatchLoader(self.objects.dataset, max((len(rows) for rows in places), default=1))
        read = loader.read([self.objects.rows[rows] for rows in places])
        for index, sample in zip(indices, read, strict=True):
            pixels = compress(sample["image"], self.inputs.image.compression)
            if self.device.type == "cuda":
                pixels = pixels.pin_memory().to(self.device, non_blocking=True)
            yield self._with_image(self._table(index), pixels)

    def _with_image(self, table: dict[str, Tensor], pixels: Tensor) -> dict[str, Tensor]:
        image = standardise(pixels, self._mean, self._scale, table.get("band_mask"))
        return {**table, "image": image}

    def _table(self, index: Tensor) -> dict[str, Tensor]:
        return {name: values[index] for name, values in self._columns.items()}

    def _move_columns(self, preparation: Preparation) -> dict[str, Tensor]:
        columns = preparation.photometry(self.objects, self.inputs)
        columns["redshift"] = torch.from_numpy(self.objects.redshift)
        if self.objects.band_mask is not None and self.inputs.image is not None:
            columns["band_mask"] = torch.from_numpy(self.objects.band_mask)
        return {name: values.to(self.device) for name, values in columns.items()}

    def _load(self) -> Tensor:
        images = torch.empty(_shape(self.objects), dtype=torch.float16, device=self.device)
        for place, pixels in image_chunks(self.objects, self.inputs):
            images[place] = pixels.to(self.device)
        return images


@dataclass(frozen=True, slots=True)
class Part:
    """One rank's part of every batch, where several processes train one network."""

    rank: int = 0
    of: int = 1

    def __call__(self, batches: Sequence[Rows]) -> list[Rows]:
        """Return this rank's share of each batch, equal in size on all ranks."""
        even = [rows[: len(rows) // self.of * self.of] for rows in batches]
        return [rows[self.rank :: self.of] for rows in even if len(rows)]


def _shape(objects: Objects) -> tuple[int, ...]:
    assert objects.dataset is not None
    return (len(objects), *objects.dataset.image_shape)


def _fits(objects: Objects, device: torch.device) -> bool:
    return 2 * math.prod(_shape(objects)) < _SHARE * _free_memory(device)


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:  # not Linux: the mapped file serves
        return 0
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
