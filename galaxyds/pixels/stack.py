"""Frames of one band stacked onto one gnomonic grid per object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.pixels.regrid import Source, chunks, tangent_grids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.pixels.frame import Frame

COMBINE = ("mean", "median", "weighted", "clipped")
"""Names of the ways to stack."""

CLIP_SIGMA = 4.0
"""Noises by which a pixel may depart from the median of its stack."""

CLIP_FRACTION = 0.3
"""And the fraction of that median which it may depart beyond them: seeing changes from frame to
frame, and with it the peaks of sources."""

_NOISELESS = float(np.finfo(np.float32).tiny)
_LEAST_SHARE = 1e-12  # of a frame's weight in that of the best one: float32 holds both
_CELL = 32  # pixels a side of the cells in which noise is measured
_CELLS = 8  # cells along each axis of a frame


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Stacked cutouts of one band.

    Attributes
    ----------
    image : ndarray of float32, shape (n, size, size)
        Flux per pixel, NaN where no frame has data.
    depth : ndarray of int16, shape (n,)
        Frames on which the object's position lies.
    complete : ndarray of bool, shape (n,)
        Whether no pixel is NaN.
    """

    image: NDArray[np.float32]
    depth: NDArray[np.int16]
    complete: NDArray[np.bool_]


def stack_frames(
    frames: Sequence[Frame],
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    size: int,
    scale: float,
    kernel: str = "lanczos3",
    combine: str = "clipped",
    weights: Sequence[float] | None = None,
) -> Stack:
    """Resample all frames onto a gnomonic grid around each object, and stack them.

    Parameters
    ----------
    frames : sequence of Frame
        Frames of one band, in one flux unit, their sky subtracted.  Those that do not touch an
        object change nothing for it; the order of the others changes its last digit only.
    ra, dec : ndarray of float64, shape (n,)
        Degrees.  The object is the tangent point and lies exactly at pixel
        ((size - 1) / 2, (size - 1) / 2); rows go towards +dec, columns towards -RA.
    size : int
        Rows and columns of a cutout.
    scale : float
        Arcseconds per pixel.
    kernel : str
        ``"lanczos3"`` or ``"bilinear"``; see :mod:`galaxyds.pixels.regrid` for flux and NaN.
    combine : str
        How the values of a pixel become one; see :func:`combined`.
    weights : sequence of float, optional
        One per frame, for ``"weighted"`` and ``"clipped"``; by default the inverse variances of the
        frames' noise, where one that cannot be measured is the largest of the object's.

    Returns
    -------
    Stack
        In the order of ``ra``.  An object's bytes do not depend on the others in the call.

    Raises
    ------
    UsageError
        If there is no such kernel or way to stack, the weights are not one positive number per
        frame or go with a way that has none, or the positions make no grid.
    """
    _verify(frames, combine, weights)
    grids = tangent_grids(ra, dec, size=size, scale=scale)
    sources = [Source(frame, grids, size=size, kernel=kernel) for frame in frames]
    image = np.full((len(grids), size, size), np.nan, dtype=np.float32)
    noises = np.array([noise(frame) for frame in frames]) if combine in COMBINE[2:] else None
    for which in chunks(np.arange(len(grids))):
        used = [k for k, source in enumerate(sources) if source.touched[which].any()]
        if used:
            layers = _layers([sources[k] for k in used], which, size)
            image[which] = combined(
                layers,
                combine,
                sigma=None if noises is None else _scaled(noises[used], sources, used, which),
                weights=None if weights is None else np.array(weights)[used],
            )
    depth = np.sum([source.covers for source in sources], axis=0, dtype=np.int16)
    return Stack(
        image=image,
        depth=np.broadcast_to(depth, len(grids)).astype(np.int16),
        complete=np.asarray(np.isfinite(image).all(axis=(1, 2))),
    )


def _verify(frames: Sequence[Frame], combine: str, weights: Sequence[float] | None) -> None:
    if combine not in COMBINE:
        raise UsageError(f"there is no stacking '{combine}': use one of {', '.join(COMBINE)}")
    if weights is None:
        return
    if combine not in COMBINE[2:]:
        raise UsageError(f"stacking '{combine}' has no weights: leave them out, or use 'weighted'")
    if len(weights) != len(frames) or not all(0 < weight < np.inf for weight in weights):
        raise UsageError(f"weights {list(weights)} are not one positive number per frame")


