"""The declaration of sdss-mgs beside the published query, and the trap in it."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.sdss import SDSSArchive, SDSSCatalog
from galaxyds.archives.simulated import simulated_sdss
from galaxyds.archives.skyserver import LONGEST_STATEMENT, encoded
from galaxyds.catalog import deduplicate
from galaxyds.specs.sdss_mgs import SPEC
from galaxyds.testing import CatalogContract

# As two public re-implementations of Pasquet et al. (2019) send it, columns aside.
REFERENCE = """
SELECT za.specObjID
FROM SpecObjAll za
  JOIN PhotoObjAll po ON po.objID = za.bestObjID
  JOIN Photoz zp ON zp.objID = za.bestObjID
  JOIN galSpecInfo zi ON zi.specObjID = za.specObjID
WHERE za.z > 0 AND za.zWarning = 0
  AND za.targetType = 'SCIENCE' AND za.survey = 'sdss'
  AND za.class = 'GALAXY' AND zi.primtarget >= 64
  AND po.clean = 1 AND po.insideMask = 0
  AND (po.petroMag_r - po.extinction_r) <= 17.8
"""
ADDED = ("petrosian-measured", "redshift-high", "footprint")


def ask(*names, left_out=()):
    cuts = [cut for cut in SPEC.config().cuts if cut.name not in left_out]
    assert not names or set(names) <= {cut.name for cut in cuts}
    chosen = [cut for cut in cuts if not names or cut.name in names]
    columns = SPEC.queried_columns()
    return CatalogQuery(
        columns=columns,
        tables=SPEC.tables,
        predicates=tuple(cut.sql for cut in chosen),
        key=SPEC.key,
        vocabulary=columns,
        exact=SPEC.tested_columns(),
    )


@pytest.fixture(scope="module")
def made():
    archive = simulated_sdss("DR12")
    tables = archive.server.tables()
    archive.server.tables = lambda: tables  # made once for all tests
    return archive, tables


@pytest.fixture(scope="module")
def archive(made):
    return made[0]


@pytest.fixture(scope="module")
def tables(made):
    """The tables of the archive in a database of the test's own."""
    with duckdb.connect() as connection:
        for name, table in made[1].items():
            connection.register(name, table)
        yield connection


@pytest.fixture(scope="module")
def rows(archive):
    return archive.rows(ask())


def reference(tables, more=""):
    return tables.sql(f"{REFERENCE} {more} ORDER BY za.specObjID").to_arrow_table().column(0)


def test_without_the_added_cuts_it_is_the_published_query(archive, tables):
    ours = archive.rows(ask(left_out=ADDED)).column("spec_object_id")
    theirs = reference(tables)
    assert len(theirs) > 2000
    assert ours.to_pylist() == theirs.to_pylist()


def test_with_them_it_is_the_query_with_their_conditions(rows, tables):
    more = (
        "AND po.petroMag_r > 0 AND za.z <= 0.4 AND (po.b > 0 OR (abs(po.dec) <= 1.25 "
        "AND (po.ra >= 300 OR po.ra <= 60)))"
    )
    assert rows.column("spec_object_id").to_pylist() == reference(tables, more).to_pylist()


def test_the_trap_is_in_the_reference_and_counted_here(archive, tables):
    """-9999 less an extinction passes every magnitude limit."""
    trapped = reference(tables, "AND po.petroMag_r = -9999")
    assert len(trapped) > 0
    cuts = [cut for cut in SPEC.config().cuts if cut.name not in ADDED[1:]]
    order = [cut.name for cut in cuts]
    place = order.index("petrosian-measured")
    counts = archive.count(ask(left_out=ADDED[1:]))
    # Cuts after it do not see those rows: what it removes is the trap and nothing else.
    before = set(archive.rows(ask(*order[:place])).column("spec_object_id").to_pylist())
    after = set(archive.rows(ask(*order[: place + 1])).column("spec_object_id").to_pylist())
    assert counts[place] - counts[place + 1] == len(before - after)
    assert set(trapped.to_pylist()) <= before - after
    lost = tables.sql(
        "SELECT count(*) FROM SpecObjAll za JOIN PhotoObjAll po ON po.objID = za.bestObjID "
        f"WHERE po.petroMag_r <> -9999 AND za.specObjID IN ({','.join(map(str, before - after))})"
    ).fetchall()
    assert lost == [(0,)]


def test_every_cut_and_every_rule_removes_rows(archive, rows):
    counts = archive.count(ask())
    for cut, before, after in zip(SPEC.config().cuts, counts[:-1], counts[1:], strict=True):
        assert after < before, cut.name
    table = rows
    for rule in SPEC.duplicates:
        table, removed = deduplicate(table, rule)
        assert removed > 0, rule.name
    assert 1500 <= table.num_rows < 8000


