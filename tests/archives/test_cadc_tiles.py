"""CADC's catalogue over loopback: the rows of pyvo and astroquery; tiles, and objects in them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from galaxyds.archives.cadc_tiles import (
    ADQL,
    BANDS,
    HALF_WIDTH,
    NEW_I,
    OLD_I,
    CADCTiles,
    CFHTLSTile,
    parse_name,
    tile_of,
    tiles_of,
)
from galaxyds.archives.tap import TAP, TableHttp
from galaxyds.errors import ArchiveError, DataIntegrityError
from tests.servers.cadc import CADCEmulator
from tests.servers.loopback import Fault, Reply

TILES = ("022155-041200", "022539-041200", "141927+544656", "221206-003300")
NAMES = [f"CFHTLS_W_{band}_{tile}_T0007_MEDIAN.fits" for tile in TILES for band in BANDS]
QUERY = (
    "SELECT p.productID, a.uri, a.contentLength, a.contentChecksum FROM caom2.Plane p "
    "JOIN caom2.Artifact a ON a.planeID = p.planeID ORDER BY a.uri"
)


@pytest.fixture
def server(monkeypatch):
    files = {name: name.encode() for name in NAMES[:-1]}  # the last tile has no z
    with CADCEmulator(files, new_i={TILES[1]}) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def session(http):
    return TableHttp("CADC", clock=http.clock, rate=http.rate, jitter=http.jitter)


@pytest.fixture
def tap(server, session):
    return TAP(f"{server.url}/argus", session)


def lists(table, names) -> dict[str, list[object]]:
    return {
        name: [None if v is np.ma.masked or v == "" else v for v in table[name].tolist()]
        for name in names
    }


class TestTAP:
    @pytest.mark.parametrize("see_other", [False, True])
    @pytest.mark.parametrize("checksums", [False, True])
    def test_the_rows_of_pyvo(self, server, tap, see_other, checksums):
        pyvo = pytest.importorskip("pyvo")
        server.redirect_sync, server.checksums = see_other, checksums
        ours = tap.query(QUERY)
        theirs = pyvo.dal.TAPService(f"{server.url}/argus").search(QUERY).to_table()
        assert ours.to_pydict() == lists(theirs, ours.column_names)
        assert ours.num_rows > 2 * len(NAMES)

    def test_the_rows_of_astroquery_through_the_registry(self, server, tap, monkeypatch):
        cadc = pytest.importorskip("astroquery.cadc")
        monkeypatch.setattr(cadc.conf, "CADC_REGISTRY_URL", server.registry)
        monkeypatch.setattr("astroquery.cadc.core.get_access_url.caps", {})
        theirs = cadc.CadcClass().exec_sync(QUERY)
        assert tap.query(QUERY).to_pydict() == lists(theirs, theirs.colnames)
        assert "/argus//sync" in [request.path for request in server.requests]

    def test_a_region_in_adql(self, tap):
        circle = "INTERSECTS(CIRCLE('ICRS', 36.41, -4.2, 0.01), p.position_bounds) = 1"
        found = tap.query(f"SELECT DISTINCT p.obsID FROM caom2.Plane p WHERE {circle}")
        assert found.to_pydict() == {"obsID": [f"o{TILES[1]}"]}

    def test_words_of_an_error_document(self, tap):
        with pytest.raises(ArchiveError, match=r'refuses the query: .*"nonsense" not found'):
            tap.query("SELECT nonsense FROM caom2.Plane")

    def test_words_of_a_plain_refusal(self, server, tap):
        server.fail(Fault("401"))
        with pytest.raises(ArchiveError, match="HTTP 401: who are you"):
            tap.query(QUERY)

    def test_an_answer_that_was_cut(self, server, tap):
        with pytest.raises(ArchiveError, match="OVERFLOW"):
            tap.query(QUERY, most=3)
        assert b"MAXREC=3" in server.requests[-1].body

    def test_a_document_that_points_elsewhere(self, server, tap):
        server.fail("href")
        with pytest.raises(DataIntegrityError, match="keeps its data elsewhere"):
            tap.query(QUERY)
        assert [request.path for request in server.requests] == ["/argus/sync"]

    @pytest.mark.parametrize("kind", ["cut", "cut-close", "cut-chunked", "503", "429", "drop"])
    def test_broken_transfers_are_repeated(self, server, tap, kind):
        server.fail(kind)
        assert tap.query(QUERY).num_rows > 2 * len(NAMES)
        assert len(server.requests) == 2

    def test_a_redirect_to_a_login(self, server, tap):
        target = {"Location": f"{server.url}/data/auth/argus/sync"}
        server.fail(Fault("redirect", headers=target, status=303))
        with pytest.raises(ArchiveError, match="/data/auth/argus/sync, which wants an account"):
            tap.query(QUERY)
        assert len(server.requests) == 1

    def test_a_form_is_not_sent_to_another_place(self, server, tap):
        server.fail(Fault("redirect", headers={"Location": f"{server.url}/argus/x"}, status=307))
        with pytest.raises(
            ArchiveError, match=r"redirects to .*/argus/x, where a form is not sent on to: check"
        ):
            tap.query(QUERY)

    @pytest.mark.parametrize("status", [301, 307, 308])
    def test_a_service_that_moved_to_https(self, server, tap, status):
        target = {"Location": "https://127.0.0.1:9/argus/sync"}
        server.fail(Fault("redirect", headers=target, status=status))
        with pytest.raises(ArchiveError, match=r"not sent on to: use the https address") as caught:
            tap.query(QUERY)
        assert "credentials" not in str(caught.value)

    @pytest.mark.parametrize("status", [500, 400])
    def test_a_gateway_that_speaks_xml(self, server, tap, monkeypatch, status):
        """A 500 that is no VOTable may pass, whatever its type says; a 400 does not."""
        spoil, page = server.spoil, b"<?xml version='1.0'?><error>upstream</error>"

        def spoiled(fault, request):
            if fault.kind == "gateway":
                return Reply(page, status, {"Content-Type": "text/xml"})
            return spoil(fault, request)

        monkeypatch.setattr(server, "spoil", spoiled)
        server.fail(*[Fault("gateway")] * 2)
        if status == 500:
            assert tap.query(QUERY).num_rows > 2 * len(NAMES)
            assert len(server.requests) == 3
        else:
            with pytest.raises(ArchiveError, match=r"HTTP 400: .*upstream"):
                tap.query(QUERY)

    def test_a_web_page(self, server, tap):
        server.fail("html")
        with pytest.raises(ArchiveError, match="web page instead of a table"):
            tap.query(QUERY)


class TestTiles:
    def test_what_the_archive_holds(self, server, session):
        tiles = CADCTiles(http=session).tiles()
        assert [one.name for one in tiles] == list(TILES)
        assert [one.tile for one in tiles][1:3] == [(22539, -41200), (141927, 544656)]
        assert [list(one.artifacts) for one in tiles] == [list(BANDS)] * 3 + [list("ugri")]

    def test_both_i_filters(self, server, session):
        tiles = CADCTiles(http=session).tiles()
        assert [one.i_filter for one in tiles] == [OLD_I, NEW_I, OLD_I, OLD_I]

    def test_names_sizes_checksums(self, server, session):
        by_file = {
            artifact.file: artifact
            for one in CADCTiles(http=session).tiles() for artifact in one.artifacts.values()
        }  # fmt: skip
        assert sorted(by_file) == sorted(NAMES[:-1])
        one = by_file[NAMES[0]]
        assert one.uri == f"cadc:CFHTTERAPIX/{NAMES[0]}"
        assert (one.bytes, len(one.md5)) == (len(NAMES[0]), 32)

    def test_neither_composites_nor_weights(self, server, session):
        rows = TAP(f"{server.url}/argus", session).query(ADQL).to_pylist()
        composites = [row for row in rows if row["energy_bandpassName"] == "gri"]
        assert len(composites) == len(TILES)  # the archive calls them science
        assert tiles_of(composites) == ()
        weight = {**rows[0], "uri": rows[0]["uri"].replace(".fits", "_weight.fits")}
        assert tiles_of([weight]) == ()

    def test_the_filter_counts_and_not_the_letter_of_the_file(self):
        uri = "cadc:CFHTTERAPIX/CFHTLS_W_y_022155-041200_T0007_MEDIAN.fits"
        (tile,) = tiles_of([{"uri": uri, "energy_bandpassName": NEW_I}])
        assert (list(tile.artifacts), tile.i_filter) == (["i"], NEW_I)
        assert (tile.artifacts["i"].bytes, tile.artifacts["i"].md5) == (0, "")

    def test_the_order_of_the_answer_does_not_matter(self, server, session):
        rows = TAP(f"{server.url}/argus", session).query(ADQL).to_pylist()
        assert tiles_of(rows[::-1]) == tiles_of(rows)

    def test_an_archive_without_tiles(self, session):
        with CADCEmulator({"CFHTLS_W_g_022155-041200_T0007_MEDIAN.fits": b""}) as server:
            server.database().execute("DELETE FROM caom2.Artifact")
            with pytest.raises(ArchiveError, match=r"holds no tile .*GALAXYDS_CADC_TAP_URL"):
                CADCTiles(f"{server.url}/argus", http=session).tiles()


class TestNames:
    @pytest.mark.parametrize("name", [*TILES, "000000-000100", "235959+895959"])
    def test_position_as_astropy_reads_it(self, name):
        text = f"{name[:2]}:{name[2:4]}:{name[4:6]} {name[6:9]}:{name[9:11]}:{name[11:]}"
        expected = SkyCoord(text, unit=("hourangle", "deg"))
        (hms, dms), ra, dec = parse_name(name)
        assert (ra, dec) == pytest.approx((expected.ra.deg, expected.dec.deg), abs=1e-9)
        assert f"{hms:06d}{'-' if '-' in name else '+'}{abs(dms):06d}" == name

    @pytest.mark.parametrize("name", ["22539-041200", "246000+000000", "006000+000000", "x", ""])
    def test_what_is_no_name(self, name):
        with pytest.raises(ValueError, match=r"no (name|position)"):
            parse_name(name)


def row_of_tiles(ra: float, dec: float, columns: int, rows: int) -> list[CFHTLSTile]:
    """Overlapping tiles about a place."""
    step = 0.93
    return [
        CFHTLSTile(name=f"{n}.{m}", tile=(n, m), ra=(ra + n * step / np.cos(np.radians(dec))) % 360,
                   dec=dec + m * step, artifacts={})
        for n, m in itertools.product(range(columns), range(rows))
    ]  # fmt: skip


@pytest.mark.parametrize("start", [(34.0, -6.0), (359.0, 1.0), (214.0, 54.0)])
def test_objects_go_to_the_tile_whose_edge_is_furthest(start):
    tiles = row_of_tiles(*start, 3, 3)
    draw = np.random.default_rng(8)
    ra = (start[0] + draw.uniform(-1, 4, 400) / np.cos(np.radians(start[1]))) % 360
    dec = start[1] + draw.uniform(-1, 3, 400)
    depth = np.array([edge_distance(one, ra, dec) for one in tiles])
    expected = np.where(depth.max(axis=0) > 0, depth.argmax(axis=0), -1)
    found = tile_of(ra, dec, tiles)
    assert np.array_equal(found, expected)
    assert set(found) == {-1, *range(9)}
    assert np.array_equal(tile_of(ra[::-1], dec[::-1], tiles), found[::-1])


def edge_distance(tile: CFHTLSTile, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Degrees to the nearest edge by astropy's WCS; the far side of the sky is no distance."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.cdelt, wcs.wcs.crpix = [tile.ra, tile.dec], [-1, 1], [0, 0]
    x, y = wcs.all_world2pix(ra, dec, 0)
    far = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(tile.ra, tile.dec, unit="deg")).deg > 5
    return np.where(far, -1.0, HALF_WIDTH - np.maximum(np.abs(x + 1), np.abs(y + 1)))
