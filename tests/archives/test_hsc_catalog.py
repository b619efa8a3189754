"""The HSC catalogue through jobs: rows, counts, order, dtypes; the contract of catalogues."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import requests

from galaxyds.archives.base import CatalogArchive, CutoutArchive, CutoutObject
from galaxyds.archives.hsc import HSCArchive, HSCCatalog
from galaxyds.archives.hsc_jobs import HSCJobs
from galaxyds.archives.rate import Clock, RateLimit
from galaxyds.errors import ArchiveError, UsageError
from galaxyds.testing import CatalogContract
from tests.servers.hsc_rows import BANDS, columns, database, only_tested, question

# The selection of `question`, written by hand in DuckDB's own dialect.
BY_HAND = f"""
    FROM pdr2_wide.forced AS f JOIN pdr2_wide.specz AS s ON f.object_id = s.object_id
    JOIN pdr2_wide.forced2 AS m ON m.object_id = f.object_id
    WHERE NOT isnan(s.specz_redshift)
      AND NOT ({" OR ".join(f"f.{b}_cmodel_flag OR m.{b}_sdsscentroid_flag" for b in BANDS)})
      AND s.specz_flag_homogeneous AND s.specz_redshift BETWEEN 0.0100001 AND 3.9999999
      AND s.specz_redshift_err < 1
      AND {" AND ".join(f"f.{b}_cmodel_mag BETWEEN 0.001 AND 49.9" for b in BANDS)}
