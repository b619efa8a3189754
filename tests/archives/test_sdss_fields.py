"""Which frames cover a position: real fields, fields anywhere, a table larger than a page."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from astropy.wcs import WCS

from galaxyds.archives import sdss_fields
from galaxyds.archives.base import CoverageArchive
from galaxyds.archives.http import Http
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.sdss import SDSSArchive, SDSSCatalog
from galaxyds.archives.sdss_fields import boxes, covering, make_fields, match
from galaxyds.archives.sdss_frames import read_frame
from galaxyds.archives.simulated import SimulatedSDSS
from galaxyds.archives.skyserver import LONGEST_STATEMENT, SkyServer, encoded
from galaxyds.errors import ArchiveError, UsageError
from galaxyds.sky import Footprint
from galaxyds.sky.releases import release
from tests.servers import SkyServerEmulator
from tests.servers.fixtures import FIELD

TILE = (94, 1, 12)
STEP = 1361 * 0.396 / 3600  # degrees between the fields of a scan
RADIUS = 18.0  # arcsec, half a diagonal of 64 pixels


def scan(run, start, heading, *, fields=6, first=11):
    """Fields along a great circle from ``start`` (degrees) under a heading east of north."""
    a, d = np.radians(start)
    point = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    north = np.cross(point, east)
    h = np.radians(heading)
    ahead = np.cos(h) * north + np.sin(h) * east
    rows = []
    for n in range(fields):
        along = np.radians(n * STEP)
        centre = np.cos(along) * point + np.sin(along) * ahead
        tangent = -np.sin(along) * point + np.cos(along) * ahead
        rows.append((run, 1, first + n, centre, tangent))
    return rows


def degrees(vector):
    return np.degrees(np.arctan2(vector[1], vector[0])) % 360, np.degrees(np.arcsin(vector[2]))


def field_table(scans, rerun=301):
    rows = [row for one in scans for row in one]
    centres = [degrees(row[3]) for row in rows]
    return pa.table(
        {
            "fieldID": [row[0] * 10_000 + row[2] * 10 + (rerun != 301) for row in rows],
            "run": [row[0] for row in rows],
            "rerun": [rerun] * len(rows),
            "camcol": [row[1] for row in rows],
            "field": [row[2] for row in rows],
            "ra": [ra for ra, _ in centres],
            "dec": [dec for _, dec in centres],
        }
    )


def frame_wcs(centre, tangent):
    """Astropy's own astrometry of a frame whose rows run along ``tangent``."""
    ra, dec = degrees(centre)
    east = np.array([-np.sin(np.radians(ra)), np.cos(np.radians(ra)), 0.0])
    north = np.cross(centre, east)
    side = np.cross(centre, tangent)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [1024.5, 745.0]
    wcs.wcs.cd = (
        0.396 / 3600 * np.array([[side @ east, tangent @ east], [side @ north, tangent @ north]])
    )
    return wcs


def expected(scans, ra, dec, *, within):
    """Tiles whose frame, larger by ``within`` arcsec, holds each position, by astropy."""
    found = [set() for _ in ra]
    for run, camcol, field, centre, tangent in (row for one in scans for row in one):
        wcs = frame_wcs(centre, tangent)
        x, y = wcs.world_to_pixel_values(ra, dec)
        m = within / 0.396
        inside = (x > -0.5 - m) & (x < 2047.5 + m) & (y > -0.5 - m) & (y < 1488.5 + m)
        for place in np.flatnonzero(inside):  # NaN (the other side of the sky) is not inside
            found[place].add((run, camcol, field))
    return found


def around(scans, rng, n):
    """Positions in and around the fields."""
    rows = [row for one in scans for row in one]
    chosen = rng.integers(len(rows), size=n)
    points = []
    for place in chosen:
        centre, tangent = rows[place][3], rows[place][4]
        side = np.cross(centre, tangent)
        u, v = np.radians(rng.uniform(-0.16, 0.16, 2))
        vector = centre + u * tangent + v * side
        points.append(degrees(vector / np.linalg.norm(vector)))
    return np.array(points).T


