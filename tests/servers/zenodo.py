"""Zenodo: a record as JSON in either shape, and its files with Range, If-Range and ETag."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.servers.loopback import Fault, LoopbackServer, Reply, Request
from tests.servers.sas import ranged

NOT_FOUND = {"status": 404, "message": "The persistent identifier does not exist."}
CONTENT = re.compile(r"/api/records/(\d+)/files/([^/]+)/content")
DOWNLOAD = re.compile(r"/records/(\d+)/files/([^/]+)")


class ZenodoEmulator(LoopbackServer):
    """One record with files from memory.

    Parameters
    ----------
    content : mapping
        Bytes by file name.
    shape : str
        ``listed`` (``key``, ``links.self``, ``md5:...``) or ``migrated`` (``filename``, bare md5).
    record : str
        Its number.
    changed : mapping
        By file name: what its entry says instead (a wrong checksum, another host, another name).
    """

    def __init__(
        self,
        content: Mapping[str, bytes],
        *,
        shape: str = "listed",
        record: str = "11117528",
        changed: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.content, self.shape, self.record = dict(content), shape, record
        self.changed = dict(changed or {})

    def entry(self, name: str) -> dict[str, Any]:
        body = self.content[name]
        md5 = hashlib.md5(body).hexdigest()
        if self.shape == "migrated":
            told = {"id": "0" * 8, "filename": name, "filesize": len(body), "checksum": md5}
        else:
            address = f"{self.url}/api/records/{self.record}/files/{name}/content"
            told = {"id": "0" * 8, "key": name, "size": len(body), "checksum": f"md5:{md5}",
                    "links": {"self": address}}  # fmt: skip
        return {**told, **self.changed.get(name, {})}

    def handle(self, request: Request) -> Reply:
        if request.path == f"/api/records/{self.record}":
            told = {
                "id": int(self.record),
                "conceptrecid": str(int(self.record) - 1),
                "doi": f"10.5281/zenodo.{self.record}",
                "metadata": {"title": "A record", "license": {"id": "cc-by-4.0"}},
                "links": {"self": f"{self.url}{request.path}"},
                "files": [self.entry(name) for name in self.content],
            }
            return as_json(told)
        return self.file(request)

    def file(self, request: Request) -> Reply:
        match = CONTENT.fullmatch(request.path)
        if match is None and request.query.get("download") == "1":
            match = DOWNLOAD.fullmatch(request.path)
        if match is None or match[1] != self.record or match[2] not in self.content:
            return as_json(NOT_FOUND, 404)
        reply = ranged(request, self.content[match[2]])
        headers = {**reply.headers, "Content-Type": "application/octet-stream"}
        return replace(reply, headers={**headers, "X-RateLimit-Limit": "60"})

    def cut(self, name: str, share: float) -> None:
        """End the next transfer of a file after this share of it."""
        self.fail(Fault("cut", where=f"/files/{name}", after=int(share * len(self.content[name]))))


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json"})
