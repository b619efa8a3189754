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
    "FILTER", "FILTER1", "FILTER2", "FILTNAM", "INSFLNAM", "ESO INS FILT1 NAME", "FILTNAME", "BAND",
)  # fmt: skip
"""Keywords that may name the filter; the first counts that does not say that there is none."""
MAGNITUDE_KEYWORDS = (
    "MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "MAGZEROP", "ZEROPNT", "ZEROPOINT", "SEXMGZPT", "ZP",
)  # fmt: skip
"""Keywords that hold the AB magnitude of one count."""
FLUX_KEYWORDS = ("FLUXMAG0",)
"""Keywords that hold the counts of magnitude 0."""
SYSTEM_KEYWORDS = ("PHOTSYS", "MAGSYS")
"""Keywords that name the system of the magnitudes."""
# What files of these surveys say was read in no file of theirs: all of this table is unverified.
VEGA_KEYWORDS = ("MAGZPT",)
"""Of these, keywords whose magnitudes are those of Vega, for one count per second, in the files of
CASU (VIRCAM) at least: AB has to be said."""
VEGA_BANDS = ("J", "H", "Ks")
"""Bands whose magnitudes are as often those of Vega as AB: AB has to be said."""
COUNTS = (
    "adu", "count", "counts", "ct", "cts", "dn", "electron", "electrons", "e-", "e", "photon",
    "photons",
)  # fmt: skip
"""Units (``BUNIT``) that are counts; each may be per second.  Without a unit, counts."""
KIND_KEYWORDS = ("PRODCATG", "IMATYPE", "IMAGETYP", "OBSTYPE")
"""Keywords that may say that a file is no image of the sky: a weight map, or another ancillary."""

_ALIASES = {
    # MegaCam's first u filter (MP9301) and its successor (MP9302); CLAUDS and the cutout service
    # of HSC write uS for the first.
    "u*": ("u*", "us", "u-star", "ustar", "u.mp9301", "mp9301", "megacam-us", "cfht-us"),
    "u": ("u.mp9302", "mp9302"),
    "Ks": ("ks", "k-s", "vircam-ks", "vista-ks"),
}
_NAMES = {alias: band for band, aliases in _ALIASES.items() for alias in aliases}
# Johnson's U is not u, and K is not Ks: of a single letter the case matters.
_LETTER = re.compile(r"(?:(?i:megacam|cfht)-)?(u)|(?:(?i:vircam|vista)-)?([JH])")
_NOT_USED = re.compile(
    r"(?:vircam-|vista-|hsc-|megacam-|cfht-)?(?:[grizy][2']?|nb\d{3,4})(?:\.mp\d{4})?"
)
_NO_FILTER = re.compile(r"(?i)(?:clear|open|none|empty|no-?filter|n/?a|-*)[-\d]*")
_SAME = 1e-3  # magnitudes by which keywords of one header may differ
_PLAUSIBLE = (15.0, 50.0)
_AB = ("AB", "ABMAG", "AB MAG", "MAG(AB)")
_PER_SECOND = re.compile(r"(?i)\s*(?:/\s*s(?:ec(?:ond)?)?|\s+s(?:\*\*|\^)?-1)$")


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
        plain = named.replace("_", "-").replace(" ", "")
        if _NO_FILTER.fullmatch(plain):
            continue
        if band := _named(plain):
            return band
        if _NOT_USED.fullmatch(plain.lower()):
            return ""
        raise refused(
            path,
            f"a filter of MegaCam (u*, u) or VIRCAM (J, H, Ks) in {keyword}",
            f"'{one_line(named, 40)}'",
            f"correct {keyword} of the file, or move it out of the folder",
        )
    return _band_by_name(path)


def _named(word: str) -> str:
    """Return the band that a word names, or nothing."""
    letter = _LETTER.fullmatch(word)
    return (letter[1] or letter[2]) if letter else _NAMES.get(word.lower(), "")


def _band_by_name(path: Path) -> str:
    words = re.split(r"[_.\s-]+", path.stem)
    found = {band for word in words if (band := _named(word))}
    if len(found) == 1:
        return found.pop()
    if not found and any(_NOT_USED.fullmatch(word.lower()) for word in words):
        return ""
    raise refused(
        path,
        f"its band in {FILTER_KEYWORDS[0]} or in its name",
        "none" if not found else f"{' and '.join(sorted(found))}",
        f"write {FILTER_KEYWORDS[0]} = 'u*', 'u', 'J', 'H' or 'Ks' into its header",
    )


