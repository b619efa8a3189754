"""Exports read back by the libraries of their formats: every value, every bit of the pixels."""

from __future__ import annotations

import dataclasses
import json
import os
import pickletools
import subprocess
import sys
import tarfile

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyds.errors import MissingExtraError, StorageError, UsageError
from galaxyds.publish import write_product
from galaxyds.publish.exports import FORMATS, Options, open_source, write_export
from galaxyds.spec import Column
from galaxyds.store import BuildDirectory, read_columns, read_manifest, read_table
from galaxyds.store.layout import build_path
from tests.small_build import SPEC, images, make_build, manifest, table

ROWS = 60
WITH_DEC = dataclasses.replace(
    SPEC,
    columns=(
        *SPEC.columns,
        Column(name="dec", dtype="float64", unit="deg", archive="b.dec", description="Dec"),
        Column(name="nothing", dtype="float64", archive="b.nothing", description="-0.0 always"),
    ),
)


def pixels():
    """Cutouts, some of which are exact zeros of either sign."""
    cutouts = images(ROWS)
    cutouts[7], cutouts[8] = 0.0, -0.0
    return cutouts


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    described = manifest(WITH_DEC)
    target = build_path(tmp_path_factory.mktemp("home"), "tiny-sky", "extended", described.version)
    dec, nothing = pa.array(np.linspace(-80, 80, ROWS)), pa.array(np.full(ROWS, -0.0))
    known = table(ROWS).append_column("dec", dec).append_column("nothing", nothing)
    write_product(
        target,
        spec=WITH_DEC,
        manifest=described,
        table=known,
        blocks=iter([pixels()]),
    )
    build = BuildDirectory(path=target, manifest=read_manifest(target / "manifest.json"))
    return open_source(build, WITH_DEC)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    """Several shards, chunks, partitions and row groups even of a small build."""
    cutout = 4 * 3 * 8 * 8
    pieces = {
        "webdataset._SHARD_BYTES": 10 * cutout,
        "webdataset._BLOCK": 3,
        "zarr._CHUNK_BYTES": 2 * cutout,
        "zarr._SHARD_BYTES": 8 * cutout,
        "hats._PARTITION_ROWS": 20,
        "hats._GROUP_BYTES": 3 * cutout,
    }
    for name, value in pieces.items():
        monkeypatch.setattr(f"galaxyds.publish.exports.{name}", value)


def write(source, target, form, progress=lambda done, total: None, **options):
    write_export(FORMATS[form], source, target, options=Options(**options), progress=progress)
    return target


def equal(value, expected):
    return value == expected or (value is None and expected != expected)


@pytest.mark.parametrize("division", [0, 2])
def test_webdataset_reads_back_equal(source, tmp_path, division):
    import webdataset

    out = write(source, tmp_path / "out", "webdataset", division=division)
    columns, cutouts = read_columns(source.build.images), pixels()
    seen = []
    for code, split in enumerate(("train", "validation", "test")):
        shards = sorted(map(str, out.glob(f"{split}-*.tar")))
        for sample in webdataset.WebDataset(shards, shardshuffle=False).decode():
            row = int(np.flatnonzero(columns["object_id"] == int(sample["__key__"]))[0])
            assert sample["npy"].dtype == np.float32
            assert sample["npy"].tobytes() == cutouts[row].tobytes()
            assert set(sample["json"]) == set(columns)
            assert all(equal(sample["json"][name], columns[name][row]) for name in columns)
            assert columns[f"split_{division}"][row] == code
            seen.append(row)
    assert sorted(seen) == list(range(ROWS))
    last = len(list(out.glob("train-*.tar"))) - 1
    assert last > 0
    assert f"train-{{000000..{last:06d}}}.tar" in (out / "README.md").read_text()