def catalog_of(server, **settings):
    http = Http("SkyServer", rate=RateLimit(0.0))
    return SDSSCatalog(SkyServer(server.url, http=http), service="SkyServer", **settings)


# Where right ascension begins, where a stripe is inclined, near both poles, across one.
PLACES = [
    pytest.param((359.6, -0.3), 90.0, id="ra-0"),
    pytest.param((0.2, 31.0), 271.0, id="ra-0-from-the-east"),
    pytest.param((185.0, 40.0), 63.0, id="inclined"),
    pytest.param((100.0, -87.4), 20.0, id="south"),
    pytest.param((20.0, 89.6), 5.0, id="across-the-pole"),
]


@pytest.mark.parametrize(("start", "heading"), PLACES)
def test_every_frame_that_shows_a_position_is_named(start, heading):
    rng = np.random.default_rng(4)
    scans = [scan(11, start, heading), scan(12, start, heading + 25), scan(13, start, heading + 90)]
    ra, dec = around(scans, rng, 300)
    with SkyServerEmulator({"Field": field_table(scans)}) as server:
        found = covering(catalog_of(server), ra, dec, radius=RADIUS)
    needed = expected(scans, ra, dec, within=RADIUS)
    allowed = expected(scans, ra, dec, within=RADIUS + 20)
    assert max(map(len, needed)) >= 3
    for ours, least, most in zip(found, needed, allowed, strict=True):
        assert least <= set(ours) <= most
        assert list(ours) == sorted(set(ours))


def test_a_field_alone_counts_as_the_circle_around_it():
    (row,) = scan(11, (10.0, 0.0), 90.0, fields=1)
    table = field_table([[row]])
    fields = make_fields([table])
    reach = 0.396 / 3600 * np.hypot(1024, 744.5)
    ra = 10.0 + np.array([0.0, 0.95, 1.15]) * reach
    assert match(ra, np.zeros(3), fields, radius=0.0) == [((11, 1, 11),), ((11, 1, 11),), ()]


def test_no_field_and_no_position():
    with SkyServerEmulator({"Field": field_table([scan(11, (10.0, 0.0), 90.0)])}) as server:
        catalog = catalog_of(server)
        assert covering(catalog, np.array([200.0]), np.array([5.0]), radius=RADIUS) == [()]
        assert covering(catalog, np.array([]), np.array([]), radius=RADIUS) == []
        with pytest.raises(UsageError, match="positions must be finite"):
            covering(catalog, np.array([np.nan]), np.array([0.0]), radius=RADIUS)


def test_other_reruns_do_not_count():
    scans = [scan(11, (10.0, 0.0), 90.0)]
    tables = pa.concat_tables([field_table(scans), field_table([scan(5, (10.0, 0.0), 90.0)], 40)])
    with SkyServerEmulator({"Field": tables}) as server:
        (found,) = covering(catalog_of(server), np.array([10.0]), np.array([0.0]), radius=RADIUS)
    assert {tile[0] for tile in found} == {11}


def test_a_table_larger_than_a_page_is_read_to_its_end():
    rng = np.random.default_rng(5)
    scans = [scan(run, (20.0, 3.0), 90.0 + run, fields=10) for run in range(11, 31)]
    ra, dec = around(scans, rng, 50)
    with SkyServerEmulator({"Field": field_table(scans)}, row_limit=40) as server:
        pages = catalog_of(server, page_rows=30, row_limit=40)
        found = covering(pages, ra, dec, radius=RADIUS)
        assert sum("TOP 30" in text for text in server.statements) >= 4
        # A page that is larger than the server allows is refused in its own words.
        with pytest.raises(ArchiveError, match="limit is top 40"):
            covering(catalog_of(server), ra, dec, radius=RADIUS)
    shown = expected(scans, ra, dec, within=0)
    assert all(most <= set(one) for one, most in zip(found, shown, strict=True))