def _layers(sources: Sequence[Source], which: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Some objects on all their frames, shape (frames, n, size, size)."""
    layers = np.full((len(sources), len(which), size, size), np.nan, dtype=np.float32)
    for layer, source in zip(layers, sources, strict=True):
        there = np.flatnonzero(source.touched[which])
        if len(there):
            layer[there] = source.resampled(which[there])
    return layers


def _scaled(
    noises: NDArray[np.float64],
    sources: Sequence[Source],
    used: Sequence[int],
    which: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Noise per target pixel, shape (frames, n); 1 where a frame's projection has no target."""
    area = np.stack([sources[k].linear.area[which] for k in used])
    return np.asarray(np.nan_to_num(area, nan=1.0) * noises[:, None], dtype=np.float32)


def noise(frame: Frame) -> float:
    """Noise of a frame: the median of 1.4826 times the median absolute deviation in its cells.

    At most 8 x 8 cells of 32 x 32 pixels, evenly spread, are looked at: a gradient does not count
    as noise, most sources do not matter, and a memory-mapped frame is not read as a whole.

    Parameters
    ----------
    frame : Frame
        Its NaN do not count.

    Returns
    -------
    float
        Flux per pixel; NaN where it cannot be measured, in a frame that is blank, constant or
        quantised in steps much larger than its noise.
    """
    starts = [
        np.unique(np.linspace(0, max(extent - _CELL, 0), _CELLS).astype(int)).tolist()
        for extent in frame.pixels.shape
    ]
    cells = np.stack(
        [
            np.asarray(frame.pixels[top : top + _CELL, left : left + _CELL], np.float32).ravel()
            for top in starts[0]
            for left in starts[1]
        ]
    )
    found = 1.4826 * _medians(np.abs(cells - _medians(cells)[:, None]))
    found = found[found > 0]  # blank parts of a mosaic, and those without data
    return float(np.median(found)) if len(found) else float("nan")


def _medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of each row's finite values."""
    there = np.isfinite(values)
    ordered = np.sort(np.where(there, values, np.float32(np.inf)), axis=1)
    return _middle(ordered.T, there.sum(axis=1))


def combined(
    layers: NDArray[np.float32],
    combine: str,
    *,
    sigma: NDArray[np.float32] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Make one value of each pixel's values.

    NaN never count.  With m the number of the others at a pixel:

    ``"mean"``, ``"median"``
        Of the m values; the median of an even number is the mean of its two middle ones.
    ``"weighted"``
        Mean with ``weights``, by default ``1 / sigma**2``.
    ``"clipped"``
        After the clipped mean of Gruen, Seitz & Bernstein 2014 (PASP 126, 158), as SWarp does it
        with a gain so large that only the background makes noise.  For m of 3 and more a value v of
        a frame with noise s stays if ``|v - median| <= 4 s + 0.3 |median|``; the result is the
        weighted mean of what stays.  Two values that depart from each other do not say which is
        wrong, nor do those of an even number of which none is near the median: SWarp leaves a 0
        of weight 0 there, here all of them stay.  To take one would bias: of two seeings the lower
        value has the peak, and the flux of a compact galaxy suffers.  The price is that of two
        values a cosmic ray stays, weighted; frames are to be cleaned of them.  Of three and more
        the rule is SWarp's, and so is what is left of that bias: up to 2.7 % of the flux where one
        seeing of three stands alone (1.1, 1.1, 1.8 arcsec; 400 nMgy of 1.5 arcsec).

    Parameters
    ----------
    layers : ndarray of float32, shape (frames, n, size, size)
        Values.
    combine : str
        One of :data:`COMBINE`.
    sigma : ndarray of float32, shape (frames, n)
        Noise per pixel; for ``"weighted"`` without weights and for ``"clipped"``.  NaN is a noise
        that could not be measured: the largest one of the object's other frames is taken, so that
        nobody's weight is less for it; where none is known all count alike, without noise.
    weights : ndarray of float64, shape (frames,)
        In place of the inverse variances.

    Returns
    -------
    ndarray of float32, shape (n, size, size)
        NaN where all values are.

    Raises
    ------
    UsageError
        If ``sigma`` is needed and not given.
    """
    there = np.isfinite(layers)
    if combine == "mean":
        return _mean(layers, there, np.ones(len(layers), np.float32)[:, None, None, None])
    if combine == "median":
        ordered, count = _ordered(layers, there)
        return _middle(ordered, count)
    if sigma is None:
        raise UsageError(f"stacking '{combine}' needs the noise of each frame: give sigma")
    present = np.asarray(there.any(axis=(2, 3)))
    sigma = _completed(present, sigma)
    share = _shares(present, sigma, weights)[:, :, None, None]
    if combine == "weighted":
        return _mean(layers, there, share)
    return _clipped(layers, there, share, sigma[:, :, None, None])


def _completed(there: NDArray[np.bool_], sigma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise with the largest one of an object's frames where it is not known, (frames, n)."""
    largest = np.max(np.where(there & (sigma > 0), sigma, np.float32(_NOISELESS)), axis=0)
    return np.where(sigma > 0, sigma, largest)


def _shares(
    there: NDArray[np.bool_], sigma: NDArray[np.float32], weights: NDArray[np.float64] | None
) -> NDArray[np.float32]:
    """Weights as fractions of the largest among the frames that an object has, (frames, n)."""
    raw = sigma.astype(np.float64) ** -2 if weights is None else weights[:, None]
    best = np.max(np.where(there, raw, 0), axis=0)
    ratio = raw / np.where(best > 0, best, 1)
    return np.asarray(np.clip(ratio, _LEAST_SHARE, 1), dtype=np.float32)


def _mean(
    layers: NDArray[np.float32], keep: NDArray[np.bool_], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted mean of what is kept, frame by frame in order; NaN where that is nothing."""
    total = np.zeros(layers.shape[1:], dtype=np.float32)
    weight = np.zeros(layers.shape[1:], dtype=np.float32)
    for layer, kept, one in zip(layers, keep, share, strict=True):
        total += np.where(kept, layer, np.float32(0)) * one
        weight += kept * one
    with np.errstate(invalid="ignore"):
        total /= weight
    total[weight == 0] = np.nan  # 0 / 0 is a NaN of another sign: bytes are compared
    return total


def _clipped(
    layers: NDArray[np.float32],
    there: NDArray[np.bool_],
    share: NDArray[np.float32],
    sigma: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Clipped mean; see :func:`combined`."""
    ordered, count = _ordered(layers, there)
    middle = _middle(ordered, count)
    slack = np.float32(CLIP_FRACTION) * np.abs(middle)
    keep = there.copy()
    with np.errstate(invalid="ignore"):
        for layer, kept, one in zip(layers, keep, np.float32(CLIP_SIGMA) * sigma, strict=True):
            # Frame by frame: arrays stay in cache.
            np.logical_and(kept, np.abs(layer - middle) <= slack + one, out=kept)
    if (undecided := (count == 2) | ~keep.any(axis=0)).any():
        keep |= there & undecided
    return _mean(layers, keep, share)


def _ordered(
    layers: NDArray[np.float32], there: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Values of each pixel in increasing order, those that are not there last; and their count."""
    values = np.where(there, layers, np.float32(np.inf))
    spare = np.empty_like(values[0])
    for low, high in _exchanges(len(values)):
        np.minimum(values[low], values[high], out=spare)
        np.maximum(values[low], values[high], out=values[high])
        values[low] = spare
    return values, there.sum(axis=0, dtype=np.int64)


def _exchanges(count: int) -> Iterator[tuple[int, int]]:
    """Comparisons that sort ``count`` values: merge exchange (Knuth, TAOCP 3, algorithm 5.2.2M)."""
    top = 1 << max(count - 1, 0).bit_length() >> 1
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while d > 0:
            yield from ((i, i + d) for i in range(count - d) if i & p == r)
            d, q, r = q - p, q >> 1, p
        p >>= 1


def _middle(ordered: NDArray[np.float32], count: NDArray[np.int64]) -> NDArray[np.float32]:
    """Median of the first ``count`` of each pixel's ordered values; NaN where there are none."""
    if (count == len(ordered)).all():
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    else:
        place = np.stack([np.maximum(count - 1, 0) // 2, count // 2])
        place = np.minimum(place, len(ordered) - 1)
        low, high = np.take_along_axis(ordered, place, axis=0)
    middle = np.asarray((low + high) * np.float32(0.5))
    middle[count == 0] = np.nan
    return middle
