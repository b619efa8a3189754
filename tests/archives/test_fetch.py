"""Files from a loopback server: resumed, checked, given their name last."""

from __future__ import annotations

import bz2
import errno
import hashlib
import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from galaxyds.archives.partial import PartFile
from galaxyds.archives.sdss import check_bzip2
from galaxyds.errors import ArchiveError, DataIntegrityError, NotInArchiveError, StorageError
from tests.servers import Fault, SASEmulator

FRAME = bz2.compress(np.random.default_rng(5).bytes(300_000))
NAME = "frame-r-000094-1-0012.fits.bz2"
MAX = 1 << 20


@pytest.fixture
def server():
    with SASEmulator({NAME: FRAME}.get) as emulator:
        yield emulator


@pytest.fixture
def url(server):
    return f"{server.url}/dr17/eboss/photoObj/frames/301/94/1/{NAME}"


def ranges(server):
    return [request.headers.get("range") for request in server.requests]


def test_a_file_comes_whole_and_leaves_nothing_behind(http, url, tmp_path):
    path = http.fetch(url, tmp_path / "new" / NAME, max_bytes=MAX, check=check_bzip2)
    assert path.read_bytes() == FRAME
    assert [p.name for p in path.parent.iterdir()] == [NAME]


@pytest.mark.parametrize("kind", ["cut", "cut-chunked"])
def test_a_cut_connection_goes_on_where_it_stopped(http, server, url, tmp_path, kind):
    server.fail(Fault(kind, after=100_000), Fault(kind, after=50_000))
    path = http.fetch(url, tmp_path / NAME, max_bytes=MAX)
    assert path.read_bytes() == FRAME
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert server.requests[1].headers["if-range"].startswith('"')


def test_a_later_process_goes_on(http, server, url, tmp_path):
    http.policy = type(http.policy)(attempts=1)
    server.fail(Fault("cut", after=100_000))
    with pytest.raises(ArchiveError, match="connection cut after 100000 bytes"):
        http.fetch(url, tmp_path / NAME, max_bytes=MAX)
    assert not (tmp_path / NAME).exists()
    assert (tmp_path / f"{NAME}.part").stat().st_size == 100_000
    assert http.fetch(url, tmp_path / NAME, max_bytes=MAX).read_bytes() == FRAME
    assert ranges(server)[-1] == "bytes=100000-"


def test_a_file_that_changed_starts_again(http, server, url, tmp_path):
    server.fail(Fault("cut", after=100_000), "changed")
    assert http.fetch(url, tmp_path / NAME, max_bytes=MAX).read_bytes() == FRAME
    server.fail(Fault("cut", after=100_000))
    (tmp_path / f"{NAME}.part").write_bytes(b"of another file")
    (tmp_path / f"{NAME}.part.json").write_text('{"url": "http://elsewhere/", "validator": "1"}')
    assert http.fetch(url, tmp_path / NAME, max_bytes=MAX).read_bytes() == FRAME
    assert ranges(server)[2] is None


@pytest.mark.parametrize("kind", ["ignore-range", "wrong-range"])
def test_a_server_that_gets_ranges_wrong(http, server, url, tmp_path, kind):
    server.fail(Fault("cut", after=100_000), kind)
    assert http.fetch(url, tmp_path / NAME, max_bytes=MAX).read_bytes() == FRAME


@pytest.mark.parametrize("length", [len(FRAME), len(FRAME) + 9])
def test_416_means_complete_or_changed(http, server, url, tmp_path, length):
    part = tmp_path / f"{NAME}.part"
    part.write_bytes((FRAME + bytes(9))[:length])
    etag = hashlib.sha1(FRAME).hexdigest()[:16]
    (tmp_path / f"{NAME}.part.json").write_text(f'{{"url": "{url}", "validator": "\\"{etag}\\""}}')
    assert http.fetch(url, tmp_path / NAME, max_bytes=MAX).read_bytes() == FRAME
    assert len(server.requests) == (1 if length == len(FRAME) else 2)


