"""Foreign text and numbers as people see them: on terminals, pages and cards.

Manifests, results files and answers of servers are written by others.  What is shown here has no
character that hides, reorders or erases what stands around it, and no address that deceives.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from galaxyds.errors import missing_extra

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST = 400
"""Characters of a text that are shown, unless told otherwise, and of an address at most."""
_UNSEEN = ("C", "Zl", "Zp")
"""Unicode categories without a visible form: controls, bidi overrides, surrogates, separators."""


def visible(text: str, limit: int = LONGEST) -> str:
    r"""Return one line in which nothing is hidden.

    White space becomes single spaces; every other character without a visible form is spelt out, as
    ``\u202e``; long text is cut.

    Parameters
    ----------
    text : str
        Of others.
    limit : int
        Longest result, in characters.
    """
    spelt = "".join(char if char.isspace() else _spelt(char) for char in _cut(text, limit))
    return _cut(" ".join(spelt.split()), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _spelt(char: str) -> str:
    if not unicodedata.category(char).startswith(_UNSEEN):
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_lines(text: str, limit: int) -> list[str]:
    """Return lines in which nothing is hidden; the spaces that they begin with are kept.

    Parameters
    ----------
    text : str
        Of others.
    limit : int
        Characters of the whole text that are shown.
    """
    lines = _cut(text, limit).split("\n")
    indents = (len(line) - len(line.lstrip(" ")) for line in lines)
    return [
        " " * indent + visible(line, limit) for indent, line in zip(indents, lines, strict=True)
    ]


def web_link(text: str) -> str:
    """Return the address if ``text`` is one of the web that may become a link, else nothing.

    Only http and https with a host, in printable ASCII, without a user's name in front of the host.

    Parameters
    ----------
    text : str
        Of others.
    """
    plain = text.strip()
    if len(plain) > LONGEST or not plain.isascii() or not plain.isprintable() or " " in plain:
        return ""
    try:
        parts = urlsplit(plain)
        host = parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    return plain


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


def gigabytes(number: int) -> str:
    """Write bytes in decimal units."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} bytes"


def page_environment(package: str, *, extra: str, what: str, longest: int = LONGEST) -> Environment:
    """Return templates in which every text is escaped, and nothing of it hidden.

    Parameters
    ----------
    package : str
        Whose folder ``templates`` they are in.
    extra, what : str
        Extra that brings jinja2, and what needs it, for the message.
    longest : int
        Characters of a text that are shown.

    Returns
    -------
    jinja2.Environment
        An undefined name is an error; texts that are :func:`trusted` stay as they are.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise missing_extra("jinja2", extra, what) from error

    def shown(printed: Any) -> Any:
        is_text = isinstance(printed, str) and not hasattr(printed, "__html__")
        return visible(printed, longest) if is_text else printed

    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def trusted(text: str) -> Any:
    """Mark a text that is made here, such as a figure, as markup."""
    from markupsafe import Markup

    return Markup(text)
