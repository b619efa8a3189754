"""What the HSC services need beside the common session: long answers as streams, few connections.

The cutout service turns away who keeps many connections open.  Each of the places is a lock file
that all processes of a user share; a lock ends with its process, however that ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from galaxyds.archives.calls import Call, Setback, cause
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.rate import Clock, RateLimit
from galaxyds.archives.tarstream import CutShort

CONNECTIONS = 4
"""Connections at once that the service's own client suggests."""
INTERVAL = 0.2
"""Seconds between two requests; the service states no limit, so this one is not verified."""

_CHUNK = 1 << 16
_LOOK_AGAIN = 0.2  # seconds until a place is tried again
_Result = TypeVar("_Result")


def shared_rate() -> RateLimit:
    """Return the limit of requests that all processes of a user keep together."""
    return RateLimit(INTERVAL, rate_directory())


class Connections:
    """At most ``most`` connections at once, over all threads and processes of a user.

    Parameters
    ----------
    most : int
        Places.
    directory : pathlib.Path or None
        Where the lock files are; the folder of the request slots by default.  Where it cannot be
        written, the limit holds in this process alone.
    clock : Clock
        Time.
    """

    def __init__(
        self, most: int = CONNECTIONS, directory: Path | None = None, clock: Clock | None = None
    ) -> None:
        self.most = most
        self.directory = directory or rate_directory()
        self.clock = clock or Clock()
        self._own = threading.BoundedSemaphore(most)

    def __getstate__(self) -> dict[str, Any]:
        return {"most": self.most, "directory": self.directory, "clock": self.clock}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._own = threading.BoundedSemaphore(self.most)

    @contextmanager
    def one(self, url: str) -> Iterator[None]:
        """Hold a place at the host of ``url``; waits until there is one."""
        host = urlsplit(url).netloc.rpartition("@")[2].replace(":", "_")
        with self._own:
            lock = self._place(host)
            try:
                yield
            finally:
                if lock is not None:
                    lock.release()

    def _place(self, host: str) -> Any:
        from filelock import FileLock, Timeout

        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            while True:
                for place in range(self.most):
                    lock = FileLock(self.directory / f"{host}.connection{place}.lock")
                    try:
                        return lock.acquire(timeout=0).lock
                    except Timeout:
                        continue
                self.clock.sleep(_LOOK_AGAIN)
        except (OSError, NotImplementedError):  # read-only, or a filesystem without locks
            return None


class Body:
    """An answer's bytes as they come.

    Parameters
    ----------
    reply : requests.Response
        Opened as a stream.
    refuse_start, refuse_size : callable
        Take the first piece, or a number of bytes; raise if they are not acceptable.
    """

    def __init__(
        self,
        reply: requests.Response,
        refuse_start: Callable[[bytes], None],
        refuse_size: Callable[[int], None],
    ) -> None:
        self._pieces = reply.raw.stream(_CHUNK, decode_content=False)
        self._refuse_start, self._refuse_size = refuse_start, refuse_size
        self._rest, self._at = b"", 0
        self.total = 0
        lowered = {name.lower() for name in reply.headers}
        self.complete = bool(lowered & {"content-length", "transfer-encoding"})
        """Whether its end proves that all of it came."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces of an unread body.

        Raises
        ------
        CutShort
            If the connection breaks.
        ArchiveError
            If a web page comes, or too much.
        """
        while True:
            try:
                piece = next(self._pieces, b"")
            except urllib3.exceptions.HTTPError as error:
                raise CutShort(cause(error)) from None
            if not piece:
                return
            if self.total == 0:
                self._refuse_start(piece)
            self.total += len(piece)
            self._refuse_size(self.total)
            yield piece

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end; errors as :meth:`pieces`."""
        if len(self._rest) - self._at < size:
            gathered = [self._rest[self._at :]]
            have = len(gathered[0])
            for piece in self.pieces():
                gathered.append(piece)
                have += len(piece)
                if have >= size:
                    break
            self._rest, self._at = b"".join(gathered), 0
        data = self._rest[self._at : self._at + size]
        self._at += len(data)
        return data


class StreamHttp(Http):
    """The session, with answers that are consumed while they come."""

    def attempt(
        self, call: Call, consume: Callable[[Body], _Result], *, max_bytes: int
    ) -> _Result | Setback:
        """Send once, and hand the body to ``consume``.

        Parameters
        ----------
        call : Call
            The request.
        consume : callable
            Takes the :class:`Body`.
        max_bytes : int
            Largest acceptable body.

        Returns
        -------
        object or Setback
            What ``consume`` returned, or why it came to nothing.

        Raises
        ------
        CredentialsError
            If the account is refused.
        ArchiveError
            If the request is refused, or a web page or too many bytes come.
        """
        reply = self._open(call)
        if isinstance(reply, Setback):
            return reply

        def refuse_size(total: int) -> None:
            if total > max_bytes:
                raise self._error(f"answers with more than {max_bytes} bytes", reply)

        with reply:
            self._refuse_size(reply, 0, max_bytes)
            body = Body(reply, lambda start: self._refuse_page(reply, start), refuse_size)
            try:
                return consume(body)
            except CutShort as error:
                reason = f" ({error})" if str(error) else ""
                return Setback(f"connection cut after {body.total} bytes{reason}")

    def persist(self, once: Callable[[], _Result | Setback], call: Call) -> _Result:
        """Repeat an attempt until it succeeds, with the session's patience.

        Parameters
        ----------
        once : callable
            One attempt: a result, or a setback.
        call : Call
            Names the address in the error.

        Returns
        -------
        object
            The result.

        Raises
        ------
        ArchiveError
            When all attempts are used up.
        """
        return self._retrying(once, call)

    def rest(self) -> None:
        """Pause before what was begun is taken up again."""
        self.clock.sleep(self._pause(0, None))