def test_checksums(http, server, url, tmp_path):
    sha256, md5 = hashlib.sha256(FRAME).hexdigest(), hashlib.md5(FRAME).hexdigest()
    server.fail("wrong-bytes")
    path = http.fetch(url, tmp_path / NAME, max_bytes=MAX, sha256=sha256.upper(), md5=md5)
    assert path.read_bytes() == FRAME
    assert len(server.requests) == 2
    server.fail("wrong-bytes", "wrong-bytes")
    with pytest.raises(DataIntegrityError, match=f"has md5 .*, expected {md5}: it was damaged"):
        http.fetch(url, tmp_path / "again", max_bytes=MAX, md5=md5)
    assert not (tmp_path / "again").exists()


def test_something_else_under_the_name(http, server, url, tmp_path):
    server.fail(*[Fault("body", body=b"SIMPLE  =                    T")] * 2)
    with pytest.raises(DataIntegrityError, match=f"{NAME} is no bzip2 file, it begins with"):
        http.fetch(url, tmp_path / NAME, max_bytes=MAX, check=check_bzip2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["html", "html-lines", "html-as-text"])
def test_a_web_page_is_no_file(http, server, url, tmp_path, kind):
    server.fail(kind)
    with pytest.raises(ArchiveError, match=r"web page instead of data: (SkyServer|Moved): "):
        http.fetch(url, tmp_path / NAME, max_bytes=MAX)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file(http, server, url, tmp_path):
    with pytest.raises(NotInArchiveError, match=r"has no .*0013.fits.bz2 \(HTTP 404\)"):
        http.fetch(url.replace("0012", "0013"), tmp_path / "x", max_bytes=MAX)
    assert list(tmp_path.iterdir()) == []


def test_no_more_bytes_than_expected(http, server, url, tmp_path):
    with pytest.raises(ArchiveError, match=f"announces {len(FRAME)} bytes where at most 1000 are"):
        http.fetch(url, tmp_path / NAME, max_bytes=1000)
    server.fail("endless")
    with pytest.raises(ArchiveError, match="is larger than"):
        http.fetch(url, tmp_path / NAME, max_bytes=len(FRAME) + 1)
    server.fail("gzip-bomb")
    with pytest.raises(ArchiveError, match="sends gzip although plain"):
        http.fetch(url, tmp_path / NAME, max_bytes=MAX)


def test_bytes_then_name_then_directory(http, url, tmp_path, monkeypatch):
    done = []
    fsync, rename = os.fsync, os.replace

    def spy_fsync(descriptor):
        done.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def spy_replace(old, new):
        done.append(("replace", str(new)))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    destination = tmp_path / NAME
    http.fetch(url, destination, max_bytes=MAX)
    assert done == [
        ("fsync", f"{destination}.part"),
        ("replace", str(destination)),
        ("fsync", str(tmp_path)),
    ]


class FullDisk(io.BytesIO):
    """A file on a disk without space."""

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk(http, url, tmp_path, monkeypatch):
    usual = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", **k: (
            FullDisk() if mode == "r+b" else usual(self, mode, **k)
        ),
    )  # fmt: skip
    with pytest.raises(StorageError, match=r"disk full while writing .*: free some space"):
        http.fetch(url, tmp_path / NAME, max_bytes=MAX)
    monkeypatch.undo()
    assert http.fetch(url, tmp_path / NAME, max_bytes=MAX).read_bytes() == FRAME


def test_two_at_once_fetch_one_file(http, server, url, tmp_path):
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(http.fetch(url, tmp_path / NAME, max_bytes=MAX))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [tmp_path / NAME] * 4
    assert (tmp_path / NAME).read_bytes() == FRAME
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_a_weak_validator_is_not_trusted(tmp_path):
    from galaxyds.archives.partial import Expected

    part = PartFile("http://h/f", tmp_path / "f", Expected(max_bytes=9))
    part.path.write_bytes(b"abc")
    part.remember({"ETag": 'W/"1"'})
    assert part.resume_headers() == {}
    part.remember({"ETag": 'W/"1"', "Last-Modified": "Mon, 01 Nov 2021 12:00:00 GMT"})
    assert part.resume_headers()["If-Range"] == "Mon, 01 Nov 2021 12:00:00 GMT"
