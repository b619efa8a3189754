"""From objects to what a network sees; every number of it is of the training split only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxyds.errors import UsageError
from galaxyds_models.pixels import compress
from galaxyds_models.recipe import Inputs, Quantity, Scaling

if TYPE_CHECKING:
    from galaxyds_models.objects import Objects

_UNSCALED: tuple[Quantity, ...] = ("extinctions", "ebv")
_FARTHEST = 10.0
"""Standardised photometry is clipped here, in deviations: catalogues hold errors of 1000 mag."""
_CHUNK = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """What a quantity's columns are shifted and divided by, and what stands for a missing one."""

    offset: list[float]
    divisor: list[float]
    fill: list[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """Statistics of a training split; with :class:`Inputs` they say what a network sees.

    Attributes
    ----------
    scales : dict of str to Scale
        By quantity of the photometry.
    image_mean, image_scale : list of float
        Of each band, after compression: subtracted and multiplied; empty without images.
    """

    scales: dict[str, Scale] = field(default_factory=dict)
    image_mean: list[float] = field(default_factory=list)
    image_scale: list[float] = field(default_factory=list)

    @classmethod
    def fit(cls, train: Objects, inputs: Inputs) -> Preparation:
        """Take the statistics of a training split.

        Raises
        ------
        UsageError
            If the objects have not what ``inputs`` asks for.
        """
        check_inputs(train, inputs)
        scales: dict[str, Scale] = {
            name: _fit(quantity(train, name, inputs), name, inputs.scaling)
            for name in inputs.photometry
        }
        if inputs.image is None:
            return cls(scales=scales)
        mean, deviation = np.zeros(len(train.bands)), np.ones(len(train.bands))
        if inputs.image.standardise:
            mean, deviation = _image_statistics(train, inputs)
        return cls(scales=scales, image_mean=mean.tolist(), image_scale=(1 / deviation).tolist())

    def photometry(self, objects: Objects, inputs: Inputs) -> dict[str, Tensor]:
        """Return every quantity that ``inputs`` names, float32 (N, columns), without NaN."""
        return {
            name: torch.from_numpy(_apply(quantity(objects, name, inputs), self.scales[name]))
            for name in inputs.photometry
        }

    def to_json(self) -> str:
        """Return everything as text."""
        return msgspec.json.encode(self).decode()


def check_inputs(objects: Objects, inputs: Inputs) -> None:
    """Refuse inputs that the objects have not.

    Raises
    ------
    UsageError
        Naming what is missing.
    """
    if lack := missing_inputs(objects, inputs):
        raise UsageError(
            f"{objects.address} has no {' and no '.join(lack)}: choose a recipe that does without "
            "(galaxyds bench list)",
            missing=lack,
        )


def missing_inputs(objects: Objects, inputs: Inputs) -> list[str]:
    """Name what ``inputs`` asks for and the objects have not; nothing where all is there."""
    pixels = ["images"] if inputs.image is not None and not objects.bands else []
    return pixels + [
        name
        for name in inputs.photometry
        if name not in inputs.optional and _stored(objects, name) is None
    ]


def quantity(objects: Objects, name: Quantity, inputs: Inputs) -> NDArray[np.float32]:
    """Return a quantity of the photometry as it is stored, float32 (N, columns), NaN if missing.

    ``colors`` are differences of neighbouring magnitudes.  What ``inputs`` calls optional and the
    objects have not is zeros.
    """
    found = _stored(objects, name)
    if found is None:
        assert name in inputs.optional
        return np.zeros((len(objects), 1 if name == "ebv" else len(objects.filters)), np.float32)
    return found


def features(objects: Objects, inputs: Inputs) -> NDArray[np.float32]:
    """Return the photometry that ``inputs`` names side by side, for a model that is no network."""
    check_inputs(objects, inputs)
    found = [quantity(objects, name, inputs) for name in inputs.photometry]
    return np.concatenate(found, axis=1) if found else np.zeros((len(objects), 0), np.float32)


def image_chunks(objects: Objects, inputs: Inputs) -> Iterator[tuple[slice, Tensor]]:
    """Read all images, compressed: places and float16 (k, bands, rows, columns)."""
    assert inputs.image is not None
    assert objects.dataset is not None
    for start in range(0, len(objects), _CHUNK):
        place = slice(start, min(start + _CHUNK, len(objects)))
        pixels = objects.dataset.batch(objects.rows[place])["image"]
        yield place, compress(pixels, inputs.image.compression)


def _stored(objects: Objects, name: Quantity) -> NDArray[np.float32] | None:
    if name == "colors":
        return objects.magnitudes[:, :-1] - objects.magnitudes[:, 1:]
    found: NDArray[np.float32] | None = getattr(objects, name)
    return found


def _fit(values: NDArray[np.float32], name: Quantity, scaling: Scaling) -> Scale:
    columns = values.astype(np.float64)
    known = np.isfinite(columns)
    # A column without any value is zeros: it tells a network nothing, and breaks nothing.
    columns = np.where(known.any(0), columns, 0.0)
    offset, divisor = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    mean = np.nanmean(columns, axis=0)
    fill = mean
    if name not in _UNSCALED and scaling == "standard":
        offset, divisor = mean, np.nanstd(columns, axis=0)
    elif name not in _UNSCALED and scaling == "minmax":
        offset = fill = np.nanmin(columns, axis=0)
        divisor = np.nanmax(columns, axis=0) - offset
    divisor = np.where(divisor > 0, divisor, 1.0)
    return Scale(offset=offset.tolist(), divisor=divisor.tolist(), fill=fill.tolist())


def _apply(values: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    offset, divisor, fill = (np.array(x) for x in (scale.offset, scale.divisor, scale.fill))
    filled = np.where(np.isfinite(values), values, fill)
    scaled = (filled - offset) / divisor
    if (offset != 0).any() or (divisor != 1).any():
        scaled = np.clip(scaled, -_FARTHEST, _FARTHEST)
    return np.asarray(scaled, np.float32)


def _image_statistics(
    objects: Objects, inputs: Inputs
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each band, compressed, over the pixels of objects that have it."""
    bands = len(objects.bands)
    count, total, square = np.zeros(bands), np.zeros(bands), np.zeros(bands)
    for place, pixels in image_chunks(objects, inputs):
        x = pixels.double()
        seen = torch.ones(x.shape[:2], dtype=torch.bool)
        if objects.band_mask is not None:
            seen = torch.from_numpy(objects.band_mask[place])
        weight = seen[:, :, None, None]
        count += seen.sum(0).numpy() * x.shape[2] * x.shape[3]
        total += (x * weight).sum((0, 2, 3)).numpy()
        square += (x * x * weight).sum((0, 2, 3)).numpy()
    mean = total / np.maximum(count, 1)
    variance = square / np.maximum(count, 1) - mean**2
    return mean, np.where(variance > 0, np.sqrt(np.maximum(variance, 0)), 1.0)