def require_image(header: Mapping[str, Any], path: Path) -> None:
    """Refuse what is no image in counts: weight maps and the like, and surface brightnesses.

    Parameters
    ----------
    header : mapping
        As for :func:`band_of`.
    path : pathlib.Path
        The file, for messages.

    Raises
    ------
    DataIntegrityError
        If :data:`KIND_KEYWORDS` or ``BUNIT`` say so.
    """
    for keyword in KIND_KEYWORDS:
        said = str(header.get(keyword, ""))
        if re.search(r"(?i)ancillary|weight|conf(?:idence)?map|\brms\b|\bmask\b", said):
            raise refused(
                path, f"an image of the sky in {keyword}", f"'{one_line(said, 40)}'",
                "a weight map of x.fits is used if it is called x.weight.fits",
            )  # fmt: skip
    unit = str(header.get("BUNIT", "")).strip()
    if unit and _PER_SECOND.sub("", unit).strip().lower() not in COUNTS:
        raise refused(
            path, "counts in BUNIT", f"'{one_line(unit, 30)}'",
            "convert it to counts whose AB zero point is known",
        )  # fmt: skip


def zero_point_of(header: Mapping[str, Any], path: Path, *, band: str) -> float:
    """Return the AB magnitude of one count.

    Parameters
    ----------
    header : mapping
        As for :func:`band_of`.
    path : pathlib.Path
        The file, for messages.
    band : str
        Of :data:`BANDS`.

    Returns
    -------
    float
        From the first keyword of :data:`MAGNITUDE_KEYWORDS`, or 2.5 log10 of one of
        :data:`FLUX_KEYWORDS`.

    Raises
    ------
    DataIntegrityError
        If there is none, several disagree, one is no plausible number, it is not of AB, or it may
        be of Vega or for one count per second.
    """
    found = {
        keyword: _number(header[keyword], keyword, path)
        for keyword in MAGNITUDE_KEYWORDS
        if keyword in header
    }
    brightest = _PLAUSIBLE[0] if found else 0.0  # a flux that is given is meant
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
    _require_ab(header, path, vega=band in VEGA_BANDS or any(k in header for k in VEGA_KEYWORDS))
    low, high = min(found.values()), max(found.values())
    if not (brightest <= low <= high <= _PLAUSIBLE[1]) or high - low > _SAME:
        shown = ", ".join(f"{keyword} {value:.6g}" for keyword, value in found.items())
        raise refused(
            path, f"one plausible zero point, {_PLAUSIBLE[0]:g} to {_PLAUSIBLE[1]:g}", shown,
            "leave the right one in its header; where a count is another flux, write the counts "
            "of AB magnitude 0 into FLUXMAG0, and remove the others",
        )  # fmt: skip
    return next(iter(found.values()))


def _require_ab(header: Mapping[str, Any], path: Path, *, vega: bool) -> None:
    """Refuse another system than AB; where Vega's is as likely, AB has to be said."""
    said = {k: str(header[k]).strip() for k in SYSTEM_KEYWORDS if str(header.get(k, "")).strip()}
    for keyword, system in said.items():
        if system.upper() not in _AB:
            raise refused(
                path, f"AB magnitudes in {keyword}", f"'{one_line(system, 20)}'",
                "write the AB zero point into MAGZERO and AB into this keyword",
            )  # fmt: skip
    if vega and not said:
        raise refused(
            path, f"AB in {' or '.join(SYSTEM_KEYWORDS)}, for its zero point may be of Vega",
            "nothing", "look it up where the mosaic is published: write the AB magnitude of one "
            "count into MAGZERO, and AB into PHOTSYS",
        )  # fmt: skip
    for keyword in VEGA_KEYWORDS:
        if keyword in header and header.get("EXPTIME", 1) != 1:
            raise refused(
                path, f"EXPTIME 1 beside {keyword}, which may be for one count per second",
                f"EXPTIME {one_line(str(header['EXPTIME']), 20)}",
                f"write the AB magnitude of one count into MAGZERO, and remove {keyword}",
            )  # fmt: skip


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
