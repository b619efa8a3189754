"""Cutouts by lists: the right pixels of the right object, whatever the connection does."""

from __future__ import annotations

import dataclasses
import logging
import math
import pickle
import threading
import traceback

import numpy as np
import pytest

from galaxyds.archives.base import CutoutObject
from galaxyds.archives.hsc import HSCArchive
from galaxyds.archives.hsc_cutouts import HSCCutouts
from galaxyds.archives.hsc_settings import REGISTER
from galaxyds.errors import (
    ArchiveError,
    CredentialsError,
    DataIntegrityError,
    NotInArchiveError,
    UsageError,
)
from tests.servers import Fault, GridSky, HSCEmulator
from tests.servers.hsc_files import cutout_fits, parse_list

SKY = GridSky()


def some(count=7, *, tract=30, seed=1):
    """Objects all over a tract."""
    random = np.random.default_rng(seed)
    ra0, dec0 = SKY.centre(tract)
    return [
        CutoutObject(object_id=36411452835238206 + n, tile=(tract,),
                     ra=ra0 + float(random.uniform(-0.4, 0.4)),
                     dec=dec0 + float(random.uniform(-0.4, 0.4)))
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def cutouts(hsc_server, stream_http, connections):
    stream_http.service = "HSC cutouts"
    return HSCCutouts(http=stream_http, connections=connections)


def ask(cutouts, objects, bands="grizy", half_size=10.0):
    return list(cutouts.cutouts(objects, tuple(bands), half_size=half_size))


def place(cutout, band):
    """Coadd pixel, modulo 100, of the cutout's first column and row, from its own values."""
    value = float(cutout.pixels[band][0, 0]) - 1000 * SKY.bands.index(band)
    return math.floor(value), round((value % 1) * 128)


def check(cutout, one, bands):
    """Right pixels of the right place: the grid says where, astropy says where it should be."""
    assert cutout.object_id == one.object_id
    assert set(cutout.pixels) == set(cutout.position) == set(bands)
    x, y = SKY.wcs(one.tile[0]).all_world2pix(one.ra, one.dec, 0)
    for band in bands:
        pixels = cutout.pixels[band]
        assert pixels.dtype == np.float32
        assert pixels.dtype.isnative
        assert pixels.flags.c_contiguous
        column, row = cutout.position[band]
        first = (round(x - column), round(y - row))
        assert (x - first[0], y - first[1]) == pytest.approx((column, row), abs=1e-6)
        assert place(cutout, band) == (first[0] % 100, first[1] % 100)


class TestPixels:
    def test_every_object_gets_its_own(self, cutouts):
        objects = some(9)
        got = ask(cutouts, objects, half_size=10.04)
        assert len(got) == 9
        for cutout, one in zip(got, objects, strict=True):
            check(cutout, one, "grizy")
            assert cutout.missing == {}
        shapes = {c.pixels["g"].shape for c in got}
        assert len(shapes) > 1
        assert {side for shape in shapes for side in shape} == {120, 121}

    def test_the_order_is_the_askers(self, cutouts, hsc_server):
        objects = [*some(4, tract=31, seed=2), *some(4, tract=30)]
        got = ask(cutouts, objects, "yg")
        for cutout, one in zip(got, objects, strict=True):
            check(cutout, one, "yg")
        (lines,) = hsc_server.lists
        asked = [(line.tract, line.filter, line.ra) for line in lines]
        assert asked == sorted(asked)
        assert [line.line for line in lines] == list(range(2, 18))

    def test_the_tract_is_the_first_part_of_the_tile(self, cutouts):
        one = some(1)[0]
        patched = dataclasses.replace(one, tile=(30, 4711))
        (cutout,) = ask(cutouts, [patched], "i")
        check(cutout, one, "i")

    def test_an_object_at_the_edge_may_be_beside_its_cutout(self, cutouts, hsc_server):
        one = some(1)[0]

        def clipped(line):
            box = SKY.box(line)
            crpix = 18001.0 - box[0], 18001.0 - box[2]
            pixels = SKY.pixels("i", (box[0], box[0] + 20, box[2], box[3]))
            return cutout_fits(pixels, band="i", crpix=crpix, crval=SKY.centre(30))

        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = clipped
        (cutout,) = ask(cutouts, [one], "i")
        assert cutout.pixels["i"].shape[1] == 21
        assert cutout.position["i"][0] == pytest.approx(59.5, abs=1)

    def test_the_same_object_twice(self, cutouts):
        one = some(1)[0]
        first, second = ask(cutouts, [one, one], "i")
        assert np.array_equal(first.pixels["i"], second.pixels["i"])

    def test_what_is_sent(self, cutouts, hsc_server):
        one = CutoutObject(object_id=1, ra=30.1, dec=-0.05, tile=(30,))
        ask(cutouts, [one], "i", half_size=12.5)
        (request,) = hsc_server.requests
        text = request.body.decode()
        assert 'name="list"; filename="' in text
        assert (
            "#? rerun type filter tract ra dec sw sh image mask variance\n"
            "pdr2_wide coadd HSC-I 30 30.1000000000deg -0.0500000000deg 12.5asec 12.5asec "
            "true false false\n"
        ) in text
        (line,) = hsc_server.lists[0]
        assert (line.semi_width, line.ra, line.dec) == pytest.approx((12.5, 30.1, -0.05))

    def test_lists_are_cut(self, cutouts, hsc_server, monkeypatch):
        monkeypatch.setattr("galaxyds.archives.hsc_lists.LIST_LINES", 10)
        got = ask(cutouts, some(9), "gri", half_size=2)
        assert [len(lines) for lines in hsc_server.lists] == [9, 9, 9]
        assert len(got) == 9

    def test_list_objects(self):
        archive = HSCArchive()
        assert [archive.list_objects(bands) for bands in ("grizy", "gr", "i")] == [198, 495, 990]
        with pytest.raises(UsageError, match="at least one band"):
            archive.list_objects(())

    def test_bytes_are_about_right(self, cutouts, hsc_server):
        data = SKY.cutout(next(iter(parse_list(
            "#? rerun filter tract ra dec sw sh\npdr2_wide HSC-I 30 30deg 0.5deg 10asec 10asec"
        ))))  # fmt: skip
        estimate = cutouts.cutout_bytes("i", half_size=10)
        assert len(data) <= estimate <= 1.1 * len(data)

    def test_wrong_questions(self, cutouts, hsc_server):
        with pytest.raises(UsageError, match="HSC has no band 'u': it has g, r, i, z, y"):
            ask(cutouts, some(1), "gu")
        with pytest.raises(UsageError, match="object 1 names no tract: its tile is empty"):
            ask(cutouts, [CutoutObject(object_id=1, ra=1.0, dec=2.0, tile=())])
        assert hsc_server.requests == []
        assert ask(cutouts, []) == []


class TestAbsent:
    def test_bands_and_objects(self, cutouts, hsc_server):
        objects = some(5)
        gone = {(1, "i"), (1, "y"), *((3, band) for band in "grizy")}
        places = {(f"{o.ra:.10f}", band): n for n, o in enumerate(objects) for band in "grizy"}

        def backend(line):
            number = places[f"{line.ra:.10f}", line.band]
            return None if (number, line.band) in gone else SKY.cutout(line)

        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = backend
        got = ask(cutouts, objects)
        for number, (cutout, one) in enumerate(zip(got, objects, strict=True)):
            missing = {band for n, band in gone if n == number}
            assert cutout.missing == dict.fromkeys(missing, "no data in the archive")
            check(cutout, one, set("grizy") - missing)
        assert len(hsc_server.lists) == 1

    def test_everything(self, cutouts, hsc_server):
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = lambda line: None
        got = ask(cutouts, some(3), "gr")
        assert [set(c.missing) for c in got] == [{"g", "r"}] * 3


class TestTracts:
    """Where tracts overlap, one line may bring several files."""

    def near(self, ra=30.5):
        return CutoutObject(object_id=5, ra=ra, dec=0.5, tile=(31,))

    def backend(self, tracts, shift=0):
        def files(line):
            for tract in tracts:
                box = SKY.box(line)
                wide = (box[0], box[1] + (shift if tract == 30 else 0), box[2], box[3])
                crpix = 18001.0 - box[0], 18001.0 - box[2]
                yield tract, cutout_fits(
                    SKY.pixels("i", wide) + (tract == 31) * 7, band="i", crpix=crpix,
                    crval=SKY.centre(line.tract),
                )  # fmt: skip

        return files

    @pytest.mark.parametrize("tracts", [(30, 31), (31, 30), (31,)])
    def test_the_asked_one(self, cutouts, hsc_server, tracts):
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = self.backend(tracts)
        (cutout,) = ask(cutouts, [self.near()], "i")
        assert float(cutout.pixels["i"][0, 0] // 1) % 100 == (place(cutout, "i")[0])
        other = ask(cutouts, [self.near()], "i")[0]
        assert np.array_equal(other.pixels["i"], cutout.pixels["i"])
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = self.backend((30,))
        (foreign,) = ask(cutouts, [self.near()], "i")
        assert float(cutout.pixels["i"][3, 3] - foreign.pixels["i"][3, 3]) == pytest.approx(7)

    @pytest.mark.parametrize("tracts", [(29, 30), (30, 29)])
    def test_else_that_with_the_object_nearest_to_the_middle(self, cutouts, hsc_server, tracts):
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = self.backend(tracts, shift=6)
        (cutout,) = ask(cutouts, [self.near()], "i")
        columns = cutout.pixels["i"].shape[1]
        assert columns < 122  # tract 29; the six more columns of tract 30 move the middle


class TestBroken:
    @pytest.mark.parametrize("kind", ["cut", "cut-chunked", "cut-close"])
    @pytest.mark.parametrize(("after", "expected"), [
        (0, 0), (100, 0), (512, 0), (65_000, 0), (200_000, 2), (400_000, 5), (432_000, 6),
    ])  # fmt: skip
    def test_what_came_is_kept(self, cutouts, hsc_server, kind, after, expected):
        objects = some(6)
        hsc_server.fail(Fault(kind, where="cutout", after=after))
        got = ask(cutouts, objects, "i")
        for cutout, one in zip(got, objects, strict=True):
            check(cutout, one, "i")
        first, *rest = hsc_server.lists
        sizes = [512 + -(-len(SKY.cutout(line)) // 512) * 512 for line in first]
        came = int(sum(np.cumsum(sizes) <= after))
        assert came == expected
        assert [len(lines) for lines in rest] == [6 - came] * (came < 6)
        assert len(first) == 6

    def test_a_list_that_breaks_again_and_again(self, cutouts, hsc_server):
        """One more file comes each time: more breaks than attempts, and all is well."""
        objects = some(14)
        hsc_server.fail(*[Fault("cut-chunked", where="cutout", after=100_000)] * 13)
        got = ask(cutouts, objects, "i")
        assert [len(lines) for lines in hsc_server.lists] == list(range(14, 0, -1))
        for cutout, one in zip(got, objects, strict=True):
            check(cutout, one, "i")

    def test_no_progress_is_an_error(self, cutouts, hsc_server):
        hsc_server.fail(*[Fault("cut-chunked", where="cutout", after=50_000)] * 50)
        with pytest.raises(ArchiveError, match=r"HSC cutouts failed 10 times at .*: connection cut "
                           r"after 50000 bytes .*run the same command again"):  # fmt: skip
            ask(cutouts, some(2), "i")

    def test_a_busy_service(self, cutouts, hsc_server, fake_time):
        hsc_server.fail("503", "502", Fault("429", where="cutout"), "drop", "500")
        (cutout,) = ask(cutouts, some(1), "i")
        check(cutout, some(1)[0], "i")
        assert 7 in fake_time.pauses  # as the 429 said

    def test_a_file_damaged_on_the_way_is_asked_for_again(self, cutouts, hsc_server):
        objects, turns = some(3), []

        def backend(line):
            data = SKY.cutout(line)
            turns.append(line.line)
            return data[:20_000] if len(turns) == 2 else data

        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = backend
        got = ask(cutouts, objects, "i")
        for cutout, one in zip(got, objects, strict=True):
            check(cutout, one, "i")
        assert turns == [2, 3, 4, 2]

    def test_a_place_is_held_during_requests_only(self, hsc_server, connections, stream_http):
        stream_http.service = "HSC cutouts"
        held = []
        original = connections.one

        class Spy:
            def one(self, url):
                held.append(url)
                return original(url)

        hsc_server.fail("503")
        ask(HSCCutouts(http=stream_http, connections=Spy()), some(1), "i")
        assert held == [hsc_server.settings["GALAXYDS_HSC_CUTOUT_URL"]] * 2

    def test_never_more_than_four_connections(self, hsc_server, monkeypatch):
        monkeypatch.setattr("galaxyds.archives.hsc_session.INTERVAL", 0.0)
        hsc_server.wait, hsc_server.most = 0.05, 99
        objects, done = some(8), []

        def work(one):
            archive = pickle.loads(pickle.dumps(HSCArchive()))
            done.extend(archive.cutouts([one], ("i",), half_size=2.0))

        threads = [threading.Thread(target=work, args=(one,)) for one in objects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 8
        assert 2 <= hsc_server.busiest <= 4


def wrong(**changes):
    """A backend whose files differ from right ones."""

    def backend(line):
        box = SKY.box(line)
        given = {"band": "i", "crpix": (18001.0 - box[0], 18001.0 - box[2]),
                 "crval": SKY.centre(line.tract)} | changes  # fmt: skip
        return cutout_fits(given.pop("pixels", SKY.pixels("i", box)), **given)

    return backend


class TestWrongFiles:
    @pytest.mark.parametrize(("backend", "words"), [
        (wrong(band="r"), r"expected FILTER 'i', got 'r'; the service sent another product"),
        (wrong(fluxmag0=57.0), r"expected FLUXMAG0 6.30957e\+10 \(zero point 27.0\), got 57.0"),
        (wrong(fluxmag0=None), "FLUXMAG0 .* got None"),
        (wrong(crval=(30.0, 0.52)), r"expected the object in its cutout, got pixel \("),
        (wrong(pixels=np.zeros((170, 168))), "at most 165 pixels wide, got 170x168 pixels"),
        (lambda line: wrong()(line).replace(b"RA---TAN", b"RA---SIN"), "no RA---TAN, DEC--TAN pro"),
        (lambda line: wrong()(line).replace(b"CD1_1   = ", b"CD9_1   = "), "no number in CD1_1"),
    ])  # fmt: skip
    def test_each_is_named(self, cutouts, hsc_server, backend, words):
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = backend
        with pytest.raises(DataIntegrityError, match=words) as caught:
            ask(cutouts, some(1), "i")
        assert caught.value.message.startswith("2-cutout-HSC-I-30-pdr2_wide.fits: expected ")

    @pytest.mark.parametrize(("backend", "words"), [
        (lambda line: b"<html>no</html>", "expected a FITS file, got an HTML or XML page"),
        (lambda line: wrong()(line)[:9000], "the file was cut, or its header lies"),
        (lambda line: wrong()(line) + b"x" * 2880, "expected a FITS header"),
    ])  # fmt: skip
    def test_a_file_that_stays_damaged_is_missing(
        self, cutouts, hsc_server, caplog, backend, words
    ):
        objects = some(4)
        bad = f"{objects[2].ra:.9f}"
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = lambda line: (
            backend(line) if f"{line.ra:.9f}" == bad and line.band == "i" else SKY.cutout(line)
        )
        got = ask(cutouts, objects, "ig")
        assert got[2].missing == {"i": "damaged in the archive"}
        for place, (cutout, one) in enumerate(zip(got, objects, strict=True)):
            check(cutout, one, "g" if place == 2 else "ig")
        assert [len(lines) for lines in hsc_server.lists] == [8, 1]  # a second chance
        assert words in caplog.text

    @pytest.mark.parametrize("name", ["i2", "HSC-I", "I"])
    def test_other_names_of_a_filter(self, cutouts, hsc_server, name):
        hsc_server.backends["/das_cutout/pdr2/cgi-bin/cutout"] = wrong(band=name)
        (cutout,) = ask(cutouts, some(1), "i")
        check(cutout, some(1)[0], "i")


def test_a_wrong_address(hsc_server, stream_http, connections):
    """Not the archive's way to say that it lacks an object."""
    service = HSCCutouts(f"{hsc_server.url}/no", http=stream_http, connections=connections)
    with pytest.raises(
        ArchiveError, match=r"\(HTTP 404\): check GALAXYDS_HSC_CUTOUT_URL"
    ) as caught:
        ask(service, some(1), "i")
    assert not isinstance(caught.value, NotInArchiveError)


class TestAccount:
    def test_401(self, cutouts, monkeypatch):
        monkeypatch.setenv("GALAXYDS_HSC_PASSWORD", "another-password")
        with pytest.raises(CredentialsError) as caught:
            ask(cutouts, some(1), "i")
        assert caught.value.message == (
            "HSC cutouts refuses the account (HTTP 401): 401 Unauthorized; register at "
            f"{REGISTER}, then set GALAXYDS_HSC_USER and GALAXYDS_HSC_PASSWORD"
        )

    def test_none(self, cutouts, hsc_server, monkeypatch):
        monkeypatch.delenv("GALAXYDS_HSC_USER")
        with pytest.raises(CredentialsError, match="HSC needs an account: register at"):
            ask(cutouts, some(1), "i")
        assert hsc_server.requests == []

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_to_another_host(self, cutouts, hsc_server, status):
        with HSCEmulator(cutout=SKY.cutout) as other:
            target = {"Location": other.settings["GALAXYDS_HSC_CUTOUT_URL"] + "?token=secret"}
            hsc_server.fail(Fault("redirect", headers=target, status=status))
            words = r"redirects to http://127\.0\.0\.1:.*/cutout, which is not followed with cred"
            with pytest.raises(ArchiveError, match=words):
                ask(cutouts, some(1), "i")
            assert other.requests == []

    def test_it_shows_nowhere(self, cutouts, hsc_server, caplog):
        caplog.set_level(logging.DEBUG)
        ask(cutouts, some(1), "i")
        sent = hsc_server.requests[0].headers["authorization"].removeprefix("Basic ")
        shown = [repr(vars(cutouts)), pickle.dumps(HSCArchive()).decode("latin-1")]
        leaking = f"you sent canary-password as {sent}".encode()
        hsc_server.fail(
            Fault("406", body=leaking), Fault("500json", body=b'{"message": "%s"}' % leaking),
            *[Fault("502", body=leaking)] * 10, Fault("tar", body=leaking),
            Fault("html", headers={"Content-Type": "text/plain"}),
        )  # fmt: skip
        for _ in range(5):
            with pytest.raises((ArchiveError, DataIntegrityError)) as caught:
                ask(cutouts, some(1), "i")
            shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value.values)]
        shown.append(caplog.text)
        assert "you sent *** as ***" in shown[2]
        for text in shown:
            assert "canary-password" not in text
            assert sent not in text
