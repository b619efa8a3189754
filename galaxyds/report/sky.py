"""Where the objects are: the whole sky in Aitoff's projection, and close-ups of its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.plots.svg import Frame, dots, framed, label, number, picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

CENTER = 180.0
"""Right ascension in the middle of the map, in degrees."""
_SCALE = 112.0
"""Pixels per radian at the middle of the map."""
_CELL = 2.0
_LEVELS = 5
_FEW = 400
"""Occupied cells up to which each is drawn larger than it is."""
_COARSE = 3.0
"""Degrees of a cell in which objects count as one field."""
_WIDEST = 20.0
"""Degrees above which a field is seen well enough on the map."""
_FIELDS = 4
_DOTS = 2000
"""Objects of a close-up that are drawn."""


def aitoff(ra: NDArray[Any], dec: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project positions; right ascension increases to the left, away from :data:`CENTER`.

    Parameters
    ----------
    ra, dec : ndarray
        Degrees.

    Returns
    -------
    tuple of ndarray of float64
        x in -pi to pi and y in -pi/2 to pi/2, as the projection gives them.
    """
    half = np.radians((CENTER - np.asarray(ra, np.float64) + 180) % 360 - 180) / 2
    tilt = np.radians(np.asarray(dec, np.float64))
    away = np.arccos(np.clip(np.cos(tilt) * np.cos(half), -1, 1))
    stretch = 1 / np.sinc(away / np.pi)
    return 2 * np.cos(tilt) * np.sin(half) * stretch, np.sin(tilt) * stretch


def sky_map(ra: NDArray[Any], dec: NDArray[Any]) -> str:
    """Draw the map: cells of the projection, darker where there are more objects.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, finite.

    Returns
    -------
    str
        SVG of a size that does not grow with n.
    """
    width, height = 2 * np.pi * _SCALE + 12, np.pi * _SCALE + 12
    alt = f"Map of the whole sky with {len(ra):,} objects, right ascension {CENTER:g} in the middle"
    return picture(width, height, alt, _net() + _cells(*_pixels(ra, dec)) + _names())


