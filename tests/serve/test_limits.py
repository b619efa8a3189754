"""Clients that dawdle, take nothing, or come in crowds are let go."""

from __future__ import annotations

import socket

import pytest

from galaxyds.serve import server
from tests.serve.running import in_thread
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
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(server, "_IDLE_SECONDS", 1)
    make_build(tmp_path)
    with in_thread(tmp_path) as (port, _), connect(port, before) as client:
        answered = b""
        while before and not answered.endswith(b"ok\n"):
            answered += client.recv(65536)
        client.sendall(begun)
        assert everything(client) == b""


def test_a_client_that_takes_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_STALL_SECONDS", 0.2)
    make_build(tmp_path, 20_000)
    request = f"GET {SHARD} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with in_thread(tmp_path) as (port, _), connect(port, request, 4096) as client:
        with connect(port, HEALTH) as other:  # the server has other things to do
            assert other.recv(15) == b"HTTP/1.1 200 OK"
        received = client.recv(1000)
        size = int(received.lower().partition(b"content-length: ")[2].split()[0])
        wait_a_second(port)
        assert len(everything(client)) < size


def wait_a_second(port):
    """Wait as long as the server needs to give up on the other client: twice its patience."""
    with connect(port) as idle:
        idle.settimeout(1)
        with pytest.raises(TimeoutError):
            idle.recv(1)


def test_of_a_crowd_those_above_the_limit_are_turned_away(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_CONNECTIONS", 3)
    make_build(tmp_path)
    with in_thread(tmp_path) as (port, _):
        inside = [connect(port, HEALTH) for _ in range(3)]
        assert all(client.recv(15) == b"HTTP/1.1 200 OK" for client in inside)
        with connect(port) as late:
            assert everything(late) == b""
        for client in inside:
            client.close()
