"""How fast batches leave a build, against memcpy and the usual alternatives.

::

    python benchmarks/loaders.py              # all of it, about 15 minutes, 15 GB of disk
    python benchmarks/loaders.py --quick      # a twentieth of the objects, to try it out

Writes synthetic builds of 20,000 x 5x64x64 and 4,000 x 5x127x127 (HDF5, hub Parquet, WebDataset
tars) to a temporary folder, reads each in shuffled batches of 256 with a warm page cache, and
deletes them.  Every method runs once per round, five rounds, so that what else the machine does
falls on all; the table gives medians.  "memcpy" copies a different contiguous slice of the mapped
file into one reused buffer per batch.

The last part asks what a user feels: a small convolution (5 to 8 channels, one torch thread, about
100,000 objects/s) runs alone over one resident batch, then fed by the loader, then alone again.
What it keeps depends on how near it is to the memory's bandwidth: the gather reads and writes every
pixel once while the convolution reads it.  Rounds count as quiet if other processes used less than
a tenth of a core; medians are over these if there are any.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import psutil
import pyarrow as pa
import torch

from galaxyds.loaders import BatchLoader, GalaxyDataset, collate
from galaxyds.loaders.gather import empty_images
from galaxyds.publish import write_product
from galaxyds.spec import DatasetSpec, Split
from galaxyds.specs import get_spec
from galaxyds.store.hdf5 import image_map
from galaxyds.store.layout import build_path
from galaxyds.store.manifest import ArchiveRecord, Manifest, Selection, local_version

BATCH = 256
ROUNDS = 5
FEED_ROUNDS = 30
FEED_BATCHES = 40
Epoch = Callable[[int], Iterator[object]]


@dataclass(frozen=True)
class Case:
    """A synthetic build and its copies in other formats."""

    root: Path
    folder: Path
    spec: DatasetSpec
    rows: int


def make_case(root: Path, rows: int, size: int) -> Case:
    """Write a build of random pixels, all objects in `train`, and WebDataset tars of it."""
    base = get_spec("sdss-qso")
    spec = replace(
        base,
        pixels=replace(base.pixels, size=size),
        split=Split(fractions=((1.0, 0.0, 0.0),), source="benchmark"),
    )
    selection = Selection(kind="limit", limit=rows)
    version = local_version(spec.version, simulated=True, selection=selection)
    manifest = Manifest(
        name=spec.name, config="extended", version=version, package_version="benchmark",
        spec_digest=spec.digest("extended"), created="", rows=0, shape=spec.image_shape(),
        archive=ArchiveRecord(name="random", data_release="none", simulated=True),
        selection=selection,
    )  # fmt: skip
    folder = build_path(root, spec.name, "extended", version)
    rng = np.random.default_rng(size)
    blocks = (
        rng.standard_normal((min(500, rows - k), *spec.image_shape()), dtype=np.float32)
        for k in range(0, rows, 500)
    )
    write_product(folder, spec=spec, manifest=manifest, table=_table(spec, rows), blocks=blocks)
    _write_tars(root / "tars", image_map(folder / "images.hdf5"))
    os.sync()  # or the kernel writes gigabytes back while the first rounds are timed
    return Case(root, folder, spec, rows)


def _table(spec: DatasetSpec, rows: int) -> pa.Table:
    columns = {}
    for column in spec.stored_columns():
        kind = object if column.dtype == "string" else column.dtype
        columns[column.name] = ["QSO"] * rows if kind is object else np.zeros(rows, kind)
    columns[spec.object_id] = np.arange(rows, dtype=np.int64)
    return pa.table(columns)


def _write_tars(folder: Path, images: np.ndarray) -> None:
    folder.mkdir()
    for shard, start in enumerate(range(0, len(images), 1000)):
        with tarfile.open(folder / f"{shard:03d}.tar", "w") as tar:
            for row in range(start, min(start + 1000, len(images))):
                data = io.BytesIO()
                np.save(data, images[row])
                info = tarfile.TarInfo(f"{row:08d}.image.npy")
                info.size = data.tell()
                data.seek(0)
                tar.addfile(info, data)


def methods(case: Case) -> dict[str, tuple[Epoch, int]]:
    """Each method as a function from epoch to an iterator of batches, and its batches per round.

    Slow methods read part of an epoch; rates are per object.
    """
    images = np.asarray(image_map(case.folder / "images.hdf5"))
    dataset = _Benchmark(case)
    full = case.rows // BATCH
    few, some = max(full // 20, 2), max(full // 4, 2)
    loader = BatchLoader(dataset, BATCH, drop_last=True)
    single = BatchLoader(dataset, BATCH, drop_last=True, prefetch=0)
    one_ahead = BatchLoader(dataset, BATCH, drop_last=True, prefetch=1)
    return {
        "memcpy, reused buffer": (_memcpy(images), full),
        "BatchLoader (prefetch thread)": (lambda _: iter(loader), full),
        "BatchLoader, prefetch=1": (lambda _: iter(one_ahead), full),
        "BatchLoader, prefetch=0 (no thread)": (lambda _: iter(single), full),
        "DataLoader, our __getitems__ and collate": (_dataloader(dataset, collate), full),
        "DataLoader, our __getitem__, default collate": (_per_item(dataset), some),
        "per item f['image'][i], stacked": (_h5py(case), some),
        "Hugging Face with_format('torch'), batched": (_hugging_face(case), few),
        "Hugging Face with_format('torch'), per item": (_hugging_face(case, single=True), few),
        "WebDataset, shuffle(1000)": (_webdataset(case), some),
    }


class _Benchmark(GalaxyDataset):
    def __init__(self, case: Case) -> None:
        self._case = case
        super().__init__("train", root=case.root)

    def declaration(self) -> DatasetSpec:  # type: ignore[override]
        return self._case.spec


def _order(rows: int, epoch: int) -> np.ndarray:
    order = np.random.default_rng(epoch).permutation(rows)
    return order[: rows // BATCH * BATCH].reshape(-1, BATCH)


def _memcpy(images: np.ndarray) -> Epoch:
    buffer = empty_images((BATCH, *images.shape[1:]))

    def epoch(_: int) -> Iterator[object]:
        for start in range(0, len(images) // BATCH * BATCH, BATCH):
            np.copyto(buffer, images[start : start + BATCH])
            yield buffer

    return epoch


def _dataloader(dataset: GalaxyDataset, collate_fn: object) -> Epoch:
    return lambda _: iter(
        torch.utils.data.DataLoader(
            dataset, BATCH, shuffle=True, drop_last=True, collate_fn=collate_fn
        )
    )


def _per_item(dataset: GalaxyDataset) -> Epoch:
    def epoch(number: int) -> Iterator[object]:
        for rows in _order(len(dataset), number):
            yield torch.utils.data.default_collate([dataset[int(i)] for i in rows])

    return epoch


def _h5py(case: Case) -> Epoch:
    def epoch(number: int) -> Iterator[object]:
        with h5py.File(case.folder / "images.hdf5") as file:
            for rows in _order(case.rows, number):
                yield torch.stack([torch.from_numpy(file["image"][i]) for i in rows])

    return epoch


def _hugging_face(case: Case, *, single: bool = False) -> Epoch:
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when `datasets` is imported
    from datasets import load_dataset

    cache = str(case.root / "hf-cache")
    data = load_dataset(str(case.folder / "hub"), split="train", cache_dir=cache)
    data = data.select_columns(["image", "object_id", "redshift"]).with_format("torch")

    def epoch(number: int) -> Iterator[object]:
        for rows in _order(case.rows, number):
            yield torch.stack([data[int(i)]["image"] for i in rows]) if single else data[rows]

    return epoch


def _webdataset(case: Case) -> Epoch:
    import webdataset

    shards = [str(path) for path in sorted((case.root / "tars").glob("*.tar"))]

    def epoch(number: int) -> Iterator[object]:
        data = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
        return iter(data.shuffle(1000, seed=number).decode().to_tuple("image.npy").batched(BATCH))

    return epoch


def rate(epoch: Iterator[object], batches: int) -> float:
    """Objects per second over some batches, the first of which is not timed."""
    next(epoch)
    done, start = 0, time.perf_counter()
    for _ in range(batches - 1):
        next(epoch)
        done += BATCH
    elapsed = time.perf_counter() - start
    getattr(epoch, "close", lambda: None)()
    return done / elapsed


def compare(case: Case) -> None:
    """Print the table of one build."""
    found = methods(case)
    rates: dict[str, list[float]] = {name: [] for name in found}
    for round_ in range(-1, ROUNDS):  # the first round warms up and is not counted
        for name, (epoch, batches) in found.items():
            value = rate(epoch(round_ + 1), batches)
            if round_ >= 0:
                rates[name].append(value)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    memcpy = medians["memcpy, reused buffer"]
    item = medians["per item f['image'][i], stacked"]
    bytes_ = int(np.prod(case.spec.image_shape())) * 4
    print(f"\n{case.rows:,} x {case.spec.image_shape()}, batches of {BATCH}, median of {ROUNDS}")
    print(f"{'method':48s} {'objects/s':>10s} {'MB/s':>8s} {'x memcpy':>9s} {'x per item':>10s}")
    for name, value in medians.items():
        print(
            f"{name:48s} {value:10,.0f} {value * bytes_ / 1e6:8,.0f} "
            f"{value / memcpy:9.3f} {value / item:10.1f}"
        )


def feed(case: Case) -> None:
    """Print what share of its own speed a small convolution keeps when the loader feeds it."""
    torch.set_num_threads(1)
    models = {
        "8x8, stride 8": torch.nn.Conv2d(5, 8, kernel_size=8, stride=8),
        "9x9, stride 8, padding 1": torch.nn.Conv2d(5, 8, kernel_size=9, stride=8, padding=1),
        "9x9, stride 7": torch.nn.Conv2d(5, 8, kernel_size=9, stride=7),
    }
    dataset = _Benchmark(case)
    loaders = [BatchLoader(dataset, BATCH, drop_last=True, prefetch=n) for n in (2, 1, 0)]
    print(
        f"\n{'one thread, 5 to 8 channels':26s} {'alone/s':>9s}   share kept with prefetch=2, 1, 0"
    )
    for name, model in models.items():
        rounds = [_feed_round(dataset, model, loaders) for _ in range(FEED_ROUNDS + 1)][1:]
        quiet = [r for r in rounds if r[0] < 0.1]
        alone, *kept = np.median(np.array(quiet or rounds)[:, 1:], axis=0)
        shares = "  ".join(f"{share:.3f}" for share in kept)
        print(f"{name:26s} {alone:9,.0f}   {shares}   quiet rounds: {len(quiet)} of {len(rounds)}")


def _feed_round(
    dataset: GalaxyDataset, model: torch.nn.Module, loaders: list[BatchLoader]
) -> tuple[float, ...]:
    """Return cores used by other processes, the rate alone, then the share kept by loader."""
    resident = dataset.batch(np.arange(BATCH))["image"]
    batches = min(FEED_BATCHES, len(loaders[0]))
    others, start = _busy_elsewhere(), time.perf_counter()
    with torch.inference_mode():
        before = rate((model(resident) for _ in range(batches)), batches)
        fed = [rate(_consume(model, loader), batches) for loader in loaders]
        after = rate((model(resident) for _ in range(batches)), batches)
    alone = (before + after) / 2
    others = (_busy_elsewhere() - others) / (time.perf_counter() - start)
    return others, alone, *(value / alone for value in fed)


def _busy_elsewhere() -> float:
    """CPU seconds that all other processes have used."""
    machine, here = psutil.cpu_times(), os.times()
    return sum(machine) - machine.idle - machine.iowait - machine.guest - here.user - here.system


def _consume(model: torch.nn.Module, loader: BatchLoader) -> Iterator[object]:
    for batch in loader:
        yield model(batch["image"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the objects")
    parser.add_argument("--only", choices=("64", "127", "feed"), help="one part only")
    options = parser.parse_args()
    scale = 20 if options.quick else 1
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}"
    print(f"{platform.machine()}, {load}, torch {torch.__version__}, numpy {np.__version__}")
    for rows, size in ((20_000, 64), (4_000, 127)):
        wanted = options.only in (None, str(size)) or (options.only == "feed" and size == 64)
        if not wanted:
            continue
        root = Path(tempfile.mkdtemp(prefix="galaxyds-benchmark-"))
        try:
            case = make_case(root, max(rows // scale, 4 * BATCH), size)
            if options.only != "feed":
                compare(case)
            if size == 64:
                feed(case)
        finally:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
