"""Connections: how many there are, how long they may dawdle, and which one goes for a new one."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.server import ServerState

_log = logging.getLogger(__name__)
IDLE_SECONDS = 30
"""For a client to ask again."""
_REQUEST_SECONDS = 20.0
"""For the head of a request to arrive."""
_STALL_SECONDS = 120.0
"""For a client to take what lies in the buffer."""
_OWN_FILES = 32
"""Descriptors of the server itself: the log, the socket, manifests that are read."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.1
"""Seconds without another try where the system lets nobody in."""
_LOOK_AGAIN = 1.0
_QUIET_SECONDS = 60.0
"""Between two warnings that the system lets nobody in."""


class Connection(H11Protocol):
    """A connection that may neither dawdle over a request nor over an answer.

    Attributes
    ----------
    idle_since : float
        Time of the loop at which it was made, or its last answer ended.
    freed : callable
        Called when it ends or becomes idle.
    """

    idle_since = 0.0
    freed: Callable[[], None] = staticmethod(lambda: None)
    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether its client has nothing to wait for: no request, and the last answer taken."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        is_taken = not self.transport.get_write_buffer_size()
        return is_taken or self.loop.time() - self.idle_since > IDLE_SECONDS

    def leave(self) -> None:
        """Make room for another one."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()  # a close waits until everything is taken
        else:
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._timer = self.loop.call_later(_REQUEST_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that has begun has to arrive in time."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel()
        elif self._timer is None:  # a request has begun and is not complete
            self._timer = self.loop.call_later(_REQUEST_SECONDS, self.transport.abort)

    def on_response_complete(self) -> None:
        """Be idle from now on."""
        self.idle_since = self.loop.time()
        super().on_response_complete()
        self.freed()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._cancel()
        self.resume_writing()
        super().connection_lost(exc)
        self.freed()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what was sent."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client took it."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        super().resume_writing()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Door:
    """Lets clients in one after the other; where it is full, for the one that was idle longest.

    asyncio's own server takes whoever comes, and answers too few descriptors with a traceback for
    each of them.

    Parameters
    ----------
    make : callable
        Makes a connection.
    state : uvicorn.server.ServerState
        Which connections there are.
    limit : int
        How many there may be.
    """

    def __init__(self, make: Callable[[], Connection], state: ServerState, limit: int) -> None:
        self._make = make
        self._state = state
        self._limit = limit
        self._freed = asyncio.Event()
        self._warned = -_QUIET_SECONDS

    async def keep(self, listener: socket.socket) -> None:
        """Let clients in until the task is cancelled."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:
                await self._wait(error)
                continue
            try:
                await self._make_room()
                await loop.connect_accepted_socket(self._enter, client)
            except OSError:  # the client is gone
                client.close()
            except BaseException:
                client.close()
                raise

    def _enter(self) -> Connection:
        made = self._make()
        made.freed = self._freed.set
        return made

    async def _make_room(self) -> None:
        """Let the oldest idle connection go, or wait for one: a transfer is never cut for it."""
        while len(self._state.connections) >= self._limit:
            self._freed.clear()
            self._dismiss()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._freed.wait()

    def _dismiss(self) -> None:
        there = (one for one in self._state.connections if isinstance(one, Connection))
        idle = [one for one in there if one.is_idle]
        if idle:
            min(idle, key=lambda one: one.idle_since).leave()

    async def _wait(self, error: OSError) -> None:
        """Wait after a client that could not be let in; it stays in the queue of the system."""
        now = asyncio.get_running_loop().time()
        if error.errno in _EXHAUSTED:
            self._dismiss()
        if error.errno != errno.ECONNABORTED and now - self._warned > _QUIET_SECONDS:
            self._warned = now
            _log.warning("clients have to wait: %s", error.strerror or error)
        await asyncio.sleep(_PAUSE)


def places(wanted: int) -> int:
    """Number of connections that the limit of open files allows; the soft limit is raised for it.

    Parameters
    ----------
    wanted : int
        At most so many.

    Returns
    -------
    int
        Each may have a file open; at least one.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return wanted
    needed = 2 * wanted + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft != endless and soft < needed:
        more = needed if hard == endless else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    return wanted if soft == endless else min(wanted, max(1, (soft - _OWN_FILES) // 2))
