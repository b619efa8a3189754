"""An HTTP server on 127.0.0.1 in a thread: a log of requests and a queue of faults."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HTML_LINE = b"<html><head><title>SkyServer</title></head><body>Down for maintenance</body></html>"
HTML_LINES = (
    b"<!DOCTYPE html>\n<html>\n<head>\n<title>Moved</title>\n<style>p {color: red}</style>\n"
    b"</head>\n<body>\n<p>This page has moved,\n<b>see</b> the front page.</p>\n</body>\n</html>\n"
)
HTML_404 = b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>"
SQL_ERROR = {
    "ErrorCode": 500,
    "ErrorType": "InternalServerError",
    "ErrorMessage": "Invalid column name 'petroRad'.",
    "LogMessageID": "7c1",
    "LogTime": "2024-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Request:
    """What came in: kept in ``server.requests``."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    raw_query: str = ""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What goes out.  ``chunked``: no Content-Length; ``close``: neither, the end is the close."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    close: bool = False
    cut_at: int | None = None


@dataclass(frozen=True)
class Fault:
    """One bad answer, used up by the first request whose path and query contain ``where``.

    Kinds: ``503``, ``429``, ``500`` (no words), ``500json``, ``404``, ``410``, ``401``, ``html``,
    ``html-lines``, ``long-query``, ``error-table``, ``cut`` (connection closed ``after`` bytes of a
    stated length), ``cut-chunked``, ``cut-close`` (length never stated), ``drop`` (no answer),
    ``ignore-range``, ``wrong-range``, ``changed`` (another ETag), ``redirect``, ``gzip-bomb``,
    ``endless``, ``wrong-bytes``, ``body``.
    """

    kind: str
    where: str = ""
    after: int = 1000
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 302


class LoopbackServer:
    """Base of the emulators; use it as a context manager."""

    prefix = ""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def start(self) -> LoopbackServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Any:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def fail(self, *faults: str | Fault) -> None:
        """Put faults into the queue, in order."""
        self.faults += [Fault(f) if isinstance(f, str) else f for f in faults]

    def handle(self, request: Request) -> Reply:
        raise NotImplementedError

    def answer(self, request: Request) -> Reply | None:
        with self._lock:
            self.requests.append(request)
            fault = self._take(request)
        if fault is None:
            return self.handle(request)
        return self.spoil(fault, request)

    def _take(self, request: Request) -> Fault | None:
        text = f"{request.path}?{urllib.parse.urlencode(request.query)}"
        for place, fault in enumerate(self.faults):
            if fault.where in text:
                return self.faults.pop(place)
        return None

    def spoil(self, fault: Fault, request: Request) -> Reply | None:
        html = {"Content-Type": "text/html; charset=utf-8", **fault.headers}
        as_json = {"Content-Type": "application/json; charset=utf-8"}
        plain = {"Content-Type": "text/plain", **fault.headers}
        too_long = (
            b"<html><body><h1>Bad Request</h1>The length of the query string for this request "
            b"exceeds the configured maxQueryStringLength value.</body></html>"
        )
        fixed = {
            "503": Reply(b"<html><body>busy</body></html>", 503, html),
            "429": Reply(b"too many requests", 429, {"Retry-After": "7", **plain}),
            "500": Reply(b"", 500, plain),
            "500json": Reply(fault.body or json.dumps(SQL_ERROR).encode(), 500, as_json),
            "404": Reply(HTML_404, 404, html),
            "410": Reply(HTML_404, 410, html),
            "401": Reply(b"who are you?", 401, plain),
            "html": Reply(HTML_LINE, 200, html),
            "html-lines": Reply(HTML_LINES, 200, html),
            "html-as-text": Reply(HTML_LINES, 200, plain),
            "long-query": Reply(too_long, 400, html),
            "error-table": Reply(
                b"#Table1\nerror_message\n\"error: limit is  top 500000 select top 9, 8\"\n",
                200, plain, chunked=True,
            ),
            "body": Reply(fault.body, 200, plain),
            "redirect": Reply(b"", fault.status, fault.headers),
        }  # fmt: skip
        if fault.kind in fixed:
            return fixed[fault.kind]
        if fault.kind == "gzip-bomb":
            return Reply(_bomb(), 200, {**plain, "Content-Encoding": "gzip"})
        if fault.kind == "drop":
            return None
        return self.twist(fault, request)

    def twist(self, fault: Fault, request: Request) -> Reply:
        """Faults that spoil the right answer."""
        right = self.handle(request)
        if fault.kind == "cut":
            return replace(right, chunked=False, cut_at=fault.after)
        if fault.kind == "cut-chunked":
            return replace(right, chunked=True, cut_at=fault.after)
        if fault.kind == "cut-close":
            return replace(right, chunked=False, close=True, cut_at=fault.after)
        if fault.kind == "wrong-bytes":
            body = bytearray(right.body)
            body[len(body) // 2] ^= 0xFF
            return replace(right, body=bytes(body))
        if fault.kind == "endless":
            return replace(right, body=right.body + bytes(32 << 20), chunked=True)
        raise ValueError(f"no such fault: {fault.kind}")


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 << 20))


def _handler(owner: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            pass

        def handle(self) -> None:
            # A client that hangs up in the middle is part of the tests.
            with contextlib.suppress(ConnectionError, TimeoutError):
                super().handle()

        def respond(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                method=self.command,
                path=urllib.parse.unquote(parts.path),
                query=dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)),
                headers={k.lower(): v for k, v in self.headers.items()},
                body=self.rfile.read(length),
                raw_query=parts.query,
            )
            reply = owner.answer(request)
            if reply is None:
                self.close_connection = True
                return
            self.emit(reply)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815

        def emit(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            elif reply.close:
                self.send_header("Connection", "close")
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            body = reply.body if reply.cut_at is None else reply.body[: reply.cut_at]
            if reply.chunked:
                self.emit_chunks(body, finish=reply.cut_at is None)
            else:
                self.wfile.write(body)
            self.wfile.flush()
            if reply.cut_at is not None:
                self.close_connection = True

        def emit_chunks(self, body: bytes, *, finish: bool) -> None:
            for start in range(0, len(body), 8192):
                piece = body[start : start + 8192]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if finish:
                self.wfile.write(b"0\r\n\r\n")

    return Handler
