"""The coverage and cutouts stages of datasets that stack all frames over an object."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galaxyds.archives.base import CoverageArchive
from galaxyds.build.context import Context, Options
from galaxyds.build.coverage import read_coverage
from galaxyds.build.frame_cache import FrameCache
from galaxyds.build.pixels import plan_units
from galaxyds.build.shards import Shards, read_shard
from galaxyds.build.stacks import NOT_COVERED, stack_units
from galaxyds.build.stages import STAGES
from galaxyds.build.tables import write_rows
from galaxyds.build.units import run_unit
from galaxyds.build.workspace import Workspace, read_facts, write_facts
from galaxyds.errors import ArchiveError, NotInArchiveError, UsageError
from galaxyds.pixels import Frame, stack_frames
from galaxyds.pixels.flags import EDGE, FEWER_FRAMES, MISSING_BAND, mask
from galaxyds.spec import Column, Pixels
from galaxyds.store.files import sha256
from tests.build.disk_frames import (
    BANDS,
    SCALE,
    SHAPE,
    SIZE,
    TILES,
    DiskFrames,
    file_name,
    fluxes,
    make_frames,
    objects,
    wcs_of,
)
from tests.small_build import SPEC as SMALL

STAGE_NAMES = ("split", "coverage", "cutouts")
SPEC = replace(
    SMALL,
    name="small-stacks",
    bands=tuple(replace(SMALL.bands[0], name=band) for band in BANDS),
    columns=(
        *SMALL.columns,
        Column(name="camcol", dtype="int32", archive="b.camcol", description="camcol"),
        Column(name="field", dtype="int32", archive="b.field", description="field"),
    ),
    pixels=Pixels(
        protocol="stacks",
        size=SIZE,
        scale=SCALE,
        reference_band="r",
        tile=("run", "camcol", "field"),
        kernel="lanczos3",
        combine="clipped",
    ),
    stages=STAGE_NAMES,
)


@pytest.fixture(scope="module")
def kept_frames(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("frames") / "kept"
    make_frames(folder)
    return folder


@pytest.fixture
def archive(kept_frames, tmp_path) -> DiskFrames:
    """An archive of its own for every test: files may be removed and spoiled."""
    shutil.copytree(kept_frames, tmp_path / "archive")
    return DiskFrames(tmp_path / "archive")


def rows() -> pa.Table:
    """The objects; each belongs to the field of run 1 on whose middle it lies nearest."""
    ids, ra, dec = objects()
    distance = [np.abs(wcs_of(tile).wcs_world2pix(ra, dec, 0)[1] - 110) for tile in TILES[:3]]
    field = np.argmin(distance, axis=0) + 10
    ones = np.ones(len(ids), np.int32)
    return pa.table(
        {"object_id": ids, "ra": ra, "dec": dec, "run": ones, "camcol": ones,
         "field": field.astype(np.int32)}
    )  # fmt: skip


def context_of(archive, root: Path, *, jobs: int = 1, drop_failed: bool = False, table=None):
    """A build whose split stage is finished."""
    workspace = Workspace(root / "work", STAGE_NAMES)
    workspace.create()
    if "split" not in workspace.finished():
        with workspace.running("split", {}) as folder:
            write_rows(folder, rows() if table is None else table)
            write_facts(folder, {"rows": 0})
    return Context(
        spec=SPEC,
        config=SPEC.configs[0],
        products=SPEC.configs[:1],
        archive=archive,
        options=Options(jobs=jobs, drop_failed=drop_failed),
        workspace=workspace,
        version="1.0.0",
        home=root,
    )


def run(context: Context, *names: str) -> None:
    """Run stages as the engine does."""
    for name in names or STAGE_NAMES[1:]:
        stage = STAGES[name]
        inputs = stage.inputs(context)
        if not context.workspace.is_done(name, inputs):
            with context.workspace.running(name, inputs, keep=stage.keep) as folder:
                stage.run(context, folder)


def shards(context: Context) -> Shards:
    return Shards(context.workspace.path("cutouts") / "shards")


def images(context: Context) -> dict[int, np.ndarray]:
    found = shards(context)
    return dict(zip(found.object_id.tolist(), np.concatenate(list(found.blocks())), strict=True))


def hashes(context: Context) -> dict[str, str]:
    folder = context.workspace.path("cutouts") / "shards"
    return {path.name: sha256(path) for path in folder.rglob("*.npz")}


@pytest.fixture(scope="module")
def calm(kept_frames, tmp_path_factory):
    """A build that nothing disturbs, beside the archive's transfers."""
    root = tmp_path_factory.mktemp("calm")
    shutil.copytree(kept_frames, root / "archive")
    context = context_of(DiskFrames(root / "archive"), root)
    run(context)
    return context