def test_webdataset_is_plain_and_the_same_every_time(source, tmp_path):
    first, second = (write(source, tmp_path / name, "webdataset") for name in "ab")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
    with tarfile.open(first / "test-000000.tar") as tar:
        for member in tar:
            data = tar.extractfile(member).read()
            if member.name.endswith(".json"):
                json.loads(data, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
            else:
                with pytest.raises(ValueError, match="opcode"):
                    list(pickletools.genops(data))


def test_webdataset_has_infinity_in_words_and_every_reader_of_json_takes_it(source, tmp_path):
    columns = dict(source.columns)
    columns["redshift"] = columns["redshift"].copy()
    columns["redshift"][:3] = np.inf, -np.inf, np.nan
    out = write(dataclasses.replace(source, columns=columns), tmp_path / "out", "webdataset")
    found = {}
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    told = msgspec.json.decode(tar.extractfile(member).read())  # strict
                    found[told["object_id"]] = told["redshift"]
    first = [found[int(one)] for one in columns["object_id"][:4]]
    assert first[:3] == ["Infinity", "-Infinity", None]
    assert [float(word) for word in first[:2]] == [np.inf, -np.inf]
    assert first[3] == columns["redshift"][3]


def test_zarr_reads_back_equal(source, tmp_path):
    import zarr

    out = write(source, tmp_path / "out", "zarr")
    group = zarr.open(out / "tiny_sky_extended.zarr", mode="r")
    columns = read_columns(source.build.images)
    assert set(group.array_keys()) == {*columns, "image", "band"}
    assert group["image"][:].tobytes() == pixels().tobytes()
    assert np.signbit(columns["nothing"]).all()
    for name, values in columns.items():
        if values.dtype.kind in "biuf":  # bit by bit: 0.0 == -0.0
            assert group[name][:].tobytes() == values.tobytes(), name
        else:
            np.testing.assert_array_equal(group[name][:], values)
        assert group[name].metadata.dimension_names == ("object",)
    image = group["image"]
    assert (image.chunks[0], image.shards[0]) == (2, 8)
    assert image.metadata.dimension_names == ("object", "band", "row", "column")
    assert list(group["band"][:]) == image.attrs["bands"] == ["u", "g", "r"]
    assert group["ra"].attrs["units"] == "deg"
    assert group["warning"].attrs["missing"] == -9999
    assert group.attrs["manifest"]["spec_digest"] == source.build.manifest.spec_digest


@pytest.mark.parametrize("with_images", [False, True])
def test_hats_opens_in_lsdb(source, tmp_path, with_images):
    import lsdb

    out = write(source, tmp_path / "out", "hats", images=with_images)
    catalogue = lsdb.open_catalog(out)
    rows = catalogue.compute(progress_bar=False).sort_values("object_id")
    known = read_table(source.build.catalog, limit=1 << 30)
    assert set(rows.columns) - {"image"} == set(known.column_names)
    for name in known.column_names:
        assert pa.array(rows[name]).cast(known[name].type).to_pylist() == known[name].to_pylist()
    assert ("image" in rows.columns) is with_images
    if with_images:
        stored = pa.chunked_array(pa.array(rows["image"])).combine_chunks().flatten()
        assert stored.to_numpy().tobytes() == pixels().tobytes()
    assert len(catalogue.get_healpix_pixels()) > 1
    ra, dec = (known[name][11].as_py() for name in ("ra", "dec"))
    near = catalogue.cone_search(ra, dec, radius_arcsec=2).compute(progress_bar=False)
    assert list(near["object_id"]) == [known["object_id"][11].as_py()]


def test_hats_fields_have_units_and_an_index(source, tmp_path):
    out = write(source, tmp_path / "out", "hats")
    schema = pq.read_schema(out / "dataset" / "_common_metadata")
    assert schema.field("dec").metadata[b"unit"] == b"deg"
    assert schema.field("redshift").metadata[b"ucd"] == b"src.redshift"
    assert schema.field("_healpix_29").type == pa.int64()
    properties = (out / "hats.properties").read_text()
    assert "hats_nrows=60" in properties
    assert "hats_data_semver=1.2.0" in properties


def test_croissant_links_shards_and_copies_the_rest(source, tmp_path):
    out = write(source, tmp_path / "out", "croissant")
    hub = source.build.hub
    shard = "extended/train-00000-of-00001.parquet"
    assert (out / shard).samefile(hub / shard)
    assert (out / "README.md").read_bytes() == (hub / "README.md").read_bytes()
    assert not (out / "README.md").samefile(hub / "README.md")
    assert (out / "croissant.json").is_file()


@pytest.mark.parametrize("form", ["webdataset", "zarr", "hats"])
def test_the_manifest_travels_with_the_data(source, tmp_path, form):
    out = write(source, tmp_path / "out", form)
    assert read_manifest(out / "manifest.json") == source.build.manifest
    page = (out / "README.md").read_text()
    assert "`tiny-sky/extended:1.2.0`" in page
    assert "&lt;markup&gt;" in page


@pytest.mark.parametrize("options", [Options(), Options(images=True)])
@pytest.mark.parametrize("form", list(FORMATS))
def test_the_size_that_is_asked_for_suffices(source, tmp_path, form, options):
    write_export(FORMATS[form], source, tmp_path / "o", options=options, progress=max)
    written = sum(p.stat().st_size for p in (tmp_path / "o").rglob("*") if p.is_file())
    assert written < FORMATS[form].size(source, options) + 100_000


@pytest.mark.parametrize("form", ["webdataset", "zarr", "hats"])
def test_an_interrupted_export_leaves_nothing(source, tmp_path, form):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(source, tmp_path / "out", form, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_removed_and_what_a_living_one_writes_stays(source, tmp_path):
    ended, zombie = (subprocess.Popen([sys.executable, "-S", "-c", ""]) for _ in range(2))
    ended.wait(60)
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    numbers = [ended.pid, os.getpid(), *([zombie.pid] if sys.platform == "linux" else [])]
    left = [tmp_path / f".out.{number}-0123abcd.tmp" for number in numbers]
    living, other = f".out.{os.getppid()}-0123abcd.tmp", f".out2.{ended.pid}-0123abcd.tmp"
    kept = [tmp_path / name for name in (living, other, "out.1-0.tmp", ".out.tmp")]
    for folder in (*left, *kept):
        folder.mkdir()
        (folder / "half.tar").write_bytes(b"0")
    write(source, tmp_path / "out", "webdataset")
    zombie.wait(60)
    assert set(tmp_path.iterdir()) == {*kept, tmp_path / "out"}


@pytest.mark.parametrize(
    ("form", "package"), [("webdataset", "webdataset"), ("zarr", "zarr"), ("hats", "lsdb")]
)
def test_without_its_package_a_format_names_the_extra(source, tmp_path, monkeypatch, form, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'galaxyds\[export\]'"):
        write(source, tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_is_refused(source, tmp_path):
    with pytest.raises(UsageError, match="divisions 0 to 2, not 3"):
        write(source, tmp_path / "out", "webdataset", division=3)
    path = make_build(tmp_path / "home")
    flat = BuildDirectory(path=path, manifest=read_manifest(path / "manifest.json"))
    with pytest.raises(UsageError, match="has no column dec"):
        write(open_source(flat, SPEC), tmp_path / "out", "hats")
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match="choose another folder with --output"):
        write(source, tmp_path / "out", "zarr")
