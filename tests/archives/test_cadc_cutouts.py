"""Cutouts of CADC over loopback: by the service and out of whole tiles, the same pixels."""

from __future__ import annotations

import gzip
import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from galaxyds.archives.base import NO_DATA, CutoutArchive, CutoutObject
from galaxyds.archives.cadc_cutouts import CADCCutouts, CutoutHttp
from galaxyds.archives.cadc_fits import cut, pixels_across, read_coadd
from galaxyds.archives.cadc_tiles import BANDS, CADCTiles
from galaxyds.errors import ArchiveError, DataIntegrityError, UsageError
from tests.servers.cadc import CADCEmulator, circle_cutout, coadd
from tests.servers.loopback import Fault

TILE, NUMBER = "022539-041200", (22539, -41200)
MIDDLE = (36.4125, -4.2)
HALF = 5.952  # 64 pixels
SIDE = 200  # pixels of the toy coadds


def name(band: str, tile: str = TILE) -> str:
    return f"CFHTLS_W_{band}_{tile}_T0007_MEDIAN.fits"


FILES = {name(band): coadd(name(band), size=SIDE) for band in "ugri"}  # no z


def objects(count: int = 12, spread: float = 0.003) -> list[CutoutObject]:
    draw = np.random.default_rng(2)
    return [
        CutoutObject(object_id=n, ra=MIDDLE[0] + dx, dec=MIDDLE[1] + dy, tile=NUMBER)
        for n, (dx, dy) in enumerate(draw.uniform(-spread, spread, (count, 2)))
    ]


MIDST = objects(4, 0.001)


@pytest.fixture
def server(monkeypatch):
    with CADCEmulator(FILES) as server:
        for variable, value in server.settings.items():
            monkeypatch.setenv(variable, value)
        yield server


@pytest.fixture
def client(server, http, connections, tmp_path):
    """Makes clients that never really wait."""
    tiles = CADCTiles().tiles()
    server.requests.clear()

    def make(way="soda", folder=tmp_path / "tiles"):
        session = CutoutHttp("CADC", clock=http.clock, rate=http.rate, jitter=http.jitter)
        return CADCCutouts(tiles, way=way, http=session, folder=folder, connections=connections)

    return make


def unsigned(tile):
    """The tile in a catalogue without sizes and checksums."""
    bare = {band: replace(one, md5="", bytes=0) for band, one in tile.artifacts.items()}
    return replace(tile, artifacts=bare)


def take(client, asked=MIDST, bands=("g",), half_size=HALF):
    return list(client.cutouts(asked, bands, half_size=half_size))