def whole_frames(archive: DiskFrames, band: str, without: tuple = ()) -> list[Frame]:
    paths = [archive.folder / file_name(t, band) for t in TILES if (t, band) not in without]
    return [archive.read(path, band) for path in paths]


def expected(archive: DiskFrames, band: str, place: int, without: tuple = ()) -> np.ndarray:
    """One object stacked from whole frames, all at once."""
    _, ra, dec = objects()
    one = slice(place, place + 1)
    frames = whole_frames(archive, band, without)
    return stack_frames(frames, ra[one], dec[one], size=SIZE, scale=SCALE).image[0]


def test_the_archive_of_these_tests_speaks_the_protocol(archive):
    assert isinstance(archive, CoverageArchive)


def test_coverage_is_asked_once_and_told(calm):
    table, facts = read_coverage(calm), read_facts(calm.workspace.path("coverage"))
    ids, ra, dec = objects()
    reach = (SIZE / np.sqrt(2)) * SCALE / 3600  # a field nearer than this shows part of a cutout
    for place, one in enumerate(ids):
        for tile in TILES:
            x, y = wcs_of(tile).wcs_world2pix(ra[place], dec[place], 0)
            off = max(-x, x - SHAPE[1], -y, y - SHAPE[0], 0) * SCALE / 3600
            assert tile in table[int(one)] or off > reach
    assert facts["tiles"] == len({tile for tiles in table.values() for tile in tiles})
    assert facts["depth"] == pytest.approx(np.mean([len(tiles) for tiles in table.values()]))
    assert facts["uncovered"] == 0


def test_coverage_follows_positions(calm, tmp_path, archive):
    """An object that moves within its frames has other pixels: the stage's outputs say so."""
    moved = rows()
    nudged = moved.column("ra").to_numpy() + 1e-7
    moved = moved.set_column(moved.column_names.index("ra"), "ra", [nudged])
    context = context_of(archive, tmp_path, table=moved)
    run(context, "coverage")
    assert read_coverage(context) == read_coverage(calm)
    assert STAGES["cutouts"].inputs(context) != STAGES["cutouts"].inputs(calm)


def test_an_archive_without_positions_is_refused(tmp_path, archive):
    class Blind(DiskFrames):
        covering = None

    with pytest.raises(UsageError, match="cannot tell which frames cover"):
        run(context_of(Blind(archive.folder), tmp_path))


def test_stacks_are_those_of_whole_frames_all_at_once(calm):
    found = images(calm)
    assert len(found) == len(objects()[0])
    for place in range(0, len(found), 3):
        for k, band in enumerate(BANDS):
            image = found[1000 + place][k]
            wanted = expected(calm.archive, band, place)
            assert image.tobytes() == wanted.tobytes()


def test_a_source_keeps_its_flux_and_its_place(calm):
    found, ids = images(calm), objects()[0]
    step = np.arange(SIZE) - (SIZE - 1) / 2
    circle = np.hypot(*np.meshgrid(step, step)) <= 9
    ratios = []
    for one in ids:
        plane = found[int(one)][1].astype(float)
        if np.isnan(plane).any():
            continue
        plane = plane * circle
        ratios.append(plane.sum() / fluxes(one))
    # 250 pixels of noise 0.02 or less are 0.5 % of the faintest source; some have a neighbour.
    assert np.median(ratios) == pytest.approx(1, abs=5e-3)
    assert shards(calm).columns["cutout_x"].tolist() == [(SIZE - 1) / 2] * len(ids)


def test_every_frame_is_fetched_once(calm):
    log = calm.archive.transfers()
    assert (
        len(log)
        == len(set(log))
        == len(BANDS) * read_facts(calm.workspace.path("coverage"))["tiles"]
    )
    assert not (calm.workspace.directory / "frames").exists(), "frames are given up at the end"


