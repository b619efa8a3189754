"""The simulated CFHTLS keeps the contracts; cuts and tallies are counted with pandas."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from galaxyds.archives.base import (
    CatalogArchive,
    CatalogQuery,
    CompiledArchive,
    CutoutArchive,
    CutoutObject,
)
from galaxyds.archives.simulated_cfhtls import ELSEWHERE, SimulatedCFHTLS
from galaxyds.catalog.surveys import SURVEYS
from galaxyds.sky.cfhtls_footprint import DEFAULT_CFHTLS_FOOTPRINT, CFHTLSFootprint
from galaxyds.specs.cfhtls_wide import SPEC
from galaxyds.testing import CatalogContract

CUTS = SPEC.config().cuts
FOOTPRINT = CFHTLSFootprint(tiles=DEFAULT_CFHTLS_FOOTPRINT.tiles[6:])
"""The three tiles near W1: one in each i filter, and one without u."""


def query(predicates=()):
    return CatalogQuery(
        columns=SPEC.queried_columns(), tables=SPEC.tables, predicates=tuple(predicates),
        key=SPEC.key, vocabulary=SPEC.queried_columns(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def archive():
    return SimulatedCFHTLS(footprint=FOOTPRINT)


@pytest.fixture(scope="module")
def rows(archive):
    return archive.rows(query()).to_pandas()


class TestCatalogue(CatalogContract):
    @pytest.fixture(name="archive")
    def _archive(self, archive):
        return archive

    @pytest.fixture
    def query(self):
        return query(cut.sql for cut in CUTS)


def kept(rows):
    """The cuts in pandas."""
    good = rows[(rows["sample"] == "training") & (rows.redshift > 0) & (rows.redshift <= 6)]
    good = good[(good.separation <= 1) & (good.mag_i > 0) & (good.mag_i < 25)]
    return good[good.tile_ra >= 0]


def test_it_is_a_catalogue_and_a_cutout_archive(archive):
    assert isinstance(archive, CatalogArchive)
    assert isinstance(archive, CompiledArchive)
    assert isinstance(archive, CutoutArchive)
    assert archive.name == "simulated"
    assert set(archive.endpoints()) == {"catalog", "cutouts"}
    assert archive.cutout_bytes("ugriz", half_size=5.952) == 0
    assert len(archive.departures()) > 5
    assert len(pickle.dumps(archive)) < 5000


def test_the_cuts_keep_what_pandas_keeps(archive, rows):
    counts = archive.count(query(cut.sql for cut in CUTS))
    assert counts[0] == len(rows)
    assert counts[-1] == len(kept(rows)) > 500
    for cut, before, after in zip(CUTS, counts, counts[1:], strict=False):
        if not cut.name.startswith("redshift"):  # the compilation leaves nothing to these two
            assert after < before, cut.name


def test_rows_are_keyed_and_tiles_are_complete(rows):
    assert rows.object_id.is_unique
    assert rows.object_id.is_monotonic_increasing
    assert rows.object_id.max() < 2**53
    lacking = FOOTPRINT.tiles[-1]
    assert not (rows.tile_ra == lacking.tile_ra).any()
    assert rows.groupby("tile_ra").i_filter.first().to_dict() == {
        -1: "none", 21800: "i.MP9702", 21836: "i.MP9701",
    }  # fmt: skip
    assert rows.separation.max() <= 1
    assert rows.ebv.between(0.005, 0.5).all()
    stars = rows[rows.separation.notna() & (rows.mask_flags % 2 == 1)]
    assert len(stars) < 0.03 * len(rows)  # stars have no redshift


def test_tallies_add_up(archive, rows):
    tallies = archive.tallies()
    assert [t.name for t in tallies] == [s.name for s in SURVEYS if s.name not in ELSEWHERE]
    for tally in tallies:
        assert tally.read == tally.sentinel + tally.insecure + tally.secure
        assert tally.secure == tally.duplicate + tally.kept
        assert tally.kept == (rows.redshift_survey == tally.name).sum()


def test_another_process_has_the_same_rows_and_pixels(archive, rows):
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    copy = pickle.loads(pickle.dumps(archive))
    again = copy.rows(query()).to_pandas()
    assert again.equals(rows)
    some = kept(rows).iloc[[5, 400]]
    wanted = [
        CutoutObject(object_id=int(r.object_id), ra=r.ra, dec=r.dec,
                     tile=(int(r.tile_ra), int(r.tile_dec)))
        for r in some.itertuples()
    ]  # fmt: skip
    one, other = (list(a.cutouts(wanted, "ugriz", half_size=5.952)) for a in (archive, copy))
    for a, b in zip(one, reversed(list(copy.cutouts(wanted[::-1], "ugriz", half_size=5.952))),
                    strict=True):  # fmt: skip
        assert a.object_id == b.object_id
        assert all(np.array_equal(a.pixels[k], b.pixels[k], equal_nan=True) for k in "ugriz")
    assert [c.object_id for c in other] == [w.object_id for w in wanted]
    assert all(set(c.pixels) == set("ugriz") and not c.missing for c in other)
    assert all(p.missing == dict.fromkeys("gi", "no data in the archive")
               for p in archive.point_spreads(wanted, "gi"))  # fmt: skip
