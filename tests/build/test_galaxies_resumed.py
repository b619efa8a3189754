"""Builds of hsc-galaxiesml that are interrupted, lack something, or change their mind."""

from __future__ import annotations

import shutil
from collections import namedtuple
from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest

from galaxyds.archives.base import NO_DATA
from galaxyds.archives.simulated_hsc import SimulatedHSC
from galaxyds.build import Request, build
from galaxyds.build import stages as build_stages
from galaxyds.build.shards import Shards, write_shard
from galaxyds.errors import GalaxydsError, MissingExtraError, NotInArchiveError, StorageError
from galaxyds.morphology.flags import NO_PSF, mask
from galaxyds.store import read_columns

pytest.importorskip("galsim")


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A few galaxies of two tracts: two units."""
    table = (
        SimulatedHSC()
        .server.execute(
            "SELECT object_id, tract FROM pdr2_wide.forced "
            "LEFT JOIN pdr2_wide.specz USING (object_id) WHERE specz_redshift > 0.1 "
            "AND i_cmodel_mag < 20 ORDER BY object_id"
        )
        .to_pandas()
    )
    ids = [part.object_id.to_numpy()[:9] for _, part in table.groupby("tract")][:2]
    path = tmp_path_factory.mktemp("list") / "galaxies.csv"
    path.write_text("object_id\n" + "\n".join(str(i) for i in np.concatenate(ids)) + "\n")
    return path


@pytest.fixture
def request_(listed, tmp_path):
    return Request(
        address="hsc-galaxiesml", archive="simulated", objects=listed, root=tmp_path, jobs=1
    )


class StoppedError(Exception):
    """What interrupts a build in these tests."""


class OneUnit(Executor):
    """Runs the first unit of work and then is interrupted."""

    def __init__(self):
        self.done = 0

    def submit(self, function, /, *arguments, **options):
        if self.done:
            raise KeyboardInterrupt
        self.done += 1
        future = Future()
        future.set_result(function(*arguments, **options))
        return future


def test_what_was_fetched_is_not_asked_of_the_disk_again(request_, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")

    def asked() -> int:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 0))
            with pytest.raises(StorageError) as caught:
                build(request_)
        return caught.value.needed

    whole = asked()
    with pytest.raises(KeyboardInterrupt):
        build(request_, executor=OneUnit())
    (shard,) = tmp_path.glob(".work/**/cutouts.partial/shards/*/*.npz")
    assert asked() == whole - shard.stat().st_size
    assert shard.exists()


def test_a_config_that_was_finished_is_published_whoever_asks(request_, monkeypatch, tmp_path):
    def interrupted(context, folder):
        raise StoppedError

    verify = build_stages.STAGES["verify"]
    with monkeypatch.context() as patch:
        patch.setitem(build_stages.STAGES, "verify", replace(verify, run=interrupted))
        with pytest.raises(StoppedError):
            build(request_)
    small = build(replace(request_, address="hsc-galaxiesml/64"))
    assert [b.manifest.config for b in small.built] == ["64"]
    assert list(tmp_path.glob("hsc_galaxiesml/127/*/manifest.json"))
    both = build(request_)
    assert both.skipped == both.stages


class WithoutPSF(SimulatedHSC):
    """A sky whose service of point-spread functions has none for the share that is asked for."""

    share = 1.0

    def point_spreads(self, objects, bands):
        for n, found in enumerate(super().point_spreads(objects, bands)):
            lost = n < self.share * len(objects)
            yield (
                replace(found, images={}, missing=dict.fromkeys(bands, NO_DATA)) if lost else found
            )


@pytest.fixture
def without_psf(monkeypatch):
    def opened(spec, kind, *, local):
        return WithoutPSF()

    monkeypatch.setattr("galaxyds.build.engine.open_archive", opened)
    return WithoutPSF


def test_a_service_without_point_spread_functions_stops_the_build(request_, without_psf):
    with pytest.raises(NotInArchiveError, match=r"point-spread functions of \d+ of \d+ .*no data"):
        build(request_)
    summary = build(replace(request_, drop_failed=True))
    columns = read_columns(summary.path / "images.hdf5")
    assert np.isnan(columns["i_sersic_index"]).all()
    assert (columns["i_morphology_flags"] & mask(NO_PSF) != 0).all()
    (told,) = [line for line in summary.manifest.warnings if "point-spread" in line]
    assert (
        told == f"{len(columns['ra'])} objects: no point-spread function, {NO_DATA} (g, r, i, z, y)"
    )


def test_a_few_missing_point_spread_functions_are_told(request_, without_psf, monkeypatch):
    monkeypatch.setattr(without_psf, "share", 0.05)
    summary = build(request_)
    columns = read_columns(summary.path / "images.hdf5")
    lost = columns["i_morphology_flags"] & mask(NO_PSF) != 0
    assert 0 < lost.sum() <= 2
    assert np.isnan(columns["i_sersic_index"][lost]).all()
    assert np.isfinite(columns["i_sersic_index"][~lost]).all()
    assert any("no point-spread function" in line for line in summary.manifest.warnings)


def test_a_fit_that_cannot_run_is_no_finished_stage(request_, monkeypatch):
    def broken(*arguments, **options):
        raise MissingExtraError("torch cannot be imported", package="torch", extra="torch")

    with monkeypatch.context() as patch:
        patch.setattr("galaxyds.morphology.measure_cutouts", broken)
        with pytest.raises(MissingExtraError, match="cannot be imported"):
            build(replace(request_, drop_failed=True))

    def failing(*arguments, **options):
        raise GalaxydsError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("galaxyds.morphology.measure_cutouts", failing)
        with pytest.raises(GalaxydsError, match="2 of 2 units failed"):
            build(replace(request_, drop_failed=True))
    assert np.isfinite(read_columns(build(request_).path / "images.hdf5")["i_sersic_index"]).any()


def test_shards_with_most_of_their_objects_are_kept(tmp_path):
    ids = np.arange(10)
    good, bad = tmp_path / "1" / "good.npz", tmp_path / "2" / "bad.npz"
    write_shard(good, {"object_id": ids}, [(11, NO_DATA)])
    write_shard(bad, {"object_id": ids[:1]}, [(n, NO_DATA) for n in range(20, 29)])
    shards = Shards(tmp_path)
    assert len(shards.dropped) == 10
    shards.forget_empty()
    assert good.exists()
    assert not bad.exists()
