"""A compiled catalogue answers every question as numpy does on the same rows."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest

from galaxyds.archives.base import CatalogArchive, CatalogQuery, CompiledArchive
from galaxyds.archives.compiled import Compiled, CompiledCatalog, one_each, position_id
from galaxyds.catalog.objects import box_predicates
from galaxyds.catalog.specz import SurveyTally
from galaxyds.errors import ArchiveError, UsageError
from galaxyds.spec import Column

N = 500
TALLY = SurveyTally(
    name="one", where="here", read=5, sentinel=1, insecure=1, secure=3, duplicate=1, kept=2
)
COLUMNS = (
    Column(name="object_id", dtype="int64", archive="object_id", description="id"),
    Column(name="ra", dtype="float64", archive="ra", description="right ascension"),
    Column(name="dec", dtype="float64", archive="dec", description="declination"),
    Column(name="mag_i", dtype="float32", archive="mag_i", nullable=True, description="magnitude"),
    Column(name="survey", dtype="string", archive="redshift_survey", description="survey"),
    Column(name="tile_ra", dtype="int32", archive="tile_ra", description="tile"),
)


def values():
    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(30, 31, N), rng.uniform(-5, -4, N)
    mag = rng.uniform(18, 26, N).astype(np.float32)
    mag[::17] = np.nan
    return {
        "object_id": position_id(ra, dec), "ra": ra, "dec": dec, "mag_i": mag,
        "redshift_survey": np.array(["vipers", "deep2"])[rng.integers(0, 2, N)],
        "tile_ra": rng.integers(0, 4, N).astype(np.int32),
    }  # fmt: skip


class Catalogue(CompiledCatalog):
    """Made once; says how often."""

    name = "test"

    def __init__(self):
        super().__init__(service="test catalogue")
        self.times = 0

    def _objects(self):
        self.times += 1
        table = values()
        mag = pa.array(table.pop("mag_i"), from_pandas=True)
        return Compiled(pa.table({**table, "mag_i": mag}), (TALLY,))


def query(*predicates, only=None):
    return CatalogQuery(
        columns=COLUMNS, tables="objects", predicates=predicates, key="object_id",
        vocabulary=COLUMNS, only=only,
    )  # fmt: skip


def test_counts_and_rows_are_those_of_numpy():
    archive, v = Catalogue(), values()
    predicates = ("mag_i < 22.5", "survey = 'vipers'", "mag_i IS NOT NULL AND dec < -4.2")
    steps = np.cumprod(
        [np.ones(N), v["mag_i"] < 22.5, v["redshift_survey"] == "vipers", v["dec"] < -4.2], axis=0
    )
    assert archive.count(query(*predicates)) == tuple(steps.sum(axis=1).astype(int))
    rows = archive.rows(query(*predicates))
    kept = np.flatnonzero(steps[-1])
    kept = kept[np.argsort(v["object_id"][kept])]
    assert rows.column_names == [column.name for column in COLUMNS]
    for name, raw in (("object_id",) * 2, ("ra",) * 2, ("mag_i",) * 2, ("tile_ra",) * 2):
        assert np.array_equal(rows.column(name).to_numpy(), v[raw][kept]), name
    assert rows.column("survey").to_pylist() == v["redshift_survey"][kept].tolist()
    tiles = len(np.unique(v["tile_ra"][kept]))
    assert archive.extent(query(*predicates), ("tile_ra",)) == (len(kept), tiles)
    assert archive.times == 1


def test_missing_values_are_null_and_pass_no_cut():
    archive, v = Catalogue(), values()
    missing = np.isnan(v["mag_i"]).sum()
    assert archive.count(query("mag_i IS NULL")) == (N, missing)
    assert archive.count(query("mag_i > 0")) == (N, N - missing)
    assert archive.rows(query()).column("mag_i").null_count == missing


def test_objects_by_id_and_by_position():
    archive, v = Catalogue(), values()
    ids = v["object_id"][[7, 3, 3, 250]]
    wanted = (*(int(i) for i in ids), 5)
    found = archive.rows(query(only=("object_id", wanted)))
    assert found.column("object_id").to_pylist() == sorted(set(ids.tolist()))
    assert archive.count(query(only=("object_id", wanted))) == (3,)
    (box,) = box_predicates(v["ra"][9:10], v["dec"][9:10], radius=1.0)
    assert archive.rows(query(box)).column("object_id").to_pylist() == [v["object_id"][9]]
    assert "3 ids" in archive.sql(query(only=("object_id", (1, 2, 3))))


def test_a_copy_in_another_process_makes_its_own_table():
    archive = Catalogue()
    archive.rows(query())
    data = pickle.dumps(archive)
    assert len(data) < 2000
    copy = pickle.loads(data)
    assert copy.times == 1  # made in the original
    assert copy.count(query()) == (N,)
    assert (archive.times, copy.times) == (1, 2)


def test_it_tells_what_the_surveys_brought():
    archive = Catalogue()
    assert isinstance(archive, CatalogArchive)
    assert isinstance(archive, CompiledArchive)
    assert archive.tallies() == (TALLY,)
    archive.rows(query())
    assert archive.times == 1


def test_what_cannot_be_asked():
    archive = Catalogue()
    stranger = Column(name="mag_k", dtype="float32", archive="mag_k", description="not there")
    wrong = CatalogQuery(
        columns=(*COLUMNS, stranger), tables="objects", predicates=(), key="object_id",
        vocabulary=COLUMNS,
    )  # fmt: skip
    with pytest.raises(ArchiveError, match=r"test catalogue cannot answer: .*mag_k"):
        archive.rows(wrong)
    with pytest.raises(UsageError):
        archive.rows(query("mag_k < 3"))


def test_position_ids_are_exact_whole_numbers_below_two_to_53():
    ra = np.array([0.0, 359.999_999_999, -1e-14, 12.3456789])
    dec = np.array([-90.0, 90.0, 0.0, -3.21])
    ids = position_id(ra, dec)
    assert ids[0] == 0
    assert ids[1] == 129_599_999 * 64_800_001 + 64_800_000 < 2**53
    assert ids[2] == 32_400_000  # right ascension 0
    assert ids[3] // 64_800_001 == 4_444_444  # 12.3456789 degrees in 0.01 arcsec
    assert ids[3] % 64_800_001 == int(86.79 * 360_000)


def test_a_redshift_to_test_with_takes_no_object_from_one_to_learn_from():
    redshifts = pa.table(
        {"sample": ["training", "test_primus", "training", "training", "training"]}
    )
    row = np.array([4, 4, 4, 9, -1])
    separation = np.array([0.7, 0.5, 0.8, 0.1, np.inf])
    found, apart = one_each(redshifts, row, separation)
    assert found.tolist() == [4, -1, -1, 9, -1]
    assert apart.tolist() == [0.7, np.inf, np.inf, 0.1, np.inf]
