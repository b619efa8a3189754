"""The simulated catalogue service: PostgreSQL evaluated against pandas, and what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from galaxyds.errors import ArchiveError
from galaxyds.sky import Universe
from galaxyds.sky.hsc_catalogue import tables
from galaxyds.sky.hsc_server import HSCServer
from tests.sky.hsc_small import SMALL

JOIN = (
    "FROM pdr2_wide.forced LEFT JOIN pdr2_wide.forced2 USING (object_id) "
    "LEFT JOIN pdr2_wide.specz USING (object_id)"
)


@pytest.fixture(scope="module")
def server():
    return HSCServer(Universe(), SMALL)


@pytest.fixture(scope="module")
def joined():
    """The same join by pandas."""
    pytest.importorskip("pandas")
    parts = {name: table.to_pandas() for name, table in tables(Universe(), SMALL).items()}
    both = parts["forced"].merge(parts["forced2"], on="object_id", how="left")
    return both.merge(parts["specz"], on="object_id", how="left")


def test_a_join_returns_what_pandas_joins(server, joined):
    sql = f"SELECT object_id, specz_name, specz_redshift {JOIN} ORDER BY object_id, specz_name"
    answer = server.execute(sql).to_pandas()
    theirs = joined.sort_values(["object_id", "specz_name"])
    assert (answer["object_id"].to_numpy() == theirs["object_id"].to_numpy()).all()
    assert answer["specz_redshift"].equals(theirs["specz_redshift"].reset_index(drop=True))
    # Objects without a spectrum have NULL.
    assert answer["specz_redshift"].isna().mean() > 0.5


def test_the_papers_predicates_count_what_pandas_counts(server, joined):
    flags = ("sdsscentroid_flag", "pixelflags_edge", "cmodel_flag")
    tests = " AND ".join(f"NOT {band}_{flag}" for flag in flags for band in "grizy")
    where = (
        f"{tests} AND specz_redshift > 0 AND specz_redshift_err > 0 AND specz_redshift_err < 1 "
        "AND specz_redshift < 9.999 AND 0 < specz_mag_i AND specz_mag_i < 28"
    )
    answer = server.execute(f"SELECT COUNT(*) AS n {JOIN} WHERE {where}")
    keep = np.ones(len(joined), bool)
    for flag in flags:
        for band in "grizy":
            keep &= ~joined[f"{band}_{flag}"].to_numpy(bool)
    z, error = joined["specz_redshift"], joined["specz_redshift_err"]
    keep &= (z > 0) & (error > 0) & (error < 1) & (z < np.float32(9.999))
    keep &= (joined["specz_mag_i"] > 0) & (joined["specz_mag_i"] < 28)
    assert answer.to_pylist() == [{"n": int(keep.sum())}]
    assert 200 < keep.sum() < len(joined) / 2


def test_nan_is_the_largest_number_as_in_postgresql(server, joined):
    undetected = int(joined.drop_duplicates("object_id")["g_cmodel_mag"].isna().sum())
    high = "SELECT COUNT(*) AS n FROM pdr2_wide.forced WHERE g_cmodel_mag > 100"
    assert server.execute(high).to_pylist() == [{"n": undetected}]


def test_sums_are_integers_and_qualified_names_work(server):
    answer = server.execute(
        "SELECT SUM(CASE WHEN pdr2_wide.forced.isprimary THEN 1 ELSE 0 END) AS n "
        "FROM pdr2_wide.forced"
    )
    assert str(answer.schema.field("n").type) == "int64"
    assert answer.to_pylist()[0]["n"] > 5000


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP TABLE pdr2_wide.forced", "only a single SELECT"),
        ("SELECT 1; SELECT 2", "only a single SELECT"),
        ("SELECT object_id INTO mine FROM pdr2_wide.forced", "only a single SELECT"),
        ("SELECT object_id FROM forced", 'relation "forced" does not exist'),
        ("SELECT object_id FROM pdr2_dud.forced", "does not exist"),
        ("SELECT * FROM duckdb_settings()", "does not exist"),
        ("SELECT * FROM read_csv('/etc/passwd')", "does not exist"),
        ("SELECT nonsense FROM pdr2_wide.forced", "nonsense"),
        ("SELECT (SELECT FROM", "syntax error"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "syntax error"),
    ],
)
def test_refusals_are_one_line_with_status_406(server, sql, words):
    with pytest.raises(ArchiveError, match=words) as caught:
        server.execute(sql)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 406


def test_a_copy_answers_the_same(server):
    sql = "SELECT COUNT(*) AS n, SUM(specz_redshift) AS z FROM pdr2_wide.specz"
    copy = pickle.loads(pickle.dumps(server))
    assert copy.execute(sql).to_pylist() == server.execute(sql).to_pylist()
