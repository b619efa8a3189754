"""Frames to cutouts: one field's objects, all bands, on one pixel grid.

Conventions: images are (rows, columns); the centre of pixel (0, 0) is at x = y = 0, x along
columns; values are flux per pixel, and resampling keeps flux, that is it multiplies by the ratio of
the pixels' areas.  A pixel is NaN, never 0, where no frame has data; a resampled pixel is NaN where
any of the 6 x 6 pixels under its kernel is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.pixels import lanczos
from galaxyds.pixels.flags import EDGE, MISSING_BAND, NEIGHBOUR, mask
from galaxyds.pixels.strip import Block, Strip, to_pixels
from galaxyds.pixels.tangent import LINEAR, LinearMap, PixelGrids, linear_map, positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.pixels.frame import Frame

BAND_OFFSET = 16
"""Rows by which one position may differ between bands of an SDSS field (14 seen)."""

_SAME_GRID = 1e-4  # px; a band this close to a whole shift is cropped, not resampled
_STRAIGHT = 0.02  # px; a grid is treated as axis-parallel if rotation moves no pixel by more
_CHUNK = 8  # objects whose patches stay in a processor's cache


@dataclass(frozen=True, kw_only=True)
class FieldCutouts:
    """Cutouts of the objects of one field.

    Attributes
    ----------
    image : ndarray of float32, shape (n, bands, size, size)
        Flux per pixel, axes (object, band, row, column).
    x, y : ndarray of float32, shape (n,)
        0-based column and row of the object in the reference band's cutout, within half a pixel of
        (size - 1) / 2; NaN for a position that the projection does not have.
    flags : ndarray of int32, shape (n,)
        Bits of :data:`galaxyds.pixels.flags.FLAGS`.
    """

    image: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    flags: NDArray[np.int32]


class _Target(NamedTuple):
    """Where cutouts lie on the reference frame: its first rows and columns, and the size."""

    frame: Frame
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    size: int


def cut_field(
    frames: Mapping[str, Frame],
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    bands: Sequence[str],
    size: int,
    align: str,
    reference: str = "r",
    neighbours: Sequence[Mapping[str, Frame]] = (),
) -> FieldCutouts:
    """Cut all objects of a field out of its frames.

    The reference band is never resampled: its pixels are the frame's own, bit for bit.

    Parameters
    ----------
    frames : mapping of str to Frame
        The field's frames by band.  A band that is absent becomes NaN with the flag
        ``missing_band``; the reference band must be there.
    ra, dec : ndarray of float64, shape (n,)
        Positions in degrees (ICRS).  An object off the reference frame gets NaN everywhere and the
        flag ``edge``; it belongs to another field.
    bands : sequence of str
        Bands of the result, in order.
    size : int
        Rows and columns of a cutout.
    align : str
        The reference band: the others are resampled to its pixel grid (Lanczos-3, flux kept), so
        that one sky position has the same pixel in all bands.  ``"none"``: every band is cropped by
        whole pixels around the object's position in that band.
    reference : str
        Band whose grid and position count.
    neighbours : sequence of mapping of str to Frame
        Frames of neighbouring fields of the same run.  They supply rows beyond the field's own
        ends, where their astrometry joins it to a quarter of a pixel; else the rows stay NaN.

    Returns
    -------
    FieldCutouts
        In the order of ``ra``.  An object's bytes do not depend on the others in the call.

    Raises
    ------
    UsageError
        If ``align`` is neither ``"none"`` nor the reference band, the reference band has no frame,
        ``size`` is not positive or ``ra`` and ``dec`` differ in shape.
    """
    _verify(frames, ra, dec, size=size, align=align, reference=reference)
    target, x, y = _locate(frames[reference], ra, dec, size)
    image = np.full((len(ra), len(bands), size, size), np.nan, dtype=np.float32)
    flags = np.zeros(len(ra), dtype=np.int32)
    inside = _inside(target, x, y)
    flags[~inside] |= mask(EDGE)
    kept = np.flatnonzero(inside)
    target = target._replace(top=target.top[kept], left=target.left[kept])
    for k, band in enumerate(bands):
        if band not in frames:
            flags |= mask(MISSING_BAND)
            continue
        strip = Strip(frames[band], [other[band] for other in neighbours if band in other])
        if align == "none":
            own, _, _ = _locate(frames[band], ra[kept], dec[kept], size)
            block = strip.cut(own.top, own.left, height=size, width=size)
        else:
            block = _align(strip, target)
        image[kept, k] = block.pixels
        flags[kept[block.missing]] |= mask(EDGE)
        flags[kept[block.borrowed]] |= mask(NEIGHBOUR)
    left, top = _corner(x, size), _corner(y, size)
    return FieldCutouts(
        image=image, x=(x - left).astype(np.float32), y=(y - top).astype(np.float32), flags=flags
    )


def needs_neighbours(row: NDArray[np.float64], size: int, *, rows: int) -> NDArray[np.bool_]:
    """Which objects may need rows of the previous or the next field.

    Parameters
    ----------
    row : ndarray of float64, shape (n,)
        Approximate row in the reference frame.
    size : int
        Rows of a cutout.
    rows : int
        Rows of a frame.

    Returns
    -------
    ndarray of bool, shape (n,)
        True within half a cutout, :data:`BAND_OFFSET` rows and the kernel's reach of either end;
        also for rows that are not known (NaN).
    """
    reach = size / 2 + BAND_OFFSET + lanczos.REACH + 1
    return np.asarray(~((row >= reach) & (row <= rows - 1 - reach)))


def _verify(
    frames: Mapping[str, Frame],
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    *,
    size: int,
    align: str,
    reference: str,
) -> None:
    if align not in ("none", reference):
        raise UsageError(f"align must be 'none' or the reference band '{reference}', got '{align}'")
    if reference not in frames:
        raise UsageError(f"the reference band '{reference}' has no frame; there are {list(frames)}")
    if size < 1 or ra.ndim != 1 or ra.shape != dec.shape:
        raise UsageError(f"size {size}, ra {ra.shape} and dec {dec.shape} make no cutouts")


def _corner(position: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """First pixel of the box of ``size`` whose centre is nearest to ``position``."""
    return np.asarray(np.ceil(position - size / 2))


def _locate(
    frame: Frame, ra: NDArray[np.float64], dec: NDArray[np.float64], size: int
) -> tuple[_Target, NDArray[np.float64], NDArray[np.float64]]:
    """Boxes around sky positions on a frame, and the positions (column, row) themselves."""
    x, y = to_pixels(frame.wcs, np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    far = 4 * max(frame.pixels.shape) + 4 * size  # beyond this a box is off any frame: stay integer
    left, top = (
        np.nan_to_num(np.clip(_corner(p, size), -far, far), nan=-far).astype(np.int64)
        for p in (x, y)
    )
    return _Target(frame, top, left, size), x, y


def _inside(target: _Target, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows, columns = target.frame.pixels.shape
    return np.asarray((x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5))


def _align(strip: Strip, target: _Target) -> Block:
    """One band on the target's pixel grid, by the cheapest way that is exact enough."""
    if strip.frame is target.frame:
        return strip.cut(target.top, target.left, height=target.size, width=target.size)
    linear = linear_map(strip.frame.wcs, _grids(target), target.size, slopes=_slopes)
    shifted, straight = _is_shift(linear, target.size), _is_straight(linear, target.size)
    n, size = len(target.top), target.size
    result = Block(
        np.empty((n, size, size), np.float32), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    )
    for k in _chunks(np.flatnonzero(shifted)):
        half = (size - 1) / 2
        top, left = (np.rint(a[k, 0] - half).astype(np.int64) for a in linear[:2])
        _store(result, k, strip.cut(top, left, height=size, width=size))
    for k in _chunks(np.flatnonzero(straight & ~shifted)):
        _store(result, k, _resample_straight(strip, linear.of(k), size))
    for k in np.flatnonzero(~(shifted | straight))[:, None]:
        one = target._replace(top=target.top[k], left=target.left[k])
        _store(result, k, _resample_exact(strip, one, linear.of(k)))
    return result


