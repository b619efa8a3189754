"""Verification: green on a good build; every damage named with its file and a command."""

from __future__ import annotations

import hashlib

import h5py
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyds.store.manifest import FileRecord, Selection, read_manifest, write_manifest
from galaxyds.store.verify import verify
from tests.small_build import SPEC, make_build

SHARD = "hub/extended/train-00000-of-00001.parquet"


@pytest.fixture
def build(tmp_path):
    return make_build(tmp_path, 60)


def failures(build):
    return [result for result in verify(build, SPEC) if not result.ok]


def restate(build, **values):
    """Make the manifest agree with the files again, as a careful forger would."""
    old = read_manifest(build / "manifest.json")
    files = {
        name: FileRecord(
            bytes=(build / name).stat().st_size,
            sha256=hashlib.sha256((build / name).read_bytes()).hexdigest(),
        )
        for name in old.files
    }
    write_manifest(build / "manifest.json", msgspec.structs.replace(old, files=files, **values))


def edit_catalog(build, name, change):
    path = build / "catalog.parquet"
    table = pq.read_table(path)
    values = change(table[name].to_numpy(zero_copy_only=False).copy())
    index = table.schema.get_field_index(name)
    field = table.schema.field(index)
    pq.write_table(table.set_column(index, field, pa.array(values, field.type)), path)
    restate(build)


@pytest.mark.parametrize("options", [{}, {"simulated": True, "limit": 60}, {"config": "baseline"}])
def test_a_good_build_passes(tmp_path, options):
    results = list(verify(make_build(tmp_path, 60, **options), SPEC))
    assert [r for r in results if not r.ok] == []
    assert len(results) > 60
    shard = SHARD.replace("extended", options.get("config", "extended"))
    assert {r.file for r in results} >= {"images.hdf5", "catalog.parquet", "hub/README.md", shard}


def test_a_flipped_bit_in_any_file_is_named(build):
    rng = np.random.default_rng(1)
    for path in sorted(p for p in build.rglob("*") if p.is_file() and p.name != "manifest.json"):
        whole = path.read_bytes()
        for position in rng.integers(0, len(whole), 3):
            broken = bytearray(whole)
            broken[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(broken)
            name = path.relative_to(build).as_posix()
            found = failures(build)
            assert name in {r.file for r in found if r.check == "sha256"}
            assert all(r.advice.startswith("run galaxyds build tiny-sky/extended") for r in found)
            assert not any("cache" in r.advice or "delete" in r.advice for r in found)
        path.write_bytes(whole)
    assert failures(build) == []


@pytest.mark.parametrize("name", ["images.hdf5", "catalog.parquet", "hub/README.md", SHARD])
def test_a_missing_or_cut_file_is_named_and_the_rest_still_checked(build, name):
    whole = (build / name).read_bytes()
    (build / name).write_bytes(whole[: len(whole) // 2])
    assert ("size", name) in {(r.check, r.file) for r in failures(build)}
    (build / name).unlink()
    results = list(verify(build, SPEC))
    assert ("file", name) in {(r.check, r.file) for r in results if not r.ok}
    assert sum(r.ok for r in results) > 5


def test_a_file_that_the_manifest_does_not_know_is_named(build):
    (build / "extra.txt").write_text("x")
    (result,) = failures(build)
    assert "extra.txt" in result.got


def test_a_manifest_without_the_data_files_is_not_a_build(build):
    old = read_manifest(build / "manifest.json")
    files = {k: v for k, v in old.files.items() if k != "images.hdf5"}
    write_manifest(build / "manifest.json", msgspec.structs.replace(old, files=files))
    assert any(r.check == "files listed" and "images.hdf5" in r.got for r in failures(build))


def test_a_manifest_cannot_point_outside(build, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    old = read_manifest(build / "manifest.json")
    record = FileRecord(bytes=1, sha256=hashlib.sha256(b"x").hexdigest())
    for name in ("../../../secret", str(secret)):
        files = {**old.files, name: record}
        write_manifest(build / "manifest.json", msgspec.structs.replace(old, files=files))
        assert ("file", name) in {(r.check, r.file) for r in failures(build)}


def test_a_broken_manifest_is_one_failure(build):
    (build / "manifest.json").write_text("{")
    (result,) = verify(build, SPEC)
    assert not result.ok
    assert result.file == "manifest.json"


def test_a_changed_pixel_is_found_although_all_hashes_agree(build):
    with h5py.File(build / "images.hdf5", "r+") as file:
        file["image"][30, 0, 0, 0] += 1
    restate(build)
    checks = {r.check for r in failures(build)}
    assert "rows that differ from HDF5" in checks
    assert "mean of u" in checks


def test_a_changed_column_is_found_although_all_hashes_agree(build):
    with h5py.File(build / "images.hdf5", "r+") as file:
        file["redshift"][3] = 9
    restate(build)
    assert "redshift equals the catalogue" in {r.check for r in failures(build)}


def test_a_row_that_fails_a_cut_is_found(build):
    edit_catalog(build, "mag_g", lambda v: np.where(np.arange(len(v)) == 4, 23, v))
    found = {r.check: r.got for r in failures(build)}
    assert found["rows that fail cut bright"] == "1"


def test_nan_is_treated_as_missing_by_the_cuts(build):
    edit_catalog(build, "mag_g", lambda v: np.where(np.arange(len(v)) == 4, np.nan, v))
    assert "rows that fail cut bright" not in {r.check for r in failures(build)}


def test_an_object_list_is_past_the_cuts(build):
    edit_catalog(build, "mag_g", lambda v: np.where(np.arange(len(v)) == 4, 23, v))
    selection = Selection(kind="objects", objects="a b.csv", objects_sha256="ab")
    restate(build, selection=selection)
    found = failures(build)
    assert not any("cut" in r.check for r in found)
    assert any("--objects 'a b.csv'" in r.advice for r in found)


def test_an_object_moved_to_another_split_is_found(build):
    edit_catalog(build, "split_1", lambda v: np.where(np.arange(len(v)) == 0, (v + 1) % 3, v))
    checks = {r.check: r.got for r in failures(build)}
    assert checks["split_1 equals the hash"] == "1"


def test_a_repeated_id_is_found(build):
    edit_catalog(build, "object_id", lambda v: np.where(np.arange(len(v)) == 1, v[0], v))
    assert "ids unique and increasing" in {r.check for r in failures(build)}


def test_a_row_that_a_shard_lost_is_found(build):
    table = pq.read_table(build / SHARD)
    pq.write_table(table.slice(1), build / SHARD)
    restate(build)
    found = {r.check: (r.expected, r.got) for r in failures(build)}
    assert found["rows in the shards"] == (str(table.num_rows), str(table.num_rows - 1))


def test_a_wrong_count_on_the_card_is_found(build):
    card = build / "hub" / "README.md"
    card.write_text(card.read_text().replace("num_examples: 40", "num_examples: 41"))
    restate(build)
    assert {r.check for r in failures(build)} == {"counts on the card"}


def test_another_declaration_is_found(build):
    restate(build, spec_digest="0" * 64)
    assert {r.check for r in failures(build)} == {"declaration"}