class TestPixels:
    def test_both_ways_bring_the_same(self, client):
        asked = objects()
        served, cut_here = (take(client(way), asked, BANDS) for way in ("soda", "tiles"))
        for one, other in zip(served, cut_here, strict=True):
            assert (one.object_id, one.missing) == (other.object_id, other.missing)
            assert list(one.pixels) == list("ugri")
            for band in one.pixels:
                assert np.array_equal(one.pixels[band], other.pixels[band])
                assert one.position[band] == pytest.approx(other.position[band], abs=1e-6)

    @pytest.mark.parametrize("half_size", [HALF, 1.0, 6.045])
    def test_the_cutout_of_astropy(self, client, half_size):
        size = round(2 * half_size / 0.186)
        with fits.open(io.BytesIO(FILES[name("g")])) as hdus:
            data, wcs = hdus[0].data, WCS(hdus[0].header)
        for one, found in zip(asked := objects(), take(client(), asked, ["g"], half_size),
                              strict=True):  # fmt: skip
            place = wcs.all_world2pix(one.ra, one.dec, 0)
            expected = Cutout2D(data, place, size, mode="trim")
            assert np.array_equal(found.pixels["g"], expected.data)
            assert found.position["g"] == pytest.approx(
                expected.to_cutout_position(place), abs=1e-6
            )

    def test_as_asked(self, client):
        for one, found in zip(MIDST, take(client()), strict=True):
            pixels = found.pixels["g"]
            assert (pixels.shape, pixels.dtype) == ((64, 64), np.dtype("=f4"))
            assert np.abs(np.array(found.position["g"]) - 31.5).max() <= 0.5
            at = found.grid.all_world2pix(one.ra, one.dec, 0)
            assert found.position["g"] == pytest.approx(tuple(map(float, at)), abs=1e-6)

    @pytest.mark.parametrize("way", ["soda", "tiles", "auto"])
    def test_no_cutout_reaches_beyond_the_tile(self, client, way):
        """Padded, it would show the object off the middle."""
        width = SIDE * 0.18599 / 3600
        tile = replace(client()._tiles[NUMBER], half_width=width / 2)
        edge = [replace(MIDST[0], dec=MIDDLE[1] + width / 2 - n * 0.18599 / 3600)
                for n in (0, 31, 33)]  # fmt: skip
        made = client(way)
        made._tiles = {NUMBER: tile}
        found = take(made, edge)
        assert [one.missing for one in found] == [{"g": NO_DATA}, {"g": NO_DATA}, {}]
        assert found[2].pixels["g"].shape == (64, 64)

    @pytest.mark.parametrize(("rows", "columns"), [((80, 120), (80, 120)), ((50, 150), (79, 149))])
    def test_a_service_that_sends_too_little(self, server, client, rows, columns):
        with fits.open(io.BytesIO(FILES[name("g")])) as hdus:
            header, image = hdus[0].header, hdus[0].data[slice(*rows), slice(*columns)]
        header["CRPIX1"], header["CRPIX2"] = (header["CRPIX1"] - columns[0],
                                              header["CRPIX2"] - rows[0])  # fmt: skip
        file = io.BytesIO()
        fits.PrimaryHDU(image, header).writeto(file)
        middle = [CutoutObject(object_id=1, ra=MIDDLE[0], dec=MIDDLE[1], tile=NUMBER)]
        right = take(client("tiles"), middle)[0]
        server.fail(*[Fault("body", body=file.getvalue(), where="caom2ops")] * 2)
        with pytest.raises(DataIntegrityError, match="expected 64 x 64 pixels about the object"):
            take(client("soda"), middle)
        found = take(client("auto"), middle)[0]
        assert np.array_equal(found.pixels["g"], right.pixels["g"])
        assert found.position["g"] == pytest.approx(right.position["g"])

    def test_whatever_else_is_asked(self, client):
        asked = objects()
        alone = take(client(), asked[5:6])[0].pixels["g"]
        assert np.array_equal(take(client(), asked[::-1], BANDS)[6].pixels["g"], alone)

    def test_zeros_and_nan_stay(self, server, client):
        image = np.full((SIDE, SIDE), 2.0)
        image[:100], image[:, :90] = 0.0, np.nan
        server.files[name("g")] = coadd(name("g"), pixels=image)
        pixels = take(client())[0].pixels["g"]
        assert set(np.unique(pixels[~np.isnan(pixels)])) == {0.0, 2.0}
        assert 0.1 < np.isnan(pixels).mean() < 0.5

    @pytest.mark.parametrize("value", [0.0, np.nan])
    def test_nothing_observed_is_no_data(self, server, client, value):
        server.files[name("g")] = coadd(name("g"), pixels=np.full((SIDE, SIDE), value))
        assert [found.missing for found in take(client())] == [{"g": NO_DATA}] * 4

    def test_an_infinite_pixel_is_damage(self, server, client):
        server.files[name("g")] = coadd(name("g"), pixels=np.full((SIDE, SIDE), np.inf))
        with pytest.raises(ArchiveError, match="expected finite pixels or NaN"):
            take(client())

    @pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
    @pytest.mark.parametrize("file", ["PS1-test_z", "PS1-test_r", "KiDS-test_g"])
    def test_real_images_with_their_nan(self, survey_data, file):
        path = survey_data / "multi_survey_cutouts" / f"{file}.fits"
        image = fits.getdata(path)
        whole = read_coadd(memoryview(path.read_bytes()), path.name, limit=1 << 20, scale=0.2)
        wcs = WCS(fits.getheader(path)).celestial
        rows, columns = image.shape
        ra, dec = wcs.all_pix2world((columns - 1) / 2, (rows - 1) / 2, 0)
        piece = cut(whole, float(ra), float(dec), size=columns, name=path.name)
        assert np.array_equal(piece.pixels, image.astype(np.float32), equal_nan=True)
        assert np.isnan(piece.pixels).any() == (file == "PS1-test_z")
        assert piece.position == pytest.approx(((columns - 1) / 2, (rows - 1) / 2), abs=1e-4)


