"""Route B end to end: a build from HSC services on loopback that fail in every way they can.

Behind the services stands the simulated sky, so the same build from the simulated archive, which
knows no network, says what every value must be, the Sersic fits through the delivered point-spread
functions among them.
"""

from __future__ import annotations

import logging
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from galaxyds.archives.simulated_hsc import SimulatedHSC
from galaxyds.build import Request, build
from galaxyds.errors import ArchiveError, CredentialsError, GalaxydsError
from galaxyds.sky.hsc_fits import cutout_fits, point_spread_fits
from galaxyds.store import image_map, read_columns
from tests.servers import Fault, HSCEmulator
from tests.sky.hsc_small import SMALL

CANARY = "canary-4711-pässword"
WITHOUT_R = 87965349743429661  # an object of the universe that has no coadd in r


@pytest.fixture(scope="module")
def sky():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    return SimulatedHSC(footprint=SMALL)


@pytest.fixture(scope="module")
def listed(sky, tmp_path_factory):
    """A list of some objects of both tracts, among them one that a band lacks."""
    table = sky.server.execute(
        "SELECT object_id, tract FROM pdr2_wide.forced JOIN pdr2_wide.specz USING (object_id) "
        "WHERE object_id % 2 = 1 AND specz_redshift > 0.01 AND specz_redshift < 4 "
        "AND specz_redshift_err > 0 AND specz_redshift_err < 1 ORDER BY object_id"
    ).to_pandas()
    ids = [part["object_id"].to_numpy()[::25][:5] for _, part in table.groupby("tract")]
    ids = np.unique(np.concatenate([*ids, [WITHOUT_R]]))
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_text("objID\n" + "\n".join(map(str, ids)) + "\n")
    return path


def make(root, archive, listed, *, drop=True):
    request = Request(
        address="hsc-galaxiesml/127", archive=archive, root=root, objects=listed, jobs=1,
        drop_failed=drop,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as executor:
        patch.setattr(SimulatedHSC.__init__, "__defaults__", (sky_seed(), SMALL))
        return build(request, executor=executor)


def sky_seed():
    from galaxyds.sky import DEFAULT_SEED

    return DEFAULT_SEED


@pytest.fixture(scope="module")
def wanted(sky, listed, tmp_path_factory):
    """The build from the simulated archive."""
    return make(tmp_path_factory.mktemp("simulated"), "simulated", listed)


@pytest.fixture
def services(sky, monkeypatch, tmp_path):
    """HSC services over the sky."""

    def cutout(line):
        return cutout_fits(
            sky.coadd, line.band, tract=line.tract, ra=line.ra, dec=line.dec,
            half_size=line.semi_width,
        )  # fmt: skip

    def psf(line):
        for tract in (one.number for one in SMALL.tracts):
            data = point_spread_fits(sky.coadd, line.band, tract=tract, ra=line.ra, dec=line.dec)
            if data is not None:
                yield tract, data

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("galaxyds.archives.rate.RateLimit.wait", lambda self, host: None)
    monkeypatch.setattr("galaxyds.archives.http.Http._pause", lambda *args: 0.0)
    monkeypatch.setattr("galaxyds.archives.hsc_jobs.FIRST_POLL", 0.0)
    with HSCEmulator(
        sky.server.execute, cutout=cutout, psf=psf, words=("wip",), account=("ada", CANARY)
    ) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield server


def same(one, other):
    """Compare two builds value for value."""
    assert one.manifest.rows == other.manifest.rows > 8
    assert one.manifest.dropped == other.manifest.dropped
    assert [(d.object_id, d.reason) for d in one.manifest.dropped] == [
        (WITHOUT_R, "no data in the archive (r)")
    ]
    a, b = (read_columns(s.path / "images.hdf5") for s in (one, other))
    assert set(a) == set(b)
    for name, values in a.items():
        exact = name not in ("cutout_x", "cutout_y")
        if values.dtype.kind == "f" and not exact:
            assert np.abs(values - b[name]).max() < 1e-4, name
        else:
            assert np.array_equal(values, b[name], equal_nan=values.dtype.kind == "f"), name
    images = [np.asarray(image_map(s.path / "images.hdf5")) for s in (one, other)]
    assert np.array_equal(*images, equal_nan=True)


def test_it_is_the_build_of_the_simulated_archive(services, wanted, listed, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    services.fail(
        Fault("503", where="/submit"), Fault("502", where="/status"), Fault("502", where="/status"),
        Fault("cut-chunked", where="/download", after=9), Fault("503", where="/cgi-bin/cutout"),
        Fault("cut-chunked", where="/cgi-bin/cutout", after=200_000), Fault("502", where="getpsf"),
        Fault("cut", where="/cgi-bin/cutout", after=100_000), Fault("503", where="/delete"),
        Fault("cut-close", where="getpsf", after=50_000),
    )  # fmt: skip
    summary = make(tmp_path, "remote", listed)
    assert services.faults == []
    same(summary, wanted)
    assert all(job.steps[-1] == "delete" for job in services.jobs.values())
    assert summary.manifest.archive.endpoints["cutouts"].endswith("/das_cutout/pdr2/cgi-bin/cutout")
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert said
    assert CANARY not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path


def test_a_build_that_broke_off_goes_on(services, wanted, listed, tmp_path):
    services.fail(*[Fault("503", where="/cgi-bin/cutout")] * 25)
    with pytest.raises(ArchiveError, match="run the same command again"):
        make(tmp_path, "remote", listed, drop=False)
    services.faults.clear()
    jobs = len(services.jobs)
    same(make(tmp_path, "remote", listed), wanted)
    assert len(services.jobs) == jobs  # the rows were not asked for again


def test_a_wrong_password_is_one_line_without_it(services, listed, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("GALAXYDS_HSC_PASSWORD", CANARY + "x")
    with pytest.raises(CredentialsError, match="refuses the account") as caught:
        make(tmp_path, "remote", listed)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value)
    assert CANARY not in told
    assert CANARY not in next(tmp_path.rglob("build.log")).read_text()


def test_without_an_account_nothing_is_asked(services, listed, tmp_path, monkeypatch):
    monkeypatch.delenv("GALAXYDS_HSC_PASSWORD")
    with pytest.raises(CredentialsError, match=r"register at .*GALAXYDS_HSC_PASSWORD"):
        make(tmp_path, "remote", listed)
    assert services.requests == []


@pytest.mark.parametrize("kind", ["html", "redirect"])
def test_a_service_that_answers_nonsense(services, listed, tmp_path, kind):
    where = {"Location": "http://127.0.0.2:1/"}
    services.fail(*[Fault(kind, where="/cgi-bin/cutout", headers=where)] * 9)
    with pytest.raises(GalaxydsError, match=r"web page|not followed with credentials"):
        make(tmp_path, "remote", listed, drop=False)
