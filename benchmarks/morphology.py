"""Morphology against SExtractor: the same numbers, and how much faster.

    python benchmarks/morphology.py [--images 300] [--data FOLDER]     parity
    python benchmarks/morphology.py --speed [--images 300] [--rounds 3]

Needs ``source-extractor`` (Debian) and galsim.  Parity: simulated HSC-like cutouts, and the real
pixels below FOLDER (``GALAXYDS_TEST_DATA``, else ``../shared/data``), against SExtractor with the
settings of the GalaxiesML authors; differences are relative for A, B, radii and fluxes and absolute
for the rest.  The last block gives SExtractor the random numbers of sep: both draw lots for the
pixels between deblended sources.

Speed: :func:`galaxyds.morphology.describe` of the central source, against one process of SExtractor
per image and against one run on all images tiled in a mosaic (the columns that the authors asked
for), in interleaved rounds of one run; processor seconds, medians.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from galaxyds.morphology import describe  # noqa: E402
from tests.morphology.parity import Parity, compare  # noqa: E402
from tests.morphology.population import cutout  # noqa: E402
from tests.morphology.sextractor import (  # noqa: E402
    PROGRAM,
    PUBLISHED,
    SExtractor,
    library_of_random_numbers,
)

GALAXIES, BANDS, CORES = 286_401, 5, 2
ROW = 20  # images in a row of the mosaic


def table(title: str, parity: Parity, groups: dict[str, np.ndarray]) -> None:
    """Median, 90th percentile and maximum of every parameter, for groups of sources."""
    print(
        f"\n{title}: as many sources in {parity.equal_counts} of {parity.images} images, ", end=""
    )
    print(f"equal FLAGS {parity.equal_flags:.2%}")
    groups = {name: chosen for name, chosen in groups.items() if chosen.any()}
    print(" " * 14 + "".join(f"{f'{k} ({v.sum()})':>28}" for k, v in groups.items()))
    for name in parity.differences:
        cells = (parity.quantiles(name, chosen) for chosen in groups.values())
        print(f"{name:14}" + "".join(f"{m:>10.0e}{p:>9.0e}{x:>9.0e}" for m, p, x in cells))


def groups_of(parity: Parity) -> dict[str, np.ndarray]:
    middle, blended = parity.central, parity.blended
    return {
        "unblended central": middle & ~blended,
        "blended central": middle & blended,
        "central": middle,
        "all": np.ones_like(middle),
    }


def real_images(folder: Path) -> list[np.ndarray]:
    """Five bands of an HSC scene, and a field of an older camera."""
    from astropy.io import fits

    cube = np.load(folder / "hsc" / "hsc_cosmos.npz", allow_pickle=True)["images"]
    field = fits.getdata(folder / "sextractor" / "sep" / "image.fits")
    return [*cube, np.asarray(field, dtype=np.float32)]


def show_parity(images: list[np.ndarray], data: Path, folder: Path) -> None:
    program = SExtractor(folder / "plain")
    simulated = compare((image, program(image)) for image in images)
    table("simulated cutouts", simulated, groups_of(simulated))
    if (data / "hsc").is_dir():
        real = compare((image, program(image)) for image in real_images(data))
        table("real pixels", real, groups_of(real))
    library = library_of_random_numbers(folder)
    if library is not None:
        drawn = SExtractor(folder / "drawn", preload=library)
        same = compare((image, drawn(image)) for image in images)
        table("simulated cutouts, the same random numbers", same, groups_of(same))


def processor_seconds() -> float:
    """Of this process and the ended ones that it started."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def timed(job: Callable[[], object]) -> float:
    start = processor_seconds()
    job()
    return processor_seconds() - start


def describe_all(images: list[np.ndarray]) -> int:
    return len([describe(image) for image in images])


def scaling(images: list[np.ndarray], rounds: int) -> float:
    """Wall time of one process over that of two with half of the images each."""
    halves = [images[::2], images[1::2]]
    ratios = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(describe_all, halves))  # imports, and the images once over the pipe
        for _ in range(rounds):
            start = time.perf_counter()
            pool.submit(describe_all, images).result()
            alone = time.perf_counter() - start
            start = time.perf_counter()
            list(pool.map(describe_all, halves))
            ratios.append(alone / (time.perf_counter() - start))
    return statistics.median(ratios)


def show_speed(images: list[np.ndarray], rounds: int, folder: Path) -> None:
    images = images[: len(images) // ROW * ROW]
    tiled = np.vstack([np.hstack(images[i : i + ROW]) for i in range(0, len(images), ROW)])
    mosaic = SExtractor(folder / "mosaic", parameters=PUBLISHED)
    mosaic.write(tiled)
    singles = [SExtractor(folder / str(i), parameters=PUBLISHED) for i in range(len(images))]
    for single, image in zip(singles, images, strict=True):
        single.write(image)
    jobs: dict[str, Callable[[], object]] = {
        "galaxyds, central source": lambda: describe_all(images),
        "SExtractor, one mosaic": mosaic.execute,
        "SExtractor, a process per image": lambda: [single.execute() for single in singles],
    }
    describe(images[0])
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            seconds[name].append(timed(job) / len(images))
    ours = seconds["galaxyds, central source"]
    print(f"\n{len(images)} images of {images[0].shape}, {rounds} rounds\n")
    print(f"{'':34}{'ms per image':>14}{'over galaxyds':>15}")
    for name, found in seconds.items():
        ratio = statistics.median(f / o for f, o in zip(found, ours, strict=True))
        print(f"{name:34}{1e3 * statistics.median(found):14.2f}{ratio:15.2f}")
    gain = scaling(images, rounds)
    hours = statistics.median(ours) * GALAXIES * BANDS / gain / 3600
    print(f"\ntwo processes over one: {gain:.2f}")
    print(f"{GALAXIES:,} galaxies x {BANDS} bands on {CORES} cores: {hours:.2f} h")


def main() -> None:
    parser = argparse.ArgumentParser(description="galaxyds against SExtractor")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("GALAXYDS_TEST_DATA", beside))
    )
    options = parser.parse_args()
    if PROGRAM is None:
        sys.exit("SExtractor is not installed: apt-get install source-extractor")
    images = [cutout(seed) for seed in range(options.images)]
    with tempfile.TemporaryDirectory() as folder:
        if options.speed:
            show_speed(images, options.rounds, Path(folder))
        else:
            show_parity(images, options.data, Path(folder))


if __name__ == "__main__":
    main()
