"""hsc-deep from services on loopback and folders of files: the build of the simulated archive."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from galaxyds.archives.simulated_deep import SimulatedDeep
from galaxyds.build import Request, build
from galaxyds.errors import DataIntegrityError, GalaxydsError, ResumeConflictError, UsageError
from galaxyds.sky import DEFAULT_SEED
from galaxyds.store import image_map, read_columns
from tests.archives.test_dust import pixel, plane
from tests.servers import Fault
from tests.servers.deep import deep_emulator, local_files, point_there
from tests.sky.deep_small import SMALL, wanted


@pytest.fixture(scope="module")
def sky():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    pytest.importorskip("dustmaps", reason="reddening needs the extra 'dust'")
    return SimulatedDeep(footprint=SMALL)


@pytest.fixture(scope="module")
def compiled(sky):
    return sky._objects()


@pytest.fixture(scope="module")
def listed(compiled, tmp_path_factory):
    rows, _ = wanted(compiled.table)
    few = rows.groupby(["tract", "nir_coverage"]).head(3)
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_text("objID\n" + "\n".join(map(str, few.object_id)) + "\n")
    return path


@pytest.fixture(scope="module")
def local(sky, tmp_path_factory):
    return local_files(sky, tmp_path_factory.mktemp("local"))


@pytest.fixture
def services(sky, local, monkeypatch, tmp_path):
    with deep_emulator(sky) as server:
        point_there(server, local, monkeypatch, tmp_path / "cache")
        yield server


def make(root, archive, listed, **more):
    request = Request(
        address="hsc-deep/9band", archive=archive, root=root, objects=listed, jobs=1, **more
    )
    with ThreadPoolExecutor(1) as executor:
        return build(request, executor=executor)


def test_it_is_the_build_of_the_simulated_archive(
    services, compiled, local, listed, tmp_path, monkeypatch
):
    services.fail(
        Fault("503", where="/cgi-bin/cutout"), Fault("502", where="/status"),
        Fault("cut-chunked", where="/cgi-bin/cutout", after=150_000),
    )  # fmt: skip
    folders = {"mosaics": local.mosaics, "redshifts": local.redshifts}
    remote = make(tmp_path / "remote", "remote", listed, **folders)
    assert services.faults == []
    monkeypatch.setattr(SimulatedDeep.__init__, "__defaults__", (DEFAULT_SEED, SMALL))
    monkeypatch.setattr(SimulatedDeep, "_objects", lambda self: compiled)
    simulated = make(tmp_path / "simulated", "simulated", listed)
    assert remote.manifest.rows == simulated.manifest.rows > 12
    a, b = (read_columns(s.path / "images.hdf5") for s in (remote, simulated))
    assert set(a) == set(b)
    for name, values in a.items():
        if values.dtype.kind == "f" and name != "ebv":
            assert np.allclose(values, b[name], rtol=1e-6, atol=1e-4, equal_nan=True), name
        elif name != "ebv":
            assert np.array_equal(values, b[name]), name
    assert a["ebv"] == pytest.approx(plane(*pixel(a["ra"], a["dec"])), abs=1e-4)
    assert len(set((a["band_mask"] >> 6).tolist())) > 3
    images, others = (np.asarray(image_map(s.path / "images.hdf5")) for s in (remote, simulated))
    assert np.array_equal(np.isnan(images), np.isnan(others))
    peak = np.nanmax(np.abs(others), axis=(2, 3), keepdims=True)
    # Mosaics are rendered whole into files: sums of 32-bit numbers in another order.
    assert np.nanmax(np.abs(images - others) / np.maximum(peak, 1e-3)) < 1e-4
    shown = remote.manifest.archive.endpoints
    assert "simulated_A_uS.fits" in shown["mosaic files"]
    assert str(local.mosaics.parent) not in (remote.path / "manifest.json").read_text()


def test_without_mosaics_the_command_says_which_and_where(services, listed, tmp_path):
    with pytest.raises(UsageError, match=r"CLAUDS.*UltraVISTA.*VIDEO"):
        make(tmp_path, "remote", listed)
    assert services.requests == []


def test_a_mosaic_without_a_zero_point_is_refused_by_name(services, local, listed, tmp_path):
    from astropy.io import fits

    folder = tmp_path / "mosaics"
    folder.mkdir()
    for path in local.mosaics.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    fits.delval(folder / "simulated_A_H.fits", "MAGZERO")
    with pytest.raises(DataIntegrityError, match=r"simulated_A_H\.fits.*zero point.*MAGZERO"):
        make(tmp_path / "root", "remote", listed, mosaics=folder, redshifts=local.redshifts)
    assert services.requests == []


@pytest.mark.parametrize("edited", ["redshifts/vipers.csv", "mosaics/simulated_A_H.fits"])
def test_an_edited_file_is_not_resumed_with(services, local, listed, tmp_path, edited):
    for name, folder in (("mosaics", local.mosaics), ("redshifts", local.redshifts)):
        shutil.copytree(folder, tmp_path / name)
    folders = {"mosaics": tmp_path / "mosaics", "redshifts": tmp_path / "redshifts"}
    services.fail(*[Fault("404", where="/cgi-bin/cutout")] * 500)
    with pytest.raises(GalaxydsError) as stopped:
        make(tmp_path / "root", "remote", listed, **folders)
    assert not isinstance(stopped.value, ResumeConflictError)
    services.faults.clear()
    path = tmp_path / edited
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the same size
    path.write_bytes(content)
    os.utime(path, (1e9, 1e9))
    with pytest.raises(ResumeConflictError, match="catalogue: was"):
        make(tmp_path / "root", "remote", listed, **folders)
