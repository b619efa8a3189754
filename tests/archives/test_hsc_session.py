"""Few connections over threads and processes; bodies as streams."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading
import time

import pytest

from galaxyds.archives.calls import Call, Setback
from galaxyds.archives.hsc_session import Connections
from galaxyds.archives.tarstream import CutShort
from galaxyds.errors import ArchiveError
from tests.servers import Fault, LoopbackServer, Reply

URL = "http://user:canary-password@archive.example:8080/cutout?x=1"


def _hold(directory, out):
    places = Connections(2, directory)
    for _ in range(3):
        with places.one(URL):
            out.put((time.time(), 1))
            time.sleep(0.02)
            out.put((time.time(), -1))


def most_at_once(events):
    """Largest sum of the signs in the order of their times; an end before a begin at a tie."""
    total = most = 0
    for _, sign in sorted(events):
        total += sign
        most = max(most, total)
    return most


class TestConnections:
    def test_processes_share_the_places(self, tmp_path):
        context = multiprocessing.get_context("spawn")
        out = context.Queue()
        workers = [context.Process(target=_hold, args=(tmp_path, out)) for _ in range(3)]
        for worker in workers:
            worker.start()
        events = [out.get(timeout=60) for _ in range(18)]
        for worker in workers:
            worker.join()
        assert most_at_once(events) <= 2

    @pytest.mark.parametrize("shared", [True, False])
    def test_threads_share_the_places(self, tmp_path, shared):
        events, lock = [], threading.Lock()
        one = Connections(2, tmp_path)

        def work():
            places = one if shared else Connections(2, tmp_path)
            for _ in range(3):
                with places.one(URL):
                    with lock:
                        events.append((time.monotonic(), 1))
                    time.sleep(0.01)
                    with lock:
                        events.append((time.monotonic(), -1))

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(events) == 36
        assert most_at_once(events) == 2

    def test_hosts_have_places_of_their_own(self, tmp_path):
        with Connections(1, tmp_path).one(URL), Connections(1, tmp_path).one("http://other/x"):
            names = sorted(path.name for path in tmp_path.iterdir())
        assert names == ["archive.example_8080.connection0.lock", "other.connection0.lock"]

    def test_a_process_that_dies_gives_its_place_back(self, tmp_path):
        code = (
            "import os, pathlib, sys\n"
            "from galaxyds.archives.hsc_session import Connections\n"
            "places = Connections(1, pathlib.Path(sys.argv[1]))\n"
            "places.one('http://h/').__enter__()\n"
            "os.kill(os.getpid(), 9)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        assert done.returncode == -9
        with Connections(1, tmp_path).one("http://h/"):
            assert (tmp_path / "h.connection0.lock").exists()

    def test_a_place_is_given_back_after_an_error(self, tmp_path):
        places = Connections(1, tmp_path)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), places.one(URL):
                _ = 1 / 0

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        places = Connections(1, tmp_path / "file" / "places")
        with places.one(URL):
            assert not places._own.acquire(blocking=False)
        assert places._own.acquire(blocking=False)

    def test_it_travels(self, tmp_path):
        again = pickle.loads(pickle.dumps(Connections(3, tmp_path)))
        assert (again.most, again.directory) == (3, tmp_path)
        with again.one(URL):
            pass


class Echo(LoopbackServer):
    """Sends one body."""

    reply = Reply(bytes(range(256)) * 1000, chunked=True)

    def handle(self, request):
        del request
        return self.reply


@pytest.fixture
def echo():
    with Echo() as server:
        yield server


class TestBody:
    @pytest.mark.parametrize("sizes", [(1, 255, 512), (100_000, 1, 7), (512,)])
    def test_reads_are_exact_until_the_end(self, stream_http, echo, sizes):
        def consume(body):
            got = b""
            while True:
                for size in sizes:
                    piece = body.read(size)
                    got += piece
                    if len(piece) < size:
                        return got, body.read(1), body.complete

        call = Call(method="GET", url=echo.url)
        found = stream_http.attempt(call, consume, max_bytes=1 << 20)
        assert found == (echo.reply.body, b"", True)

    @pytest.mark.parametrize("kind", ["cut", "cut-chunked"])
    def test_a_cut_is_a_setback(self, stream_http, echo, kind):
        echo.fail(Fault(kind, after=100_000))
        seen = []

        def consume(body):
            while piece := body.read(50_000):
                seen.append(len(piece))

        found = stream_http.attempt(Call(method="GET", url=echo.url), consume, max_bytes=1 << 20)
        assert isinstance(found, Setback)
        assert found.reason.startswith("connection cut after ")
        assert sum(seen) <= 100_000

    def test_an_end_without_a_stated_length_proves_nothing(self, stream_http, echo):
        echo.fail(Fault("cut-close", after=100))
        call = Call(method="GET", url=echo.url)

        def consume(body):
            assert not body.complete
            raise CutShort

        assert stream_http.attempt(call, consume, max_bytes=1000).reason.startswith("connection")

    def test_too_many_bytes(self, stream_http, echo):
        call = Call(method="GET", url=echo.url)
        with pytest.raises(ArchiveError, match="answers with more than 100 bytes"):
            stream_http.attempt(call, lambda body: body.read(1 << 20), max_bytes=100)
        echo.reply = Reply(bytes(1000))
        with pytest.raises(ArchiveError, match="announces 1000 bytes where at most 100"):
            stream_http.attempt(call, lambda body: body.read(1 << 20), max_bytes=100)
