"""Predicates: what is sent, and that it keeps the rows that the same predicate keeps here."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxyds.archives import sql
from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.predicates import predicate
from galaxyds.errors import UsageError
from galaxyds.spec import Column
from tests.servers.skyserver import TSQL

SENTINEL = -9999.0


def column(name, archive, dtype="float32", *, missing=False):
    return Column(
        name=name, archive=archive, dtype=dtype, description=name,
        nullable=missing, sentinel=SENTINEL if missing else None,
    )  # fmt: skip


VOCABULARY = (
    column("petro_rad_r", "b.petroRad_r", missing=True),
    column("mag", "b.psfMag_g", missing=True),
    column("redshift", "a.z"),
    column("redshift_err", "a.zErr", missing=True),
    column("field", "b.field", "int32"),
    column("photo_flags", "b.flags", "int64"),
    column("clean", "b.clean", "int32"),
    column("spec_class", "a.class", "string"),
    column("colour", "b.psfMag_u - b.psfMag_g"),
    Column(name="derived", dtype="float32", derived="mag + 1", description="local only"),
)

SENT = {
    "petro_rad_r < 5 OR petro_rad_r IS NULL": "b.petroRad_r < 5 OR b.petroRad_r = -9999",
    "petro_rad_r < 5": "b.petroRad_r < 5 AND b.petroRad_r <> -9999",
    "petro_rad_r > 5": "b.petroRad_r > 5",
    "5 > petro_rad_r": "b.petroRad_r < 5 AND b.petroRad_r <> -9999",
    "redshift_err < 0.001": "a.zErr < 0.001 AND a.zErr <> -9999",
    "redshift >= 1 and redshift < 5": "a.z >= 1 AND a.z < 5",
    "mag BETWEEN 18 AND 22": "b.psfMag_g >= 18 AND b.psfMag_g <= 22 AND b.psfMag_g <> -9999",
    "NOT mag < 22": "NOT (NULLIF(b.psfMag_g, -9999) < 22)",
    "mag IS NOT NULL": "b.psfMag_g <> -9999",
    "photo_flags IS NOT NULL": "b.flags IS NOT NULL",
    "spec_class == 'QSO'": "a.class = 'QSO'",
    "spec_class != 'O''Neill'": "a.class <> 'O''Neill'",
    "log(mag) > 1": "LOG10(NULLIF(b.psfMag_g, -9999)) > 1",
    "log10(mag) > 1": "LOG10(NULLIF(b.psfMag_g, -9999)) > 1",
    "ln(mag) > 1": "LOG(NULLIF(b.psfMag_g, -9999)) > 1",
    "field / 2 > 3": "(CAST(b.field AS double precision) / 2) > 3",
    "mag / 2 > 3": "(NULLIF(b.psfMag_g, -9999) / 2) > 3",
    "photo_flags & 4 + 1 = 0": "(b.flags & (4 + 1)) = 0",
    "clean": "b.clean <> 0",
    "NOT clean": "NOT (b.clean <> 0)",
    "true": "1 = 1",
    "mag IN (-9999, 20)": "NULLIF(b.psfMag_g, -9999) IN (-9999, 20)",
    "field NOT IN (1, 2)": "NOT (b.field IN (1, 2))",
    "colour < 1": "(b.psfMag_u - b.psfMag_g) < 1",
    "mag - redshift < -(-20)": "(NULLIF(b.psfMag_g, -9999) - a.z) < -(-20)",
    "power(10, redshift) > 5": "POWER(CAST(10 AS double precision), a.z) > 5",
    "MAG > 20": "b.psfMag_g > 20",
}


@pytest.mark.parametrize("text", SENT)
def test_what_is_sent_to_skyserver(text):
    assert predicate(text, VOCABULARY) == SENT[text]


def test_postgres_has_nan_and_null_too():
    text = predicate("mag > 20 OR mag IS NULL", VOCABULARY, dialect="postgres")
    nan = "CAST('NaN' AS double precision)"
    assert text == (
        "b.psfMag_g > 20 OR "
        f"b.psfMag_g = -9999 OR b.psfMag_g = {nan} OR b.psfMag_g IS NULL"
    )  # fmt: skip
    assert "CAST(0.001 AS real)" in predicate("redshift < 0.001", VOCABULARY, dialect="postgres")


REFUSED = {
    "": "one condition",
    "mag <": "cannot be read as SQL",
    "mag < 'a": "cannot be read as SQL",
    "nothing < 1": "no column 'nothing'",
    "b.psfMag_g < 1": "no column 'b.psfMag_g'",
    "derived < 1": "not known to the archive",
    "mag < 1; DROP TABLE x": "one condition",
    "mag < (SELECT 1)": "SUBQUERY",
    "mag IN (SELECT 1)": "list of constants",
    "max(mag) < 1": "MAX",
    "isnan(mag)": "ISNAN",
    "mag / redshift > 1": "only a constant that is not 0 may divide",
    "mag / 0 > 1": "only a constant that is not 0 may divide",
    "field // 2 > 1": "INTDIV",
    "mag % 2 = 0": "needs integers",
    "field % 0 = 1": "not 0",
    "mag = 'x'": "compares text with a number",
    "mag = 'NaN'": "compares text with a number",
    "spec_class < 'QSO'": "order of texts",
    "spec_class LIKE 'Q%'": "LIKE",
    "spec_class = 'QSO '": "blanks",
    "spec_class": "text is no condition",
    "clean = true": "true or false",
    "(mag < 1) = (redshift < 1)": "EQ|LT",
    "mag IS TRUE": "IS is for NULL",
    "mag::int = 1": "CAST",
    "log(2, mag) > 1": "base 10",
    "mag BETWEEN SYMMETRIC 2 AND 1": "SYMMETRIC",
    "-spec_class = 1": "needs numbers",
    "(" * 400 + "mag < 1" + ")" * 400: "nested too deeply",
    " + ".join(["mag"] * 5000) + " < 1": "nested too deeply",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_is_refused(text):
    with pytest.raises(UsageError, match=REFUSED[text]) as caught:
        predicate(text, VOCABULARY)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["'a;b'", "'a--b'", "'a/*b'", "'quasar\u00e9'"])
def test_a_statement_keeps_to_what_skyserver_takes(text):
    with pytest.raises(UsageError, match=r"cannot be sent|ASCII"):
        sql.select(query(f"spec_class = {text}"))


def query(*predicates, only=None):
    columns = (column("spec_object_id", "a.specObjID", "uint64"), *VOCABULARY[:9])
    return CatalogQuery(
        columns=columns, vocabulary=(*columns, VOCABULARY[-1]), predicates=predicates,
        tables="SpecObjAll AS a JOIN PhotoObjAll AS b ON a.bestObjID = b.objID",
        key="spec_object_id", only=only,
    )  # fmt: skip


def test_statements():
    asked = query("redshift > 1 OR clean = 1", "mag > 20")
    page = sql.select(asked, top=7, after=2**63)
    assert page.startswith("SELECT TOP 7 a.specObjID, b.petroRad_r, ")
    assert "(b.psfMag_u - b.psfMag_g) AS colour" in page
    assert page.endswith(
        " WHERE (a.z > 1 OR b.clean = 1) AND b.psfMag_g > 20"
        " AND a.specObjID > 9223372036854775808 ORDER BY a.specObjID"
    )
    page = sql.select(asked, dialect="postgres", top=7)
    assert page.endswith(" ORDER BY a.specObjID LIMIT 7")
    assert "CAST(b.petroRad_r AS double precision) AS petroRad_r" in page
    listed = query(only=("field", (1, 2)))
    assert sql.shown(listed).endswith("WHERE b.field IN (2 ids) ORDER BY a.specObjID")


# rows kept here and there ----------------------------------------------------------------------


def tables(size=400, seed=11):
    """Rows around every boundary, a fifth of the nullable values missing."""
    rng = np.random.default_rng(seed)

    def spread(*values, missing=False):
        picked = rng.choice(np.array(values, np.float32), size)
        return np.where(rng.random(size) < 0.2, np.float32(SENTINEL), picked) if missing else picked

    ids = np.arange(size)
    photo = {
        "objID": ids,
        "petroRad_r": spread(0.5, 4.999, 5, 5.001, 30, missing=True),
        "psfMag_g": spread(17.99, 18, 19.5, 20, 22, 22.001, missing=True),
        "psfMag_u": spread(18, 19, 20),
        "field": rng.integers(-3, 12, size).astype(np.int32),
        "flags": rng.integers(0, 64, size),
        "clean": rng.integers(0, 3, size).astype(np.int32),
    }
    spectra = {
        "specObjID": ids.astype(np.uint64) + np.uint64(2**63),
        "bestObjID": ids,
        "z": spread(0.001, 0.999, 1, 2, 5),
        "zErr": spread(0.0005, 0.001, 0.002, missing=True),
        "class": rng.choice(["QSO", "STAR", "GALAXY"], size),
    }
    return {"PhotoObjAll": pa.table(photo), "SpecObjAll": pa.table(spectra)}


TABLES = tables()
SERVER = TSQL(TABLES)


def _here():
    """Open the un-cut table under galaxyds names, with NULL where a value is missing."""
    connection = duckdb.connect()
    for name, table in TABLES.items():
        connection.register(name, table)
    asked = query()
    fields = ", ".join(
        f"NULLIF({c.archive}, -9999) AS {c.name}" if c.nullable else f"{c.archive} AS {c.name}"
        for c in asked.columns
    )
    connection.execute(f"CREATE TABLE uncut AS SELECT {fields} FROM {asked.tables}")
    return connection


HERE = _here()


@pytest.fixture(scope="module", autouse=True)
def _closed_at_the_end():
    yield
    HERE.close()
    SERVER.connection.close()


def kept_here(text):
    found = HERE.sql(f"SELECT spec_object_id FROM uncut WHERE {text} ORDER BY ALL").fetchall()
    return [row[0] for row in found]


def kept_there(text):
    found = SERVER.run(sql.select(query(text)))
    return found.column(0).to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        *(t for t in SENT if "Neill" not in t),
        "log(redshift) > -0.1",
        "ln(redshift) < 0.69314716",
        "field / 2 = 2.5",
        "(field * 3) / 2 > 4.4",
        "field % 3 = 1",
        "field % 3 = -1",
        "redshift_err <= 0.001",
        "redshift < 1e-3",
        "redshift <= 1e-3",
        "redshift >= 0.001",
        "NOT (petro_rad_r < 5 OR mag > 20)",
        "NOT (petro_rad_r < 5 AND NOT mag > 20)",
        "NOT (petro_rad_r IS NULL)",
        "(petro_rad_r IS NULL) OR (mag IS NULL)",
        "petro_rad_r < mag",
        "petro_rad_r = mag OR mag <> 20",
        "petro_rad_r <> 5",
        "NOT petro_rad_r <> 5",
        "petro_rad_r IN (5, 30) OR petro_rad_r IS NULL",
        "petro_rad_r NOT IN (5, 30)",
        "petro_rad_r NOT BETWEEN 1 AND 6",
        "coalesce(petro_rad_r, 1) < 5",
        "CASE WHEN mag < 20 THEN 1 ELSE 0 END = 0",
        "CASE WHEN mag < 20 THEN petro_rad_r END < 5",
        "(petro_rad_r + mag) IS NULL",
        "petro_rad_r < -9000",
        "petro_rad_r = -9999",
        "petro_rad_r > -10000",
        "mag",
        "NOT mag",
        "photo_flags & 8 <> 0",
        "photo_flags & 3 | 4 = 5",
        "abs(field) > 2 AND floor(mag) = 19",
        "ceil(redshift) = 1 OR sqrt(redshift) > 1.5",
        "mag - 2 - 1 < 17",
        "mag - (2 - 1) < 19",
        "power(2, redshift) > 4",
        "exp(redshift) < 3",
        "false OR mag < 20",
        "petro_rad_r < 5 OR (mag < 20 OR petro_rad_r IS NULL)",
    ],
)
def test_pushdown_keeps_the_rows(text):
    assert kept_there(text) == kept_here(text)


def test_the_cases_decide_something():
    # Without the sentinel rule the same text would keep other rows.
    naive = "SELECT a.specObjID FROM SpecObjAll AS a JOIN PhotoObjAll AS b ON a.bestObjID = b.objID"
    wrong = SERVER.run(f"{naive} WHERE b.petroRad_r < 5").num_rows
    assert wrong > len(kept_here("petro_rad_r < 5")) > 0


numbers = st.sampled_from(["5", "20", "0.001", "1", "-9999", "-10000", "19.5", "0"])
names = st.sampled_from(["petro_rad_r", "mag", "redshift", "redshift_err", "field", "clean"])
signs = st.sampled_from(["<", "<=", ">", ">=", "=", "<>"])
values = st.one_of(
    names,
    numbers,
    st.builds("({} {} {})".format, names, st.sampled_from(["+", "-", "*"]), numbers),
    st.builds("abs({})".format, names),
    st.builds("coalesce({}, {})".format, names, numbers),
)
leaves = st.one_of(
    st.builds("{} {} {}".format, values, signs, values),
    st.builds("{} IS NULL".format, names),
    st.builds("{} IS NOT NULL".format, names),
    st.builds("{} BETWEEN {} AND {}".format, names, numbers, numbers),
    st.builds("{} IN ({}, {})".format, names, numbers, numbers),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(conditions)
def test_any_condition_keeps_the_rows(text):
    assert kept_there(text) == kept_here(text)


def test_counting_steps():
    texts = ("spec_class = 'QSO'", "petro_rad_r < 5 OR petro_rad_r IS NULL", "NOT mag < 20")
    found = SERVER.run(sql.count_steps(query(*texts)))
    here = [len(kept_here(" AND ".join(f"({t})" for t in ("true", *texts[:k])))) for k in range(4)]
    assert [column[0].as_py() for column in found.columns] == here
    assert here[0] == 400
    assert here == sorted(here, reverse=True)
