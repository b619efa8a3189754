"""Ten thousand paths that try to leave the index: nothing from outside comes back."""

from __future__ import annotations

import hashlib
import random
import re
import socket

import pytest

from tests.serve.running import CANARY

COUNT = 10_000
STEPS = (
    "..",
    "%2e%2e",
    ".%2e",
    "%252e%252e",
    "..%00",
    "..;",
    "...",
    "..%c0%af",
    "%c0%ae%c0%ae",
    "..\\",
    "..%5c",
    "..%255c",
    "%ef%bc%8e%ef%bc%8e",
    ".",
    "",
    "%",
    "%zz",
    "%u002e",
    "~",
    "$HOME",
)
TARGETS = (
    "etc/passwd",
    "canary.txt",
    "canary.parquet",
    "images.hdf5",
    ".work/canary.txt",
    "hub/canary.txt",
    "hub/extended/canary.parquet",
    "manifest.json",
    "proc/self/environ",
    "tiny_sky/extended/1.2.0/images.hdf5",
    "extended/images.hdf5",
    "extended/canary.txt",
    "etc%2fpasswd",
    "etc%252fpasswd",
    "canary.txt%00.parquet",
    "README.md%00",
    "canary%2etxt",
    "C:%5cWindows%5cwin.ini",
    "extended/train-00000-of-00001.parquet/.",
)
STARTS = (
    "/datasets/galaxyds/tiny_sky/resolve/main/", "/datasets/galaxyds/tiny_sky/resolve/v1.2.0/",
    "/datasets/galaxyds/tiny_sky/resolve/", "/datasets/galaxyds/", "/datasets/", "/", "//", "",
    "/api/datasets/galaxyds/tiny_sky/tree/main/", "/api/datasets/galaxyds/tiny_sky/tree/",
    "/api/datasets/galaxyds/tiny_sky/revision/", "/api/datasets/galaxyds/", "/api/datasets/",
    "/datasets/galaxyds/tiny_sky/resolve/main/extended/", "http://127.0.0.1/", "file:///", "\\\\",
    "/datasets/galaxyds/..%2f..%2fresolve/main/", "/datasets/galaxyds/%2fetc/resolve/main/",
)  # fmt: skip
JOINTS = ("/", "%2f", "%2F", "\\", "%5c", "//", "%252f", "%c0%af", "%00", "/./")


@pytest.fixture(scope="module")
def allowed(root):
    """Hashes of the files on the disk that may be seen: Parquet, cards and manifests of builds."""
    kept = [p for p in root.glob("*/*/*/**/*") if p.is_file() and p.name != "images.hdf5"]
    kept = [p for p in kept if CANARY not in p.read_bytes()]
    return {hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def hostile(chance: random.Random) -> bytes:
    steps = chance.choices(STEPS, k=chance.randrange(12))
    joint = chance.choice(JOINTS)
    path = chance.choice(STARTS) + joint.join([*steps, chance.choice(TARGETS)])
    kind = chance.randrange(20)
    if kind == 0:
        path += "a" * chance.choice((200, 5000, 70_000))
    elif kind == 1:
        path += "?" + chance.choice(("recursive=true&cursor=..", "path=../canary.txt", "%00"))
    elif kind == 2:
        where = chance.randrange(len(path) + 1)
        path = (
            path[:where]
            + chr(chance.choice((0, 9, 10, 13, 27, 32, 127, 233, 0x202E, 0xFF0E)))
            + path[where:]
        )
    return path.encode("utf-8")


class Keeping:
    """A connection that is kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket: socket.socket | None = None

    def ask(self, target: bytes) -> tuple[int, bytes, bytes]:
        """Status (0: hung up), head in lower case, body."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        try:
            self.socket.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, body = self.receive()
        except ConnectionError:
            head, body = b"", b""
        if not head or b"\r\nconnection: close" in head:
            self.end()
        return int(head.split()[1]) if head else 0, head, body

    def receive(self) -> tuple[bytes, bytes]:
        assert self.socket is not None
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.piece()
        head, _, body = data.partition(b"\r\n\r\n")
        head = head.lower()
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += self.piece()
        while length is None and (piece := self.socket.recv(1 << 20)):
            body += piece
        return head, body

    def piece(self) -> bytes:
        assert self.socket is not None
        found = self.socket.recv(1 << 20)
        if not found:
            raise ConnectionError
        return found

    def end(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def test_no_hostile_path_brings_a_byte_from_outside(hub, allowed):
    chance, connection = random.Random(20260628), Keeping(hub.port)
    seen: dict[int, int] = {}
    for _ in range(COUNT):
        target = hostile(chance)
        status, head, body = connection.ask(target)
        answer = head + body
        seen[status] = seen.get(status, 0) + 1
        assert status < 500, target
        assert CANARY not in answer, target
        assert b"root:" not in answer, target
        assert b"\x89HDF" not in answer, target
        if status == 200 and b"\r\netag:" in head:
            assert hashlib.sha256(body).hexdigest() in allowed, target
    connection.end()
    assert hub.get("/healthz")[0] == 200
    assert seen.get(404, 0) > COUNT // 2  # they were looked up, not all turned away at the door
    assert seen.get(0, 0) < COUNT // 20


def test_the_canaries_are_where_a_careless_server_would_find_them(root):
    """The test above means nothing if they are not."""
    build = root / "tiny_sky" / "extended" / "1.2.0"
    for place in (root.parent, root, root / ".work", build, build / "hub" / "extended"):
        assert (place / "canary.txt").read_bytes() == CANARY
