"""cfhtls-wide from services on loopback: CADC's and VizieR's protocols over the simulated sky.

Tiles, photometry and redshifts are those of the simulated archive, which knows no network, so the
same build from it says what every value must be; only the dust comes from a map of its own.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from galaxyds.archives.cfhtls_objects import CATALOG
from galaxyds.archives.simulated_cfhtls import SimulatedCFHTLS
from galaxyds.build import Request, build
from galaxyds.catalog.surveys import SURVEYS
from galaxyds.errors import ArchiveError, GalaxydsError, UsageError
from galaxyds.sky import DEFAULT_SEED
from galaxyds.store import image_map, read_columns
from tests.archives.test_dust import pixel, plane, write_maps
from tests.servers.cadc import CADCEmulator
from tests.servers.loopback import Fault
from tests.servers.vizier import VizieREmulator
from tests.sky.cfhtls_small import SMALL, W1, tile_files

COUNT = 20


@pytest.fixture(scope="module")
def sky():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    pytest.importorskip("dustmaps", reason="reddening needs the extra 'dust'")
    return SimulatedCFHTLS(footprint=SMALL)


@pytest.fixture(scope="module")
def files(sky):
    return tile_files(sky.coadd)


@pytest.fixture(scope="module")
def listed(sky, tmp_path_factory):
    """Objects of both tiles, at the edges too, that survive every cut."""
    table = sky._objects().table.to_pandas()
    good = table[(table["sample"] == "training") & (table.separation <= 1) & (table.mag_i < 25)]
    parts = [good[good.tile_ra == tile.tile_ra].sort_values("object_id") for tile in SMALL.tiles]
    ids = np.concatenate([part.object_id.to_numpy()[: COUNT // 2] for part in parts])
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_text("objID\n" + "\n".join(map(str, ids)) + "\n")
    return path


@pytest.fixture(scope="module")
def tables(sky):
    """Redshift surveys as VizieR holds them, and the photometric catalogue."""
    found: dict[str, list[pa.Table]] = {}
    for name, raw in sky.raw_redshifts():
        found.setdefault(name, []).append(raw)
    vizier = {CATALOG: sky.photometry()}
    for survey in SURVEYS:
        # A survey in two tables has a field in each, the western one first.
        for number, table in enumerate(survey.vizier if survey.name in found else ()):
            parts = found[survey.name][number :: len(survey.vizier)]
            vizier[table.name] = _with_positions(pa.concat_tables(parts), survey)
    local = {
        survey.name: pa.concat_tables(found[survey.name])
        for survey in SURVEYS
        if survey.name in found and not survey.vizier
    }
    return vizier, local


def _with_positions(table, survey):
    """VizieR computes positions under these names for every table."""
    for name, column in zip(("_RAJ2000", "_DEJ2000"), survey.columns, strict=False):
        if name not in table.column_names:
            table = table.append_column(name, table.column(column.name))
    return table


@pytest.fixture(scope="module")
def folder(tables, tmp_path_factory):
    """Tables that are only to be had as files."""
    path = tmp_path_factory.mktemp("redshifts")
    for name, table in tables[1].items():
        pyarrow.csv.write_csv(table, path / f"{name}.csv")
    return path


@pytest.fixture
def services(files, tables, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GALAXYDS_SFD_DIR", str(write_maps(tmp_path / "maps")))
    monkeypatch.setattr("galaxyds.archives.rate.RateLimit.wait", lambda self, host: None)
    monkeypatch.setattr("galaxyds.archives.http.Http._pause", lambda *args: 0.0)
    with (
        CADCEmulator(files, new_i={W1.place}) as cadc,
        VizieREmulator(tables[0]) as vizier,
    ):
        for name, value in cadc.settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GALAXYDS_VIZIER_URL", vizier.url)
        yield cadc, vizier


def make(root, archive, listed, **more):
    request = Request(
        address="cfhtls-wide", archive=archive, root=root, objects=listed, jobs=1,
        drop_failed=False, **more,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as executor:
        patch.setattr(SimulatedCFHTLS.__init__, "__defaults__", (DEFAULT_SEED, SMALL))
        return build(request, executor=executor)


@pytest.fixture(scope="module")
def wanted(sky, listed, tmp_path_factory):
    return make(tmp_path_factory.mktemp("simulated"), "simulated", listed)


def same(one, other):
    """Compare two builds value for value, but for the dust."""
    assert one.manifest.rows == other.manifest.rows == COUNT
    a, b = (read_columns(s.path / "images.hdf5") for s in (one, other))
    assert set(a) == set(b)
    for name, values in a.items():
        if name in ("cutout_x", "cutout_y"):
            assert np.abs(values - b[name]).max() < 1e-4, name
        elif name != "ebv":
            assert np.array_equal(values, b[name], equal_nan=values.dtype.kind == "f"), name
    images = [np.asarray(image_map(s.path / "images.hdf5")) for s in (one, other)]
    assert np.array_equal(*images, equal_nan=True)
    return a


def test_it_is_the_build_of_the_simulated_archive(
    services, wanted, listed, folder, tmp_path, caplog
):
    caplog.set_level(logging.DEBUG)
    cadc, vizier = services
    cadc.redirect_sync = True
    cadc.fail(
        Fault("503", where="/argus"), Fault("500", where="/caom2ops/sync"),
        Fault("cut", where="/caom2ops/sync", after=9000), Fault("drop", where="/caom2ops/sync"),
    )  # fmt: skip
    vizier.fail(Fault("503", where="/viz-bin"), Fault("cut-chunked", where="/viz-bin", after=500))
    summary = make(tmp_path, "remote", listed, redshifts=folder)
    assert cadc.faults == vizier.faults == []
    columns = same(summary, wanted)
    ra, dec = columns["ra"], columns["dec"]
    np.testing.assert_allclose(columns["ebv"], plane(*pixel(ra, dec)), atol=3e-6)
    assert {str(f) for f in columns["i_filter"]} == {"i.MP9701", "i.MP9702"}
    assert (columns["i_filter"].astype(str) == "i.MP9702").sum() == COUNT // 2
    tallies = {tally.name: tally for tally in summary.manifest.surveys}
    assert tallies["vipers"].where.startswith("VizieR")
    assert tallies["deep2"].where == "deep2.csv"
    assert tallies["deep2"].read > 0
    assert "nowhere" in tallies["cosmos2020"].where
    soda = [r for r in cadc.requests if r.path.endswith("/caom2ops/sync")]
    assert len(soda) == 5 * COUNT + 3  # one per band and object, and those that failed


def test_without_the_service_tiles_are_fetched_whole_and_give_the_same_pixels(
    services, wanted, listed, folder, tmp_path
):
    cadc, _ = services
    cadc.soda = False
    same(make(tmp_path, "remote", listed, redshifts=folder), wanted)
    whole = [r.path for r in cadc.requests if "/data/pub/" in r.path]
    assert len(set(whole)) == 10  # five bands of two tiles


def test_an_answer_of_tap_that_was_cut_is_no_list_of_tiles(services, listed, tmp_path):
    cadc, vizier = services
    cadc.most = 7
    with pytest.raises(ArchiveError, match="cut"):
        make(tmp_path, "remote", listed)
    assert vizier.requests == []


def test_data_that_lie_elsewhere_are_not_fetched(services, listed, tmp_path):
    cadc, _ = services
    cadc.fail(*[Fault("href", where="/argus")] * 9)
    with pytest.raises(GalaxydsError):
        make(tmp_path, "remote", listed)
    assert not [r for r in cadc.requests if "stolen" in r.path]


def test_files_behind_an_account_are_said_to_be_so(services, listed, folder, tmp_path):
    cadc, _ = services
    cadc.private = True
    with pytest.raises(ArchiveError, match=r"account|authenticat|login|401"):
        make(tmp_path, "remote", listed, redshifts=folder)


def test_an_answer_of_vizier_that_was_cut_is_refused(services, listed, folder, tmp_path):
    _, vizier = services
    vizier.limit = 5
    with pytest.raises(ArchiveError, match="cut its answer"):
        make(tmp_path, "remote", listed, redshifts=folder)


def test_without_dust_maps_nothing_is_asked(services, listed, tmp_path, monkeypatch):
    cadc, vizier = services
    monkeypatch.setenv("GALAXYDS_SFD_DIR", str(tmp_path))
    with pytest.raises(UsageError, match="fetch"):
        make(tmp_path / "root", "remote", listed)
    assert cadc.requests == vizier.requests == []
