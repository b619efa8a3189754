"""Checking a build against its manifest, its spec and itself.

Everything is measured again from the bytes: no marker of an earlier stage is believed.  Each check
yields one frozen :class:`Result`; a failed one names the file and the command that mends it.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyds.catalog.engine import evaluate
from galaxyds.catalog.splits import divide
from galaxyds.errors import DataIntegrityError, GalaxydsError
from galaxyds.spec import BAND_MASK
from galaxyds.store import layout
from galaxyds.store.columns import filled_table
from galaxyds.store.files import sha256
from galaxyds.store.hdf5 import IMAGE, image_map, let_go, read_columns
from galaxyds.store.manifest import Manifest, read_manifest
from galaxyds.store.parquet import catalog_schema, read_batches, read_catalog
from galaxyds.store.statistics import band_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec

_COLUMN_BYTES = 512
"""Bytes per row and column of a shard, generously, beside its pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Outcome of one check.

    Attributes
    ----------
    check : str
        What was checked.
    ok : bool
        Whether it holds.
    expected, got : str
        Both sides of the comparison.
    file : str
        Path relative to the build; empty if it concerns several.
    advice : str
        The next command if the check failed, else empty.
    is_note : bool
        A difference from the declaration that comes from the authors' files or from a list built
        past the cuts: told, but no fault of the build.
    """

    check: str
    ok: bool
    expected: str = ""
    got: str = ""
    file: str = ""
    advice: str = ""
    is_note: bool = False


class _Build:
    """What the checks share; everything is read when it is first asked for."""

    def __init__(self, directory: Path, spec: DatasetSpec, manifest: Manifest) -> None:
        self.directory, self.spec, self.manifest = directory, spec, manifest
        self._table: pa.Table | None = None
        self._images: NDArray[np.float32] | None = None

    @property
    def table(self) -> pa.Table:
        if self._table is None:
            self._table = read_catalog(
                self.directory / layout.CATALOG, spec=self.spec, rows=self.manifest.rows
            )
        return self._table

    @property
    def images(self) -> NDArray[np.float32]:
        if self._images is None:
            self._images = image_map(self.directory / layout.IMAGES)
        return self._images

    def result(self, check: str, expected: object, got: object, file: str = "") -> Result:
        ok = expected == got
        advice = (
            "" if ok else f"run {rewrite_command(self.manifest, layout.home_of(self.directory))}"
        )
        return Result(
            check=check, ok=ok, expected=str(expected), got=str(got), file=file, advice=advice
        )


def rewrite_command(manifest: Manifest, home: Path) -> str:
    """Return the command that makes the build again: its shards were given up when it was done."""
    parts = [f"galaxyds build {manifest.name}/{manifest.config}"]
    stage = "fetch" if manifest.archive.released else "cutouts"
    if manifest.archive.simulated:
        parts.append("--archive simulated")
    if manifest.archive.released:
        parts.append("--archive release")
    if manifest.selection.kind == "limit":
        parts.append(f"--limit {manifest.selection.limit}")
    if manifest.selection.kind == "objects":
        parts.append(f"--objects {shlex.quote(manifest.selection.objects or 'FILE')}")
    if manifest.align == "none":
        parts.append("--align none")
    return " ".join([*parts, f"--root {shlex.quote(str(home))}", f"--from {stage}"])


def verify(directory: Path, spec: DatasetSpec) -> Iterator[Result]:
    """Check a build.

    Parameters
    ----------
    directory : pathlib.Path
        Folder with ``manifest.json``.
    spec : DatasetSpec
        The declaration it was built from.

    Yields
    ------
    Result
        One per check, as soon as it is known.  Nothing is raised for a fault of the build.
    """
    try:
        manifest = read_manifest(directory / layout.MANIFEST)
    except DataIntegrityError as error:
        yield Result(
            check="manifest",
            ok=False,
            expected="a readable manifest",
            got=str(getattr(error, "got", error)),
            file=layout.MANIFEST,
            advice="run the galaxyds build command of this build with --from "
            + ("fetch" if "+release" in directory.name else "cutouts"),
        )
        return
    build = _Build(directory, spec.of(manifest.config), manifest)
    for name, check in _CHECKS.items():
        yield from _guarded(name, check, build)


def _guarded(
    name: str, check: Callable[[_Build], Iterator[Result]], build: _Build
) -> Iterator[Result]:
    """Run a check; a file that cannot be read is its failure, not the end of the verification."""
    try:
        yield from check(build)
    except (GalaxydsError, OSError, pa.ArrowException) as error:
        file = Path(str(getattr(error, "file", "") or "")).name
        yield Result(
            check=name,
            ok=False,
            expected=str(getattr(error, "expected", "readable files")),
            got=str(getattr(error, "got", error)),
            file=file,
            advice=f"run {rewrite_command(build.manifest, layout.home_of(build.directory))}",
        )


def _check_identity(build: _Build) -> Iterator[Result]:
    manifest, spec = build.manifest, build.spec
    yield build.result("name", spec.name, manifest.name, layout.MANIFEST)
    spec.config(manifest.config)
    if manifest.public_version == spec.version:
        digest = spec.digest(manifest.config)
        yield build.result("declaration", digest, manifest.spec_digest, layout.MANIFEST)


def _check_files(build: _Build) -> Iterator[Result]:
    known = build.manifest.files
    for name, record in known.items():
        path = build.directory / name
        if ".." in Path(name).parts or Path(name).is_absolute() or not path.is_file():
            yield build.result("file", "present", "missing", name)
            continue
        size = path.stat().st_size
        yield build.result("size", f"{record.bytes} bytes", f"{size} bytes", name)
        if size == record.bytes:
            yield build.result("sha256", record.sha256, sha256(path), name)
    found = (p.relative_to(build.directory) for p in build.directory.rglob("*") if p.is_file())
    strangers = sorted({p.as_posix() for p in found} - set(known) - {layout.MANIFEST})
    yield build.result("no other files", [], strangers)
    needed = {layout.IMAGES, layout.CATALOG, f"{layout.HUB}/README.md"}
    yield build.result("files listed", [], sorted(needed - set(known)), layout.MANIFEST)


def _check_pixels(build: _Build) -> Iterator[Result]:
    shape = (build.manifest.rows, *build.spec.image_shape())
    yield build.result("image", shape, build.images.shape, layout.IMAGES)
    mask = None
    if build.spec.has_optional_bands():
        mask = build.table.column(BAND_MASK.name).to_numpy()
    measured = band_statistics(build.images, build.spec.band_names(), mask=mask)
    stated = build.manifest.bands
    yield build.result("bands", list(measured), list(stated), layout.MANIFEST)
    for band in measured.keys() & stated.keys():
        for field in ("mean", "std", "nan_fraction", "zero_fraction"):
            mine, theirs = getattr(measured[band], field), getattr(stated[band], field)
            # Sums are taken in another order on another processor.
            equal = mine == theirs or (
                None not in (mine, theirs) and np.isclose(mine, theirs, rtol=1e-6, atol=1e-9)
            )
            got = theirs if equal else mine
            yield build.result(f"{field} of {band}", theirs, got, layout.IMAGES)


def _check_columns(build: _Build) -> Iterator[Result]:
    schema = catalog_schema(build.spec)
    for field in schema:
        names = build.table.schema.names
        got = build.table.schema.field(field.name).type if field.name in names else "missing"
        yield build.result(f"column {field.name}", str(field.type), str(got), layout.CATALOG)
    yield build.result("columns", schema.names, build.table.schema.names, layout.CATALOG)


def _check_ids(build: _Build) -> Iterator[Result]:
    ids = build.table.column(build.spec.object_id).to_numpy()
    steps = ids[1:] > ids[:-1]
    broken = int(len(steps) - np.count_nonzero(steps))
    yield build.result("ids unique and increasing", 0, broken, layout.CATALOG)


def _check_hdf5(build: _Build) -> Iterator[Result]:
    names = tuple(column.name for column in build.spec.stored_columns())
    stored = read_columns(build.directory / layout.IMAGES)
    yield build.result("columns", sorted(names), sorted(stored), layout.IMAGES)
    expected = filled_table(build.table, build.spec)
    for column in build.spec.stored_columns():
        values = stored.get(column.name, np.empty(0))
        kind = "object" if column.dtype == "string" else column.dtype
        yield build.result(f"dtype of {column.name}", kind, str(values.dtype), layout.IMAGES)
        different = _differences(expected.column(column.name).to_numpy(), values)
        yield build.result(f"{column.name} equals the catalogue", 0, different, layout.IMAGES)


def _differences(a: NDArray[Any], b: NDArray[Any]) -> int:
    """Count elements that differ; NaN equals NaN; all differ if the lengths do."""
    if a.shape != b.shape:
        return max(a.size, b.size, 1)
    equal = a == b
    if a.dtype.kind == b.dtype.kind == "f":
        equal |= np.isnan(a) & np.isnan(b)
    return int(a.size - np.count_nonzero(equal))


def _check_cuts(build: _Build) -> Iterator[Result]:
    if build.manifest.selection.kind == "objects":
        return
    stored = {column.name for column in build.spec.stored_columns()}
    declared = {column.name for column in build.spec.columns}
    table = _nan_to_null(build.table)
    for cut in build.spec.config(build.manifest.config).cuts:
        if absent := sorted((cut.names() & declared) - stored):
            got = f"not checked: {', '.join(absent)} not stored"
            yield Result(check=f"cut {cut.name}", ok=True, expected=cut.sql, got=got)
            continue
        sql = f"SELECT count(*) AS n FROM catalog WHERE NOT coalesce(({cut.sql}), false)"
        failing = evaluate(table, sql).column("n")[0].as_py()
        yield _noted(build, f"rows that fail cut {cut.name}", 0, failing)


def _check_ranges(build: _Build) -> Iterator[Result]:
    """Values outside of what a column can hold after the cuts."""
    table = _nan_to_null(build.table)
    for column in build.spec.stored_columns():
        if column.valid is None:
            continue
        low, high = column.valid
        name = f'"{column.name}"'
        sql = f"SELECT count(*) AS n FROM catalog WHERE {name} < {low} OR {name} > {high}"
        outside = evaluate(table.select([column.name]), sql).column("n")[0].as_py()
        yield _noted(build, f"{column.name} outside of {low} to {high}", 0, outside)


def _check_centres(build: _Build) -> Iterator[Result]:
    """Objects must stand in the middle, but for those whose cutout is said to be trimmed."""
    pixels = build.spec.pixels
    flags = build.table.column("cutout_flags").fill_null(0).to_numpy()
    off = np.zeros(len(flags), np.float64)
    for name in ("cutout_x", "cutout_y"):
        values = build.table.column(name).fill_null((pixels.size - 1) / 2).to_numpy()
        off = np.maximum(off, np.abs(values - (pixels.size - 1) / 2))
    trimmed = {flag.bit for flag in build.spec.flags if flag.name in ("trimmed", "cropped")}
    known = np.bitwise_and(flags, sum(1 << bit for bit in trimmed)) != 0
    wrong = int(np.count_nonzero((off > pixels.off_centre + 1e-3) & ~known))
    check = f"objects more than {pixels.off_centre:g} pixels off the middle"
    yield build.result(check, 0, wrong, layout.CATALOG)


def _check_release(build: _Build) -> Iterator[Result]:
    """Hold the authors' files to what they are said to be."""
    files, manifest = build.spec.files, build.manifest
    if files is None or not manifest.archive.released:
        return
    for ours, theirs, count in files.splits:
        found = manifest.splits.get("0", {}).get(ours)
        yield _noted(build, f"published rows of {theirs}", count, found)
    absent = [
        column.name
        for column in build.spec.stored_columns()
        if build.table.column(column.name).null_count == build.manifest.rows
    ]
    yield _noted(build, "columns without any value", [], absent)