class TestMissing:
    @pytest.mark.parametrize("words", ["204", "400"])
    @pytest.mark.parametrize("way", ["soda", "tiles"])
    def test_no_overlap(self, server, client, words, way):
        server.no_overlap = words
        far = CutoutObject(object_id=7, ra=MIDDLE[0] + 0.3, dec=MIDDLE[1], tile=NUMBER)
        found = take(client(way), [*MIDST[:1], far], "gr")
        assert [one.missing for one in found] == [{}, {"g": NO_DATA, "r": NO_DATA}]
        assert (found[1].pixels, found[1].grid) == ({}, None)

    def test_a_band_that_the_tile_has_not(self, client):
        assert take(client(), bands="gz")[0].missing == {"z": NO_DATA}

    @pytest.mark.parametrize("way", ["soda", "tiles"])
    def test_a_file_that_is_gone(self, server, client, way):
        made = client(way)
        del server.files[name("r")]
        assert [one.missing for one in take(made, bands="gr")] == [{"r": NO_DATA}] * 4

    def test_point_spreads(self, client):
        found = list(client().point_spreads(MIDST, "gr"))
        assert [one.missing for one in found] == [{"g": NO_DATA, "r": NO_DATA}] * 4

    def test_wrong_questions(self, client):
        with pytest.raises(UsageError, match="no band 'y'"):
            take(client(), bands="y")
        with pytest.raises(UsageError, match="object 1 names no tile"):
            take(client(), [CutoutObject(object_id=1, ra=1, dec=1, tile=(1, 1))])