def test_an_interrupted_build_goes_on_to_the_same_bytes(calm, archive, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxyds.build.stacks._MOST_LAYERS", 1)  # every object a unit
    (archive.folder / "down-2-1-12").touch()
    context = context_of(archive, tmp_path, jobs=2)
    with pytest.raises(ArchiveError, match="units failed"):
        run(context)
    partial = context.workspace.partial("cutouts") / "shards"
    begun = len(list(partial.rglob("*.npz")))
    assert 0 < begun < len(objects()[0])
    before = set(archive.transfers())
    (archive.folder / "down-2-1-12").unlink()
    run(context)
    again = archive.transfers()[len(before) :]
    assert not before & set(again), "frames that are here are not fetched again"
    assert len(archive.transfers()) == len(set(archive.transfers()))
    ours, theirs = images(context), images(calm)
    assert ours.keys() == theirs.keys()
    assert all(ours[one].tobytes() == theirs[one].tobytes() for one in ours)


def test_a_killed_build_goes_on_to_the_same_bytes(calm, archive, tmp_path):
    """Killed in the middle of a transfer, with a half written file under its final name."""
    (archive.folder / "slow").touch()
    work = (
        "import sys; from pathlib import Path; from tests.build import test_stacks as t;"
        "t.run(t.context_of(t.DiskFrames(Path(sys.argv[1])), Path(sys.argv[2])))"
    )
    process = subprocess.Popen([sys.executable, "-c", work, str(archive.folder), str(tmp_path)])
    while len(archive.transfers()) < 7:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    (archive.folder / "slow").unlink()
    half = tmp_path / "work" / "frames" / "1-1-10" / file_name((1, 1, 10), "g")
    half.write_bytes(b"half of it")
    context = context_of(archive, tmp_path)
    run(context)
    assert hashes(context) == hashes(calm)
    assert not (context.workspace.directory / "frames").exists()


def test_order_workers_and_company_decide_no_byte(calm, archive, tmp_path, monkeypatch):
    context = context_of(archive, tmp_path, jobs=2)
    run(context)
    assert hashes(context) == hashes(calm)
    monkeypatch.setattr("galaxyds.build.stacks._FEW_UNITS", 1)
    (unit,) = plan_units(context, tmp_path / "other")  # three before
    assert run_unit(unit).error is None
    theirs, shard = images(calm), read_shard(unit.shard)
    for one, image in zip(shard["object_id"], shard["image"], strict=True):
        assert image.tobytes() == theirs[int(one)].tobytes()


def test_a_small_cache_decides_no_byte(calm, archive, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxyds.build.stacks.CACHE_BYTES", 1)
    context = context_of(archive, tmp_path)
    run(context)
    assert hashes(context) == hashes(calm)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_frame_that_cannot_be_had_leaves_its_objects_flagged(calm, archive, tmp_path, how):
    tile = (2, 1, 11)
    path = archive.folder / file_name(tile, "g")
    good = path.read_bytes()
    path.unlink()
    if how == "damaged":
        path.write_bytes(b"another file")
    with pytest.raises(NotInArchiveError, match=r"does not hold all the frames of .*drop-failed"):
        run(context_of(archive, tmp_path))
    context = context_of(archive, tmp_path, drop_failed=True)
    run(context)
    found, covering = shards(context), read_coverage(context)
    flagged = found.columns["cutout_flags"] & mask(FEWER_FRAMES) != 0
    assert flagged.tolist() == [tile in covering[int(i)] for i in found.object_id]
    assert 0 < flagged.sum() < len(flagged)
    (warning,) = read_facts(context.workspace.path("cutouts"))["warnings"]
    assert f"{flagged.sum()} objects: a frame is lacking in the stack" in warning
    assert ("damaged" in warning) == (how == "damaged")
    path.write_bytes(good)
    ours, theirs = images(context), images(calm)
    for place in np.flatnonzero(flagged)[:4]:
        wanted = expected(archive, "g", int(place), without=((tile, "g"),))
        assert np.allclose(ours[1000 + place][0], wanted, rtol=1e-5, atol=1e-6, equal_nan=True)
        assert np.array_equal(ours[1000 + place][1], theirs[1000 + place][1], equal_nan=True)


def test_a_frame_that_was_damaged_on_the_way_is_fetched_again(calm, archive, tmp_path):
    name = file_name((2, 1, 11), "g")
    (archive.folder / f"{name}.break-once").touch()
    context = context_of(archive, tmp_path)
    run(context)
    assert hashes(context) == hashes(calm)
    assert archive.transfers().count(name) == 2


def test_a_band_without_frames_is_nan_and_flagged(archive, tmp_path):
    for tile in TILES:
        (archive.folder / file_name(tile, "g")).unlink()
    context = context_of(archive, tmp_path, drop_failed=True)
    run(context)
    flags = shards(context).columns["cutout_flags"]
    assert len(flags) == len(objects()[0])
    assert (flags & mask(MISSING_BAND) != 0).all()
    assert all(np.isnan(image[0]).all() for image in images(context).values())
    assert not any(np.isnan(image[1]).all() for image in images(context).values())


def test_pixels_that_no_frame_has_are_nan_and_flagged(calm):
    found, pixels = shards(calm), images(calm)
    edge = found.columns["cutout_flags"] & mask(EDGE) != 0
    assert edge.tolist() == [bool(np.isnan(pixels[int(i)]).any()) for i in found.object_id]


def test_an_archive_without_the_reference_band_is_asked_again(calm, archive, tmp_path):
    kept = {tile: (archive.folder / file_name(tile, "r")).read_bytes() for tile in TILES}
    for tile in TILES:
        (archive.folder / file_name(tile, "r")).unlink()
    context = context_of(archive, tmp_path)
    with pytest.raises(NotInArchiveError, match="does not hold the pixels of 24 of 24"):
        run(context)
    for tile, content in kept.items():
        (archive.folder / file_name(tile, "r")).write_bytes(content)
    run(context)
    assert hashes(context) == hashes(calm)


def test_an_object_off_every_frame_is_left_out_with_the_reason(archive, tmp_path):
    table = rows()
    dec = table.column("dec").to_numpy().copy()
    dec[5] += 1.0
    table = table.set_column(table.column_names.index("dec"), "dec", [dec])
    context = context_of(archive, tmp_path, table=table)
    run(context)
    assert shards(context).dropped == [(1005, NOT_COVERED)]
    assert 1005 not in shards(context).object_id
    told = read_facts(context.workspace.path("coverage"))
    assert told["uncovered"] == 1
    assert told["warnings"] == ["1 objects lie in no frame of disk"]


@pytest.mark.parametrize("most", [1, 20, 45, 2000])
def test_every_object_stands_in_one_unit_of_bounded_size(calm, tmp_path, monkeypatch, most):
    monkeypatch.setattr("galaxyds.build.stacks._MOST_LAYERS", most)
    units = list(stack_units(calm, calm.archive, tmp_path))
    ids = sorted(one.object_id for unit in units for one in unit.objects)
    assert ids == objects()[0].tolist()
    assert len({unit.shard for unit in units}) == len(units)
    for unit in units:
        assert unit.count == 1 or sum(len(one.tiles) for one in unit.objects) <= most


def test_a_shard_tells_the_depth_of_every_band(calm, tmp_path):
    unit = next(stack_units(calm, calm.archive, tmp_path / "shards"))
    assert (
        run_unit(replace(unit, cache=FrameCache(directory=tmp_path / "c", limit=0))).error is None
    )
    shard = read_shard(unit.shard)
    ids, ra, dec = objects()
    order = np.searchsorted(ids, shard["object_id"])
    for band in BANDS:
        depth = np.zeros(len(ids), int)
        for tile in TILES:
            x, y = wcs_of(tile, band).wcs_world2pix(ra, dec, 0)
            depth += (x >= -0.5) & (x < SHAPE[1] - 0.5) & (y >= -0.5) & (y < SHAPE[0] - 0.5)
        assert shard[f"depth_{band}"].tolist() == depth[order].tolist()


def test_a_unit_tells_its_lost_frames_tile_by_tile(archive, calm, tmp_path):
    for band in BANDS:
        (archive.folder / file_name((2, 1, 11), band)).unlink()
    unit = next(stack_units(calm, archive, tmp_path / "shards"))
    assert unit.work() == ("frames 2-1-11 (g, r): no data in the archive",)
