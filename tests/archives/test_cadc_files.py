"""Kept coadds over loopback: what is kept, what is never kept, and many who want it at once."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from galaxyds.archives import records
from galaxyds.archives.cadc_cutouts import CutoutHttp
from galaxyds.archives.cadc_files import CoaddFiles, kept_name
from galaxyds.archives.cadc_tiles import CADCTiles
from galaxyds.errors import DataIntegrityError, StorageError
from tests.servers.cadc import CADCEmulator, coadd
from tests.servers.loopback import Fault

SIDE = 40
TILES = [f"02{minute:02d}39-041200" for minute in range(12)]


def name(band: str, tile: str = TILES[0]) -> str:
    return f"CFHTLS_W_{band}_{tile}_T0007_MEDIAN.fits"


def filled(value: float, band: str = "g") -> bytes:
    return coadd(name(band), pixels=np.full((SIDE, SIDE), value))


@pytest.fixture
def server(monkeypatch):
    files = {name(band): coadd(name(band), size=SIDE) for band in "ugr"}
    more = {name("g", tile): coadd(name("g", tile), size=SIDE) for tile in TILES}
    with CADCEmulator({**files, **more}) as server:
        for variable, value in server.settings.items():
            monkeypatch.setenv(variable, value)
        yield server


@pytest.fixture
def artifacts(server):
    return CADCTiles().tiles()[0].artifacts


@pytest.fixture
def files(server, http, tmp_path):
    def make(base="data/pub", most=10**9):
        session = CutoutHttp("CADC", clock=http.clock, rate=http.rate, jitter=http.jitter)
        return CoaddFiles(f"{server.url}/{base}", session, tmp_path / "kept", most=most)

    return make


def kept(tmp_path):
    return [path for path in (tmp_path / "kept").iterdir() if path.suffix != ".lock"]


def test_a_file_of_another_server_is_never_taken_for_it(server, files, artifacts, http, tmp_path):
    """Nor one of another state of the catalogue."""
    with CADCEmulator({name("g"): filled(7.0)}) as other:
        told = other.artifact(name("g"), "science", filled(7.0))
        md5 = told["contentChecksum"].removeprefix("md5:")
        wrong = replace(artifacts["g"], md5=md5, bytes=told["contentLength"])
        theirs = CoaddFiles(f"{other.url}/data/pub", files().http, tmp_path / "kept")
        assert theirs.open(wrong).pixels[0, 0] == 7.0
    assert files().open(artifacts["g"]).pixels[0, 0] != 7.0
    bare = replace(artifacts["g"], md5="", bytes=0)
    assert files().open(bare).pixels[0, 0] != 7.0


def test_a_replaced_file_is_fetched_again(server, files, artifacts):
    files().open(artifacts["g"])
    server.files[name("g")] = filled(3.0)
    told = server.artifact(name("g"), "science", filled(3.0))["contentChecksum"]
    again = files().open(replace(artifacts["g"], md5=told.removeprefix("md5:")))
    assert again.pixels[0, 0] == 3.0


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "bad", [b"", b"SIMPLE  = trash", coadd(name("g"), size=SIDE)[:-2880]], ids=["0", "no", "cut"]
)
def test_without_a_checksum_a_bad_file_is_not_kept(server, files, artifacts, tmp_path, bad, packed):
    bare = replace(artifacts["g"], md5="", bytes=0)
    right = server.files[name("g")]
    server.files[name("g")] = gzip.compress(bad) if packed else bad
    with pytest.raises(DataIntegrityError, match="fetch it again"):
        files().open(bare)
    assert not kept(tmp_path)
    server.files[name("g")] = right
    assert files().open(bare).pixels.shape == (SIDE, SIDE)


def test_a_size_that_the_catalogue_does_not_state(server, files, artifacts, tmp_path):
    bare = replace(artifacts["g"], md5="")
    server.files[name("g")] = coadd(name("g"), size=SIDE + 60)
    with pytest.raises(DataIntegrityError, match=f"expected {bare.bytes} bytes, got"):
        files().open(bare)
    assert not kept(tmp_path)


@pytest.mark.parametrize("spoiled", [b"", b"x" * 2880])
def test_a_kept_file_that_was_spoiled_is_fetched_again(server, files, artifacts, tmp_path, spoiled):
    right = files().open(artifacts["g"]).pixels.copy()
    (path,) = kept(tmp_path)
    path.write_bytes(spoiled)
    assert np.array_equal(files().open(artifacts["g"]).pixels, right)


def test_another_product_is_fetched_once(server, files, artifacts):
    server.files[name("g")] = coadd(name("g"), size=SIDE, scale=0.25)
    server.requests.clear()
    with pytest.raises(DataIntegrityError, match=r'pixels of 0\.186"'):
        files().open(replace(artifacts["g"], md5="", bytes=0))
    assert len(server.requests) == 1


def test_what_was_used_longest_ago_goes_first(server, files, artifacts, tmp_path):
    cache = files(most=2 * artifacts["g"].bytes)
    for age, band in zip((50, 100), "ug", strict=True):
        cache.open(artifacts[band])
        os.utime(tmp_path / "kept" / kept_name(cache.url, artifacts[band]), (1e9 - age, 1e9 - age))
    coadd_of_u = cache.open(artifacts["u"])  # used again: g is now the oldest
    cache.open(artifacts["r"])
    there = {path.name for path in kept(tmp_path)}
    assert there == {kept_name(cache.url, artifacts[band]) for band in "ru"}
    assert coadd_of_u.pixels.shape == (SIDE, SIDE)


def test_many_workers_in_a_folder_that_is_too_small(server, files, tmp_path):
    known = [tile.artifacts["g"] for tile in CADCTiles().tiles()]
    size = known[0].bytes
    right = {one.file: coadd(one.file, size=SIDE) for one in known}

    def work(seed: int) -> int:
        cache, draw, good = files(most=3 * size), np.random.default_rng(seed), 0
        for place in draw.integers(0, len(known), 60):
            artifact = known[place]
            found = cache.open(artifact)
            good += found.pixels.tobytes() in right[artifact.file]
        return good

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [60] * 4
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= 3 * size


def test_a_transfer_that_does_not_fit_is_not_begun(server, files, artifacts, monkeypatch):
    usage = records.shutil.disk_usage("/")._replace(free=10**6)
    monkeypatch.setattr(records.shutil, "disk_usage", lambda folder: usage)
    server.requests.clear()
    with pytest.raises(StorageError, match=r"needs 1\.50 GB in .*: free some space there"):
        files().open(replace(artifacts["g"], bytes=0))
    assert not server.requests


def test_a_cut_transfer_goes_on(server, files, artifacts):
    server.requests.clear()
    server.fail(Fault("cut", after=5000))
    files().open(artifacts["g"])
    assert server.requests[1].headers["range"] == "bytes=5000-"