def _chunks(index: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [index[start : start + _CHUNK] for start in range(0, len(index), _CHUNK)]


def _store(result: Block, k: NDArray[np.int64], block: Block) -> None:
    for whole, part in zip(result, block, strict=True):
        whole[k] = part


def _grids(target: _Target) -> PixelGrids:
    top, left = (a + np.float64((target.size - 1) / 2) for a in (target.top, target.left))
    return PixelGrids(target.frame.wcs, top, left)


def _slopes(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes summed by BLAS: bytes of versions that are published hang on its last digit."""
    i, j = np.repeat([-1.0, 0.0, 1.0], 3), np.tile([-1.0, 0.0, 1.0], 3)
    return values @ i / 6, values @ j / 6


def _is_shift(linear: LinearMap, size: int) -> NDArray[np.bool_]:
    """Whether the band's pixels are the target's pixels, a whole shift aside."""
    half = (size - 1) / 2
    off = linear.curvature.copy()
    for fit, axis in ((linear.rows, 1), (linear.columns, 2)):
        start = fit[:, 0] - half
        scale = np.abs(fit[:, 1:] - np.eye(2)[axis - 1]).sum(axis=1) * half
        off = np.maximum(off, np.abs(start - np.rint(start)) + scale)
    return np.asarray(off < _SAME_GRID)


def _is_straight(linear: LinearMap, size: int) -> NDArray[np.bool_]:
    """Whether rows stay rows and columns stay columns, and pixels have about one size."""
    half = (size - 1) / 2
    cross = np.maximum(np.abs(linear.rows[:, 2]), np.abs(linear.columns[:, 1])) * half
    drift = np.maximum(np.abs(linear.rows[:, 1] - 1), np.abs(linear.columns[:, 2] - 1)) * half
    return np.asarray((cross < _STRAIGHT) & (linear.curvature < LINEAR) & (drift < 1))


def _resample_straight(strip: Strip, linear: LinearMap, size: int) -> Block:
    """Two one-dimensional passes over the patches of a few objects."""
    step = np.arange(size) - (size - 1) / 2
    top, rows = lanczos.band_weights(linear.rows[:, :1] + linear.rows[:, 1:2] * step)
    left, columns = lanczos.band_weights(linear.columns[:, :1] + linear.columns[:, 2:] * step)
    rows = (rows * linear.area[:, None, None]).astype(np.float32)
    height, width = size + rows.shape[2] - 1, size + columns.shape[2] - 1
    block = strip.cut(top, left, height=height, width=width)
    pixels = lanczos.separable(block.pixels, rows, columns)
    holed = np.flatnonzero(np.isnan(pixels).any(axis=(1, 2)))
    for k in holed[:, None]:
        pixels[k] = lanczos.separable_with_holes(block.pixels[k], rows[k], columns[k])
    return block._replace(
        pixels=pixels, missing=block.missing & np.isin(np.arange(len(top)), holed)
    )


def _resample_exact(strip: Strip, target: _Target, linear: LinearMap) -> Block:
    """One cutout, every pixel through both world coordinate systems."""
    size = target.size
    row, column = positions(strip.frame.wcs, _grids(target), 0, size)
    top, left = (int(np.floor(a.min())) - lanczos.REACH + 1 for a in (row, column))
    height, width = (
        int(np.floor(a.max())) + lanczos.REACH + 1 - low for a, low in ((row, top), (column, left))
    )
    block = strip.cut(np.array([top]), np.array([left]), height=height, width=width)
    values = lanczos.pointwise(block.pixels[0], row - top, column - left)
    pixels = (values * linear.area).astype(np.float32).reshape(1, size, size)
    return block._replace(pixels=pixels, missing=block.missing & np.isnan(pixels).any())
