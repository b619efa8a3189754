"""Who may ask what: host, method, sizes and token, before anything is looked up.

The client of the hub sends the user's real token to whatever ``HF_ENDPOINT`` names.  Without
``--token`` the header is not even read; nothing here, and nobody behind, writes it down.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from galaxyds.errors import one_line

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)
requests_log = logging.getLogger("galaxyds.serve.requests")
"""One line per request; silent unless ``-v`` gives it a handler."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?", re.IGNORECASE | re.ASCII)
_ABSOLUTE = re.compile(rb"https?://([^/]*)(.*)", re.IGNORECASE | re.DOTALL)
_LONGEST_URL = 4096
_MOST_HEADERS = 16 << 10
_LONGEST_FAILURE = 2000
"""Characters of a failure in the log: a path and what to do about it."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Who is let in.

    Attributes
    ----------
    hosts : frozenset of str
        Names in lower case that a request may call this server; the port does not matter, so
        that a tunnel to another port works.
    addresses : bool
        Let any IP address pass as well: only a name can be pointed at us by somebody else.
    token : str
        What a client has to show; empty if nothing.
    """

    hosts: frozenset[str] = LOOPBACK
    addresses: bool = False
    token: str = field(default="", repr=False)

    def admits(self, host: str) -> bool:
        """Whether a request may come in under this name."""
        return host in self.hosts or (self.addresses and is_address(host))

    def knows(self, authorization: str) -> bool:
        """Whether this is ``Bearer`` and our token, compared in constant time."""
        scheme, _, shown = authorization.partition(" ")
        same = hmac.compare_digest(shown.strip().encode(), self.token.encode())
        return same and scheme.lower() == "bearer"


@dataclass(slots=True)
class Tally:
    """What was answered so far: requests, and bytes of bodies."""

    requests: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: a status, one line, more headers."""

    status: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()


def host_name(header: str) -> str:
    """Take the name out of a ``Host`` header, in lower case; empty if it is not well formed."""
    found = _HOST.fullmatch(header)
    return found[1].strip("[]").lower() if found else ""


def is_address(host: str) -> bool:
    """Whether this is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach a server at this host."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def refusal(scope: Scope, policy: Policy) -> Refusal | None:
    """Find the first reason not to answer a request; None if there is none."""
    headers = Headers(scope=scope)
    return next((found for found in _checks(scope, headers, policy) if found), None)


def _checks(scope: Scope, headers: Headers, policy: Policy) -> Iterator[Refusal | None]:
    yield _sizes(scope, headers)
    yield _host(headers, policy)
    yield _method(scope, headers)
    if policy.token and scope["path"] != "/healthz":
        yield _token(headers, policy)


def _sizes(scope: Scope, headers: Headers) -> Refusal | None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_URL:
        return Refusal(414, f"the address is longer than {_LONGEST_URL} bytes")
    if sum(len(name) + len(value) for name, value in headers.raw) > _MOST_HEADERS:
        return Refusal(431, f"the headers have more than {_MOST_HEADERS} bytes")
    if not scope["path"].startswith("/"):
        return Refusal(400, "the address has to begin with /")
    return None


def _host(headers: Headers, policy: Policy) -> Refusal | None:
    name = host_name(headers.get("host", ""))
    if not name:
        return Refusal(400, "the Host header is missing or malformed")
    if not policy.admits(name):
        return Refusal(421, "no such host here; --allowed-host NAME lets a name of this machine in")
    return None


def _method(scope: Scope, headers: Headers) -> Refusal | None:
    if scope["method"] == "POST" and "/paths-info/" in scope["path"]:
        return None
    if scope["method"] not in ("GET", "HEAD"):
        return Refusal(405, "this hub is read-only", (("Allow", "GET, HEAD"),))
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return Refusal(400, "a request for a file has no body")
    return None


def _token(headers: Headers, policy: Policy) -> Refusal | None:
    if policy.knows(headers.get("authorization", "")):
        return None
    # These words keep the client from taking 401 for "no such repository".
    words = "Invalid credentials in Authorization header"
    message = "this hub asks for its token: set HF_TOKEN to what galaxyds serve printed"
    return Refusal(401, message, (("WWW-Authenticate", "Bearer"), ("X-Error-Message", words)))


class Guard:
    """The first thing a request meets: checks, counts, security headers, one line of log.

    Parameters
    ----------
    app : ASGI application
        Behind it.
    policy : Policy
        Who is let in.
    tally : Tally
        Counts up.
    """

    def __init__(self, app: ASGIApp, policy: Policy, tally: Tally) -> None:
        self._app = app
        self._policy = policy
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        scope = _origin_form(scope)
        self._tally.requests += 1
        watched = _Watched(send, scope["method"], self._tally)
        refused = refusal(scope, self._policy)
        number, began = self._tally.requests, time.monotonic()
        try:
            await (_refused(refused) if refused else self._app)(scope, receive, watched)
        except Exception as error:
            # One line instead of a traceback: a traceback could hold what a client sent.
            what = one_line(f"{type(error).__name__}: {error}", _LONGEST_FAILURE)
            _log.error("request %d failed: %s", number, what)
            if watched.status:
                raise  # the connection is cut, so that nobody takes the rest for complete
            await PlainTextResponse("internal error\n", 500)(scope, receive, watched)
        finally:
            if requests_log.handlers:
                _note(number, scope, watched, time.monotonic() - began)


def _origin_form(scope: Scope) -> Scope:
    """Take scheme and host out of an address that names them: they count, not ``Host``."""
    found = _ABSOLUTE.fullmatch(scope["raw_path"])
    if found is None:
        return scope
    raw = found[2] or b"/"
    others = [(name, value) for name, value in scope["headers"] if name != b"host"]
    headers = [*others, (b"host", found[1])]
    return {**scope, "raw_path": raw, "path": unquote(raw.decode("ascii")), "headers": headers}


def _refused(why: Refusal) -> ASGIApp:
    headers = {"Connection": "close", **dict(why.headers)}
    return PlainTextResponse(f"{why.message}\n", why.status, headers)


def _note(number: int, scope: Scope, watched: _Watched, seconds: float) -> None:
    raw = scope["raw_path"] if scope["raw_path"].startswith(b"/") else b"-"  # could hold a password
    path = one_line(raw.decode("ascii", "replace"), 200)
    method = one_line(scope["method"], 20)
    requests_log.info(
        "%d %s %s %d %d bytes %.0f ms",
        number, method, path, watched.status, watched.bytes, seconds * 1000,
    )  # fmt: skip


class _Watched:
    """``send`` that adds the security headers and counts."""

    def __init__(self, send: Send, method: str, tally: Tally) -> None:
        self._send = send
        self._empty = method == "HEAD"
        self._tally = tally
        self.status = 0
        self.bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY.items():
                headers.setdefault(name, value)
        await self._send(message)
        sent = 0 if self._empty else len(message.get("body", b""))
        self.bytes += sent
        self._tally.bytes += sent