def _noted(build: _Build, check: str, expected: object, got: object) -> Result:
    result = build.result(check, expected, got, layout.CATALOG)
    past_the_cuts = build.manifest.selection.kind == "objects"
    if result.ok or not (build.manifest.archive.released or past_the_cuts):
        return result
    return replace(result, ok=True, advice="", is_note=True)


def _nan_to_null(table: pa.Table) -> pa.Table:
    for index, name in enumerate(table.column_names):
        values = table.column(name)
        if pa.types.is_floating(values.type):
            null = pa.scalar(None, values.type)
            values = pc.if_else(pc.is_nan(values), null, values)
            table = table.set_column(index, name, values)
    return table


def _check_splits(build: _Build) -> Iterator[Result]:
    spec, table = build.spec, build.table
    theirs = build.manifest.archive.released and spec.files is not None and spec.files.splits
    drawn = divide(table, spec.split, object_id=spec.object_id)
    for division in range(spec.split.divisions):
        codes = table.column(f"split_{division}").to_numpy()
        if division or not theirs:  # theirs was not drawn by us
            wrong = _differences(drawn[division], codes)
            yield build.result(f"split_{division} equals the hash", 0, wrong, layout.CATALOG)
        counts = {name: int((codes == k).sum()) for k, name in enumerate(spec.split.names)}
        stated = build.manifest.splits.get(str(division), {})
        yield build.result(f"counts of division {division}", stated, counts, layout.MANIFEST)


