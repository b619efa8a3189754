"""Running the application: the socket, the limits of a connection, the end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import sys
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from galaxyds.errors import UsageError
from galaxyds.serve.guard import LOOPBACK, Policy, is_address, is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TOKEN = "GALAXYDS_SERVE_TOKEN"
_CONNECTIONS = 256
_BACKLOG = 256
_HEAD_BYTES = 32 << 10
"""Of a request line and its headers while they are incomplete; the guard's own limits are lower."""
_REQUEST_SECONDS = 20.0
"""For the head of a request to arrive."""
_STALL_SECONDS = 120.0
"""For a client to take what lies in the buffer."""
_IDLE_SECONDS = 30
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


class _Connection(H11Protocol):
    """A connection that may neither dawdle over a request nor over an answer."""

    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _CONNECTIONS:
            transport.abort()
            return
        self._timer = self.loop.call_later(_REQUEST_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel()
        elif self._timer is None:  # a request has begun and is not complete
            self._timer = self.loop.call_later(_REQUEST_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        super().resume_writing()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """A server that ends at the first signal and leaves the exit code to its caller."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


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
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # Tracebacks could hold what a client sent; the guard logs failures in one line.
        logging.getLogger(name).handlers[:] = [logging.NullHandler()]
        logging.getLogger(name).propagate = False
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=0,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    return _Server(config)


def given_token() -> str:
    """Value of ``GALAXYDS_SERVE_TOKEN``: from the environment only, never from a file."""
    return os.environ.get(TOKEN, "")
