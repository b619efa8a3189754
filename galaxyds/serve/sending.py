"""Sending a file: read in pieces by a thread, given up when the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from starlette.responses import Response

from galaxyds.serve.index import FileChangedError
from galaxyds.serve.ranges import Part

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PIECE = 256 << 10
"""Bytes in memory per download."""


class FileResponse(Response):
    """A part of an open file.

    Parameters
    ----------
    stream : file object
        Unbuffered; closed when the answer ends, however it ends.
    part : Part
        Status, and which bytes.
    headers : mapping of str to str
        With ``Content-Length``.
    path : pathlib.Path
        Of the file, for the log.
    address : str
        Of its build, for the log.
    """

    def __init__(
        self,
        stream: BinaryIO,
        part: Part,
        headers: Mapping[str, str],
        *,
        path: Path,
        address: str,
    ) -> None:
        super().__init__(b"", status_code=part.status, headers=headers)
        self._stream = stream
        self._part = part
        self._path, self._address = path, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and bytes; of a HEAD request the head."""
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            head = {"type": "http.response.start", "status": self.status_code}
            await send({**head, "headers": self.raw_headers})
            position = self._part.stop if scope["method"] == "HEAD" else self._part.start
            while position < self._part.stop and not gone.done():
                piece = await asyncio.to_thread(self._read, position)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                position += len(piece)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._stream.close()

    def _read(self, position: int) -> bytes:
        cause = "the file ends there"
        try:
            self._stream.seek(position)
            piece = self._stream.read(min(_PIECE, self._part.stop - position))
        except OSError as error:
            piece, cause = b"", error.strerror or str(error)
        if not piece:
            raise FileChangedError(
                f"{self._path} cannot be read from byte {position} on ({cause}): "
                f"run galaxyds verify {self._address}"
            )
        return piece


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
