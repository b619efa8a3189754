"""What a hub sends, under bounds: small answers into memory, files to the disk.

The session is the client's (proxies, offline mode), its downloads are not used: they take the token
wherever a hub says (Xet), unpack what is packed, and wait for the next byte without an end.  Here
plain bytes are asked for, the token stays on the host that was asked first, and whoever sends too
much or too slowly is given up.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urljoin

from galaxyds._version import __version__
from galaxyds.archives.calls import stated_pause
from galaxyds.download.hub import Hub, origin, transport_error
from galaxyds.errors import one_line, storage_error

LARGEST = 64 << 20
"""Bytes of a small answer, and of all its pages."""
_REDIRECTS = 6
_TIMEOUT = 30.0
_PAUSE, _LONGEST_PAUSE = 1.0, 120.0
_TRIES, _FILE_TRIES = 3, 10
_LEAST, _WINDOW = 60_000, 60.0
"""Bytes that have to come in so many seconds: 1 kB/s."""
_WORDS = 1 << 16
_PASSING = frozenset({408, 429, 502, 503, 504})
_UNREACHABLE = ("ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol")
_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class TooMuchError(ValueError):
    """More bytes came than were allowed."""


def read_small(hub: Hub, url: str, *, limit: int = LARGEST) -> tuple[bytes, str]:
    """Fetch a small answer into memory.

    Parameters
    ----------
    hub : Hub
        Whom to ask.
    url : str
        On its host.
    limit : int
        Largest body, in bytes.

    Returns
    -------
    body : bytes
        As it was sent.
    following : str
        Address of the next page, as the hub names it; empty if there is none.

    Raises
    ------
    TooMuchError
        If the body is larger.
    """

    def once() -> tuple[bytes, str]:
        with _opened(hub, url) as reply:
            body = b"".join(_pieces(reply, limit=limit))
            return body, str(reply.links.get("next", {}).get("url", ""))

    return _patiently(once, tries=_TRIES)


def read_file(
    hub: Hub, url: str, path: Path, *, limit: int, heard: Callable[[int], None] | None = None
) -> None:
    """Bring a file to the disk; after a cut connection it goes on where it was.

    Parameters
    ----------
    hub : Hub
        Whom to ask.
    url : str
        On its host, which may redirect to another one.
    path : pathlib.Path
        Where to write; an old file is replaced.
    limit : int
        Largest size, in bytes.
    heard : callable, optional
        Told how many bytes are here.

    Raises
    ------
    TooMuchError
        If more comes.
    StorageError
        If it cannot be written.
    """

    def once() -> None:
        here = stream.tell()
        with _opened(hub, url, offset=here) as reply:
            if here and not reply.headers.get("content-range", "").startswith(f"bytes {here}-"):
                stream.seek(0)
                stream.truncate()
            for piece in _pieces(reply, limit=limit, before=stream.tell()):
                _append(stream, piece, path)
                if heard is not None:
                    heard(stream.tell())

    try:
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("xb")
    except OSError as error:
        raise storage_error(error, path) from error
    with stream:
        _patiently(once, tries=_FILE_TRIES, reconnect=True)


def _append(stream: IO[bytes], piece: bytes, path: Path) -> None:
    try:
        stream.write(piece)
        stream.flush()
    except OSError as error:
        raise storage_error(error, path) from error


@contextmanager
def _opened(hub: Hub, url: str, *, offset: int = 0) -> Iterator[Any]:
    """Ask, follow redirects without the token, and give an answer whose body is not read yet."""
    from huggingface_hub import get_session
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers(
        token=hub.api.token, library_name="galaxyds", library_version=__version__
    )
    headers["accept-encoding"] = "identity"
    if offset:
        headers["range"] = f"bytes={offset}-"
    first = origin(url)
    for _ in range(_REDIRECTS):
        if origin(url) != first:
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        with get_session().stream(
            "GET", url, headers=headers, follow_redirects=False, timeout=_TIMEOUT
        ) as reply:
            if not reply.has_redirect_location:
                _refuse(reply)
                yield reply
                return
            url = urljoin(url, reply.headers["location"])
    raise ValueError("it redirects in circles")


def _refuse(reply: Any) -> None:
    """Raise what the client raises for a refusal, from no more of the answer than is needed."""
    from huggingface_hub.utils._http import hf_raise_for_status

    if not 200 <= reply.status_code < 300:
        told = {k: v for k, v in reply.headers.items() if k.lower().startswith("x-error-")}
        hf_raise_for_status(
            type(reply)(
                reply.status_code, headers=told, content=_words(reply), request=reply.request
            )
        )
        raise ValueError(f"it answers {reply.status_code}")
    packed = reply.headers.get("content-encoding", "identity")
    if packed.strip().lower() not in ("", "identity"):
        raise ValueError(f"it sends {one_line(packed, 40)} although plain bytes were asked for")


def _words(reply: Any) -> bytes:
    """What a refusal says, if it is JSON as hubs write it."""
    try:
        body = b"".join(_pieces(reply, limit=_WORDS))
        return body if isinstance(json.loads(body), dict) else b"{}"
    except (ValueError, RecursionError):
        return b"{}"


def _pieces(reply: Any, *, limit: int, before: int = 0) -> Iterator[bytes]:
    """Pieces of a body as they come, while they are few enough and come fast enough."""
    received, since, then = before, time.monotonic(), before
    for piece in reply.iter_raw():
        received += len(piece)
        if received > limit:
            raise TooMuchError(f"more than {limit} bytes came")
        now = time.monotonic()
        if now - since >= _WINDOW:
            if received - then < _LEAST:
                raise RuntimeError(f"fewer than {_LEAST:,} bytes came in {_WINDOW:g} s, given up")
            since, then = now, received
        yield piece


def _patiently(once: Callable[[], _Result], *, tries: int, reconnect: bool = False) -> _Result:
    """Try again what may pass: a connection that was cut, a hub that is busy."""
    for left in range(tries - 1, -1, -1):
        try:
            return once()
        except transport_error() as error:
            if not left or not _may_pass(error, reconnect):
                raise
            pause = _pause(error)
            _log.info("%s; once more in %.0f s", one_line(str(error)), pause)
        time.sleep(pause)
    raise AssertionError("unreachable")


def _may_pass(error: Exception, reconnect: bool) -> bool:
    reply = getattr(error, "response", None)
    if reply is not None:
        return reply.status_code in _PASSING
    return reconnect or type(error).__name__ not in _UNREACHABLE


def _pause(error: Exception) -> float:
    reply = getattr(error, "response", None)
    stated = None if reply is None else stated_pause(reply.headers, time.time())
    return _PAUSE if stated is None else min(stated, _LONGEST_PAUSE)
