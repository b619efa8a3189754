"""The simulated SkyServer: answers T-SQL, refuses what the real one refuses."""

from __future__ import annotations

import pickle

import pytest

from galaxyds.errors import ArchiveError
from galaxyds.sky.server import ROW_LIMIT, SkyServer, translate

JOIN = "FROM SpecObjAll AS a JOIN PhotoObjAll AS b ON a.bestObjID = b.objID"


@pytest.fixture(scope="module")
def server(universe, footprint):
    return SkyServer(universe, footprint)


def test_a_page_along_the_key(server):
    sql = (
        f"SELECT TOP 50 a.specObjID, b.objID, a.z {JOIN} WHERE a.class = 'QSO' ORDER BY a.specObjID"
    )
    first = server.execute(sql)
    last = first.column("specObjID").to_pylist()[-1]
    second = server.execute(sql.replace("WHERE", f"WHERE a.specObjID > {last} AND"))
    ids = first.column("specObjID").to_pylist() + second.column("specObjID").to_pylist()
    assert first.num_rows == second.num_rows == 50
    assert ids == sorted(set(ids))
    assert str(first.schema.field("specObjID").type) == "uint64"


def test_large_ids_compare_as_unsigned(server):
    answer = server.execute(f"SELECT COUNT(*) AS n {JOIN} WHERE a.specObjID > {2**63}")
    assert answer.to_pylist()[0]["n"] > 10


def test_sums_are_integers(server):
    answer = server.execute(
        "SELECT SUM(CASE WHEN clean = 1 THEN 1 ELSE 0 END) AS n FROM dbo.PhotoObjAll"
    )
    assert str(answer.schema.field("n").type) == "int64"
    assert answer.to_pylist()[0]["n"] > 1000


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP TABLE PhotoObjAll", "must be a select statement"),
        ("WITH x AS (SELECT 1 AS a) SELECT a FROM x", "must be a select statement"),
        ("SELECT 1 AS a; SELECT 2 AS a", "must be a select statement"),
        ("SELECT objID INTO mydb.mine FROM PhotoObjAll", "must be a select statement"),
        (
            "SELECT objID FROM PhotoObjAll UNION SELECT bestObjID FROM SpecObjAll",
            "must be a select",
        ),
        ("SELECT * FROM read_csv('/etc/passwd')", "Invalid object name"),
        ("SELECT * FROM '/etc/passwd'", "Invalid object name|Incorrect syntax"),
        ("SELECT objID FROM duckdb_settings", "Invalid object name"),
        (f"SELECT TOP {ROW_LIMIT + 1} objID FROM PhotoObjAll", f"limit is top {ROW_LIMIT}"),
        ("SELECT TOP 0 objID FROM PhotoObjAll", "limit is top"),
        ("SELECT nonsense FROM PhotoObjAll", "nonsense"),
        ("SELECT (SELECT FROM", "Incorrect syntax"),
    ],
)
def test_refusals_are_one_line_with_the_servers_words(server, sql, words):
    with pytest.raises(ArchiveError, match=words) as caught:
        server.execute(sql)
    assert "\n" not in str(caught.value)


def test_the_limit_is_put_in_silently():
    assert translate("SELECT objID FROM PhotoObjAll").endswith(f"LIMIT {ROW_LIMIT}")


def test_a_copy_answers_the_same(server):
    sql = "SELECT COUNT(*) AS n, SUM(plate) AS p FROM SpecObjAll"
    copy = pickle.loads(pickle.dumps(server))
    assert copy.execute(sql).to_pylist() == server.execute(sql).to_pylist()
