"""Every morphology column of many cutouts: detection, description and fit, band by band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import MissingExtraError, one_line
from galaxyds.morphology.columns import COUNTS, KEYS, Central, examine
from galaxyds.morphology.sersic import SersicFit, SersicGuess, fit_sersic, neighbour_mask
from galaxyds.morphology.settings import DetectionSettings
from galaxyds.pixels import placed

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIT_KEYS = {
    "sersic_index": "index",
    "sersic_radius": "radius",
    "sersic_axis_ratio": "axis_ratio",
    "sersic_chi2": "chi2",
}
"""Columns of the fit, and the fields of :class:`~galaxyds.morphology.SersicFit` they come from."""
FIT = 1
"""Counts up when the fit or its masks give other values."""
_GUESS = ("x", "y", "flux", "radius", "axis_ratio", "theta")
_OBJECTS = 50
"""Objects that are measured together; it bounds the memory and changes no value."""


def settings_text() -> str:
    """Return what the measurement depends on in one line: other words make a build measure anew."""
    told = ", ".join(f"{name}={value}" for name, value in asdict(DetectionSettings()).items())
    packages = ", ".join(f"{name} {version(name)}" for name in ("sep", "torch"))
    return f"{told}; Sersic fit {FIT}; {packages}"


def measure_cutouts(
    images: NDArray[np.float32],
    psf: NDArray[np.float32],
    *,
    rows: NDArray[np.integer[Any]],
    columns: NDArray[np.integer[Any]],
    bands: Sequence[str],
    device: str = "cpu",
) -> dict[str, NDArray[Any]]:
    """Measure padded cutouts, each without its padding.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, size, size)
        Cutouts of ``rows`` x ``columns`` pixels, padded by :func:`galaxyds.pixels.pad`.
    psf : ndarray of float32, shape (n, bands, p, p)
        Point-spread functions, pixel response included, p odd; all zeros where there is none.
    rows, columns : ndarray of int, shape (n,)
        Size of every cutout before it was padded.
    bands : sequence of str
        Names along the second axis; they become prefixes.
    device : str
        Where fits run: ``cpu`` or ``cuda``.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        ``{band}_{key}`` for the :data:`~galaxyds.morphology.KEYS` and :data:`FIT_KEYS`: int32 for
        counts and flags, float32 else; positions 1-based in the cutout without padding; fits NaN
        where there is none.

    Raises
    ------
    MissingExtraError
        If torch is not installed.
    """
    result = _empty(len(images), bands)
    with one_thread():
        _measure(images, psf, result, rows=rows, columns=columns, bands=bands, device=device)
    return result


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread of the CPU: units run in parallel, and sums keep their order.

    Raises
    ------
    MissingExtraError
        If torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            f"the Sersic fit needs torch, which cannot be imported ({one_line(str(error))}): "
            "pip install 'galaxyds[torch]'",
            package="torch",
            extra="torch",
        ) from error
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measure(
    images: NDArray[np.float32],
    psf: NDArray[np.float32],
    result: dict[str, NDArray[Any]],
    *,
    rows: NDArray[np.integer[Any]],
    columns: NDArray[np.integer[Any]],
    bands: Sequence[str],
    device: str,
) -> None:
    """Fill the columns, some objects at a time."""
    for first in range(0, len(images), _OBJECTS):
        chosen = slice(first, first + _OBJECTS)
        boxes = list(zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True))
        for index, band in enumerate(bands):
            found = _measure_band(images[chosen, index], psf[chosen, index], boxes, device)
            for key, values in found.items():
                result[f"{band}_{key}"][chosen] = values


def _empty(count: int, bands: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {
        f"{band}_{key}": np.zeros(count, np.int32 if key in COUNTS else np.float32)
        for band in bands
        for key in (*KEYS, *FIT_KEYS)
    }


def _measure_band(
    images: NDArray[np.float32],
    psf: NDArray[np.float32],
    boxes: Sequence[tuple[int, int]],
    device: str,
) -> dict[str, NDArray[Any]]:
    """All columns of one band, without its prefix."""
    size = images.shape[-1]
    places = [[placed(size, length) for length in box] for box in boxes]
    inside = [(rows[0], columns[0]) for rows, columns in places]
    found = [examine(image[box]) for image, box in zip(images, inside, strict=True)]
    columns: dict[str, NDArray[Any]] = {
        key: np.array([one.values[key] for one in found]) for key in KEYS
    }
    detected = columns["total_galaxies"] > 0
    # A cutout that lost its edges counts its pixels from where it began.
    lost = np.array([[kept.start for _, kept in place] for place in places]).reshape(-1, 2)
    columns["y_coord"] += np.where(detected, lost[:, 0], 0)
    columns["x_coord"] += np.where(detected, lost[:, 1], 0)
    fit = _fit(found, inside, size=size, psf=psf, device=device)
    columns["morphology_flags"] |= np.where(detected, fit.flags, 0)
    return columns | {key: getattr(fit, name) for key, name in FIT_KEYS.items()}


def _fit(
    found: Sequence[Central],
    inside: Sequence[tuple[slice, slice]],
    *,
    size: int,
    psf: NDArray[np.float32],
    device: str,
) -> SersicFit:
    """Fit every source that was detected; NaN for the others."""
    chosen = [n for n, one in enumerate(found) if one.isophotes is not None]
    result = SersicFit.empty(len(found))
    if not chosen:
        return result
    images = np.zeros((len(chosen), size, size), np.float32)
    mask = np.ones(images.shape, bool)
    guess = np.empty((len(_GUESS), len(chosen)))
    sigma = np.empty(len(chosen))
    for place, n in enumerate(chosen):
        central, box = found[n], inside[n]
        isophotes = central.isophotes
        assert isophotes is not None
        images[place][box] = isophotes.pixels
        mask[place][box] = _ignored(central)
        guess[:, place] = _guess(central, (box[1].start, box[0].start))
        sigma[place] = isophotes.rms
    fit = fit_sersic(
        images,
        psf[chosen],
        SersicGuess(**dict(zip(_GUESS, guess, strict=True))),
        sigma=sigma,
        mask=mask,
        device=device,
    )
    for name, values in vars(result).items():
        values[chosen] = getattr(fit, name)
    return result


def _ignored(central: Central) -> NDArray[np.bool_]:
    """Pixels of a cutout that say nothing of its central source."""
    isophotes = central.isophotes
    assert isophotes is not None
    row = isophotes.table[central.index]
    place = (float(row["x"]), float(row["y"]))
    ignored = neighbour_mask(isophotes.segmentation, central.index + 1, center=place)
    return ignored if isophotes.bad is None else ignored | isophotes.bad


def _guess(central: Central, corner: tuple[int, int]) -> tuple[float, ...]:
    """x, y (0-based in the square), flux, radius, axis ratio and angle to begin a fit with."""
    values = central.values
    return (
        values["x_coord"] - 1 + corner[0],
        values["y_coord"] - 1 + corner[1],
        central.flux,
        values["half_light_radius"],
        1 - values["ellipticity"],
        values["pos_angle"],
    )


__all__ = ["FIT_KEYS", "measure_cutouts", "settings_text"]