def test_a_table_that_is_cut_silently_is_an_error():
    table = field_table([scan(11, (20.0, 3.0), 90.0, fields=10)])
    with SkyServerEmulator({"Field": table}) as server:
        execute = SkyServer(server.url, http=Http("SkyServer", rate=RateLimit(0.0)))

        def cut(statement):
            answer = execute(statement)
            return answer if "COUNT" in statement else answer.slice(0, 3)

        with pytest.raises(ArchiveError, match="counts 10 rows and delivers 3"):
            covering(SDSSCatalog(cut), np.array([20.0, 21.3]), np.array([3.0, 3.0]), radius=RADIUS)


def test_positions_all_over_the_sky_need_few_statements_that_fit():
    rng = np.random.default_rng(6)
    ra, dec = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    with SkyServerEmulator({"Field": field_table([scan(11, (10.0, 0.0), 90.0)])}) as server:
        covering(catalog_of(server), ra, dec, radius=RADIUS)
        statements = list(server.statements)
    assert max(len(encoded(text)) for text in statements) <= LONGEST_STATEMENT
    assert len(statements) < 40


@pytest.mark.parametrize("middle", [(0.0, 0.0), (123.0, 57.0), (300.0, -86.0), (10.0, 89.9)])
def test_boxes_hold_all_that_is_within_reach(middle):
    rng = np.random.default_rng(7)
    reach = 0.15
    ra = (middle[0] + rng.uniform(-2, 2, 40)) % 360
    dec = np.clip(middle[1] + rng.uniform(-2, 2, 40), -90, 90)
    asked = boxes(ra, dec, reach=reach)
    for a, d in zip(ra, dec, strict=True):
        rim = scan(1, (a, d), rng.uniform(0, 360), fields=2)[0]
        away = np.radians(reach * 0.999)
        ra_rim, dec_rim = degrees(np.cos(away) * rim[3] + np.sin(away) * rim[4])
        assert any(
            box.ra_min <= ra_rim <= box.ra_max and box.dec_min <= dec_rim <= box.dec_max
            for box in asked
        )


def test_order_and_company_do_not_matter():
    rng = np.random.default_rng(8)
    scans = [scan(11, (359.9, 0.0), 90.0), scan(12, (359.8, 0.1), 80.0)]
    ra, dec = around(scans, rng, 60)
    order = rng.permutation(60)
    with SkyServerEmulator({"Field": field_table(scans)}) as server:
        catalog = catalog_of(server)
        together = covering(catalog, ra, dec, radius=RADIUS)
        assert covering(catalog, ra[order], dec[order], radius=RADIUS) == [
            together[place] for place in order
        ]
        alone = [covering(catalog, ra[n : n + 1], dec[n : n + 1], radius=RADIUS)[0]
                 for n in range(60)]  # fmt: skip
    assert alone == together


def test_parts_of_a_deep_stripe_are_looked_at_in_turn(monkeypatch):
    rng = np.random.default_rng(9)
    scans = [scan(run, (20.0, 0.0), 90.0, fields=12) for run in range(100, 120)]
    ra, dec = around(scans, rng, 200)
    fields = make_fields([field_table(scans)])
    sizes = []

    def watched(points, centre, along, *, radius):
        sizes.append(len(points))
        return inside(points, centre, along, radius=radius)

    inside = sdss_fields._inside
    monkeypatch.setattr(sdss_fields, "_inside", watched)
    at_once = match(ra, dec, fields, radius=RADIUS)
    (total,) = sizes
    sizes.clear()
    monkeypatch.setattr(sdss_fields, "_PAIRS", 500)
    assert match(ra, dec, fields, radius=RADIUS) == at_once
    assert sum(sizes) == total > 5000
    assert max(sizes) < 500 + 20 * 4


