"""A field's cutouts against the fastest decoder on its five frames, in one run.

    python benchmarks/cutouts.py [FOLDER] [--repeats 5]

FOLDER holds ``frame-{u,g,r,i,z}-000094-1-0012.fits.bz2`` and the field's ``photoObj``; by default
``sdss_field_94-1-12`` below ``GALAXYDS_TEST_DATA`` or ``../shared/data``.  Every decoder that is
installed is tried; rounds are interleaved, medians are shown.  The goal is a ratio of at most 1.15
between the wall time of (reading the five frames and cutting N objects) and of (the fastest decoder
alone), for one thread and for all.  Processor seconds are shown beside it: on a machine that others
use too, they tell how much of a ratio is work.
"""

from __future__ import annotations

import argparse
import bz2
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D

from galaxyds.archives.sdss_frames import read_frame
from galaxyds.pixels import Frame, cut_field

BANDS = "ugriz"
GOAL = 1.15
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
Job = Callable[[], object]


def default_folder() -> Path:
    named = os.environ.get("GALAXYDS_TEST_DATA")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return (Path(named) if named else beside) / "sdss_field_94-1-12"


def each(paths: list[Path], decode: Callable[[Path], int]) -> Job:
    def job() -> None:
        for path in paths:
            assert decode(path) == 12_447_360

    return job


def with_bz2(path: Path) -> int:
    return len(bz2.decompress(path.read_bytes()))


def with_module(name: str, threads: int) -> Callable[[Path], int]:
    """``indexed_bzip2`` or ``rapidgzip``, into a buffer made beforehand: their fastest call."""
    module = importlib.import_module(name)

    def decode(path: Path) -> int:
        buffer, filled = memoryview(bytearray(12_447_361)), 0
        with module.IndexedBzip2File(str(path), parallelization=threads) as stream:
            while count := stream.readinto(buffer[filled:]):
                filled += count
        return filled

    return decode


def with_lbzip2(threads: int) -> Callable[[Path], int]:
    """To a pipe that is read into memory, as a program would use it."""
    command = ["lbzip2", "-dc", f"-n{threads}"]
    return lambda path: len(
        subprocess.run([*command, path], capture_output=True, check=True).stdout
    )


def decoders(paths: list[Path], threads: int) -> Iterator[tuple[str, Job]]:
    if threads == 1:
        yield "bz2 (standard library)", each(paths, with_bz2)
    for name in ("indexed_bzip2", "rapidgzip"):
        if importlib.util.find_spec(name):
            yield f"{name}, {threads} thread(s)", each(paths, with_module(name, threads))
    if shutil.which("lbzip2"):
        yield f"lbzip2, {threads} thread(s)", each(paths, with_lbzip2(threads))


def load(folder: Path, threads: int) -> dict[str, Frame]:
    paths = {band: folder / f"frame-{band}-000094-1-0012.fits.bz2" for band in BANDS}
    return {band: read_frame(path, band, threads=threads) for band, path in paths.items()}


def positions(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Objects with a full box, in the catalogue's order."""
    table = fits.getdata(folder / "photoObj-000094-1-0012.fits")
    row, column = table["ROWC"][:, 2], table["COLC"][:, 2]
    full = (row > 60) & (row < 1429) & (column > 60) & (column < 1988)
    keep = np.flatnonzero(full)[:count]
    return table["RA"][keep].astype(float), table["DEC"][keep].astype(float)


def field(folder: Path, count: int, threads: int, align: str = "r") -> Job:
    ra, dec = positions(folder, count)
    return lambda: cut_field(load(folder, threads), ra, dec, bands=BANDS, size=64, align=align)


def spent() -> float:
    """Processor seconds of this process and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def medians(jobs: dict[str, Job], repeats: int) -> dict[str, tuple[float, float]]:
    """Wall and processor seconds per job; each round runs all of them once."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            start, before = time.perf_counter(), spent()
            job()
            seconds[name].append((time.perf_counter() - start, spent() - before))
    return {
        name: (statistics.median(w for w, _ in pairs), statistics.median(c for _, c in pairs))
        for name, pairs in seconds.items()
    }


def against_decoders(folder: Path, threads: int, repeats: int) -> bool:
    paths = sorted(folder.glob("frame-?-000094-1-0012.fits.bz2"))
    floor = dict(decoders(paths, threads))
    ours = {f"read and cut {n} objects": field(folder, n, threads) for n in (1, 25, 100)}
    found = medians(floor | ours, repeats)
    winner = min(floor, key=lambda name: found[name][0])
    wall, processor = found[winner]
    print(f"\n{threads} thread(s), five frames, median of {repeats}; fastest: {winner}")
    print(f"  {'':34} {'wall s':>7} {'ratio':>7}   {'processor s':>11} {'ratio':>7}")
    for name, (w, c) in found.items():
        print(f"  {name:34} {w:7.3f} {w / wall:7.2f}   {c:11.3f} {c / processor:7.2f}")
    return all(found[name][0] <= GOAL * wall for name in ours)


def against_cutout2d(folder: Path, repeats: int) -> None:
    frames, (ra, dec) = load(folder, CPUS), positions(folder, 100)

    def theirs() -> None:
        for k in range(len(ra)):
            for frame in frames.values():
                place = frame.wcs.wcs_world2pix([[ra[k], dec[k]]], 0)[0]
                Cutout2D(frame.pixels, place, 64, wcs=frame.wcs, copy=True)

    def ours(align: str) -> Job:
        return lambda: cut_field(frames, ra, dec, bands=BANDS, size=64, align=align)

    jobs = {
        "Cutout2D, no alignment": theirs,
        "ours, align=none": ours("none"),
        "ours, align=r": ours("r"),
    }
    print(f"\n100 objects x 5 bands from frames in memory, ms per object (median of {repeats})")
    for name, (wall, _) in medians(jobs, repeats).items():
        print(f"  {name:34} {wall * 10:7.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=default_folder())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if not options.folder.is_dir():
        print(f"{options.folder} is not here: name the folder of the field", file=sys.stderr)
        return 2
    held = [
        against_decoders(options.folder, threads, options.repeats) for threads in sorted({1, CPUS})
    ]
    against_cutout2d(options.folder, options.repeats)
    print(f"\ngoal (at most {GOAL} x the fastest decoder): {'held' if all(held) else 'MISSED'}")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