class TestService:
    def test_what_is_asked(self, server, client):
        take(client(), MIDST[:1])
        (request,) = server.requests
        assert request.query["ID"] == f"cadc:CFHTTERAPIX/{name('g')}"
        shape, ra, dec, radius = request.query["POS"].split()
        assert shape == "CIRCLE"
        assert (float(ra), float(dec)) == pytest.approx((MIDST[0].ra, MIDST[0].dec), abs=1e-9)
        assert 32 < float(radius) * 3600 / 0.186 < 40

    @pytest.mark.parametrize(
        "kind", ["cut", "cut-close", "cut-chunked", "html", "503", "429", "500", "drop"]
    )
    def test_broken_answers_are_asked_again(self, server, client, kind):
        right = take(client())
        server.requests.clear()
        server.fail(Fault(kind, after=9000))
        again = take(client())
        assert len(server.requests) == len(MIDST) + 1
        for one, other in zip(right, again, strict=True):
            assert np.array_equal(one.pixels["g"], other.pixels["g"])

    def test_a_page_for_ever(self, server, client):
        server.fail(*["html"] * 60)
        with pytest.raises(ArchiveError, match=r"web page came instead of a file: .*maintenance"):
            take(client())

    @pytest.mark.parametrize("kind", ["endless", "gzip-bomb"])
    def test_too_much(self, server, client, kind):
        server.fail(*[kind] * 60)
        with pytest.raises(ArchiveError, match="bytes"):
            take(client())

    def test_a_compressed_answer(self, server, client):
        body = circle_cutout(FILES[name("g")], MIDST[0].ra, MIDST[0].dec, 0.0019)
        server.fail(Fault("body", body=gzip.compress(body)))
        plain, packed = take(client(), MIDST[:1]), take(client(), MIDST[:1])
        assert np.array_equal(plain[0].pixels["g"], packed[0].pixels["g"])

    @pytest.mark.parametrize("way", ["soda", "tiles", "auto"])
    def test_a_redirect_to_a_login(self, server, client, way, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        server.private = True
        with pytest.raises(ArchiveError, match=r"/data/auth/.* wants an account: none is sent"):
            take(client(way))
        assert not any("/data/auth" in request.path for request in server.requests)
        assert not any("authorization" in request.headers for request in server.requests)

    @pytest.mark.parametrize(
        ("changed", "words"),
        [({"scale": 0.25}, 'pixels of 0.186"'), ({"pixels": np.ones((9, 9), ">f4"), "scale": 1},
                                                 'pixels of 1"')],
    )  # fmt: skip
    def test_another_product_is_refused_at_once(self, server, client, changed, words):
        server.files[name("g")] = coadd(name("g"), **changed)
        with pytest.raises(DataIntegrityError, match=words):
            take(client(), MIDST[:1])
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("card", "value"),
        [("PV1_1", 1.1), ("RADESYS", "FK4"), ("LONPOLE", 90.0), ("CD1_1", -0.093 / 3600),
         ("A_ORDER", 2)],
    )  # fmt: skip
    @pytest.mark.parametrize("way", ["soda", "tiles"])
    def test_another_projection_is_refused(self, server, client, way, card, value):
        whole = FILES[name("g")]
        sent = circle_cutout(whole, MIDST[0].ra, MIDST[0].dec, 0.0019) if way == "soda" else whole
        with fits.open(io.BytesIO(sent)) as hdus:
            body = hdus[0].data.astype(">f4").tobytes()
            header = hdus[0].header
            header[card] = value
            if card == "CD1_1":
                header["CD2_2"] = 0.372 / 3600
        odd = header.tostring(padding=True).encode() + body + bytes(-len(body) % 2880)
        server.fail(*[Fault("body", body=odd)] * 2)
        made = client(way)
        made._tiles = {one.tile: unsigned(one) for one in made._tiles.values()}
        with pytest.raises(DataIntegrityError, match=r"expected .*, got "):
            take(made, MIDST[:1])

    def test_no_service(self, server, client):
        server.soda = False
        with pytest.raises(ArchiveError, match=r"no cutout service .*GALAXYDS_CADC_SODA_URL"):
            take(client())


