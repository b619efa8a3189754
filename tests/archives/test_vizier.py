"""VizieR over loopback: the rows of astroquery, all of them, or an error."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord

from galaxyds.archives.regions import Box, Circle
from galaxyds.archives.tap import TableHttp
from galaxyds.archives.vizier import VizieR, lines
from galaxyds.errors import ArchiveError, NotInArchiveError, UsageError
from tests.servers.loopback import Fault
from tests.servers.vizier import VizieREmulator

W1, W4 = "J/A+A/609/A84/vipersw1", "J/A+A/609/A84/vipersw4"
COLUMNS = ("num", "zsp", "zflg", "id", "_RAJ2000", "_DEJ2000")


def viper(count: int = 400, ra: float = 30.0) -> pa.Table:
    draw = np.random.default_rng(5)
    gone = draw.random(count) < 0.1
    return pa.table({
        "num": np.arange(count, dtype=np.int32),
        "RAJ2000": np.round((ra + 8 * draw.random(count)) % 360, 5),
        "DEJ2000": np.round(-5 + 2 * draw.random(count), 5),
        "zsp": pa.array(draw.random(count).astype(np.float32), mask=gone),
        "zflg": np.round(5 * draw.random(count), 1),
        "id": [None if n % 7 == 0 else f"V <{n}>" for n in range(count)],
    })  # fmt: skip


@pytest.fixture
def server(monkeypatch):
    with VizieREmulator({W1: viper(), W4: viper(30)}) as server:
        monkeypatch.setenv("GALAXYDS_VIZIER_URL", server.url)
        yield server


@pytest.fixture
def vizier(server, http):
    session = TableHttp("VizieR", clock=http.clock, rate=http.rate, jitter=http.jitter)
    return VizieR(http=session)


def by_astroquery(server, **asked):
    module = pytest.importorskip("astroquery.vizier")
    client = module.Vizier(columns=list(COLUMNS), row_limit=-1, **asked)
    client._server_to_url = lambda return_type="votable": f"{server.url}/viz-bin/{return_type}"
    return client


def as_lists(table) -> dict[str, list[object]]:
    """astroquery's rows in our terms: masked and empty cells are None."""
    return {
        name: [None if v is np.ma.masked or v == "" else v for v in table[name].tolist()]
        for name in COLUMNS
    }


def test_the_rows_of_astroquery(server, vizier):
    theirs = by_astroquery(server).get_catalogs(W1)[0]
    assert vizier.table(W1, COLUMNS).to_pydict() == as_lists(theirs)
    assert len(theirs) == 400


def test_the_rows_of_astroquery_in_a_circle_under_a_condition(server, vizier):
    client = by_astroquery(server, column_filters={"zflg": ">=3"})
    middle = SkyCoord(34, -4, unit="deg")
    theirs = client.query_region(middle, radius=1.5 * u.deg, catalog=W1, cache=False)[0]
    ours = vizier.table(W1, COLUMNS, region=Circle(34, -4, 1.5), conditions={"zflg": ">=3"})
    assert ours.to_pydict() == as_lists(theirs)
    assert 0 < ours.num_rows < 400


def test_the_rows_as_they_are_stored(vizier):
    stored, ours = viper(), vizier.table(W1, COLUMNS)
    assert ours.select(COLUMNS[:4]).to_pydict() == stored.select(COLUMNS[:4]).to_pydict()
    assert ours["_RAJ2000"].to_pylist() == stored["RAJ2000"].to_pylist()
    assert ours.schema.field("zsp").type == pa.float32()


@pytest.mark.parametrize("region", [Box(31, 33.5, -4.5, -3.9), Circle(36, -3.5, 0.7)])
def test_a_region(vizier, region):
    stored = viper()
    ra, dec = (stored[name].to_numpy() for name in ("RAJ2000", "DEJ2000"))
    if isinstance(region, Box):
        inside = (ra >= 31) & (ra <= 33.5) & (dec >= -4.5) & (dec <= -3.9)
    else:
        inside = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(36, -3.5, unit="deg")).deg <= 0.7
    found = vizier.table(W1, ["num"], region=region)
    assert found.to_pydict() == {"num": np.flatnonzero(inside).tolist()}
    assert found.num_rows > 3


def test_a_box_across_zero_hours(http):
    with VizieREmulator({W1: viper(ra=356.0)}) as server:
        session = TableHttp("VizieR", clock=http.clock, rate=http.rate)
        client = VizieR(server.url, http=session)
        found = client.table(W1, ["RAJ2000"], region=Box(359, 2, -5, -3))["RAJ2000"].to_numpy()
    stored = viper(ra=356.0)["RAJ2000"].to_numpy()
    assert sorted(found) == sorted(stored[(stored >= 359) | (stored <= 2)])