def _check_hub(build: _Build) -> Iterator[Result]:
    folder = build.directory / layout.HUB
    codes = build.table.column("split_0").to_numpy()
    expected = filled_table(build.table, build.spec)
    for code, split in enumerate(build.spec.split.names):
        rows = np.flatnonzero(codes == code)
        shards = sorted((folder / build.manifest.config).glob(f"{split}-*.parquet"))
        yield build.result(f"{split} has shards", bool(len(rows)), bool(shards), layout.HUB)
        yield from _compare_shards(build, shards, expected, rows)
    card = (folder / "README.md").read_text(encoding="utf-8")
    stated = re.findall(r"name: (\w+), num_bytes: \d+, num_examples: (\d+)", card)
    counts = [(name, str(int((codes == k).sum()))) for k, name in enumerate(build.spec.split.names)]
    counts = [(name, count) for name, count in counts if count != "0"]
    yield build.result("counts on the card", counts, stated, f"{layout.HUB}/README.md")


def _compare_shards(
    build: _Build, shards: list[Path], expected: pa.Table, rows: NDArray[np.int64]
) -> Iterator[Result]:
    pixels = math.prod(build.spec.image_shape())
    row_bytes = 16 * pixels + _COLUMN_BYTES * len(expected.column_names)
    done = 0
    for shard in shards:
        name = shard.relative_to(build.directory).as_posix()
        different = 0
        limit = (1 << 20) + row_bytes * len(rows)
        for batch in read_batches(shard, limit=limit, batch_size=16):
            here = rows[done : done + batch.num_rows]
            done += batch.num_rows
            different += _compare_batch(build, batch, expected, here)
            pa.default_memory_pool().release_unused()
        yield build.result("rows that differ from HDF5", 0, different, name)
    yield build.result("rows in the shards", len(rows), done, layout.HUB)


