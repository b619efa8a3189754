"""What passes between an archive and the session: a call, an answer, a setback, a policy."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3

from galaxyds.archives.redact import server_words


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How patient the session is.

    Attributes
    ----------
    attempts : int
        Tries per request; at 20 % faults ten of them leave 1e-7 of the requests undone.
    backoff, longest_pause : float
        First pause in seconds, doubled each time, and the longest.
    longest_retry_after : float
        Seconds; a longer ``Retry-After`` is cut to this.
    timeout : (float, float)
        Seconds to connect, and between two pieces of an answer.
    first_attempts : int or None
        Tries while no connection has come about and none ever did in this session: a wrong address
        is said soon.  None for as many as ever.
    """

    attempts: int = 10
    backoff: float = 0.5
    longest_pause: float = 60.0
    longest_retry_after: float = 120.0
    timeout: tuple[float, float] = (15.0, 120.0)
    first_attempts: int | None = None

    def tries(self, is_there: bool) -> int:
        """Tries that a request is worth, by whether anybody ever answered or does now."""
        if self.first_attempts is None or is_there:
            return self.attempts
        return min(self.first_attempts, self.attempts)

    def pause(self, attempt: int, stated: float | None, jitter: float) -> float:
        """Seconds to wait after a try, counted from 0; ``jitter`` in [0, 1) spreads them."""
        if stated is not None:
            return min(stated, self.longest_retry_after) + jitter * 0.1
        longest = min(self.backoff * 2.0**attempt, self.longest_pause)
        return longest * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A complete answer: status, headers, body, and the URL as it may be shown."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def content_type(self) -> str:
        """Media type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def words(self) -> str:
        """What the server says, as one line."""
        return server_words(self.body, self.content_type)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request.

    Attributes
    ----------
    method, url : str
        What to ask.
    headers : mapping
        Beside the session's own.
    json : object
        Body, or None.
    body : bytes or None
        Body of another type, which a header names.
    secret : bool
        Whether it carries credentials: then no redirect is followed.
    repeatable : bool
        Whether asking twice does no harm; otherwise only a refusal (429, 503) is retried.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: bytes | None = None
    secret: bool = False
    repeatable: bool = True


class Setback(NamedTuple):
    """An attempt that failed in a way that may pass; ``unreachable`` if nothing was connected."""

    reason: str
    status: int | None = None
    retry_after: float | None = None
    refused: bool = False
    unreachable: bool = False


def is_unreachable(error: requests.exceptions.RequestException) -> bool:
    """Whether no connection came about: the name is unknown, nobody listens or answers there."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    reason = getattr(inner, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def cause(error: BaseException) -> str:
    """Name what went wrong below requests, without its text: that holds the whole URL."""
    seen: BaseException | None = error
    named = "connection failed"
    for _ in range(10):
        if isinstance(seen, urllib3.exceptions.NameResolutionError):
            return "host name not known"
        refused = isinstance(seen, urllib3.exceptions.NewConnectionError)  # also a "timeout" there
        timeouts = requests.exceptions.Timeout | urllib3.exceptions.TimeoutError
        if isinstance(seen, timeouts) and not refused:
            return "no answer in time"
        if isinstance(seen, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
            named = "the connection is not secure"
        if isinstance(seen, OSError) and seen.strerror and seen.errno:
            return seen.strerror
        inner = [a for a in getattr(seen, "args", ()) if isinstance(a, BaseException)]
        reason = getattr(seen, "reason", None)
        following = [reason] if isinstance(reason, BaseException) else inner
        seen = following[0] if following else (seen.__cause__ or seen.__context__ if seen else None)
        if seen is None:
            break
    return named


def refused_redirect(call: Call, url: str, target: str) -> str:
    """Say why a request is not sent on to where its answer points; empty if it may be.

    Parameters
    ----------
    call : Call
        The request.
    url : str
        Where it was sent last.
    target : str
        Complete address that the answer names.

    Returns
    -------
    str
        The end of a sentence, without the address.
    """
    old, new = urlsplit(url), urlsplit(target)
    if call.secret or "@" in old.netloc:
        return "which is not followed with credentials: check the service's address"
    if call.method != "GET":
        way = "use the https address" if new.scheme == "https" else "check the service's address"
        return f"where a form is not sent on to: {way}"
    allowed = ("https",) if old.scheme == "https" else ("http", "https")
    return "" if new.scheme in allowed else "which is refused"


def stated_pause(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer asks to wait (``Retry-After``, RFC 9110, section 10.2.3).

    Parameters
    ----------
    headers : mapping
        Of the answer.
    now : float
        Seconds since the epoch.

    Returns
    -------
    float or None
        None if it does not say.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, when - now)
