"""What the headers of mosaics say: band, zero point, projection; one table for each.

Every telescope writes its own keywords.  What is not understood is refused by the file's name, with
what to do about it: a mosaic on a guessed scale would spoil a dataset without a trace.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxyds.errors import DataIntegrityError, one_line

BANDS = ("u*", "u", "J", "H", "Ks")
"""Bands that mosaics are taken for."""
FILTER_KEYWORDS = (
    "FILTER", "FILTER1", "FILTNAM", "INSFLNAM", "ESO INS FILT1 NAME", "FILTNAME", "BAND",
)  # fmt: skip
"""Keywords that may name the filter, the first of them counts."""
MAGNITUDE_KEYWORDS = (
    "MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "MAGZEROP", "ZEROPNT", "ZEROPOINT", "SEXMGZPT", "ZP",
)  # fmt: skip
"""Keywords that hold the AB magnitude of one count."""
FLUX_KEYWORDS = ("FLUXMAG0",)
"""Keywords that hold the counts of magnitude 0."""
SYSTEM_KEYWORDS = ("PHOTSYS", "MAGSYS")
"""Keywords that may name another system of magnitudes than AB."""

_ALIASES = {
    # MegaCam's first u filter (MP9301) and its successor (MP9302); CLAUDS and the cutout service
    # of HSC write uS for the first.
    "u*": ("u*", "us", "u-star", "ustar", "u.mp9301", "mp9301", "megacam-us", "cfht-us"),
    "u": ("u", "u.mp9302", "mp9302", "megacam-u", "cfht-u"),
    "J": ("j", "vircam-j", "vista-j"),
    "H": ("h", "vircam-h", "vista-h"),
    "Ks": ("ks", "k", "k-s", "vircam-ks", "vista-ks"),
}
_NAMES = {alias: band for band, aliases in _ALIASES.items() for alias in aliases}
_NOT_USED = re.compile(
    r"(?:vircam-|vista-|hsc-|megacam-|cfht-)?(?:[grizy][2']?|nb\d{3,4})(?:\.mp\d{4})?"
)
_SAME = 1e-3  # magnitudes by which keywords of one header may differ
_PLAUSIBLE = (0.0, 50.0)  # KiDS has 0


def band_of(header: Mapping[str, Any], path: Path) -> str:
    """Return the band of a mosaic: by its header, or by one word of its name.

    Parameters
    ----------
    header : mapping
        Of the image, with what the primary header says where it is silent.
    path : pathlib.Path
        The file, for its name.

    Returns
    -------
    str
        One of :data:`BANDS`; empty for a filter that is known and not used.

    Raises
    ------
    DataIntegrityError
        If neither says which band it is.
    """
    for keyword in FILTER_KEYWORDS:
        named = str(header.get(keyword, "")).strip()
        if not named:
            continue
        plain = named.lower().replace("_", "-").replace(" ", "")
        if plain in _NAMES:
            return _NAMES[plain]
        if _NOT_USED.fullmatch(plain):
            return ""
        raise refused(
            path,
            f"a filter of MegaCam (u*, u) or VIRCAM (J, H, Ks) in {keyword}",
            f"'{one_line(named, 40)}'",
            f"correct {keyword} of the file, or move it out of the folder",
        )
    return _band_by_name(path)


def _band_by_name(path: Path) -> str:
    words = re.split(r"[_.\s-]+", path.stem.lower())
    found = {_NAMES[word] for word in words if word in _NAMES}
    if len(found) == 1:
        return found.pop()
    if not found and any(_NOT_USED.fullmatch(word) for word in words):
        return ""
    raise refused(
        path,
        f"its band in {FILTER_KEYWORDS[0]} or in its name",
        "none" if not found else f"{' and '.join(sorted(found))}",
        f"write {FILTER_KEYWORDS[0]} = 'u*', 'u', 'J', 'H' or 'Ks' into its header",
    )


def zero_point_of(header: Mapping[str, Any], path: Path) -> float:
    """Return the AB magnitude of one count.

    Parameters
    ----------
    header : mapping
        As for :func:`band_of`.
    path : pathlib.Path
        The file, for messages.

    Returns
    -------
    float
        From the first keyword of :data:`MAGNITUDE_KEYWORDS`, or 2.5 log10 of one of
        :data:`FLUX_KEYWORDS`.

    Raises
    ------
    DataIntegrityError
        If there is none, several disagree, one is no plausible number, or it is not of AB.
    """
    for keyword in SYSTEM_KEYWORDS:
        system = str(header.get(keyword, "AB")).strip()
        if system.upper() not in ("AB", "ABMAG", ""):
            raise refused(
                path,
                f"AB magnitudes in {keyword}",
                f"'{one_line(system, 20)}'",
                "write the AB zero point into MAGZERO and AB into this keyword",
            )
    found = {
        keyword: _number(header[keyword], keyword, path)
        for keyword in MAGNITUDE_KEYWORDS
        if keyword in header
    }
    for keyword in FLUX_KEYWORDS:
        if keyword in header:
            flux = _number(header[keyword], keyword, path)
            found[keyword] = 2.5 * math.log10(flux) if flux > 0 else math.nan
    if not found:
        raise refused(
            path,
            f"a zero point in one of {', '.join((*MAGNITUDE_KEYWORDS, *FLUX_KEYWORDS))}",
            "none",
            "look up the AB magnitude of one count where the mosaic is published, and write it "
            "into MAGZERO of its header",
        )
    low, high = min(found.values()), max(found.values())
    if not (_PLAUSIBLE[0] <= low <= high <= _PLAUSIBLE[1]) or high - low > _SAME:
        shown = ", ".join(f"{keyword} {value:.6g}" for keyword, value in found.items())
        raise refused(path, "one plausible zero point", shown, "leave the right one in its header")
    return next(iter(found.values()))


def _number(value: Any, keyword: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        got = f"'{one_line(str(value), 40)}'"
        raise refused(path, f"a number in {keyword}", got, f"correct {keyword} in its header")
    return float(value)


def refused(path: Path, expected: str, got: str, advice: str) -> DataIntegrityError:
    """Make the error for a mosaic that cannot be used.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    expected, got, advice : str
        What it should have, what it has, and what to do about it.

    Returns
    -------
    DataIntegrityError
        Ready to be raised.
    """
    return DataIntegrityError(
        f"mosaic {one_line(path.name, 120)}: expected {expected}, got {got}; {advice}",
        file=str(path),
        expected=expected,
        got=got,
    )