def test_repeats_leave_one_spectrum_per_object_and_one_object_per_place(rows):
    first, by_place = SPEC.duplicates
    table, _ = deduplicate(rows, first)
    ids = table.column("object_id").to_numpy()
    assert np.unique(ids).size == ids.size == np.unique(rows.column("object_id").to_numpy()).size
    # The survey's own best spectrum is the one that is kept.
    best = set(rows.filter(pc.equal(rows["science_primary"], 1))["object_id"].to_pylist())
    kept = dict(zip(ids.tolist(), table["science_primary"].to_pylist(), strict=True))
    assert all(kept[one] == 1 for one in best)
    table, _ = deduplicate(table, by_place)
    astropy = pytest.importorskip("astropy.coordinates")
    sky = astropy.SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    _, separation, _ = sky.match_to_catalog_sky(sky, nthneighbor=2)
    assert separation.arcsec.min() > 1.0


def test_magnitudes_and_dust_are_those_of_data_release_12(rows):
    # Coefficients of Schlegel, Finkbeiner & Davis 1998, per unscaled E(B-V).
    ebv = rows.column("ebv").to_numpy()
    for band, factor in zip("ugriz", (5.155, 3.793, 2.751, 2.086, 1.479), strict=True):
        extinction = rows.column(f"extinction_{band}").to_numpy()
        assert extinction == pytest.approx(factor * ebv, abs=1e-4)
        dered = rows.column(f"dered_petro_{band}").to_numpy()
        petro = rows.column(f"petro_mag_{band}").to_numpy()
        assert dered == pytest.approx(petro - extinction, abs=1e-5)
    assert rows.column("dered_petro_r").to_numpy().max() <= np.float32(17.8)
    assert rows.column("dered_petro_r").to_numpy().max() > 17.79


def test_the_footprint_is_the_northern_cap_and_stripe_82(rows, archive):
    everywhere = archive.rows(ask(left_out=("footprint",)))
    north = rows.column("galactic_b").to_numpy() > 0
    dec = rows.column("dec").to_numpy()
    assert 0.2 < north.mean() < 0.9
    assert np.abs(dec[~north]).max() <= 1.25
    gone = set(everywhere["object_id"].to_pylist()) - set(rows["object_id"].to_pylist())
    outside = everywhere.filter(pc.is_in(everywhere["object_id"], pa.array(sorted(gone))))
    assert outside.num_rows > 100
    assert pc.max(outside["galactic_b"]).as_py() < 0
    assert pc.max(pc.abs(outside["dec"])).as_py() > 1.25


def test_latitudes_are_astropys(rows):
    astropy = pytest.importorskip("astropy.coordinates")
    sky = astropy.SkyCoord(rows["ra"].to_numpy(), rows["dec"].to_numpy(), unit="deg").galactic
    assert rows["galactic_b"].to_numpy() == pytest.approx(sky.b.deg, abs=1e-4)
    assert rows["galactic_l"].to_numpy() == pytest.approx(sky.l.deg, abs=1e-4)


def test_photometric_redshifts_are_good_and_sometimes_fail(rows):
    residual = (rows["zphot"].to_numpy() - rows["redshift"].to_numpy()) / (
        1 + rows["redshift"].to_numpy()
    )
    # Drawn with a scatter of 0.018 for the bright ones.
    assert 0.008 < 1.4826 * np.median(np.abs(residual - np.median(residual))) < 0.03
    assert 0 < rows["zphot_err"].null_count < 0.05 * rows.num_rows


def test_the_statement_fits_into_a_query_string_with_a_page():
    catalog = SDSSCatalog(lambda text: pa.table({}))
    assert len(encoded(catalog.sql(ask()))) + 80 < LONGEST_STATEMENT


def test_columns_of_the_published_labels_have_names_of_ours():
    names = dict(SPEC.files.names)
    stored = {column.name for column in SPEC.stored_columns()}
    assert set(names) <= stored
    for label in ("z", "EBV", "specObjID", *(f"petroMagErr_{band}" for band in "ugriz")):
        assert label in names.values()
    for same in ("zphot", "extinction_r", *(f"dered_petro_{band}" for band in "ugriz")):
        assert same in stored


class TestOverLoopback(CatalogContract):
    """The same questions to SkyServer at DR12, on rows of a real field."""

    @pytest.fixture
    def archive(self, sdss_loopback, monkeypatch):
        monkeypatch.setattr("galaxyds.archives.skyserver.INTERVAL", 0.0)
        return SDSSArchive(release="DR12")

    @pytest.fixture
    def query(self):
        # Made-up spectra of one field: few would pass all cuts.
        names = ("galaxy", "legacy", "clean-photometry", "bright", "petrosian-measured")
        return ask(*names)


class TestSimulated(CatalogContract):
    @pytest.fixture
    def query(self):
        return ask()