def _compare_batch(
    build: _Build, batch: pa.RecordBatch, expected: pa.Table, rows: NDArray[np.int64]
) -> int:
    if len(rows) != batch.num_rows or [*expected.column_names, IMAGE] != batch.schema.names:
        return max(int(batch.num_rows), 1)
    pixels = batch.column(IMAGE)
    for _ in range(3):
        pixels = pixels.flatten()
    mine = build.images[rows].reshape(len(rows), -1)
    let_go(build.images)
    if len(pixels) != mine.size:
        return len(rows)
    theirs = pixels.to_numpy(zero_copy_only=False).reshape(mine.shape)
    bad = ~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs))).all(axis=1)
    wanted = expected.take(pa.array(rows))
    for name in expected.column_names:
        a = wanted.column(name).to_numpy()
        b = batch.column(name).to_numpy(zero_copy_only=False)
        same = a == b
        if a.dtype.kind == "f":
            same |= np.isnan(a) & np.isnan(b)
        bad |= ~same
    return int(np.count_nonzero(bad))


_CHECKS: dict[str, Callable[[_Build], Iterator[Result]]] = {
    "identity": _check_identity,
    "files": _check_files,
    "pixels": _check_pixels,
    "columns": _check_columns,
    "ids": _check_ids,
    "HDF5 columns": _check_hdf5,
    "cuts": _check_cuts,
    "ranges": _check_ranges,
    "centres": _check_centres,
    "published files": _check_release,
    "splits": _check_splits,
    "hub": _check_hub,
}
