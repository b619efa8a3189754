"""Numbers and foreign text for people."""

from __future__ import annotations

import math
import unicodedata
from urllib.parse import urlsplit

LONGEST = 1000
"""Characters of a text that are shown."""
_UNSEEN = ("C", "Zl", "Zp")


def visible(text: str, limit: int = LONGEST) -> str:
    r"""Return one line in which nothing is hidden.

    Characters without a visible form (controls, changes of direction, halves of surrogate pairs)
    are written as ``\u202e``; white space becomes single spaces, long text is cut.

    Parameters
    ----------
    text : str
        From a manifest or a declaration.
    limit : int
        Longest result, in characters.
    """
    if len(text) > limit:
        text = f"{text[: limit - 1]}…"
    flat = " ".join(text.split())
    told = "".join(c if _is_seen(c) else f"\\u{ord(c):04x}" for c in flat)
    return told if len(told) <= limit else f"{told[: limit - 1]}…"


def _is_seen(char: str) -> bool:
    return not unicodedata.category(char).startswith(_UNSEEN)


def link(text: str) -> str:
    """Return an address of the web that may become a link, else nothing."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    plain = text.isascii() and text.isprintable() and " " not in text
    return text if plain and parts.scheme in ("http", "https") and parts.netloc else ""


def count(number: int) -> str:
    """Write a whole number with commas."""
    return f"{number:,}"


def value(number: float | None, digits: int = 4) -> str:
    """Write a measured number with that many significant digits; a dash where there is none."""
    if number is None or not math.isfinite(number):
        return "–"
    return f"{number:.{digits}g}"


def share(number: float | None) -> str:
    """Write a share as a percentage: exact zeros and ones bare, a dash where there is none."""
    if number is None or not math.isfinite(number):
        return "–"
    percent = 100 * number
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if 0 < percent < 0.01:
        return "< 0.01 %"
    return f"{percent:.2f} %" if percent < 10 else f"{percent:.1f} %"


def size(number: int) -> str:
    """Write bytes in decimal units."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} bytes"