"""


@pytest.fixture
def catalog(hsc_server, stream_http):
    return HSCCatalog(HSCJobs(http=stream_http), service="HSC catalogue")


def by_hand(what, *, tail=BY_HAND, order=""):
    with database() as connection:
        return connection.sql(f"SELECT {what} {tail} {order}").fetchall()


class TestRows:
    def test_the_rows_of_the_selection(self, catalog):
        rows = catalog.rows(question())
        names = "f.object_id, s.specz_name, s.specz_redshift, f.coord, f.y_cmodel_mag"
        wanted = by_hand(names, order="ORDER BY f.object_id, s.specz_name")
        assert len(wanted) > 30
        got = rows.select(["object_id", "specz_name", "redshift", "coord", "y_cmodel_mag"])
        assert [tuple(row.values()) for row in got.to_pylist()] == wanted

    def test_an_object_with_several_redshifts_has_several_rows(self, catalog):
        rows = catalog.rows(question(predicates=()))
        ids = rows.column("object_id").to_pylist()
        assert len(ids) > len(set(ids)) > 100
        pairs = list(zip(ids, rows.column("specz_name").to_pylist(), strict=True))
        assert pairs == sorted(pairs)

    def test_the_order_does_not_depend_on_the_archive(self, catalog, hsc_server):
        wanted = catalog.rows(question(predicates=()))
        execute, turn = hsc_server.execute, np.random.default_rng(5)

        def shuffled(statement):
            table = execute(statement)
            return table.take(turn.permutation(table.num_rows))

        hsc_server.execute = shuffled
        assert catalog.rows(question(predicates=())).equals(wanted)

    def test_missing_values(self, catalog):
        """NaN and NULL become NULL; an infinite magnitude stays one."""
        rows = catalog.rows(question(predicates=()))
        magnitudes = rows.column("g_cmodel_mag")
        join = "FROM pdr2_wide.forced AS f JOIN pdr2_wide.specz AS s USING (object_id)"
        ((missing, infinite),) = by_hand(
            "count(*) FILTER (g_cmodel_mag IS NULL OR isnan(g_cmodel_mag)),"
            "count(*) FILTER (isinf(g_cmodel_mag))", tail=join,
        )  # fmt: skip
        assert magnitudes.null_count == missing > 5
        assert pc.sum(pc.is_inf(magnitudes)).as_py() == infinite > 2
        assert rows.column("specz_mag_i").null_count > 5

    def test_32_bit_values_come_with_all_their_digits(self, catalog, hsc_server):
        """The service prints a real with six digits: whatever is stored is asked for in 64 bits."""
        rows = catalog.rows(question(predicates=()))
        got = rows.filter(pc.is_valid(rows["i_cmodel_mag"])).sort_by("object_id")
        for name in ("i_cmodel_mag", "i_cmodel_magsigma"):
            wanted = by_hand(
                f"f.{name}", order="ORDER BY f.object_id",
                tail="FROM pdr2_wide.forced AS f JOIN pdr2_wide.specz USING (object_id) "
                "WHERE NOT isnan(f.i_cmodel_mag)",
            )  # fmt: skip
            exact = np.array(wanted, np.float32)[:, 0]
            np.testing.assert_array_equal(got[name].to_numpy(), exact)
            six = np.array([f"{value:.6g}" for value in exact], np.float32)
            assert (six != exact).any()

    def test_a_value_beside_a_cut_stays_on_its_side(self, hsc_server, stream_http):
        """19.9999981 passes a cut at 20; printed with six digits it would be 20."""
        beside = np.nextafter(np.float32(20), np.float32(0))
        forced = {"object_id": [1, 2], "i_cmodel_mag": np.array([beside, 20], np.float32)}
        with duckdb.connect() as connection:
            connection.execute("CREATE SCHEMA pdr2_wide")
            connection.register("incoming", pa.table(forced))
            connection.execute("CREATE TABLE pdr2_wide.forced AS SELECT * FROM incoming")
            hsc_server.execute = lambda text: connection.sql(text).to_arrow_table()
            asked = tuple(c for c in columns() if c.name in forced)
            rows = HSCCatalog(HSCJobs(http=stream_http)).rows(question(
                columns=asked, vocabulary=asked, tables="pdr2_wide.forced", base="",
                predicates=("i_cmodel_mag < 20",),
            ))  # fmt: skip
        assert rows.to_pylist() == [{"object_id": 1, "i_cmodel_mag": float(beside)}]

    @pytest.mark.parametrize("words", [("t", "f"), ("True", "False"), ("true", "false")])
    def test_spellings_of_booleans(self, catalog, hsc_server, words):
        hsc_server.booleans = words
        flags = catalog.rows(question(predicates=())).column("specz_flag_homogeneous")
        ((true,),) = by_hand(
            "count(*) FILTER (specz_flag_homogeneous)", tail="FROM pdr2_wide.specz"
        )  # fmt: skip
        assert pc.sum(flags).as_py() == true

    def test_spellings_of_null(self, hsc_server):
        cells = ["1.5", "null", "NULL", "\\N", "", "NaN", "Infinity", "-Infinity"]
        table = pa.table({
            "object_id": [str(n) for n in range(8)], "specz_redshift": cells,
            "specz_name": cells, "specz_flag_homogeneous": ["t", "null", "f", "", "T"] + ["t"] * 3,
        })  # fmt: skip
        asked = tuple(c for c in columns() if c.archive in table.column_names)
        wanted = table.select([c.archive for c in asked])

        def execute(statement):
            return pa.table({"n0": ["8"]}) if "COUNT" in statement else wanted

        bad = question(columns=asked, vocabulary=asked, predicates=())
        with pytest.raises(ArchiveError, match=r"column specz_flag_homogeneous .* holds 'T'"):
            HSCCatalog(execute).rows(bad)
        flags = asked.index(next(c for c in asked if c.dtype == "bool"))
        wanted = wanted.set_column(flags, "specz_flag_homogeneous",
                                   [["t", "null", "f", "", "True", "t", "t", "t"]])  # fmt: skip
        rows = HSCCatalog(execute).rows(bad)
        assert rows.column("redshift").to_pylist() == [1.5] + [None] * 5 + [np.inf, -np.inf]
        assert rows.column("specz_name").to_pylist()[:5] == ["1.5", "null", "NULL", "\\N", None]
        flags = rows.column("specz_flag_homogeneous").to_pylist()
        assert flags[:5] == [True, None, False, None, True]

    def test_a_list_of_objects_is_split(self, catalog, hsc_server):
        everything = catalog.rows(question(predicates=()))
        some = sorted(set(everything.column("object_id").to_pylist()))[::3]
        catalog.longest = 1_500
        only = question(predicates=(), only=("object_id", tuple(reversed(some))))
        rows = catalog.rows(only)
        assert rows.equals(everything.filter(pc.is_in(everything["object_id"], pa.array(some))))
        statements = [job.sql for job in hsc_server.jobs.values() if " IN (" in job.sql]
        assert len(statements) > 4
        assert max(map(len, statements)) <= 1_500
        assert catalog.count(only) == (rows.num_rows,)
        assert f"object_id IN ({len(some)} ids)" in catalog.sql(only)
        assert catalog.rows(question(only=("object_id", ()))).num_rows == 0

    def test_a_silent_limit_is_noticed(self, catalog, hsc_server):
        execute = hsc_server.execute
        hsc_server.execute = lambda statement: execute(statement).slice(0, 40)
        with pytest.raises(ArchiveError, match="counts 45 rows and delivers 40: the answer was c"):
            catalog.rows(question())

    def test_other_columns_than_asked(self, catalog, hsc_server):
        execute = hsc_server.execute
        hsc_server.execute = lambda statement: execute(statement.replace("coord, ", "", 1))
        with pytest.raises(ArchiveError, match="HSC catalogue answers with a table that cannot be"):
            catalog.rows(question())

    def test_the_key_must_be_asked_for(self, catalog):
        with pytest.raises(UsageError, match="the key 'object_id' must be among"):
            catalog.rows(question(columns=columns()[1:]))


class TestCounts:
    def test_step_by_step(self, catalog):
        counts = catalog.count(question())
        assert counts[0] == catalog.rows(question(predicates=())).num_rows
        assert counts[-1] == by_hand("count(*)")[0][0]
        partly = question(predicates=question().predicates[:3])
        assert counts[3] == catalog.rows(partly).num_rows

    def test_no_rows(self, catalog):
        none = question(predicates=("redshift > 100", "redshift < 0"))
        assert catalog.count(none)[1:] == (0, 0)
        assert catalog.rows(none).num_rows == 0
        assert catalog.extent(none, ("tract",)) == (0, 0)

    def test_tiles(self, catalog):
        rows = catalog.rows(question())
        tracts = len(set(rows.column("tract").to_pylist()))
        assert catalog.extent(question(), ("tract",)) == (rows.num_rows, tracts)

    @pytest.mark.parametrize(("table", "words"), [
        (pa.table({"n0": ["many"]}), "answers a COUNT with 'many'"),
        (pa.table({"n0": ["1", "2"]}), "answers a COUNT with 2 rows of 1 columns"),
    ])  # fmt: skip
    def test_nonsense(self, table, words):
        with pytest.raises(ArchiveError, match=words):
            HSCCatalog(lambda statement: table).rows(question())


class TestArchive:
    def test_it_is_a_catalogue_and_a_cutout_archive(self, hsc_server):
        archive = HSCArchive()
        assert isinstance(archive, CatalogArchive)
        assert isinstance(archive, CutoutArchive)
        assert archive.endpoints() == {
            "catalog": hsc_server.settings["GALAXYDS_HSC_CATALOG_URL"].rstrip("/"),
            "cutouts": hsc_server.settings["GALAXYDS_HSC_CUTOUT_URL"],
            "psf": hsc_server.settings["GALAXYDS_HSC_PSF_URL"],
        }

    def test_defaults(self):
        hosts = {url.split("/")[2] for url in HSCArchive().endpoints().values()}
        assert hosts == {"hsc-release.mtk.nao.ac.jp"}

    def test_the_account_is_named_as_missing(self, hsc_server, monkeypatch):
        (need,) = HSCArchive().needs()
        assert need.present
        assert need.is_account
        monkeypatch.delenv("GALAXYDS_HSC_PASSWORD")
        (need,) = HSCArchive().needs()
        assert not need.present
        assert "set GALAXYDS_HSC_USER and GALAXYDS_HSC_PASSWORD" in need.advice

    def test_no_account_travels(self, hsc_server):
        archive = HSCArchive()
        data = bytes(ForkingPickler.dumps(archive)) + pickle.dumps(archive)
        assert b"canary" not in data
        assert b"ada" not in data

    def test_a_base_url_must_be_one(self, monkeypatch):
        monkeypatch.setenv("GALAXYDS_HSC_CUTOUT_URL", "ftp://x")
        with pytest.raises(UsageError, match="GALAXYDS_HSC_CUTOUT_URL must be an http"):
            HSCArchive()


class TestAddresses:
    SETTINGS = ("GALAXYDS_HSC_CATALOG_URL", "GALAXYDS_HSC_CUTOUT_URL", "GALAXYDS_HSC_PSF_URL")
    SOME = (CutoutObject(object_id=1, ra=30.0, dec=0.5, tile=(30,)),)

    def ask(self, archive, setting):
        """Ask the service behind a setting."""
        if setting == self.SETTINGS[0]:
            archive.count(question(predicates=()))
        elif setting == self.SETTINGS[1]:
            list(archive.cutouts(self.SOME, "i", half_size=2))
        else:
            list(archive.point_spreads(self.SOME, "i"))

    @pytest.mark.parametrize("setting", SETTINGS)
    @pytest.mark.parametrize(("url", "reason"), [
        (None, "Connection refused"), ("https://no-such-host.invalid/x", "host name not known"),
    ])  # fmt: skip
    def test_nobody_there(
        self, hsc_server, monkeypatch, fake_time, closed_url, setting, url, reason
    ):
        monkeypatch.setenv(setting, url or closed_url)
        archive = HSCArchive()
        for service in (archive._jobs, archive._cutouts, archive._psf):
            service.http.clock = fake_time.clock
            service.http.rate = RateLimit(0.0, clock=fake_time.clock)
        words = rf"{reason}; check the network and {setting}, then run the same command again"
        with pytest.raises(ArchiveError, match=words):
            self.ask(archive, setting)

    @pytest.mark.parametrize("setting", SETTINGS)
    @pytest.mark.parametrize("url", [
        "http://example.org/x", "http://127.0.0.1.example.org/x", "http://10.0.0.1/x",
        "http://localhost@example.org/x", "http://example.org\\@127.0.0.1/x", "http://[2001:db8::1]/",
        "http://0.0.0.0/x",
    ])  # fmt: skip
    def test_no_account_in_clear_text(self, hsc_server, monkeypatch, setting, url):
        monkeypatch.setenv(setting, url)
        with pytest.raises(UsageError, match=f"{setting} is http://.* in clear text: use an https"):
            HSCArchive()

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_no_account_in_clear_text_to_a_given_address(self, hsc_server, setting, sent):
        archive = HSCArchive(
            catalog="http://example.org", cutouts="http://example.org/x", psf="HTTP://example.org/y"
        )
        with pytest.raises(UsageError, match=f"{setting} is http://example.org"):
            self.ask(archive, setting)
        assert sent == []

    @pytest.mark.parametrize("url", [
        "http://localhost:1/x", "http://127.3.2.1/x", "http://[::1]:8080/x", "https://example.org/x",
    ])  # fmt: skip
    def test_this_machine_and_https_are_fine(self, monkeypatch, url):
        for setting in self.SETTINGS:
            monkeypatch.setenv(setting, url)
        assert set(HSCArchive().endpoints().values()) == {url}


@pytest.fixture
def sent(monkeypatch):
    """Addresses that the session asks; nothing goes out."""
    seen = []

    def refuse(session, method, url, **options):
        seen.append(url)
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(requests.Session, "request", refuse)
    return seen


class TestContract(CatalogContract):
    @pytest.fixture
    def archive(self, hsc_server, monkeypatch):
        """The archive over loopback; every object has one redshift here."""
        monkeypatch.setattr("galaxyds.archives.hsc_session.INTERVAL", 0.0)
        monkeypatch.setattr("galaxyds.archives.hsc_jobs.FIRST_POLL", 0.0)
        hsc_server.words = ()
        connection = database(repeated=False)
        hsc_server.execute = lambda text: connection.cursor().sql(text).to_arrow_table()
        return HSCArchive()

    @pytest.fixture
    def query(self):
        """Delivers what it tests, so that the same cuts can be made here."""
        both = (*columns(), *only_tested())
        return question(columns=both, vocabulary=both)


def test_the_clock_is_the_real_one():
    assert HSCArchive()._jobs.http.clock == Clock()
