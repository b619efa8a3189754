"""What a hub answers that is wrong, endless, packed, slow, or leads elsewhere."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from galaxyds.download import transfer
from galaxyds.download.answers import ask_files
from galaxyds.download.hub import open_hub, speaking
from galaxyds.download.revision import open_revision
from galaxyds.errors import ArchiveError, StorageError, UsageError
from galaxyds.publish.hub_state import ask, nothing_there
from tests.servers import Fault
from tests.servers.hub import Blob, Elsewhere, Repo
from tests.small_build import SPEC

ID = "galaxyds/tiny_sky"
SHA = "a" * 40


@pytest.fixture
def hub(loopback_hub):
    loopback_hub.repos[ID] = Repo()
    files = {f"extended/train-0000{k}-of-00007.parquet": Blob(b"%d" % k) for k in range(7)}
    loopback_hub.repos[ID].commit(files, "main", "first")
    return open_hub(ID, what="a test")


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", "null", "5", "<html>", '{"sha": 5}', '{"sha": "main"}',
     f'{{"sha": "{SHA}", "siblings": 5}}', f'{{"sha": "{SHA}", "siblings": [{{}}]}}', "[" * 99_999],
)  # fmt: skip
def test_a_revision_of_another_shape(hub, loopback_hub, body):
    loopback_hub.fail(Fault("body", where="/revision/", body=body.encode()))
    with pytest.raises(ArchiveError, match=r"asking for http.* failed: ") as caught:
        open_revision(hub, "main")
    assert caught.value.message.isprintable()


def test_what_is_not_needed_may_have_any_shape(hub, loopback_hub):
    body = f'{{"sha": "{SHA}", "lastModified": 5, "siblings": null}}'.encode()
    loopback_hub.fail(Fault("body", where="/revision/", body=body))
    assert open_revision(hub, "main").commit == SHA


@pytest.mark.parametrize("where", ["/refs", "/tree/"])
@pytest.mark.parametrize("body", ["5", '[{"type": "file"}]', '{"tags": [{}]}'])
def test_a_listing_of_another_shape(hub, loopback_hub, where, body):
    loopback_hub.fail(Fault("body", where=where, body=body.encode()))
    with pytest.raises(ArchiveError, match="the answer is nonsense"):
        ask(hub, SPEC, "v1.2.0")


def test_a_refusal_of_another_shape(hub, loopback_hub):
    for body in (b"[[]]", b"\xff", b"[" * 99_999, b"x" * 200_000):
        loopback_hub.fail(Fault("500json", where="/revision/", body=body))
        with pytest.raises(ArchiveError, match="the hub answers 500"):
            open_revision(hub, "main")


def test_an_endless_answer_is_given_up(hub, loopback_hub):
    body = b" " * (65 << 20) + f'{{"sha": "{SHA}"}}'.encode()
    loopback_hub.fail(Fault("body", where="/revision/", body=body))
    with pytest.raises(ArchiveError, match="more than 67108864 bytes came"):
        open_revision(hub, "main")


def test_a_packed_answer_is_refused(hub, loopback_hub):
    loopback_hub.fail(Fault("gzip-bomb", where="/revision/"))
    with pytest.raises(ArchiveError, match="sends gzip although plain bytes"):
        open_revision(hub, "main")


def test_pages_come_from_the_hub_itself(hub, loopback_hub):
    loopback_hub.page = 3
    with Elsewhere(loopback_hub) as other:
        loopback_hub.elsewhere = other.url.replace("127.0.0.1", "localhost")
        found = ask_files(hub, loopback_hub.repos[ID].branches["main"])
        assert other.requests == []
    assert [entry.size for entry in found] == [1] * 7


def test_pages_without_an_end(hub, loopback_hub, monkeypatch):
    monkeypatch.setattr("galaxyds.download.answers._PAGES", 3)
    loopback_hub.page = 0
    with pytest.raises(ArchiveError, match="more than 3 pages"):
        ask_files(hub, loopback_hub.repos[ID].branches["main"])


def test_redirects_without_an_end(hub, loopback_hub):
    loopback_hub.fail(*[Fault("redirect", headers={"Location": "/api"}) for _ in range(9)])
    with pytest.raises(ArchiveError, match="redirects in circles"):
        open_revision(hub, "main")


@contextmanager
def dripping():
    """A server that announces a megabyte and sends a byte now and then."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip():
            with server.accept()[0] as peer:
                peer.recv(1 << 16)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not over.wait(0.02):
                    peer.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def test_a_hub_that_drips_is_given_up(hub, monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "_WINDOW", 0.1)
    with (
        dripping() as url,
        pytest.raises(ArchiveError, match=r"fewer than 60,000 bytes came"),
        speaking(hub, "a test"),
    ):
        transfer.read_file(hub, url, tmp_path / "file", limit=1 << 20)


def test_a_busy_hub_is_asked_again(hub, loopback_hub, monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    loopback_hub.fail("503", Fault("cut", after=10))
    assert open_revision(hub, "main").name == "main"


@pytest.mark.parametrize("number", [errno.EFBIG, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSPC])
def test_this_machine_is_to_blame_for_its_files(hub, number):
    with pytest.raises(StorageError, match="/a/file"), speaking(hub, "a test"):
        raise OSError(number, "words", "/a/file")


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(errno.ECONNRESET, "reset"), OSError(errno.ENETUNREACH, "unreachable"),
     socket.gaierror(-2, "unknown"), OSError("words of the client"), KeyError("sha")],
    ids=repr,
)  # fmt: skip
def test_and_not_for_the_network(hub, error):
    with pytest.raises(ArchiveError, match="check the network"), speaking(hub, "a test"):
        raise error


@pytest.mark.parametrize("address", ["http://[", "huggingface.co", "ftp://a", "http://a:99999"])
def test_an_address_that_is_none(monkeypatch, loopback_hub, address):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    with pytest.raises(UsageError, match="HF_ENDPOINT is no address"):
        open_hub(ID, what="a test")


def test_an_address_that_the_client_cannot_be_imported_with():
    code = "from galaxyds.download.hub import open_hub; open_hub('a/b', what='a test')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False, env={**os.environ, "HF_ENDPOINT": "http://["})  # fmt: skip
    assert done.stderr.splitlines()[-1].startswith("galaxyds.errors.UsageError: HF_ENDPOINT is no")
    assert "Error importing" not in done.stdout + done.stderr


def test_a_hub_without_the_repository(loopback_hub):
    assert ask(open_hub(ID, what="a test"), SPEC, "v1.2.0") == nothing_there()
