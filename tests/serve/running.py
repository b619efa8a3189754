"""A root of small builds, a server over it in its own process, and clients in theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from galaxyds.serve.app import create_app
from galaxyds.serve.guard import Policy, Tally
from galaxyds.serve.index import Index
from galaxyds.serve.server import bind, make_server
from tests.small_build import SPEC, make_build

REPOSITORY = Path(__file__).resolve().parents[2]
ROWS = 4000
LABELLED = "1.2.0+simulated.limit90"
SPOILT = "1.2.0+simulated.limit7"
CANARY = b"canary-5d1f7c"
MAIN = "from galaxyds_cli.main import run; run()"


def make_specs(folder: Path) -> Path:
    """Lay out a package that brings tiny-sky and tiny-two, as pip would have installed it."""
    info = folder / "tiny_specs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-specs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[galaxyds.specs]\ntiny-sky = tiny_specs:SKY\ntiny-two = tiny_specs:TWO\n"
    )
    (folder / "tiny_specs.py").write_text(
        "from dataclasses import replace\nfrom tests.small_build import SPEC as SKY\n"
        "TWO = replace(SKY, name='tiny-two')\n"
    )
    return folder


def make_root(folder: Path) -> Path:
    """Write builds of two datasets, one of them spoilt, among files that nobody may see."""
    root = folder / "root"
    build = make_build(root, ROWS)
    make_build(root, 60, config="baseline")
    make_build(root, 60, simulated=True, limit=90, seed=2)
    make_build(root, 60, replace(SPEC, name="tiny-two"), seed=3)
    spoilt = make_build(root, 60, config="baseline", simulated=True, limit=7)
    os.truncate(spoilt / "catalog.parquet", 100)
    for place in (folder, root, root / ".work", build, build / "hub", build / "hub" / "extended"):
        place.mkdir(exist_ok=True)
        (place / "canary.txt").write_bytes(CANARY)
        (place / "canary.parquet").write_bytes(CANARY)
    return root


def clean(**more: str) -> dict[str, str]:
    """Environment without tokens, proxies or settings of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "GALAXYDS_"))}
    kept = {k: v for k, v in kept.items() if not k.lower().endswith("_proxy")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


@dataclass
class Running:
    """A server in its own process."""

    process: subprocess.Popen[bytes]
    port: int
    out: Path
    err: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def logged(self, text: str, seconds: float = 10.0) -> str:
        """The log, once it has a text: a line is written after its answer is sent."""
        end = time.monotonic() + seconds
        while text not in self.log() and time.monotonic() < end:
            time.sleep(0.02)
        return self.log()

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
        """One request; headers are written with underscores."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=names)
        answer: HTTPResponse = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data


@contextmanager
def running(
    root: Path, specs: Path, folder: Path, *options: str, before: str = "", **environment: str
) -> Iterator[Running]:
    """`galaxyds serve` on a free port, after Python of ``before``; ended with SIGINT."""
    path = os.pathsep.join(
        filter(None, (str(specs), str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    )
    folder.mkdir(parents=True, exist_ok=True)
    out, err = folder / "out.txt", folder / "err.txt"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", before + MAIN, "serve", "--root", str(root), "--port", "0",
             *options],
            stdout=stdout, stderr=stderr, cwd=folder, env=clean(PYTHONPATH=path, **environment),
        )  # fmt: skip
    try:
        yield Running(process, _port(process, out, err), out, err)
    finally:
        process.send_signal(2)
        process.wait(20)


def _port(process: subprocess.Popen[bytes], out: Path, err: Path) -> int:
    for _ in range(3000):
        found = re.search(r"^Serving .*:(\d+) ", out.read_text(), re.MULTILINE)
        if found:
            return int(found[1])
        assert process.poll() is None, err.read_text()
        time.sleep(0.02)
    raise AssertionError(out.read_text() + err.read_text())


@contextmanager
def in_thread(root: Path) -> Iterator[tuple[int, Tally]]:
    """A server in this process, for a test that changes its limits or its builds."""
    listener, tally = bind("127.0.0.1", 0), Tally()
    server = make_server(create_app(Index(root, pause=0), Policy(), tally))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1], tally
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def our_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged by us; pytest sees loggers too that a terminal does not."""
    return [one.getMessage() for one in caplog.records if one.name.startswith("galaxyds")]


def client(code: str, folder: Path, url: str, *arguments: str, **environment: str) -> str:
    """Run Python lines as a user of the hub would: own home, elsewhere, no token."""
    home = folder / "hf-home"
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=clean(HF_ENDPOINT=url, HF_HOME=str(home), HF_HUB_DISABLE_PROGRESS_BARS="1",
                  **environment),
        cwd=elsewhere, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr
