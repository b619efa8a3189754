"""A Girder server: the list of an item's files as JSON, and its files with Range, no validator."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.servers.loopback import Fault, LoopbackServer, Reply, Request
from tests.servers.sas import ranged

ITEM = "60ef1e05be2b8ebb048d951d"
DOWNLOAD = re.compile(r"/api/v1/file/([0-9a-f]{24})/download")


class DeepdipEmulator(LoopbackServer):
    """One item with files from memory.

    Parameters
    ----------
    content : mapping
        Bytes by file name.
    changed : mapping
        By file name: what its entry says instead.
    """

    def __init__(
        self,
        content: Mapping[str, bytes],
        *,
        changed: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.content, self.changed = dict(content), dict(changed or {})

    def entry(self, name: str) -> dict[str, Any]:
        told = {"_id": file_id(name), "_modelType": "file", "itemId": ITEM, "name": name,
                "exts": name.split(".")[1:], "size": len(self.content[name]),
                "mimeType": "application/octet-stream"}  # fmt: skip
        return {**told, **self.changed.get(name, {})}

    def handle(self, request: Request) -> Reply:
        if request.path == f"/api/v1/item/{ITEM}/files":
            listed = [self.entry(name) for name in self.content]
            return as_json(listed[: int(request.query.get("limit", 50))])  # as Girder does
        match = DOWNLOAD.fullmatch(request.path)
        names = {file_id(name): name for name in self.content}
        if match is None or match[1] not in names:
            told = {"message": "Invalid item id.", "type": "rest", "field": "id"}
            return as_json(told, 400)
        # No If-Range: Girder states nothing that could be compared.
        plain = {k: v for k, v in request.headers.items() if k != "if-range"}
        reply = ranged(replace(request, headers=plain), self.content[names[match[1]]])
        kept = {k: v for k, v in reply.headers.items() if k not in ("ETag", "Last-Modified")}
        return replace(reply, headers={**kept, "Content-Type": "application/octet-stream"})

    def cut(self, name: str, share: float) -> None:
        """End the next transfer of a file after this share of it."""
        after = int(share * len(self.content[name]))
        self.fail(Fault("cut", where=f"/file/{file_id(name)}", after=after))


def file_id(name: str) -> str:
    """Girder's id of a file here."""
    return hashlib.sha1(name.encode()).hexdigest()[:24]


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json"})
