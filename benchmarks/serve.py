"""How fast `galaxyds serve` hands out files, against two servers that check nothing.

::

    python benchmarks/serve.py                # about 2 minutes, 300 MB of disk
    python benchmarks/serve.py --quick        # a tenth of the bytes, to try it out

Writes one build of random pixels to a temporary folder and starts, one after the other and each in
its own process: `galaxyds serve`, uvicorn with Starlette's `FileResponse` on the same file, and
`python -m http.server` on its folder.  In every round 50 clients (threads of one process) fetch the
whole shard from each; the page cache is warm.  The table gives the median over rounds of the bytes
per second, its ratio to the other two in the same run, and the most memory that the server held.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from galaxyds.publish import write_product
from galaxyds.spec import Split
from galaxyds.specs import get_spec
from galaxyds.store.layout import build_path
from galaxyds.store.manifest import ArchiveRecord, Manifest, Selection, local_version

CLIENTS = 50
ROUNDS = 5
SHARD = "train-00000-of-00001.parquet"
STARLETTE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

async def file(request):
    return FileResponse(sys.argv[1])

app = Starlette(routes=[Route("/file", file)])
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", http="h11", loop="asyncio")
"""
VERB = "from galaxyds_cli.main import run; run()"


def make_build(root: Path, rows: int) -> Path:
    """Write a build of random pixels, all objects in `train`; return the shard."""
    spec = replace(get_spec("sdss-qso"), split=Split(fractions=((1.0, 0.0, 0.0),), source="here"))
    selection = Selection(kind="limit", limit=rows)
    version = local_version(spec.version, simulated=True, selection=selection)
    manifest = Manifest(
        name=spec.name, config="extended", version=version, package_version="benchmark",
        spec_digest=spec.digest("extended"), created="", rows=0, shape=spec.image_shape(),
        archive=ArchiveRecord(name="sdss", data_release="DR17", simulated=True),
        selection=selection,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    columns = {c.name: _values(c, rows) for c in spec.stored_columns()}
    target = build_path(root, spec.name, "extended", version)
    blocks = (rng.normal(size=(100, *spec.image_shape())).astype("f4") for _ in range(rows // 100))
    write_product(target, spec=spec, manifest=manifest, table=pa.table(columns), blocks=blocks)
    return target / "hub" / "extended" / SHARD


def _values(column, rows):
    if column.dtype == "string":
        return ["QSO"] * rows
    if column.name == "object_id":
        return np.arange(1, rows + 1, dtype=np.int64)
    if column.name.startswith("cutout_") and column.dtype == "float32":
        return np.full(rows, 31.5, "f4")
    return np.zeros(rows, column.dtype)


@contextmanager
def process(arguments: list[str], port: int):
    """Start a server and wait until it listens."""
    running = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                HTTPConnection("127.0.0.1", port, timeout=5).connect()
                break
            except OSError:
                time.sleep(0.1)
        yield psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait(20)


def fetch(port: int, path: str, size: int) -> float:
    """Bytes per second over all clients; every one of them must get the whole file."""
    failed = []

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=300)
        connection.request("GET", path)
        answer, buffer, got = connection.getresponse(), bytearray(1 << 20), 0
        while count := answer.readinto(buffer):
            got += count
        if got != size:
            failed.append(got)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return CLIENTS * size / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rows = 300 if parser.parse_args().quick else 3000
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        shard = make_build(Path(folder), rows)
        base, size = 8470 + os.getpid() % 500, shard.stat().st_size
        python = sys.executable
        hub = "/datasets/galaxyds/sdss_qso/resolve/main/extended"
        servers = {
            "galaxyds serve": (f"{hub}/{SHARD}", [python, "-c", VERB, "serve", "--root", folder,
                                                  "--port", str(base)]),
            "Starlette FileResponse": ("/file", [python, "-c", STARLETTE, str(shard),
                                                 str(base + 1)]),
            "http.server": (f"/{SHARD}", [python, "-m", "http.server", str(base + 2), "--bind",
                                          "127.0.0.1", "--directory", str(shard.parent)]),
        }  # fmt: skip
        rates, memory = measure(stack, servers, base, size)
    report(rates, memory, size)


def measure(stack, servers, base, size):
    """Rates by server and round, and the most memory of each."""
    started = {
        name: (stack.enter_context(process(arguments, base + k)), base + k, path)
        for k, (name, (path, arguments)) in enumerate(servers.items())
    }
    rates = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, (_, port, path) in started.items():
            rates[name].append(fetch(port, path, size))
    memory = {name: peak(running) for name, (running, _, _) in started.items()}
    return rates, memory


def peak(running: psutil.Process) -> float:
    """Most resident memory so far, in MB."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000


def report(rates, memory, size) -> None:
    """Print the table."""
    print(f"{CLIENTS} clients, {size / 1e6:.1f} MB each, median of {ROUNDS} rounds")
    ours = statistics.median(rates["galaxyds serve"])
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name:24} {middle / 1e6:8.0f} MB/s  ours/this {ours / middle:5.2f}  "
              f"peak {memory[name]:6.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
