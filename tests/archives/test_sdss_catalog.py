"""The SDSS catalogue: pages, counts, dtypes, and every bad answer as one line."""

from __future__ import annotations

import dataclasses
import pickle
import warnings

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from galaxyds.archives.base import CatalogArchive, CatalogQuery
from galaxyds.archives.calls import Policy
from galaxyds.archives.http import Http
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.sdss import SDSSArchive, SDSSCatalog
from galaxyds.archives.skyserver import SkyServer, encoded
from galaxyds.archives.tabular import conform, read_csv
from galaxyds.catalog import apply_cuts
from galaxyds.errors import ArchiveError, UsageError
from galaxyds.spec import Column
from galaxyds.specs.sdss_qso import SPEC
from tests.servers import Fault, SkyServerEmulator


def ask(config="extended", *, cuts=None, only=None):
    columns = SPEC.queried_columns()
    pushed = [cut for cut in SPEC.config(config).cuts if cut.pushdown] if cuts is None else cuts
    return CatalogQuery(
        columns=columns, vocabulary=columns, tables=SPEC.tables, key=SPEC.key, only=only,
        predicates=tuple(cut.sql for cut in pushed),
    )  # fmt: skip


@pytest.fixture
def server(http, skyserver):
    http.service = "SkyServer"
    return SkyServer(skyserver.url, http=http)


@pytest.fixture
def catalog(server):
    return SDSSCatalog(server, page_rows=150, row_limit=500_000, service="SkyServer")


@pytest.fixture(scope="module")
def joined(field_rows):
    """All rows, joined without SQL of ours, in the order of specObjID."""
    statement = (
        "SELECT * FROM SpecObjAll AS a JOIN PhotoObjAll AS b ON a.bestObjID = b.objID "
        "ORDER BY a.specObjID"
    )
    with duckdb.connect() as connection:
        for name, table in field_rows.items():
            connection.register(name, table)
        return connection.sql(statement).to_arrow_table()


def test_it_is_a_catalogue(catalog):
    assert isinstance(catalog, CatalogArchive)
    assert isinstance(SDSSArchive(), CatalogArchive)