class TestTiles:
    @pytest.mark.parametrize("state", ["absent", "401", "500"])
    def test_auto_goes_on_with_tiles(self, server, client, state):
        right = take(client("soda"), bands="gi")
        if state == "absent":
            server.soda = False
        else:
            server.fail(*[Fault(state, where="caom2ops")] * 200)
        made = client("auto")
        for one, other in zip(right, take(made, bands="gi"), strict=True):
            assert all(np.array_equal(one.pixels[b], other.pixels[b]) for b in "gi")
        asked = len(server.requests)
        take(made, bands="gi")
        assert len(server.requests) == asked  # nobody is asked twice

    def test_auto_survives_one_failure(self, server, client):
        """One that passes does not make a worker fetch whole tiles for ever."""
        made = client("auto")
        made.http.policy = replace(made.http.policy, attempts=1)
        server.fail(Fault("503", where="caom2ops"))
        right = take(client("soda"))
        server.fail(Fault("503", where="caom2ops"))
        found = take(made)
        assert all(
            np.array_equal(a.pixels["g"], b.pixels["g"]) for a, b in zip(right, found, strict=True)
        )
        assert made.way == "auto"
        server.requests.clear()
        take(made)
        assert {request.path for request in server.requests} == {"/caom2ops/sync"}

    @pytest.mark.parametrize("answer", ["404", "204", "other"])
    def test_auto_asks_the_tile_where_the_service_is_odd(self, server, client, answer):
        right = take(client("soda"), bands="gi")
        if answer == "other":
            faults = [Fault("body", body=coadd(name("g"), scale=0.25, size=64), where="caom2ops")]
        elif answer == "404":
            faults = [Fault("404", where="caom2ops/sync?ID")]
        else:
            faults = [Fault("redirect", status=204, where="caom2ops")]
        server.fail(*faults * 30)
        made = client("auto")
        for one, other in zip(right, take(made, bands="gi"), strict=True):
            assert all(np.array_equal(one.pixels[b], other.pixels[b]) for b in "gi")
        assert made.way == "tiles"

    def test_a_tile_is_fetched_once_and_goes_on_where_it_stopped(self, server, client):
        server.fail(Fault("cut", after=50_000))
        take(client("tiles"), objects())
        first, second = server.requests
        assert "range" not in first.headers
        assert second.headers["range"] == "bytes=50000-"

    @pytest.mark.parametrize("compressed", ["body", "encoding"])
    def test_gzip(self, server, client, compressed, tmp_path):
        right = take(client("soda"))
        server.compressed = compressed
        found = take(client("tiles"))
        assert all(
            np.array_equal(a.pixels["g"], b.pixels["g"]) for a, b in zip(right, found, strict=True)
        )
        kept = [path for path in (tmp_path / "tiles").iterdir() if path.suffix != ".lock"]
        assert [path.suffix for path in kept] == [".fits"]
        assert [path.read_bytes() for path in kept] == [FILES[name("g")]]

    def test_bytes_that_the_catalogue_does_not_describe(self, server, client, tmp_path):
        server.fail(*["wrong-bytes"] * 2)
        with pytest.raises(DataIntegrityError, match=f"{name('g')}: expected .*fetch it again"):
            take(client("tiles"))
        assert not list((tmp_path / "tiles").glob("*.fits"))
        assert take(client("tiles"))[0].pixels["g"].shape == (64, 64)

    def test_a_catalogue_without_checksums(self, http, tmp_path, connections, monkeypatch):
        with CADCEmulator(FILES) as server:
            server.checksums = False
            for variable, value in server.settings.items():
                monkeypatch.setenv(variable, value)
            made = CADCCutouts(way="tiles", folder=tmp_path, connections=connections)
            assert take(made)[0].pixels["g"].shape == (64, 64)

    def test_a_page_instead_of_a_tile(self, server, client):
        server.fail(Fault("html", where="data/pub"))
        with pytest.raises(ArchiveError, match="web page instead of data"):
            take(client("tiles"))


class TestTheProtocol:
    def test_it_is_kept(self, client):
        made = client()
        assert isinstance(made, CutoutArchive)
        assert made.list_objects(BANDS) > 0
        assert 5 * 4 * 64 * 64 < made.cutout_bytes(BANDS, half_size=HALF) < 500_000
        assert client("tiles").cutout_bytes(BANDS, half_size=HALF) > 5_000_000

    def test_it_can_be_pickled(self, client):
        made = client()
        again = pickle.loads(pickle.dumps(CADCCutouts(CADCTiles().tiles(), way="soda")))
        found = take(again, MIDST[:1])[0].pixels["g"]
        assert np.array_equal(found, take(made, MIDST[:1])[0].pixels["g"])

    @pytest.mark.parametrize("half_size", [5.952, 5.76, 6.0, 1.0])
    def test_the_width(self, half_size):
        assert pixels_across(half_size) == round(2 * half_size / 0.186)

    def test_a_way_that_is_none(self, server, monkeypatch):
        monkeypatch.setenv("GALAXYDS_CADC_CUTOUTS", "carrier pigeon")
        with pytest.raises(UsageError, match="one of auto, soda, tiles"):
            CADCCutouts(())
