"""Whether a header's projection is the plain gnomonic one that the cutouts here are made on.

The pixel of an object is computed from the reference point and the matrix alone.  Whatever else a
header may say about its projection (distortions, another pole, another system of coordinates) would
move every object, so a file that says it is refused, not approximated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxyds.errors import DataIntegrityError, one_line

TOLERANCE = 0.005
"""Largest relative difference between the expected and the header's pixel scale."""
SQUARE = 0.002
"""Largest relative difference between a pixel's width and height, and largest skew in radians."""

_TYPES = ("RA---TAN", "DEC--TAN")
# Polynomials of SCAMP and SIP, distortion tables and their records, detector-to-image corrections.
_DISTORTION = re.compile(
    r"PV\d+_\d+|(?:A|B|AP|BP)_(?:ORDER|\d+_\d+)|C[PQ](?:DIS|ERR)\d+|D[PQ]\d+(?:\..*)?|D2IM.*"
)
_ADVICE = "resample it to RA---TAN, DEC--TAN with square pixels"
Matrix = tuple[float, float, float, float]


def require_plain(
    header: Mapping[str, Any], where: Path, *, scale: float | None = None, advice: str = _ADVICE
) -> None:
    """Refuse a header whose projection is more than a reference point and a matrix.

    Parameters
    ----------
    header : mapping
        Of the image.
    where : pathlib.Path
        Its file, for the message.
    scale : float, optional
        Expected arcseconds per pixel.
    advice : str
        What to do about a refused file.

    Raises
    ------
    DataIntegrityError
        With ``other_product``: the bytes are sound, the image is another one than expected.
    """
    found = departure(header, scale=scale)
    if found is not None:
        expected, got = found
        raise DataIntegrityError(
            f"{one_line(where.name, 120)}: expected {expected}, got {got}; {advice}",
            file=str(where), expected=expected, got=got, other_product=True,
        )  # fmt: skip


def departure(header: Mapping[str, Any], *, scale: float | None = None) -> tuple[str, str] | None:
    """Find the first thing in which a header departs from the plain projection.

    Parameters
    ----------
    header : mapping
        Of the image.
    scale : float, optional
        Expected arcseconds per pixel.

    Returns
    -------
    (str, str) or None
        What was expected, and what stands there; None for a plain header.
    """
    types = tuple(str(header.get(f"CTYPE{axis}", "none")).strip() for axis in (1, 2))
    if types != _TYPES:
        return "CTYPE RA---TAN and DEC--TAN", one_line(f"{types[0]} and {types[1]}", 60)
    for key in header:
        if _DISTORTION.fullmatch(key):
            return "a projection without distortion", f"{one_line(key, 20)}"
    for axis in (1, 2):
        unit = str(header.get(f"CUNIT{axis}", "deg")).strip()
        if unit not in ("deg", "degree", "degrees", ""):
            return "degrees", f"CUNIT{axis} {one_line(unit, 20)}"
    return _other_system(header) or _other_pole(header) or _other_pixels(header, scale)


def matrix(header: Mapping[str, Any]) -> Matrix:
    """Return CD1_1, CD1_2, CD2_1, CD2_2 in degrees, from whichever keywords state them.

    Those are CD; or CDELT with PC, with the older PC00i00j, or with CROTA2 (FITS standard 4.0,
    section 8.1).

    Parameters
    ----------
    header : mapping
        Of the image.

    Returns
    -------
    tuple of float
        Row by row.

    Raises
    ------
    ValueError
        If one of them is no finite number, or nothing states a scale.
    """
    pairs = [(i, j) for i in (1, 2) for j in (1, 2)]
    if any(f"CD{i}_{j}" in header for i, j in pairs):
        a, b, c, d = (_number(header, f"CD{i}_{j}", 0.0) for i, j in pairs)
        return a, b, c, d
    steps = {i: _number(header, f"CDELT{i}", None) for i in (1, 2)}
    form = "PC00{}00{}" if any(f"PC00{i}00{j}" in header for i, j in pairs) else "PC{}_{}"
    if not any(form.format(i, j) in header for i, j in pairs):
        turn = math.radians(_number(header, "CROTA2", 0.0))
        (x, y), cos, sin = (steps[1], steps[2]), math.cos(turn), math.sin(turn)
        return x * cos, -y * sin, x * sin, y * cos
    a, b, c, d = (
        steps[i] * _number(header, form.format(i, j), 1.0 if i == j else 0.0) for i, j in pairs
    )
    return a, b, c, d


def _other_system(header: Mapping[str, Any]) -> tuple[str, str] | None:
    """ICRS and FK5 of J2000 are one to a hundredth of an arcsecond; no other system is."""
    expected = "coordinates in ICRS or FK5 of J2000"
    named = header.get("RADESYS", header.get("RADECSYS", ""))
    system = str(named).strip().upper()
    if system not in ("", "ICRS", "FK5"):
        return expected, f"RADESYS {one_line(system, 20)}"
    equinox = header.get("EQUINOX", header.get("EPOCH", 2000.0))
    if system != "ICRS" and equinox not in (2000, 2000.0, "J2000", "2000"):
        return expected, f"EQUINOX {one_line(str(equinox), 20)}"
    return None


def _other_pole(header: Mapping[str, Any]) -> tuple[str, str] | None:
    pole = header.get("LONPOLE", 180.0)
    if isinstance(pole, bool) or not isinstance(pole, int | float) or pole != 180:
        return "LONPOLE 180", f"LONPOLE {one_line(str(pole), 20)}"
    return None


def _other_pixels(header: Mapping[str, Any], scale: float | None) -> tuple[str, str] | None:
    try:
        a, b, c, d = (3600 * term for term in matrix(header))
    except ValueError as error:
        return "numbers for CD, or for CDELT and PC", one_line(str(error), 60)
    width, height = math.hypot(a, c), math.hypot(b, d)
    shown = f'pixels of {width:.5g}" x {height:.5g}"'
    if min(width, height) <= 0 or abs(width / height - 1) > SQUARE:
        return "square pixels", shown
    if abs(a * b + c * d) > SQUARE * width * height:
        return "square pixels", "skewed ones"
    side = math.sqrt(abs(a * d - b * c))
    if scale is not None and not abs(side / scale - 1) <= TOLERANCE:
        return f'pixels of {scale}"', f'pixels of {side:.5g}"'
    return None


def _number(header: Mapping[str, Any], key: str, default: float | None) -> float:
    value = header.get(key, default)
    if value is None:
        raise ValueError(f"no {key}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key} {value!r}")
    return float(value)
