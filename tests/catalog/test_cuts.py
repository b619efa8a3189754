from __future__ import annotations

import itertools

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyds.catalog import apply_cuts, check_pushdown, deduplicate, derive
from galaxyds.catalog.engine import connect
from galaxyds.errors import DataIntegrityError, UsageError
from galaxyds.spec import Column, Cut, Deduplication
from galaxyds.specs import get_spec

(RULE,) = get_spec("sdss-qso").duplicates


def cut(sql: str, name: str = "c") -> Cut:
    return Cut(name=name, sql=sql, why="w", source="s")


def test_the_flow_counts_what_each_cut_removes():
    table = pa.table({"a": [1, 2, 3, 4, 5], "b": [1.0, None, 3.0, None, 9.0]})
    kept, flow = apply_cuts(table, [cut("a > 1"), cut("b < 5 OR b IS NULL"), cut("a <> 3")])
    assert kept.to_pydict() == {"a": [2, 4], "b": [None, None]}
    assert [(s.before, s.after, s.removed) for s in flow] == [(5, 4, 1), (4, 3, 1), (3, 2, 1)]


def test_null_passes_no_comparison():
    table = pa.table({"b": pa.array([1.0, None, -9999.0])})
    assert apply_cuts(table, [cut("b < 5")])[0].num_rows == 2
    assert apply_cuts(table, [cut("NOT (b < 5)")])[0].num_rows == 0


def test_rows_keep_their_order():
    rng = np.random.default_rng(0)
    values = rng.permutation(10_000)
    kept, _ = apply_cuts(pa.table({"a": values}), [cut("a % 3 = 0")])
    assert kept.column("a").to_pylist() == [v for v in values if v % 3 == 0]


rows = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from([-9.0, -1.0, 0.0, 0.0001, 0.0002, 0.0005]),
        st.integers(0, 2**64 - 1),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[2],
)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_duplicates_follow_the_rule_written_out_in_python(rows):
    """Smallest positive error, then smallest error among the rest, ties by specObjID."""
    table = pa.table(
        {
            "object_id": pa.array([r[0] for r in rows], pa.int64()),
            "redshift_err": pa.array([r[1] for r in rows], pa.float32()),
            "spec_object_id": pa.array([r[2] for r in rows], pa.uint64()),
        }
    )
    expected = []
    ordered = sorted(rows, key=lambda r: (r[0], r[1] <= 0, np.float32(r[1]), r[2]))
    for _, group in itertools.groupby(ordered, key=lambda r: r[0]):
        expected.append(next(iter(group))[2])
    kept, removed = deduplicate(table, RULE)
    assert kept.sort_by("object_id").column("spec_object_id").to_pylist() == expected
    assert removed == len(rows) - len(expected)


def test_derived_columns_equal_numpy_and_carry_null():
    table = pa.table(
        {
            "m": pa.array([20.5, None, 18.25], pa.float32()),
            "x": pa.array([0.5, 0.25, 0.125], pa.float32()),
        }
    )
    column = Column(name="d", dtype="float32", derived="m - x", description="d", nullable=True)
    out = derive(table, [column]).column("d")
    assert out.type == pa.float32()
    assert out.to_pylist() == [20.0, None, 18.125]


def test_an_archive_that_ignores_a_cut_is_caught():
    table = pa.table({"a": [1, 2, 3]})
    with pytest.raises(
        DataIntegrityError, match=r"returned 1 rows that fail the cut 'big'.*--no-p"
    ):
        check_pushdown(table, [cut("a < 3", "big")], "SkyServer")
    check_pushdown(table, [cut("a < 4", "big")], "SkyServer")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/galaxyds-should-not-exist.csv'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "INSTALL httpfs",
        "ATTACH '/tmp/galaxyds-should-not-exist.db'",
        "SELECT * FROM secret_frame",
    ],
)
def test_sql_reaches_nothing_outside(sql):
    secret_frame = pa.table({"password": ["canary"]})
    assert secret_frame.num_rows == 1
    with connect() as connection, pytest.raises(duckdb.Error):
        connection.sql(sql).fetchall()


def test_deduplication_needs_no_order_of_rows():
    rule = Deduplication(name="r", key="k", order=("v", "u"), why="w", source="s")
    table = pa.table({"k": [2, 1, 2, 1], "v": [1.0, 2.0, 1.0, 1.0], "u": [4, 3, 1, 2]})
    shuffled = table.take([3, 0, 2, 1])
    kept, again = deduplicate(table, rule)[0], deduplicate(shuffled, rule)[0]
    assert kept.sort_by("k").equals(again.sort_by("k"))


def test_rules_keep_the_first_or_none_and_leave_rows_without_a_key_alone():
    table = pa.table({"k": ["a", None, "b", "a", None, "c"], "v": [2, 1, 1, 1, 2, 3]})
    first = Deduplication(name="r", key="k", order=("v",), why="w", source="s")
    kept, removed = deduplicate(table, first)
    assert kept.column("v").to_pylist() == [1, 1, 1, 2, 3]
    assert removed == 1
    none = Deduplication(name="r", key="k", order=(), why="w", source="s")
    kept, removed = deduplicate(table, none)
    assert kept.column("k").to_pylist() == [None, "b", None, "c"]
    assert removed == 2


def test_repeats_by_position_lose_to_the_first_in_order():
    # a and b are 0.5" apart across RA 0, c is 0.9" from b but 1.4" from a, d stands alone.
    arcsec = 1 / 3600
    table = pa.table(
        {
            "name": ["a", "b", "c", "d"],
            "ra": [
                359.99999,
                (359.99999 + 0.5 * arcsec) % 360,
                (359.99999 + 1.4 * arcsec) % 360,
                20,
            ],
            "dec": [0.0, 0.0, 0.0, 0.0],
            "error": [3.0, 2.0, 4.0, 1.0],
        }
    )
    rule = Deduplication(
        name="same", key="", radius=1.0, order=("error", "name"), why="", source=""
    )
    kept, removed = deduplicate(table, rule)
    assert (kept.column("name").to_pylist(), removed) == (["b", "d"], 2)
    first = Deduplication(name="same", key="", radius=1.0, order=("name",), why="", source="")
    kept, removed = deduplicate(table, first)
    assert (kept.column("name").to_pylist(), removed) == (["a", "c", "d"], 1)


@pytest.mark.parametrize(
    ("key", "radius", "order"), [("", 0.0, ("a",)), ("x", 1.0, ("a",)), ("", 1.0, ())]
)
def test_a_rule_for_repeats_is_by_value_or_by_position(key, radius, order):
    with pytest.raises(UsageError, match="rule both needs either a key, or a radius and an order"):
        Deduplication(name="both", key=key, radius=radius, order=order, why="", source="")


@pytest.mark.parametrize("bad", [None, float("nan")])
def test_a_row_without_a_position_is_nobodys_repeat(bad):
    rule = Deduplication(
        name="place", key="", order=("object_id",), why="x", source="x", radius=1.0
    )
    table = pa.table({"object_id": [1, 2, 3, 4], "ra": [1.0, bad, bad, 1.0], "dec": [0.0] * 4})
    left, removed = deduplicate(table, rule)
    assert (left.column("object_id").to_pylist(), removed) == ([1, 2, 3], 1)
