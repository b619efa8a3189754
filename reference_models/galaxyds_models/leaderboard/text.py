"""Foreign text made safe to show: results files are written by others."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

_LIMIT = 400
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Unicode categories without a visible form: controls, bidi overrides, surrogates, separators."""


def shown(text: str, limit: int = _LIMIT) -> str:
    r"""Return one line in which nothing is hidden.

    White space becomes a space; every other character without a visible form is spelt out, as
    ``\u202e``; long text is cut.

    Parameters
    ----------
    text : str
        From a results file.
    limit : int
        Longest result, in characters.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    spelt = "".join(char if char.isspace() else _spelt(char) for char in cut)
    flat = " ".join(spelt.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _spelt(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def web_link(text: str) -> str:
    """Return the address if ``text`` is one of the web that may become a link, else nothing.

    Only http and https with a host, in printable ASCII, without a user's name in front of the host.
    """
    plain = text.strip()
    if len(plain) > _LIMIT or not plain.isascii() or not plain.isprintable() or " " in plain:
        return ""
    try:
        parts = urlsplit(plain)
        host = parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    return plain
