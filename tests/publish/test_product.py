"""A whole build: complete or absent, and the same bytes each time."""

from __future__ import annotations

import hashlib
import os

import h5py
import numpy as np
import pytest

from galaxyds.errors import DataIntegrityError, StorageError
from galaxyds.publish import write_product
from galaxyds.store.manifest import read_manifest
from tests.small_build import SPEC, images, make_build, manifest, table


def test_the_manifest_names_every_file_with_its_hash(tmp_path):
    build = make_build(tmp_path, 60)
    stated = read_manifest(build / "manifest.json")
    found = {p.relative_to(build).as_posix(): p for p in build.rglob("*") if p.is_file()}
    assert set(stated.files) == set(found) - {"manifest.json"}
    for name, record in stated.files.items():
        assert hashlib.sha256(found[name].read_bytes()).hexdigest() == record.sha256
        assert found[name].stat().st_size == record.bytes


def test_statistics_equal_numpy(tmp_path):
    stated = read_manifest(make_build(tmp_path, 60) / "manifest.json")
    pixels = images(60).astype(np.float64)
    assert list(stated.bands) == ["u", "g", "r"]
    for index, band in enumerate("ugr"):
        here = pixels[:, index]
        assert stated.bands[band].mean == pytest.approx(np.nanmean(here), rel=1e-12)
        assert stated.bands[band].std == pytest.approx(np.nanstd(here), rel=1e-12)
        assert stated.bands[band].nan_fraction == np.isnan(here).mean()
        assert stated.bands[band].zero_fraction == (here == 0).mean()
    assert stated.rows == 60
    assert sum(stated.splits["2"].values()) == 60


def test_a_band_without_pixels_has_no_mean(tmp_path):
    pixels = images(5)
    pixels[:, 0] = np.nan
    target = tmp_path / "b"
    written = write_product(
        target, spec=SPEC, manifest=manifest(), table=table(5), blocks=iter([pixels])
    )
    assert written.bands["u"].mean is None
    assert written.bands["u"].nan_fraction == 1
    assert read_manifest(target / "manifest.json") == written


def test_two_builds_have_the_same_bytes(tmp_path):
    first, second = make_build(tmp_path / "a"), make_build(tmp_path / "b")
    for path in sorted(p for p in first.rglob("*") if p.is_file()):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_a_failing_build_leaves_nothing(tmp_path):
    def blocks():
        yield images(60)[:30]
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk full"):
        write_product(
            tmp_path / "b", spec=SPEC, manifest=manifest(), table=table(60), blocks=blocks()
        )
    with pytest.raises(DataIntegrityError):
        write_product(
            tmp_path / "b", spec=SPEC, manifest=manifest(), table=table(60), blocks=iter([])
        )
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_build_leaves_open_maps_alone(tmp_path):
    build = make_build(tmp_path)
    with h5py.File(build / "images.hdf5") as old:
        make_build(tmp_path, replace=True, seed=1)
        np.testing.assert_array_equal(old["image"][()], images(60))
    with h5py.File(build / "images.hdf5") as new:
        np.testing.assert_array_equal(new["image"][()], images(60, seed=1))
    with pytest.raises(StorageError, match="exists"):
        make_build(tmp_path)


def test_every_file_is_synced_before_the_build_gets_its_name(tmp_path, monkeypatch):
    seen, fsync, rename = [], os.fsync, os.rename
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))), fsync(fd)),  # noqa: PTH115, PTH119
    )
    monkeypatch.setattr(os, "rename", lambda *a: (seen.append("RENAME"), rename(*a)))
    build = make_build(tmp_path)
    before = seen[: seen.index("RENAME")]
    assert {p.name for p in build.rglob("*") if p.is_file()} <= set(before)
    assert seen[seen.index("RENAME") + 1 :] == [build.parent.name]