class TestRealFields:
    @pytest.fixture
    def archive(self, sdss_loopback, monkeypatch):
        monkeypatch.setattr("galaxyds.archives.skyserver.INTERVAL", 0.0)
        return SDSSArchive(release="DR12")

    @pytest.mark.parametrize("band", ["u", "r"])
    def test_what_a_real_frame_shows_is_covered_by_its_field(self, archive, survey_data, band):
        wcs = read_frame(survey_data / FIELD / f"frame-{band}-000094-1-0012.fits.bz2", band).wcs
        x, y = (v.ravel() for v in np.meshgrid(np.linspace(0, 2047, 9), np.linspace(0, 1488, 9)))
        ra, dec = wcs.pixel_to_world_values(x, y)
        found = archive.covering(np.asarray(ra), np.asarray(dec), radius=0.0)
        assert all(TILE in tiles for tiles in found)
        # The last 128 rows are the first ones of the field after it.
        last = [tiles for tiles, row in zip(found, y, strict=True) if row > 1370]
        assert all((94, 1, 13) in tiles for tiles in last)
        middle = [tiles for tiles, row in zip(found, y, strict=True) if 300 < row < 1200]
        assert all(tiles == (TILE,) for tiles in middle)

    def test_what_lies_beside_the_frame_is_not(self, archive, survey_data):
        wcs = read_frame(survey_data / FIELD / "frame-r-000094-1-0012.fits.bz2", "r").wcs
        ra, dec = wcs.pixel_to_world_values([-100, 2148], [700, 700])
        assert archive.covering(np.asarray(ra), np.asarray(dec), radius=20.0) == [(), ()]

    def test_the_field_table_is_asked_at_the_release(self, archive, sdss_loopback):
        server, _ = sdss_loopback
        assert isinstance(archive, CoverageArchive)
        twin = pickle.loads(pickle.dumps(archive))
        assert twin.covering(np.array([336.66]), np.array([-0.93]), radius=10.0) == [(TILE,)]
        assert {request.path.split("/")[1] for request in server.requests} == {"dr12"}


def test_the_simulated_survey_answers_through_its_field_table():
    runs = tuple(run for run in release("DR12").footprint.runs if 9291 <= run.number <= 9294)
    archive = SimulatedSDSS(footprint=Footprint(runs=runs, camcols=(2, 3)), release="DR12")
    assert isinstance(archive, CoverageArchive)
    footprint = archive.footprint
    rng = np.random.default_rng(9)
    tiles = [footprint.tiles()[n] for n in rng.choice(len(footprint.tiles()), 30)]
    centres = [footprint.wcs(tile) for tile in tiles]
    ra = np.array([wcs.ra for wcs in centres]) + rng.uniform(-0.07, 0.07, 30)
    dec = np.array([wcs.dec for wcs in centres]) + rng.uniform(-0.11, 0.11, 30)
    found = archive.covering(ra, dec, radius=RADIUS)
    assert max(len({tile[0] for tile in one}) for one in found) >= 3
    for tile in footprint.tiles():
        for band in "ugriz":
            x, y = footprint.wcs(tile, band).to_pixel(ra, dec)
            m = RADIUS / 0.396
            shown = (x > -m) & (x < 2048 + m) & (y > -m) & (y < 1489 + m)
            assert all(tile in found[place] for place in np.flatnonzero(shown))


def test_batch_queries_run_in_the_context_of_the_release(casjobs, http, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GALAXYDS_SDSS_CASJOBS_URL", casjobs.rest_url)
    monkeypatch.setenv("GALAXYDS_SDSS_AUTH_URL", casjobs.auth_url)
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "ada")
    monkeypatch.setenv("GALAXYDS_SDSS_PASSWORD", "canary-password")
    archive = SDSSArchive(release="DR12", catalog="casjobs")
    archive._catalog.execute.http = http  # without pauses
    assert archive.covering(np.array([336.66]), np.array([-0.93]), radius=10.0) == [(TILE,)]
    jobs = [request.path for request in casjobs.requests if request.path.endswith("/jobs")]
    assert jobs
    assert all("/contexts/DR12/" in path for path in jobs)
