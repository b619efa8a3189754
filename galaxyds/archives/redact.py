"""What may be shown of a request: no credential, no token, no query string; a server's own words.

Log records of urllib3 carry whole paths, so a filter sits on its loggers from the first import of
the session on.  Secrets that travel in a path (a token) are told to it by value.
"""

from __future__ import annotations

import html
import json
import logging
import re
from urllib.parse import urlsplit, urlunsplit

from galaxyds.errors import one_line

_TAG = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s\"']*")
_WORDS = ("ErrorMessage", "error_message", "message", "error", "detail", "Message")
_LOGGERS = (
    "urllib3.connectionpool",
    "urllib3.connection",
    "urllib3.util.retry",
    "urllib3.poolmanager",
)
HIDDEN = "***"


class Redaction(logging.Filter):
    """Logging filter that hides registered secrets and every query string."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def conceal(self, *secrets: str) -> None:
        """Hide these values wherever they would be shown from now on."""
        self._secrets |= {secret for secret in secrets if len(secret) >= 4}

    def clean(self, text: str) -> str:
        """Return the text with every registered secret hidden."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record before any handler sees it; never drops one."""
        record.msg = self.clean(_QUERY.sub(f"?{HIDDEN}", record.getMessage()))
        record.args = None
        return True


# Log filters belong to the process, so this one does too.
REDACTION = Redaction()


def install() -> None:
    """Put the filter on the loggers that see whole URLs; again is harmless."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(REDACTION)


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: no user, no password, no query, no registered secret."""
    try:
        parts = urlsplit(url)
    except ValueError:  # what is secret in it cannot be told apart
        return "a URL that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    return REDACTION.clean(urlunsplit((parts.scheme, host, parts.path, "", "")))


def looks_like_html(body: bytes, content_type: str = "") -> bool:
    """Whether an answer is a web page, by its type or its first bytes."""
    if content_type.lower().startswith(("text/html", "application/xhtml")):
        return True
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def server_words(body: bytes, content_type: str = "") -> str:
    """Return what a server says in an error: one line, without markup, control codes or secrets.

    Parameters
    ----------
    body : bytes
        Its answer, or the beginning of it.
    content_type : str
        As it named it.

    Returns
    -------
    str
        The message of a JSON answer, title and text of a page, or the text itself; may be empty.
    """
    text = body[:20_000].decode("utf-8", "replace")
    if looks_like_html(body, content_type):
        title = _TITLE.search(text)
        head = html.unescape(title[1]).strip() if title else ""
        rest = html.unescape(_TAG.sub(" ", _TITLE.sub(" ", text)))
        text = rest if head in rest else f"{head}: {rest}"
    else:
        text = _from_json(text) or text
    return one_line(REDACTION.clean(text)).strip(": ")


def _from_json(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    return next((str(found[word]) for word in _WORDS if found.get(word)), "")
