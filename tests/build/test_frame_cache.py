"""Frames on disk that units share: bounded, fetched once, never removed while in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galaxyds.archives.base import DAMAGED, NO_DATA, Tile
from galaxyds.build import frame_cache
from galaxyds.build.frame_cache import FrameCache
from galaxyds.errors import ArchiveError, DataIntegrityError, NotInArchiveError

BANDS = ("g", "r")
SIZE = 1000  # bytes of a frame


class Files:
    """An archive of frames of 1000 bytes that remembers what it delivered."""

    name = "files"

    def __init__(self, *, pause: float = 0.0) -> None:
        self.pause = pause
        self.asked: list[tuple[Tile, str]] = []
        self.faults: dict[tuple[Tile, str], Exception] = {}

    def frames(self, tile: Tile, bands: Sequence[str], directory: Path) -> dict[str, Path]:
        paths = {}
        for band in bands:
            self.asked.append((tile, band))
            if error := self.faults.get((tile, band)):
                raise error
            time.sleep(self.pause)
            paths[band] = directory / f"{band}.fits"
            paths[band].write_bytes(f"{tile}{band}".encode().ljust(SIZE))
        return paths

    def tile_bytes(self, bands: Sequence[str]) -> int:
        return SIZE * len(bands)


def cache_of(path: Path, tiles: int = 3) -> FrameCache:
    """A cache that holds ``tiles`` tiles and their records."""
    return FrameCache(directory=path / "cache", limit=tiles * (len(BANDS) * SIZE + 60))


def tiles_in(cache: FrameCache) -> set[Tile]:
    folders = (path for path in cache.directory.iterdir() if path.is_dir())
    return {tuple(map(int, folder.name.split("-"))) for folder in folders}


def bytes_in(cache: FrameCache) -> int:
    return sum(path.stat().st_size for path in cache.directory.rglob("*") if path.is_file())


def touch(cache: FrameCache, archive: Files, field: int) -> None:
    with cache.held(archive, (1, 1, field), BANDS) as held:
        for band, path in held.paths.items():
            assert path.read_bytes().rstrip() == f"{(1, 1, field)}{band}".encode()
    time.sleep(0.002)  # so that times of use differ


def test_a_tile_is_fetched_once(tmp_path):
    archive, cache = Files(), cache_of(tmp_path)
    for _ in range(3):
        touch(cache, archive, 5)
    assert archive.asked == [((1, 1, 5), "g"), ((1, 1, 5), "r")]


def test_a_band_that_is_not_there_yet_is_added(tmp_path):
    archive, cache = Files(), cache_of(tmp_path)
    for bands in (("g",), BANDS):
        with cache.held(archive, (1, 1, 5), bands) as held:
            assert tuple(held.paths) == bands
    assert archive.asked == [((1, 1, 5), "g"), ((1, 1, 5), "r")]


def test_the_tile_that_was_used_longest_ago_goes_first(tmp_path):
    archive, cache = Files(), cache_of(tmp_path, tiles=3)
    for field in (1, 2, 3, 1, 4):
        touch(cache, archive, field)
        assert bytes_in(cache) <= cache.limit
    assert tiles_in(cache) == {(1, 1, 1), (1, 1, 3), (1, 1, 4)}
    assert {path.stem for path in cache.directory.glob("*.lock")} == {"1-1-1", "1-1-3", "1-1-4"}


def test_a_tile_in_use_stays(tmp_path):
    archive, cache = Files(), cache_of(tmp_path, tiles=2)
    with cache.held(archive, (1, 1, 1), BANDS) as held:
        for field in range(2, 9):
            touch(cache, archive, field)
            assert all(path.read_bytes() for path in held.paths.values())
        assert tiles_in(cache) == {(1, 1, 1), (1, 1, 8)}
    touch(cache, archive, 9)
    touch(cache, archive, 10)
    assert tiles_in(cache) == {(1, 1, 9), (1, 1, 10)}


def test_a_cache_of_no_size_still_works(tmp_path):
    archive, cache = Files(), FrameCache(directory=tmp_path / "cache", limit=0)
    for field in (1, 2, 1):
        touch(cache, archive, field)
    assert len(archive.asked) == 6
    assert tiles_in(cache) == {(1, 1, 1)}


def test_workers_that_want_one_tile_at_once_fetch_it_once(tmp_path):
    archive, cache = Files(pause=0.05), cache_of(tmp_path)
    start = threading.Barrier(6)

    def want(_: int) -> None:
        start.wait()
        touch(cache, archive, 5)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(want, range(6)))
    assert archive.asked == [((1, 1, 5), "g"), ((1, 1, 5), "r")]


def test_readers_of_one_tile_do_not_wait_for_each_other(tmp_path):
    archive, cache = Files(), cache_of(tmp_path)
    both = threading.Barrier(2, timeout=10)

    def read(_: int) -> None:
        with cache.held(archive, (1, 1, 5), BANDS):
            both.wait()  # breaks unless the other one holds the tile as well

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, range(2)))


def test_who_found_nothing_does_not_wait_for_who_fetched_and_reads(tmp_path, monkeypatch):
    archive, cache = Files(), cache_of(tmp_path)
    reads, passed, told = threading.Event(), threading.Event(), []

    def fetch_and_read() -> None:
        with cache.held(archive, (1, 1, 5), BANDS):
            reads.set()
            told.append(passed.wait(10))

    other, locked = threading.Thread(target=fetch_and_read), frame_cache._locked

    def overtaken(path, *, alone=False, wait=True):
        if alone and threading.current_thread() is threading.main_thread() and not reads.is_set():
            other.start()  # between the look that found nothing and the lock to fetch
            reads.wait(10)
        return locked(path, alone=alone, wait=wait)

    monkeypatch.setattr(frame_cache, "_locked", overtaken)
    with cache.held(archive, (1, 1, 5), BANDS):
        passed.set()
    other.join()
    assert told == [True]


def test_many_workers_in_a_small_cache_always_read_what_they_asked_for(tmp_path):
    archive, cache = Files(pause=0.0005), cache_of(tmp_path, tiles=2)
    fields = [(n * 7) % 5 for n in range(120)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda field: touch(cache, archive, field), fields))
    touch(cache, archive, 9)
    assert bytes_in(cache) <= cache.limit


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NotInArchiveError("404"), NO_DATA), (DataIntegrityError("html"), DAMAGED)],
)
def test_a_band_that_cannot_be_had_is_told_beside_the_others(tmp_path, error, reason):
    archive, cache = Files(), cache_of(tmp_path)
    archive.faults[(1, 1, 5), "r"] = error
    with cache.held(archive, (1, 1, 5), BANDS) as held:
        assert tuple(held.paths) == ("g",)
        assert held.missing == {"r": reason}
    archive.faults.clear()
    with cache.held(archive, (1, 1, 5), BANDS) as held:
        assert tuple(held.paths) == BANDS, "it may be there the next time"


def test_a_transfer_that_fails_for_good_is_an_error_and_keeps_the_lock_free(tmp_path):
    archive, cache = Files(), cache_of(tmp_path)
    archive.faults[(1, 1, 5), "r"] = ArchiveError("down")
    with pytest.raises(ArchiveError, match="down"):
        touch(cache, archive, 5)
    archive.faults.clear()
    touch(cache, archive, 5)


def test_a_discarded_frame_is_fetched_afresh(tmp_path):
    archive, cache = Files(), cache_of(tmp_path)
    touch(cache, archive, 5)
    cache.discard((1, 1, 5), "g")
    cache.discard((1, 1, 6), "g")
    touch(cache, archive, 5)
    assert [band for _, band in archive.asked] == ["g", "r", "g"]


@pytest.mark.parametrize("content", ["", "{", '{"g": "gone.fits"}'])
def test_a_record_that_a_kill_left_behind_is_no_trap(tmp_path, content):
    archive, cache = Files(), cache_of(tmp_path)
    touch(cache, archive, 5)
    (cache.directory / "1-1-5" / "frames.json").write_text(content)
    touch(cache, archive, 5)
    names = sorted(path.name for path in (cache.directory / "1-1-5").iterdir())
    assert names == ["frames.json", "g.fits", "r.fits"]
