"""The Science Archive Server: static files with Range, If-Range and ETag, a 404 page in HTML."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.servers.loopback import HTML_404, Fault, LoopbackServer, Reply, Request

# Up to data release 12 the folder is that of BOSS, later that of eBOSS.
FRAME = re.compile(
    r"/sas/(?:dr(?:9|1[0-2])/boss|dr1[3-9]/eboss)/photoObj/frames/301/(\d+)/(\d)/"
    r"(frame-[ugriz]-(\d{6})-(\d)-\d{4}\.fits\.bz2)"
)


class SASEmulator(LoopbackServer):
    """Serves frames from a folder, or from a function of the file's name.

    Parameters
    ----------
    source : path or callable
        A folder that holds ``frame-*.fits.bz2``, or ``name -> bytes | None``.
    """

    prefix = "/sas"

    def __init__(self, source: Path | str | Callable[[str], bytes | None]) -> None:
        super().__init__()
        self.source = source if callable(source) else Path(source)

    def load(self, name: str) -> bytes | None:
        if callable(self.source):
            return self.source(name)
        path = self.source / name
        return path.read_bytes() if path.is_file() else None

    def handle(self, request: Request) -> Reply:
        match = FRAME.fullmatch(request.path)
        placed = match is not None and (int(match[4]), match[5]) == (int(match[1]), match[2])
        # The folder's run is not padded: a padded one is another path, which does not exist.
        body = self.load(match[3]) if placed and match[1] == str(int(match[1])) else None
        if body is None:
            return Reply(HTML_404, 404, {"Content-Type": "text/html"})
        return ranged(request, body)

    def twist(self, fault: Fault, request: Request) -> Reply:
        whole = replace(request, headers={**request.headers, "range": ""})
        if fault.kind == "ignore-range":
            return self.handle(whole)
        if fault.kind == "wrong-range":
            right = self.handle(whole)
            headers = {**right.headers, "Content-Range": f"bytes 5-9/{len(right.body)}"}
            return Reply(right.body[5:10], 206, headers)
        if fault.kind == "changed":
            right = self.handle(whole)
            return replace(right, headers={**right.headers, "ETag": '"another"'})
        return super().twist(fault, request)


def etag(body: bytes) -> str:
    return f'"{hashlib.sha1(body).hexdigest()[:16]}"'


def ranged(request: Request, body: bytes) -> Reply:
    headers = {
        "Content-Type": "application/x-bzip2",
        "ETag": etag(body),
        "Last-Modified": "Mon, 01 Nov 2021 12:00:00 GMT",
        "Accept-Ranges": "bytes",
    }
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if asked is None or (
        condition and condition not in (headers["ETag"], headers["Last-Modified"])
    ):
        return Reply(body, headers=headers)
    first = int(asked[1])
    last = min(int(asked[2] or len(body) - 1), len(body) - 1)
    if first >= len(body):
        return Reply(b"", 416, {**headers, "Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return Reply(body[first : last + 1], 206, headers)
