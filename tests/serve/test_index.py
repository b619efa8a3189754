"""Builds that come, go and are replaced while they are served."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from galaxyds.errors import DatasetNotFoundError
from galaxyds.serve.guard import Policy, Tally
from galaxyds.serve.index import FileChangedError, Index, StaleIndexError, open_file
from tests.serve.running import in_thread, our_lines
from tests.small_build import make_build

CATALOG = "extended/catalog.parquet"


pytestmark = pytest.mark.usefixtures("known")


def opened(state, path=CATALOG):
    snapshot = state.repositories["tiny_sky"].main
    return open_file(state, snapshot, snapshot.files[path])


def test_nothing_built_quotes_the_command(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="galaxyds build sdss-qso --archive simulated"):
        Index(tmp_path)


def test_builds_that_come_and_go_are_seen(tmp_path):
    make_build(tmp_path)
    index = Index(tmp_path, pause=0)
    assert index.refresh() is index.state
    before = index.state
    late = make_build(tmp_path, config="baseline")
    assert len(index.refresh().repositories["tiny_sky"].main.builds) == 2
    shutil.rmtree(late)
    assert index.refresh().repositories["tiny_sky"].main == before.repositories["tiny_sky"].main
    shutil.rmtree(tmp_path / "tiny_sky")
    assert index.refresh().repositories == {}


def test_an_index_is_not_read_again_before_it_is_due(tmp_path):
    make_build(tmp_path)
    index = Index(tmp_path, pause=3600)
    make_build(tmp_path, config="baseline")
    assert len(index.refresh().repositories["tiny_sky"].main.builds) == 1
    assert len(index.refresh(now=True).repositories["tiny_sky"].main.builds) == 2


def test_a_reader_keeps_its_file_and_a_new_one_is_told_that_the_index_is_old(tmp_path):
    build = make_build(tmp_path)
    index = Index(tmp_path, pause=0)
    old, data = index.state, (build / "catalog.parquet").read_bytes()
    with opened(old) as stream:
        make_build(tmp_path, replace=True, seed=5)
        assert stream.read() == data
    with pytest.raises(StaleIndexError):
        opened(old)
    with opened(index.refresh()) as stream:
        assert stream.read() == (build / "catalog.parquet").read_bytes() != data


def test_files_that_are_not_what_the_manifest_says_are_not_opened(tmp_path):
    build = make_build(tmp_path)
    catalog, outside = build / "catalog.parquet", tmp_path / "outside"
    state = Index(tmp_path).state
    outside.write_bytes(catalog.read_bytes())
    catalog.unlink()
    with pytest.raises(FileChangedError, match="cannot be read"):
        opened(state)
    catalog.symlink_to(outside)
    with pytest.raises(FileChangedError):
        opened(state)
    catalog.unlink()
    os.mkfifo(catalog)
    with pytest.raises(FileChangedError):
        opened(state)
    shutil.move(build / "hub", tmp_path / "elsewhere")
    (build / "hub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileChangedError, match="outside its build"):
        opened(state, "extended/train-00000-of-00001.parquet")


@pytest.fixture
def server(known, tmp_path):
    """A server in a thread, over builds that the test may change."""
    make_build(tmp_path, 20_000)
    with in_thread(tmp_path) as found:
        yield found


def get(port, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_running_server_answers_for_a_build_that_was_replaced(server, tmp_path):
    port, tally = server
    path = f"/datasets/galaxyds/tiny_sky/resolve/main/{CATALOG}"
    build = tmp_path / "tiny_sky" / "extended" / "1.2.0"
    first = get(port, path)
    assert first == (200, (build / "catalog.parquet").read_bytes())
    make_build(tmp_path, 2000, replace=True, seed=5)
    second = get(port, path)
    assert second == (200, (build / "catalog.parquet").read_bytes())
    assert first != second
    shutil.rmtree(build)
    assert get(port, path)[0] == 404
    assert tally.requests == 3
    assert tally.bytes >= len(first[1]) + len(second[1])


def test_a_client_that_leaves_half_way_leaves_no_open_file(server, tmp_path):
    port, _ = server
    shard = "extended/train-00000-of-00001.parquet"
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/datasets/galaxyds/tiny_sky/resolve/main/{shard}")
    connection.getresponse().read(10)
    connection.close()

    until = time.monotonic() + 10
    while held(tmp_path) and time.monotonic() < until:
        time.sleep(0.02)
    assert held(tmp_path) == []


def held(folder):
    """Files and folders below a folder that this process has open."""
    links = []
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            links.append(number.readlink())
    return [link for link in links if link.is_relative_to(folder)]


def test_a_folder_in_the_place_of_a_file_is_refused_and_closed(tmp_path):
    build = make_build(tmp_path)
    state = Index(tmp_path).state
    (build / "catalog.parquet").unlink()
    (build / "catalog.parquet").mkdir()
    with pytest.raises(FileChangedError, match=r"catalog\.parquet is no plain file"):
        opened(state)
    assert held(tmp_path) == []


def test_a_file_that_is_cut_while_it_is_sent_is_named_with_the_next_step(server, tmp_path, caplog):
    port, _ = server
    path = tmp_path / "tiny_sky/extended/1.2.0/hub/extended/train-00000-of-00001.parquet"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        name = f"/datasets/galaxyds/tiny_sky/resolve/main/extended/{path.name}"
        client.sendall(f"GET {name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        client.recv(1000)
        os.truncate(path, 1000)
        with suppress(ConnectionError):
            while client.recv(1 << 20):
                pass
    (told,) = our_lines(caplog)
    assert str(path) in told
    assert told.endswith("run galaxyds verify tiny-sky/extended:1.2.0")


def test_without_descriptors_the_client_is_told_to_come_back(server, monkeypatch, caplog):
    real = os.open

    def full(path, *arguments, **more):
        if str(path).endswith("catalog.parquet"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", full)
    status, _ = get(server[0], f"/datasets/galaxyds/tiny_sky/resolve/main/{CATALOG}")
    assert status == 503
    assert "verify" not in caplog.text  # the file has no part in it


def test_what_did_not_change_is_not_described_again(tmp_path, monkeypatch):
    make_build(tmp_path)
    index = Index(tmp_path, pause=0)
    before = index.state.repositories["tiny_sky"].versions["v1.2.0"]
    make_build(tmp_path, simulated=True, limit=90)
    versions = index.refresh().repositories["tiny_sky"].versions
    assert len(versions) == 2
    assert versions["v1.2.0"] is before
    make_build(tmp_path, replace=True, seed=5)
    assert index.refresh().repositories["tiny_sky"].versions["v1.2.0"].commit != before.commit


def test_a_request_that_fails_is_one_line_without_what_the_client_sent(caplog):
    from galaxyds.serve.guard import Guard

    async def broken(scope, receive, send):
        raise RuntimeError("no\nway")

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
             "headers": [(b"host", b"localhost")]}  # fmt: skip
    asyncio.run(Guard(broken, Policy(), Tally())(scope, None, send))
    assert sent[0]["status"] == 500
    assert [record.getMessage() for record in caplog.records] == [
        "request 1 failed: RuntimeError: no way"
    ]
