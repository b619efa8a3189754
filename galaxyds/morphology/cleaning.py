"""Which pixels SExtractor hides while it measures a source, and what cleaning does to them.

Every pixel above the detection threshold is blanked line by line as the image is scanned.  Groups
too small to be sources stay blanked.  A source that ``CLEAN`` takes for a bump on a brighter one's
wings is handed to that one and its pixels are put back; if the brighter one was complete already,
the last row of the bump is blanked after that, and stays so.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from galaxyds.morphology.settings import DetectionSettings

ZONE = 10.0
"""A source can take another for a bump within so many times the sum of their major axes."""

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Pixel = tuple[int, int]
Places = tuple[Integers, Integers]


def filtered(pixels: Image, settings: DetectionSettings) -> Image:
    """Image through the 3 x 3 detection filter, with zeros outside.

    Parameters
    ----------
    pixels : numpy.ndarray
        float32 (rows, columns), background subtracted.
    settings : DetectionSettings
        The symmetric kernel.

    Returns
    -------
    numpy.ndarray
        float32 (rows, columns).
    """
    weights = np.array(settings.kernel, dtype=np.float32)
    weights /= np.abs(weights).sum()
    padded = np.zeros((pixels.shape[0] + 2, pixels.shape[1] + 2), dtype=np.float32)
    padded[1:-1, 1:-1] = pixels
    # The kernel is symmetric: three sums replace nine products.
    sides = padded[:, :-2] + padded[:, 2:]
    corners: Image = sides[:-2] + sides[2:]
    edges = sides[1:-1]
    edges += padded[:-2, 1:-1]
    edges += padded[2:, 1:-1]
    corners *= weights[0, 0]
    edges *= weights[0, 1]
    corners += edges
    corners += pixels * weights[1, 1]
    return corners


def blanked(
    pixels: Image,
    segmentation: npt.NDArray[np.int32],
    *,
    table: npt.NDArray[np.void],
    threshold: float,
    settings: DetectionSettings,
) -> Mask:
    """Find the pixels that are hidden, and give removed sources to those that took them.

    Parameters
    ----------
    pixels : numpy.ndarray
        float32 (rows, columns), background subtracted.
    segmentation : numpy.ndarray
        int32 (rows, columns) after cleaning.
    table : numpy.ndarray
        Rows of ``sep.extract``; ``flux`` and ``peak`` of a source that took another are changed.
    threshold : float
        Detection threshold in units of the image.
    settings : DetectionSettings
        Smallest area and strength of the cleaning.

    Returns
    -------
    numpy.ndarray
        bool (rows, columns): pixels of sources, of small groups, and the rows that stay blanked.
    """
    smooth = filtered(pixels, settings)
    above = smooth > threshold
    sources = segmentation > 0
    blank: Mask = above | sources
    if not len(table):
        return blank
    for rows, columns in _removed(above, sources, settings.min_area):
        blank[rows, columns] = False
        if sources[_around(rows, columns, sources.shape)].any():
            continue  # part of a deblended source: put back as it was
        weights = smooth[rows, columns]
        weakest = np.sort(weights)[-settings.min_area] - threshold
        wings = _wings(pixels, segmentation, table, _moments(rows, columns, weights))
        complete = (table["ymax"] < rows.max()) & (wings > weakest)
        taker = int(np.argmax(complete) if complete.any() else np.argmax(wings))
        if complete.any():
            blank[rows[rows == rows.max()], columns[rows == rows.max()]] = True
        table["flux"][taker] += pixels[rows, columns].sum(dtype=np.float64)
        table["peak"][taker] = max(table["peak"][taker], pixels[rows, columns].max())
    return blank


def _removed(above: Mask, sources: Mask, min_area: int) -> Iterator[Places]:
    """Groups of detected pixels that belong to no source, though large enough or part of one."""
    rest = above & ~sources
    seen: set[Pixel] = set()
    for place in np.flatnonzero(rest):
        start = divmod(int(place), rest.shape[1])
        if start in seen:
            continue
        group = _connected(rest, start)
        seen |= group
        rows, columns = np.array(sorted(group)).T
        if len(group) >= min_area or sources[_around(rows, columns, rest.shape)].any():
            yield rows, columns


def _connected(mask: Mask, start: Pixel) -> set[Pixel]:
    """Pixels of a mask that hang together with one of them, also over corners."""
    group, open_ends = {start}, [start]
    while open_ends:
        row, column = open_ends.pop()
        for y in range(max(row - 1, 0), min(row + 2, mask.shape[0])):
            for x in range(max(column - 1, 0), min(column + 2, mask.shape[1])):
                if mask[y, x] and (y, x) not in group:
                    group.add((y, x))
                    open_ends.append((y, x))
    return group


def _around(rows: Integers, columns: Integers, shape: tuple[int, ...]) -> Places:
    """Every pixel of a group and its eight neighbours inside of the image."""
    steps = np.arange(-1, 2)
    y = np.clip(rows[:, None, None] + steps[:, None], 0, shape[0] - 1)
    x = np.clip(columns[:, None, None] + steps, 0, shape[1] - 1)
    return tuple(np.broadcast_arrays(y, x))  # type: ignore[return-value]


def _moments(rows: Integers, columns: Integers, weights: Image) -> tuple[float, float, float]:
    """Barycentre (x, y) of some pixels, and their RMS along the major axis."""
    x, y = np.average(columns, weights=weights), np.average(rows, weights=weights)
    covariance = np.cov(columns, rows, aweights=weights, ddof=0)
    return float(x), float(y), float(np.linalg.eigvalsh(covariance)[-1] ** 0.5)


def _wings(
    pixels: Image,
    segmentation: npt.NDArray[np.int32],
    table: npt.NDArray[np.void],
    bump: tuple[float, float, float],
) -> npt.NDArray[np.float64]:
    """Light that the Moffat profile (beta 1) of each source has at a bump, float64 (sources,).

    The profile is the one that SExtractor's manual gives for cleaning: its core follows from the
    flux, the area above the threshold and the area above half of peak and threshold.  It ends at
    ten times the sum of both major axes.
    """
    thresh, area = table["thresh"].astype(np.float64), np.pi * table["a"] * table["b"]
    half = (thresh + table["peak"]) / 2
    bright = pixels > np.concatenate(([np.inf], half))[segmentation]
    core = np.bincount(segmentation[bright], minlength=len(table) + 1)[1:] - table["tnpix"]
    with np.errstate(divide="ignore", invalid="ignore"):  # the threshold of a noiseless image is 0
        ratio = np.log(np.minimum(thresh / half, 0.99))
        compactness = np.minimum(np.minimum(core, -1) / (2 * ratio * area), 1.0)
        height = table["cflux"] / (2 * area * compactness)
        slope = (height / thresh - 1) * area / table["npix"]
    dx, dy = bump[0] - table["x"], bump[1] - table["y"]
    near = np.hypot(dx, dy) < ZONE * (bump[2] + table["a"])
    form = table["cxx"] * dx**2 + table["cyy"] * dy**2 + table["cxy"] * dx * dy
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.float64] = np.nan_to_num(near * height / (1 + slope * form))
    return found