def _pixels(ra: NDArray[Any], dec: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = aitoff(ra, dec)
    return 6 + _SCALE * (x + np.pi), 6 + _SCALE * (np.pi / 2 - y)


def _net() -> str:
    """Meridians and parallels every 30 degrees, and the rim."""
    along = np.linspace(-90, 90, 31)
    around = np.linspace(CENTER - 179.999, CENTER + 179.999, 61)
    lines = [_curve(np.full_like(along, ra), along) for ra in np.arange(30, 331, 30)]
    lines += [_curve(around, np.full_like(around, dec)) for dec in (-60, -30, 0, 30, 60)]
    rim = "".join(_curve(np.full_like(along, around[end]), along) for end in (0, -1))
    return f'<path class="net" d="{"".join(lines)}"/><path class="axis" d="{rim}"/>'


def _curve(ra: NDArray[Any], dec: NDArray[Any]) -> str:
    points = zip(*(v.tolist() for v in _pixels(ra, dec)), strict=True)
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def _names() -> str:
    ras, decs = np.arange(60, 301, 60), np.array([-60, -30, 30, 60])
    meridians = zip(ras, *_pixels(ras, np.zeros(len(ras))), strict=True)
    parallels = zip(decs, *_pixels(np.full(len(decs), CENTER), decs), strict=True)
    words = [label(x, y + 12, f"{ra}°") for ra, x, y in meridians]
    return "".join([*words, *(label(x, y - 3, f"{dec:+d}°") for dec, x, y in parallels)])


def _cells(x: NDArray[Any], y: NDArray[Any]) -> str:
    """One path per level of density; neighbours in a row are one rectangle."""
    columns, rows = (np.floor_divide(v, _CELL).astype(np.int64) for v in (x, y))
    places, counts = np.unique(np.stack([rows, columns], 1), axis=0, return_counts=True)
    if not len(counts):
        return ""
    depth = np.log1p(counts) / np.log1p(counts.max())
    levels = np.ceil(_LEVELS * depth).astype(int)
    few = " few" if len(counts) <= _FEW else ""
    paths = (
        f'<path class="cell d{level}{few}" d="{_runs(places[levels == level])}"/>'
        for level in range(1, _LEVELS + 1)
    )
    return "".join(path for path in paths if 'd=""' not in path)


def _runs(places: NDArray[np.int64]) -> str:
    if not len(places):
        return ""
    breaks = np.flatnonzero(np.any(np.diff(places, axis=0) != (0, 1), axis=1)) + 1
    starts, ends = np.r_[0, breaks], np.r_[breaks, len(places)] - 1
    return "".join(
        f"M{number(_CELL * places[a, 1])} {number(_CELL * places[a, 0])}"
        f"h{number(_CELL * (b - a + 1))}v{number(_CELL)}h{number(-_CELL * (b - a + 1))}z"
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A close-up.

    Attributes
    ----------
    caption : str
        Where it is, and how many objects are in it and drawn.
    figure : str
        SVG.
    """

    caption: str
    figure: str


def close_ups(ra: NDArray[Any], dec: NDArray[Any]) -> tuple[list[Field], int]:
    """Draw the fields with the most objects, if the objects are in fields.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees, finite.

    Returns
    -------
    tuple of (list of Field, int)
        At most four, and how many fields there are.
    """
    if not len(ra):
        return [], 0
    names = _fields(ra, dec)
    order = np.argsort(-np.bincount(names), kind="stable")
    drawn = [_field(ra[names == name], dec[names == name]) for name in order[:_FIELDS]]
    return [field for field in drawn if field is not None], len(order)


def _fields(ra: NDArray[Any], dec: NDArray[Any]) -> NDArray[np.int64]:
    """Number of the field of every object: occupied cells that touch are one field."""
    from scipy.ndimage import label as connect

    across = int(360 / _COARSE)
    columns = np.floor(ra % 360 / _COARSE).astype(np.int64) % across
    rows = np.clip(np.floor((dec + 90) / _COARSE), 0, 180 / _COARSE - 1).astype(np.int64)
    grid = np.zeros((int(180 / _COARSE), across + 1), bool)
    grid[rows, columns] = True
    grid[:, -1] = grid[:, 0]  # the circle closes
    names, _ = connect(grid, np.ones((3, 3)))
    for first, last in zip(names[:, 0], names[:, -1], strict=True):
        names[names == last] = first
    found = np.unique(names[rows, columns], return_inverse=True)[1]
    return np.asarray(found, dtype=np.int64).reshape(-1)


def _field(ra: NDArray[Any], dec: NDArray[Any]) -> Field | None:
    middle = np.degrees(np.angle(np.exp(1j * np.radians(ra)).mean())) % 360
    ra = middle + (ra - middle + 180) % 360 - 180
    height = np.cos(np.radians(dec.mean()))
    centers = [(v.min() + v.max()) / 2 for v in (ra, dec)]
    spans = np.ptp(ra) * height, np.ptp(dec)
    if max(spans) > _WIDEST:
        return None
    frame = _window((centers[0], centers[1]), (float(spans[0]), float(spans[1])), height)
    # Rows are in the order of ids, which is no order on the sky that a stride could miss.
    step = -(-len(ra) // _DOTS)
    drawn_at = zip(ra[::step].tolist(), dec[::step].tolist(), strict=True)
    places = np.array([(frame.px(x), frame.py(y)) for x, y in drawn_at])
    said = f"around RA {centers[0] % 360:.2f}°, Dec {centers[1]:+.2f}°: {len(ra):,} objects"
    drawn = f", one in {step} drawn" if step > 1 else ""
    figure = framed(frame, f"Field {said}", dots(places), labels=("RA [deg]", "Dec [deg]"))
    return Field(caption=f"{said[0].upper()}{said[1:]}{drawn}", figure=figure)


def _window(center: tuple[float, float], span: tuple[float, float], height: float) -> Frame:
    """Axes with one scale in both directions, and some room around the objects."""
    width, tall = 220.0, 170.0
    scale = 1.1 * max(span[0] / width, span[1] / tall, 0.02 / tall)
    half_ra, half_dec = scale * width / 2 / max(height, 0.01), scale * tall / 2
    return Frame(
        x=(center[0] + half_ra, center[0] - half_ra),
        y=(center[1] - half_dec, center[1] + half_dec),
        width=width,
        height=tall,
        left=56.0,
    )
