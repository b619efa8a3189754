"""`galaxyds serve`: what it says when it starts, ends, or cannot."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys

import pytest
import typer

from galaxyds.errors import DatasetNotFoundError, UsageError
from galaxyds.publish import repository
from galaxyds.specs import get_spec
from galaxyds_cli import serve
from galaxyds_cli.console import Once
from tests.cli.verb import output_of
from tests.serve.running import LABELLED, MAIN, clean, make_specs, running
from tests.small_build import SPEC, make_build

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(serve.serve)


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    return make_specs(tmp_path_factory.mktemp("specs"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    make_build(root)
    make_build(root, simulated=True, limit=90, seed=2)
    return root


def test_it_says_what_is_served_and_the_lines_to_copy_and_ends_at_once(root, specs, tmp_path):
    with running(root, specs, tmp_path) as server:
        for words in ("galaxyds/tiny_sky", "main, v1.2.0", f"v{LABELLED}",
                      f"HF_ENDPOINT={server.url} HF_HUB_DISABLE_IMPLICIT_TOKEN=1 python -c",
                      'load_dataset("galaxyds/tiny_sky")'):  # fmt: skip
            assert words in server.log()
        assert server.get("/healthz")[2] == b"ok\n"
        with socket.create_connection(("127.0.0.1", server.port)) as idle:
            idle.sendall(b"GET / HTTP/1.1\r\n")  # a client in the middle of a request
            server.process.send_signal(2)
            assert server.process.wait(20) == 0
    assert server.log().endswith("Ended: 1 request, 3 bytes sent\n")
    assert server.err.read_text() == ""  # no access log without -v


def test_a_download_in_progress_does_not_hold_up_the_end(specs, tmp_path):
    make_build(tmp_path / "root", 20_000)
    with running(tmp_path / "root", specs, tmp_path / "run") as server:
        shard = "extended/train-00000-of-00001.parquet"
        path = f"/datasets/galaxyds/tiny_sky/resolve/main/{shard}"
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            slow.recv(100)
            server.process.send_signal(15)
            assert server.process.wait(20) == 0
    assert "Ended: 1 request, " in server.log()


def test_a_token_is_made_and_shown_once_and_a_simulated_build_is_said_aloud(specs, tmp_path):
    make_build(tmp_path / "root", simulated=True)
    with running(tmp_path / "root", specs, tmp_path / "run", "--token") as server:
        (token,) = re.findall(r"^Token \(shown once\): (\S+)$", server.log(), re.MULTILINE)
        assert server.get("/api/datasets", Authorization=f"Bearer {token}")[0] == 200
        assert server.get("/api/datasets")[0] == 401
        assert server.log().count(token) == 1
        assert "HF_TOKEN=THE_TOKEN" in server.log()
        assert "galaxyds/tiny_sky is simulated sky: nothing in it was observed." in server.log()


def test_a_token_in_the_environment_is_asked_for_without_the_option(root, specs, tmp_path):
    secret = "from-the-environment"
    with running(
        root, specs, tmp_path, "--allowed-host", "lab.example", GALAXYDS_SERVE_TOKEN=secret
    ) as server:
        assert server.get("/api/datasets")[0] == 401
        assert server.get("/api/datasets", Authorization=f"Bearer {secret}")[0] == 200
        assert server.get("/healthz", Host="lab.example:8080")[0] == 200
        assert server.get("/healthz", Host="other.example")[0] == 421
        assert secret not in server.log()


@pytest.fixture
def _known(monkeypatch):
    monkeypatch.setattr(repository, "get_spec", lambda name: SPEC if name == SPEC.name
                        else get_spec(name))  # fmt: skip


@pytest.mark.usefixtures("_known")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "add --token"),
        (("--host", "::"), "add --token"),
        (("--host", "no-such-host.invalid", "--token"), "choose another --host"),
        (("--host", "192.0.2.7", "--token"), "cannot listen on 192.0.2.7"),
    ],
)
def test_mistakes_name_the_next_step(root, options, words):
    with pytest.raises(UsageError, match=words):
        output_of(app, "--root", root, *options)


@pytest.mark.usefixtures("_known")
def test_a_port_that_is_taken_is_named(root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port}: .* choose another --port"):
            output_of(app, "--root", root, "--port", port)


def test_where_nothing_is_built_the_build_command_is_quoted(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="run galaxyds build sdss-qso") as caught:
        output_of(app, "--root", tmp_path)
    assert caught.value.exit_code == 3


def test_the_terminal_has_a_line_once_and_an_error_that_lasts_once_a_minute():
    told = Once()

    def passes(level, text, second):
        record = logging.LogRecord("galaxyds", level, "", 0, "%s", (text,), None)
        record.created = second
        return told.filter(record)

    for level, again in ((logging.WARNING, False), (logging.ERROR, True)):
        name = str(level)
        assert [passes(level, name, second) for second in (0, 59, 61, 62)] == [
            True, False, again, False,
        ]  # fmt: skip
    assert (
        sum(passes(logging.ERROR, f"request {number} failed", 63) for number in range(5000)) == 5000
    )
    assert len(told._told) <= 1000  # weeks of lines are not kept


def test_a_short_token_is_refused(root, monkeypatch):
    monkeypatch.setenv("GALAXYDS_SERVE_TOKEN", "short")
    with pytest.raises(UsageError, match="GALAXYDS_SERVE_TOKEN"):
        output_of(app, "--root", root)


def test_without_the_extra_the_message_names_it(root, tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('no', name='uvicorn')\n")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "serve", "--root", str(root)],
        env=clean(PYTHONPATH=path), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'galaxyds[serve]'" in done.stderr