class TestRows:
    def test_all_of_them_page_by_page(self, catalog, skyserver, joined):
        rows = catalog.rows(ask(cuts=()))
        assert rows.num_rows == joined.num_rows == 1127
        assert sum("TOP 150" in text for text in skyserver.statements) == 8
        for name, archive in (("spec_object_id", "specObjID"), ("object_id", "objID"),
                              ("photo_flags", "flags"), ("spec_class", "class"),
                              ("run", "run"), ("clean", "clean")):  # fmt: skip
            assert rows.column(name).to_pylist() == joined.column(archive).to_pylist()

    def test_plates_beyond_8191_stay_exact(self, catalog):
        ids = catalog.rows(ask(cuts=())).column("spec_object_id")
        assert ids.type == pa.uint64()
        assert max(ids.to_pylist()) > 2**63

    def test_numbers_within_what_the_service_prints(self, catalog, joined):
        rows = catalog.rows(ask(cuts=()))
        for column in ask().columns:
            if not column.dtype.startswith("float"):
                continue
            ours = rows.column(column.name).to_numpy()
            theirs = joined.column(column.archive[2:]).to_numpy()
            real = theirs != -9999
            np.testing.assert_array_equal(np.isnan(ours), ~real & column.nullable)
            tolerance = 6e-7 if column.dtype == "float32" else 1e-14
            np.testing.assert_allclose(ours[real], theirs[real], rtol=tolerance)

    def test_columns_that_a_cut_tests_come_with_all_digits(self, catalog, joined):
        rows = catalog.rows(ask())
        by_id = dict(zip(joined.column("specObjID").to_pylist(), range(joined.num_rows),
                         strict=True))  # fmt: skip
        places = [by_id[key] for key in rows.column("spec_object_id").to_pylist()]
        for name, archive in (("redshift", "z"), ("redshift_err", "zErr"),
                              ("psf_mag_g", "psfMag_g")):  # fmt: skip
            exact = joined.column(archive).to_numpy()[places]
            assert exact.dtype == np.float32
            np.testing.assert_array_equal(rows.column(name).to_numpy(), exact)

    @pytest.mark.parametrize("config", ["extended", "baseline"])
    def test_cuts_there_and_here_keep_the_same_rows(self, catalog, config):
        cuts = SPEC.config(config).cuts
        pushed, everything = catalog.rows(ask(config)), catalog.rows(ask(cuts=()))
        here, flow = apply_cuts(everything, cuts)
        assert pushed.column("spec_object_id").to_pylist() == (
            here.column("spec_object_id").to_pylist()
        )
        assert catalog.count(ask(config)) == (everything.num_rows, *(s.after for s in flow))
        assert all(step.removed for step in flow if step.has_effect)
        assert pushed.num_rows > 0

    def test_a_list_of_ids(self, catalog, skyserver, joined):
        ids = tuple(joined.column("objID").to_pylist()[::3])
        rows = catalog.rows(ask(cuts=(), only=("object_id", (*ids, 12345))))
        expected = [(s, o) for s, o in zip(joined.column("specObjID").to_pylist(),
                    joined.column("objID").to_pylist(), strict=True) if o in set(ids)]  # fmt: skip
        assert list(zip(rows.column("spec_object_id").to_pylist(),
                        rows.column("object_id").to_pylist(), strict=True)) == expected  # fmt: skip
        assert max(len(request.raw_query) for request in skyserver.requests) < 2048
        counted = catalog.count(ask(only=("object_id", ids)))
        assert counted[0] == len(expected)
        assert catalog.rows(ask(cuts=(), only=("object_id", ()))).num_rows == 0

    def test_no_rows_is_an_empty_table(self, catalog, server):
        impossible = dataclasses.replace(ask(), predicates=("redshift > 100",))
        rows = catalog.rows(impossible)
        assert rows.num_rows == 0
        assert rows.column("spec_object_id").type == pa.uint64()
        assert catalog.count(impossible) == (1127, 0)
        assert server("SELECT TOP 1 b.objID FROM PhotoObjAll AS b WHERE b.ra > 999").num_rows == 0

    def test_the_text_is_shown_as_sent(self, catalog, skyserver):
        catalog.rows(ask())
        shown = catalog.sql(ask())
        assert skyserver.statements[1] == shown.replace("SELECT ", "SELECT TOP 150 ", 1)


class TestLimits:
    """The service cuts at its row limit without a word: nothing is lost unseen."""

    def test_a_page_never_reaches_the_limit(self):
        with pytest.raises(UsageError, match="page_rows must be below the service's limit of 100"):
            SDSSCatalog(lambda text: pa.table({}), page_rows=100, row_limit=100)

    def test_a_full_answer_is_refused(self, server, skyserver):
        skyserver.row_limit = 151
        plain = SDSSCatalog(
            lambda text: server(text.replace("TOP 150 ", "")), page_rows=150, row_limit=151
        )
        with pytest.raises(ArchiveError, match="delivers 151 rows where at most 150 were asked"):
            plain.rows(ask(cuts=()))

    def test_a_lower_limit_than_known_is_the_servers_error(self, catalog, skyserver):
        skyserver.row_limit = 100
        with pytest.raises(ArchiveError, match="refuses the query: error: limit is top 100 SELECT"):
            catalog.rows(ask(cuts=()))

    def test_rows_that_do_not_add_up(self, server):
        def forgetful(text):
            table = server(text)
            return table.slice(0, table.num_rows - 1) if table.num_rows > 1 else table

        with pytest.raises(ArchiveError, match="counts 1127 rows and delivers 1126: an answer was"):
            SDSSCatalog(forgetful).rows(ask(cuts=()))

    def test_rows_out_of_order_or_twice(self, server):
        def repeating(text):
            table = server(text)
            return pa.concat_tables([table.slice(0, 1), table.slice(0, table.num_rows - 1)])

        with pytest.raises(ArchiveError, match="spec_object_id is not unique and rising"):
            SDSSCatalog(lambda t: server(t) if "COUNT" in t else repeating(t)).rows(ask(cuts=()))

    def test_sixty_a_minute(self, skyserver, fake_time):
        polite = SkyServer(skyserver.url)
        assert isinstance(polite.http.rate, RateLimit)
        assert 60 / polite.http.rate.interval < 60