@pytest.mark.parametrize(
    ("constraint", "test"),
    [(">=3", lambda z: z >= 3), ("<1", lambda z: z < 1), ("1..2", lambda z: (z >= 1) & (z <= 2))],
)
def test_conditions(vizier, constraint, test):
    found = vizier.table(W1, ["zflg"], conditions={"zflg": constraint})["zflg"].to_numpy()
    expected = viper()["zflg"].to_numpy()
    assert np.array_equal(found, expected[test(expected)])


class TestNothing:
    def test_nothing_matches(self, vizier):
        found = vizier.table(W1, ["num", "zsp"], region=Circle(200, 50, 1))
        assert (found.num_rows, found.schema.types) == (0, [pa.int32(), pa.float32()])

    def test_no_such_table(self, vizier):
        with pytest.raises(ArchiveError, match=r"refuses the query: .*not found: J/X/1"):
            vizier.table("J/X/1", ["z"])

    def test_no_table_and_no_error(self, server, vizier):
        server.tables["II/0/x"] = viper(0)
        with pytest.raises(NotInArchiveError, match="has no table II/0/x"):
            vizier.table("II/0/x", ["num"])

    def test_no_such_column(self, vizier):
        with pytest.raises(ArchiveError, match=r"no column zz in .*Column 'zz' unknown in"):
            vizier.table(W1, ["num", "zz"])

    def test_several_tables(self, vizier):
        with pytest.raises(ArchiveError, match=f"several tables of .*{W4[-8:]}"):
            vizier.table("J/A+A/609/A84", ["num"])


class TestCutAnswers:
    def test_reported(self, server, vizier):
        server.limit = 100
        with pytest.raises(ArchiveError, match="OVERFLOW"):
            vizier.table(W1, ["num"])

    def test_silent(self, server, vizier):
        server.limit, server.silent = 100, True
        with pytest.raises(ArchiveError, match="400 rows match, 100 came"):
            vizier.table(W1, ["num"])

    def test_a_limit_that_nobody_asked_for(self, server, vizier):
        body = server.document({"-source": W1, "-out": "num", "-out.max": "50"})
        lean = body.replace(b'<INFO name="matches" value="400">', b'<INFO name="m" value="400">')
        server.fail(Fault("body", body=lean.replace(b"OVERFLOW", b"OK")))
        with pytest.raises(ArchiveError, match="limit of 50 rows"):
            vizier.table(W1, ["num"])
        server.fail(Fault("body", body=lean.replace(b'"50"', b'"49"').replace(b"OVERFLOW", b"OK")))
        assert vizier.table(W1, ["num"]).num_rows == 50  # a number that limited nothing

    def test_all_rows_are_asked(self, server, vizier):
        vizier.table(W1, ["num"])
        assert b"-out.max=unlimited\n" in server.requests[-1].body

    @pytest.mark.parametrize("kind", ["cut", "cut-close", "cut-chunked", "503", "drop"])
    def test_broken_transfers_are_repeated(self, server, vizier, kind):
        server.fail(kind)
        assert vizier.table(W1, ["num"]).num_rows == 400
        assert len(server.requests) == 2

    def test_a_web_page(self, server, vizier):
        server.fail("html")
        with pytest.raises(ArchiveError, match="web page instead of a table"):
            vizier.table(W1, ["num"])


def test_positions_in_degrees_are_asked_apart():
    asked = lines(W1, COLUMNS, region=Circle(30, -4, 1))
    assert "-out.add=_RAJ2000,_DEJ2000" in asked
    assert "-out=num,zsp,zflg,id" in asked
    assert "-c=30.00000000-4.00000000" in asked


@pytest.mark.parametrize(
    "asked",
    [("J/A\n-out.max=1", ["z"], {}), (W1, ["z\n-x"], {}), (W1, ["z"], {"z": "1\n-source=II/1"}),
     (W1, ["a,b"], {}), (W1, ["z"], {"z=1&": "2"}), ("", ["z"], {})],
)  # fmt: skip
def test_no_parameter_is_smuggled_in(asked):
    catalog, columns, conditions = asked
    with pytest.raises(UsageError, match="of VizieR"):
        lines(catalog, columns, conditions=conditions)


def test_nobody_there(closed_url, http):
    session = TableHttp("VizieR", clock=http.clock, rate=http.rate, setting="GALAXYDS_VIZIER_URL")
    with pytest.raises(ArchiveError, match="check the network and GALAXYDS_VIZIER_URL"):
        VizieR(closed_url, http=session).table(W1, ["z"])
