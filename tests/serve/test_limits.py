"""Clients that dawdle, take nothing, or come in crowds are let go."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from galaxyds.serve import connections, server
from galaxyds.serve.connections import places
from tests.serve.running import in_thread, our_lines, running
from tests.small_build import make_build

pytestmark = pytest.mark.usefixtures("known")
SHARD = "/datasets/galaxyds/tiny_sky/resolve/main/extended/train-00000-of-00001.parquet"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port, text=b"", buffer=None):
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    client.sendall(text)
    return client


def everything(client):
    received = b""
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("before", [b"", HEALTH])
@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\n"])
def test_a_request_that_does_not_arrive_is_not_waited_for(tmp_path, monkeypatch, before, begun):
    monkeypatch.setattr(connections, "_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    make_build(tmp_path)
    with in_thread(tmp_path) as (port, _), connect(port, before) as client:
        answered = b""
        while before and not answered.endswith(b"ok\n"):
            answered += client.recv(65536)
        client.sendall(begun)
        assert everything(client) == b""


def test_a_client_that_takes_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "_STALL_SECONDS", 0.2)
    make_build(tmp_path, 20_000)
    request = f"GET {SHARD} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with in_thread(tmp_path) as (port, _), connect(port, request, 4096) as client:
        with connect(port, HEALTH) as other:  # the server has other things to do
            assert other.recv(15) == b"HTTP/1.1 200 OK"
        received = client.recv(1000)
        size = int(received.lower().partition(b"content-length: ")[2].split()[0])
        wait(port)
        assert len(everything(client)) < size


def wait(port):
    """Wait as long as the server needs to give up on the other client: twice its patience."""
    with connect(port) as idle:
        idle.settimeout(0.5)
        with pytest.raises(TimeoutError):
            idle.recv(1)


@pytest.fixture
def three(tmp_path, monkeypatch):
    """A server with three places."""
    monkeypatch.setattr(server, "_CONNECTIONS", 3)
    make_build(tmp_path, 20_000)
    with in_thread(tmp_path) as (port, _):
        yield port


def is_answered(client):
    return client.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("text", [b"", HEALTH, HEALTH[:30]])
def test_where_all_places_are_taken_the_one_that_was_idle_longest_goes(three, text):
    inside = [connect(three, text)]
    if text == HEALTH:
        assert is_answered(inside[0])
    for _ in range(2):
        inside.append(connect(three, HEALTH))
        assert is_answered(inside[-1])
    with connect(three, HEALTH) as late:
        assert is_answered(late)
    everything(inside[0])  # ends
    for client in inside[1:]:
        everything_there = client.recv(65536)
        assert everything_there.endswith(b"ok\n")
        client.sendall(HEALTH)
        assert is_answered(client)
    for client in inside:
        client.close()


def test_a_transfer_is_not_cut_for_a_newcomer(three):
    request = f"GET {SHARD} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    busy = [connect(three, request, 4096) for _ in range(3)]
    heads = [client.recv(1000) for client in busy]
    with connect(three, HEALTH) as late:
        for client, head in zip(busy, heads, strict=True):
            size = int(head.lower().partition(b"content-length: ")[2].split()[0])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            body = (head + everything(client)).partition(b"\r\n\r\n")[2]
            assert len(body) == size
            client.close()
        assert is_answered(late)


def test_a_crowd_that_is_idle_locks_nobody_out(three):
    crowd = [connect(three) for _ in range(50)]
    with connect(three, HEALTH) as late:
        assert is_answered(late)
    for client in crowd:
        client.close()


def test_the_limit_of_open_files_is_raised_and_kept(monkeypatch):
    resource = pytest.importorskip("resource")
    limits = [(64, 64)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    assert places(256) == 16
    assert limits[-1] == (64, 64)
    limits.append((256, resource.RLIM_INFINITY))  # macOS
    assert places(256) == 256
    assert limits[-1] == (2 * 256 + 32, resource.RLIM_INFINITY)
    limits.append((10, 10))
    assert places(256) == 1


FEW = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"


def test_with_few_descriptors_and_a_crowd_it_answers_and_says_so_once(specs, tmp_path):
    pytest.importorskip("resource")
    make_build(tmp_path / "root", 2000)
    with running(tmp_path / "root", specs, tmp_path / "run", before=FEW) as hub:
        crowd = [connect(hub.port) for _ in range(120)]
        assert hub.get("/healthz")[0] == 200
        assert hub.get(SHARD)[0] == 200
        for client in crowd:
            client.close()
    assert hub.err.read_text().splitlines() == [
        "WARNING: 16 clients at once, more open files are not allowed: raise ulimit -n"
    ]


def test_where_the_system_lets_nobody_in_clients_wait_and_the_log_has_one_line(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(connections, "_PAUSE", 0.01)
    make_build(tmp_path)
    refused = []
    accept = asyncio.SelectorEventLoop.sock_accept

    async def full(loop, listener):
        if len(refused) < 5:
            refused.append(listener)
            raise OSError(errno.EMFILE, "Too many open files")
        return await accept(loop, listener)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_accept", full)
    with in_thread(tmp_path) as (port, _), connect(port, HEALTH) as client:
        assert is_answered(client)
    assert our_lines(caplog) == ["clients have to wait: Too many open files"]