class TestBadAnswers:
    """One line for each, with the service's own words."""

    def message(self, server, statement="SELECT TOP 1 b.objID FROM PhotoObjAll AS b"):
        with pytest.raises(ArchiveError) as caught:
            server(statement)
        text = str(caught.value)
        assert "\n" not in text
        assert caught.value.exit_code == 5
        assert caught.value.url.endswith("/dr17/SkyServerWS/SearchTools/SqlSearch")
        return text

    def test_error_message_table(self, server, skyserver):
        skyserver.fail("error-table")
        text = self.message(server)
        assert "SkyServer refuses the query: error: limit is top 500000 select top 9, 8" in text
        assert "must be a select statement" in self.message(server, "WITH x AS (SELECT 1) SELECT 2")

    @pytest.mark.parametrize(("kind", "words"), [
        ("html", "SkyServer Down for maintenance"),
        ("html-lines", "Moved: This page has moved, see the front page."),
        ("html-as-text", "Moved: This page has moved, see the front page."),
    ])  # fmt: skip
    def test_a_web_page_with_status_200(self, server, skyserver, kind, words):
        skyserver.fail(kind)
        text = self.message(server)
        assert "answers with a web page instead of a table: " in text
        assert words.split()[-1] in text
        assert "<" not in text

    def test_500_with_json(self, server, skyserver):
        skyserver.fail("500json")
        text = self.message(server)
        assert "HTTP 500: Invalid column name 'petroRad'." in text
        assert text.endswith("ask in batch with GALAXYDS_SDSS_CATALOG=casjobs")
        assert len(skyserver.requests) == 1
        text = self.message(server, "SELECT TOP 1 b.nothing FROM PhotoObjAll AS b")
        assert "nothing" in text

    def test_busy_then_well(self, server, skyserver, fake_time):
        skyserver.fail("503", "429", "500", "drop")
        assert server("SELECT TOP 2 b.objID FROM PhotoObjAll AS b").num_rows == 2
        assert len(skyserver.requests) == 5
        assert 7 in fake_time.pauses

    def test_a_query_that_is_too_long(self, server, skyserver):
        text = self.message(
            server, "SELECT TOP 1 b.objID FROM PhotoObjAll AS b WHERE " + "1" * 3000
        )
        assert "HTTP 400: " in text
        assert "maxQueryStringLength" in text

    @pytest.mark.parametrize("kind", ["cut-chunked", "cut-close"])
    @pytest.mark.parametrize("after", [3, 9, 16, 40])
    def test_a_body_cut_in_the_middle_is_asked_again(self, server, skyserver, kind, after):
        statement = "SELECT TOP 5 b.objID FROM PhotoObjAll AS b ORDER BY b.objID"
        whole = server(statement)
        skyserver.fail(Fault(kind, after=after))
        assert server(statement) == whole

    def test_a_body_cut_between_lines_is_counted(self, catalog, skyserver):
        asked = ask(cuts=())
        catalog.page_rows = 100_000
        body = skyserver.execute(catalog.sql(asked)).body
        end = body.index(b"\n", 5000) + 1
        skyserver.fail(Fault("cut-close", where="TOP", after=end))
        with pytest.raises(ArchiveError, match="counts 1127 rows and delivers"):
            catalog.rows(asked)

    @pytest.mark.parametrize(("body", "words"), [
        (b"#Table1\na,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        (b"#Table1\na,b\n1,\"x\n2,y\"\n", "2 lines hold 1 rows: broken quotes"),
        (b"#Table1\na,a\n1,2\n", "its header line is 'a,a'"),
        (b"#Table1\n\n", "its header line is ''"),
        (b"#Table1\na\n\xff\n", "UTF8"),
        (b"", "no table: without a word"),
        (b"ok", "no table: ok"),
        (b'{"ErrorMessage": "late"}', "no table: late"),
    ])  # fmt: skip
    def test_something_malformed(self, server, skyserver, body, words):
        skyserver.fail(Fault("body", body=body))
        with pytest.raises(ArchiveError, match=words) as caught:
            server("SELECT TOP 1 b.objID FROM PhotoObjAll AS b")
        assert "\n" not in str(caught.value)

    def test_other_columns_than_asked(self, catalog, skyserver):
        skyserver.fail(Fault("body", where="TOP", body=b"#Table1\nobjID,z\n1,2\n"))
        with pytest.raises(ArchiveError, match="columns objID, z came, objID, specObjID, run"):
            catalog.rows(ask(cuts=()))

    @pytest.mark.parametrize("body", [b"#Table1\nn0\nmany\n", b"#Table1\nn0\n1\n2\n"])
    def test_a_count_that_is_none(self, catalog, skyserver, body):
        skyserver.fail(Fault("body", where="COUNT", body=body))
        with pytest.raises(ArchiveError, match="answers a COUNT with"):
            catalog.rows(ask(cuts=()))

    def test_a_gzip_bomb(self, server, skyserver):
        skyserver.fail("gzip-bomb")
        assert "sends gzip although plain bytes were asked" in self.message(server)


def column(dtype, *, nullable=False, sentinel=None):
    return Column(
        name="c", dtype=dtype, archive="a.c", description="c", nullable=nullable, sentinel=sentinel
    )


class TestDtypes:
    def values(self, cells, dtype, **options):
        table = pa.table({"c": pa.array(cells)})
        return conform(table, (column(dtype, **options),), ("c",), service="S")[0].to_pylist()

    def test_text(self):
        assert self.values(["18446744073709551615"], "uint64") == [2**64 - 1]
        assert self.values(["1E-05", "-1.5"], "float64") == [1e-05, -1.5]
        assert self.values(["0.1"], "float32") == [float(np.float32(0.1))]
        assert self.values(["True", "0"], "bool") == [True, False]
        missing = {"nullable": True, "sentinel": -9999.0}
        assert self.values(["1", "-9999", "NaN", ""], "float32", **missing) == [1, None, None, None]
        assert self.values(["1", "-9999", ""], "uint64", **missing) == [1, None, None]
        assert self.values(["-9999"], "float32") == [-9999]
        assert self.values(["", "a"], "string", nullable=True) == [None, "a"]

    def test_typed(self):
        missing = {"nullable": True, "sentinel": -9999.0}
        assert self.values([1.5, -9999.0, np.nan, None], "float32", **missing) == [
            1.5, None, None, None,
        ]  # fmt: skip
        assert self.values([1, -9999], "int16", **missing) == [1, None]
        assert self.values([2**62], "uint64") == [2**62]

    @pytest.mark.parametrize(("cells", "dtype", "words"), [
        (["1", ""], "int64", r"column c \(a.c\) is empty in 1 rows"),
        (["1", "NaN"], "float32", "is empty in 1 rows"),
        (["", "a"], "string", "is empty in 1 rows"),
        (["1", "1.23764870457714E+018"], "int64", r"holds '1.23764870457714E\+018', which is no"),
        (["0x1F"], "int32", "holds '0x1F', which is no int32"),
        (["1", "18446744073709551616"], "uint64", "holds '18446744073709551616', which is no"),
        (["300"], "int8", "holds '300', which is no int8"),
        (["-1"], "uint64", "holds '-1', which is no uint64"),
        (["x"], "float32", "holds 'x', which is no float32"),
        ([1.0], "int64", "came as floating point; as int64 it may have lost digits"),
        ([70_000], "int16", "holds '70000', which is no int16"),
        (["maybe"], "bool", "holds 'maybe', which is no bool"),
    ])  # fmt: skip
    def test_what_cannot_be(self, cells, dtype, words):
        with pytest.raises(ArchiveError, match=words):
            self.values(cells, dtype)

    def test_a_recorded_answer(self, survey_data):
        body = (survey_data / "protocol/astroquery_sdss/xid_sp.txt").read_bytes()
        table = read_csv(body.partition(b"\n")[2], service="SkyServer")
        assert table.column("specobjid").to_pylist() == ["845594848269461504"]
        assert table.num_columns == 14


def test_astroquery_agrees(server, skyserver, joined, monkeypatch):
    """An independent client on the same server sees the same rows, where it is right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astroquery.sdss import SDSS, conf
    monkeypatch.setattr(conf, "skyserver_baseurl", skyserver.url)
    statement = (
        "SELECT TOP 400 a.specObjID, a.bestObjID, a.class, a.z, b.psfMag_g, b.petroRad_r "
        "FROM SpecObjAll AS a JOIN PhotoObjAll AS b ON a.bestObjID = b.objID "
        "WHERE b.psfMag_g > 0 ORDER BY a.specObjID"
    )
    theirs = SDSS.query_sql(statement, cache=False, data_release=17)
    assert skyserver.requests[-1].path == "/dr17/en/tools/search/x_results.aspx"
    ours = server(statement)
    assert ours.num_rows == len(theirs) == 400
    assert [int(x) for x in ours.column("specObjID").to_pylist()] == list(theirs["specObjID"])
    assert [int(x) for x in ours.column("bestObjID").to_pylist()] == list(theirs["bestObjID"])
    assert ours.column("class").to_pylist() == list(theirs["class"])
    for name in ("z", "psfMag_g", "petroRad_r"):
        values = [float(x) for x in ours.column(name).to_pylist()]
        np.testing.assert_array_equal(values, np.asarray(theirs[name]))


def test_astroquery_is_wrong_where_the_docstring_says(skyserver, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astroquery.sdss import SDSS, conf
    monkeypatch.setattr(conf, "skyserver_baseurl", skyserver.url)
    nothing = "SELECT TOP 1 b.objID FROM PhotoObjAll AS b WHERE b.ra > 999"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert SDSS.query_sql(nothing, cache=False) is None
    skyserver.fail("html")
    with pytest.raises(FileNotFoundError):
        SDSS.query_sql("SELECT b.objID FROM PhotoObjAll AS b", cache=False)
    skyserver.row_limit = 10
    cut = SDSS.query_sql("SELECT b.objID FROM PhotoObjAll AS b", cache=False)
    assert len(cut) == 10


def test_the_archive_goes_where_its_settings_point(sdss_loopback, monkeypatch, tmp_path):
    skyserver, _ = sdss_loopback
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive = pickle.loads(pickle.dumps(SDSSArchive()))
    assert archive.endpoints()["skyserver"] == skyserver.url
    assert archive.count(ask())[0] == 1127
    assert archive.needs() == ()
    assert (
        SDSSArchive(sas="https://ada:canary@host/sas").endpoints()["frames"] == "https://host/sas"
    )
    monkeypatch.setenv("GALAXYDS_SDSS_CATALOG", "elsewhere")
    with pytest.raises(UsageError, match="must be skyserver or casjobs, got 'elsewhere'"):
        SDSSArchive()


def test_patience_ends(skyserver, fake_time):
    http = Http("SkyServer", policy=Policy(attempts=3), clock=fake_time.clock)
    skyserver.fail("503", "503", "503")
    with pytest.raises(ArchiveError, match=r"SkyServer failed 3 times at .*: HTTP 503: busy; run"):
        SkyServer(skyserver.url, http=http)("SELECT TOP 1 b.objID FROM PhotoObjAll AS b")


def test_statements_of_the_quasars_fit_into_a_query_string():
    for config in SPEC.configs:
        catalog = SDSSCatalog(lambda text: pa.table({}))
        assert len(encoded(catalog.sql(ask(config.name)))) < 1500


def test_the_emulator_takes_what_the_procedure_takes():
    table = {"PhotoObjAll": pa.table({"objID": list(range(30)), "n": ["a,b"] * 30})}
    with SkyServerEmulator(table, row_limit=10, per_minute=2) as emulator:
        server = SkyServer(emulator.url, http=Http("SkyServer", rate=RateLimit(0.0)))
        assert server("select b.objID from PhotoObjAll b").num_rows == 10  # silently
        with pytest.raises(ArchiveError, match="HTTP 500: Incorrect syntax"):
            server("select 1 from PhotoObjAll union select 2 from PhotoObjAll")
        assert server("select top 1 b.n from PhotoObjAll b")["n"].to_pylist() == ["a,b"]
        with pytest.raises(ArchiveError, match="Maximum 2 queries allowed per minute"):
            server("select top 1 b.n from PhotoObjAll b")
