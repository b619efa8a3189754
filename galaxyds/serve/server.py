"""Running the application: the socket, the limits of a connection, the end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import sys
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from galaxyds.errors import UsageError, one_line
from galaxyds.serve.connections import IDLE_SECONDS, Connection, Door, places
from galaxyds.serve.guard import LOOPBACK, Policy, is_address, is_loopback

if TYPE_CHECKING:
    from typing import Any

    from starlette.types import ASGIApp

_log = logging.getLogger(__name__)
TOKEN = "GALAXYDS_SERVE_TOKEN"
_CONNECTIONS = 256
_BACKLOG = 256
_HEAD_BYTES = 32 << 10
"""Of a request line and its headers while they are incomplete; the guard's own limits are lower."""
_SHORTEST_TOKEN = 16


def policy_for(host: str, *, token: str, allowed: tuple[str, ...] = ()) -> Policy:
    """Decide who is let in.

    Parameters
    ----------
    host : str
        Where the server will listen.
    token : str
        Empty if clients need none.
    allowed : tuple of str
        Further names that clients may use for this machine.

    Returns
    -------
    Policy
        On this machine only: its loopback names.  Elsewhere: these, the host itself, the
        machine's name and any IP address.

    Raises
    ------
    UsageError
        If other machines could ask without a token.
    """
    own = LOOPBACK | {name.lower() for name in allowed}
    if is_loopback(host):
        return Policy(hosts=own | {host}, token=token)
    if not token:
        raise UsageError(
            f"--host {host} lets other machines in, and the dataset's terms may not: add --token, "
            "or leave --host at 127.0.0.1",
            host=host,
        )
    return Policy(hosts=own | {host.lower(), socket.gethostname().lower()}, addresses=True,
                  token=token)  # fmt: skip


def token_from(environment: str) -> tuple[str, bool]:
    """Take the token that was given, or make one.

    Parameters
    ----------
    environment : str
        Value of ``GALAXYDS_SERVE_TOKEN``; empty if it is not set.

    Returns
    -------
    token : str
        The token.
    is_new : bool
        Whether it was made here and the user has yet to be told.

    Raises
    ------
    UsageError
        If what was given is too short or cannot stand in a header.
    """
    if not environment:
        return secrets.token_urlsafe(24), True
    visible = environment.isascii() and environment.isprintable() and " " not in environment
    if not visible or len(environment) < _SHORTEST_TOKEN:
        raise UsageError(
            f"{TOKEN} is too short or has spaces or other than ASCII characters: give at least "
            f"{_SHORTEST_TOKEN} letters and digits, or unset it to have one made"
        )
    return environment, False


def bind(host: str, port: int) -> socket.socket:
    """Listen.

    Parameters
    ----------
    host : str
        Address or name.
    port : int
        0 takes a free one.

    Returns
    -------
    socket.socket
        Listening: clients that connect from now on wait for the server.

    Raises
    ------
    UsageError
        If the port is taken or forbidden, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _no_socket(host, port, error) from error
    try:
        if sys.platform != "win32":  # there it would share a port that is in use
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _no_socket(host, port, error) from error
    return listener


def _no_socket(host: str, port: int, error: OSError) -> UsageError:
    cause = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        cause = "something listens there already: stop it, or choose another --port (0: a free one)"
    elif error.errno == errno.EACCES:
        cause = "ports below 1024 are reserved: choose another --port, such as 8080"
    elif error.errno != errno.EADDRNOTAVAIL and isinstance(error, socket.gaierror):
        cause = f"the host is not known ({cause}): choose another --host, such as 127.0.0.1"
    return UsageError(f"cannot listen on {host} port {port}: {cause}", host=host, port=port)


def base_url(host: str, listener: socket.socket) -> str:
    """Address that a client uses; for a wildcard the name of this machine."""
    port = listener.getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    return (
        f"http://[{name}]:{port}" if is_address(name) and ":" in name else f"http://{name}:{port}"
    )


class _Server(uvicorn.Server):
    """A server that ends at the first signal and leaves the exit code to its caller."""

    def __init__(self, config: uvicorn.Config, limit: int) -> None:
        super().__init__(config)
        self._limit = limit
        self._doors: list[asyncio.Task[None]] = []

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        asyncio.get_running_loop().set_exception_handler(_tell)
        self.servers = []
        make = partial(Connection, self.config, self.server_state, self.lifespan.state)
        door = Door(make, self.server_state, self._limit)
        for listener in sockets or ():
            self._doors.append(asyncio.create_task(door.keep(listener)))
            self._doors[-1].add_done_callback(self._closed)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for door in self._doors:
            door.cancel()
        await asyncio.gather(*self._doors, return_exceptions=True)
        await super().shutdown(sockets)

    def _closed(self, door: asyncio.Task[None]) -> None:
        if not door.cancelled():
            _log.error("nobody can be let in: %s", one_line(repr(door.exception())))
            self.should_exit = True


def _tell(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong outside a request in one line; a traceback could hold what was sent."""
    error = context.get("exception")
    _log.error("%s", one_line(f"{context['message']}: {error!r}"))


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Configure a server: nothing is logged by it, every limit is set.

    Parameters
    ----------
    app : ASGI application
        To be served.

    Returns
    -------
    uvicorn.Server
        ``run(sockets=[...])`` serves until SIGINT or SIGTERM.
    """
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        # Tracebacks could hold what a client sent; the guard logs failures in one line.
        logging.getLogger(name).handlers[:] = [logging.NullHandler()]
        logging.getLogger(name).propagate = False
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=0,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    limit = places(_CONNECTIONS)
    if limit < _CONNECTIONS:
        _log.warning("%d clients at once, more open files are not allowed: raise ulimit -n", limit)
    return _Server(config, limit)


def given_token() -> str:
    """Value of ``GALAXYDS_SERVE_TOKEN``: from the environment only, never from a file."""
    return os.environ.get(TOKEN, "")
