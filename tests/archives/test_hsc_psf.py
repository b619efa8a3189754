"""Point-spread functions by lists: right object, sum 1, odd and centred, or said to be missing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from galaxyds.archives.base import CutoutObject
from galaxyds.archives.hsc_psf import HSCPointSpreads, normalised
from galaxyds.errors import ArchiveError, DataIntegrityError
from tests.servers import Fault, HSCEmulator
from tests.servers.hsc import PSF
from tests.servers.hsc_files import psf_fits


def some(count):
    return [
        CutoutObject(object_id=100 + n, ra=30 + 0.01 * n, dec=0.5 - 0.02 * n, tile=(30,))
        for n in range(count)
    ]


def spot(line, *, side=21, at=(0, 0), scale=1.0):
    """A Gaussian whose width tells the object and the band."""
    y, x = np.mgrid[:side, :side] - side // 2
    sigma = 1.2 + (line.ra - 30) * 10 + 0.1 * "grizy".index(line.band)
    return scale * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2 / sigma**2)


@pytest.fixture
def psf(hsc_server, stream_http, connections):
    hsc_server.backends[PSF] = lambda line: [(30, psf_fits(spot(line, scale=3)))]
    stream_http.service = "HSC PSF"
    return HSCPointSpreads(http=stream_http, connections=connections)


def ask(psf, objects, bands="gi"):
    return list(psf.point_spreads(objects, tuple(bands)))


def test_every_object_gets_its_own(psf, hsc_server):
    objects = some(4)[::-1]
    got = ask(psf, objects, "gry")
    asked = {(line.ra, line.band): line for line in hsc_server.lists[0]}
    for found, one in zip(got, objects, strict=True):
        assert found.object_id == one.object_id
        assert found.missing == {}
        for band in "gry":
            image = found.images[band]
            wanted = spot(asked[one.ra, band])
            assert (image.dtype, image.shape) == (np.float32, (21, 21))
            assert float(image.sum(dtype=float)) == pytest.approx(1, abs=1e-6)
            assert np.allclose(image, wanted / wanted.sum(), rtol=1e-5, atol=1e-9)


def test_what_is_sent(psf, hsc_server):
    ask(psf, some(1), "i")
    (request,) = hsc_server.requests
    assert request.query == {"bulk": "on"}
    text = request.body.decode()
    assert "#? rerun ra dec filter type centered\n" in text
    assert "\npdr2_wide 30.0000000000 0.5000000000 HSC-I coadd true\n" in text


def test_bytes_are_about_right(psf, hsc_server):
    """A plan counts cutouts and point-spread functions; sizes vary, so within a fifth."""
    from galaxyds.archives.hsc import HSCArchive
    from galaxyds.archives.hsc_cutouts import HSCCutouts
    from tests.servers.hsc_files import parse_list, tar_of

    (line,) = parse_list("#? rerun ra dec filter type\npdr2_wide 30 0.5 HSC-I coadd\n")
    data = [psf_fits(spot(line, side=side)) for side in (41, 43)]
    received = [len(tar_of([("a.fits", one)] * 100)) / 100 for one in data]
    estimate = psf.point_spread_bytes("i")
    assert received[0] / 1.05 < estimate < 1.2 * received[0]
    assert received[1] / 1.05 < estimate < 1.05 * received[1]
    together = HSCArchive().cutout_bytes("grizy", half_size=10.0)
    assert together == HSCCutouts().cutout_bytes("grizy", half_size=10.0) + 5 * estimate


def test_the_name_in_the_reference(psf, hsc_server):
    """The form that a real catalogue of these files quotes."""
    from galaxyds.archives.hsc_psf import _NAMES

    name = "2-psf-calexp-pdr2_wide-HSC-I-8279-0,6-30.59134--6.28237.fits"
    found = _NAMES.fullmatch(name)
    assert (found["line"], found["filter"], found["tract"]) == ("2", "HSC-I", "8279")
    assert _NAMES.fullmatch(f"arch-210203-101112/{name}")
    assert not _NAMES.fullmatch(f"../{name}")


def test_absent_ones(psf, hsc_server):
    hsc_server.backends[PSF] = lambda line: None if line.band == "g" else psf_fits(spot(line))
    (found,) = ask(psf, some(1))
    assert set(found.images) == {"i"}
    assert found.missing == {"g": "no data in the archive"}


@pytest.mark.parametrize(("image", "words"), [
    (np.ones((20, 21)), "its PSF has the even size 21 x 20, so no middle pixel"),
    (np.zeros((21, 21)), "its PSF is not a distribution of light"),
    (np.full((21, 21), np.nan), "its PSF is not a distribution of light"),
    (np.eye(21)[::-1] * np.arange(21), r"its PSF peaks at pixel \(20, 0\) of 21 x 21"),
])  # fmt: skip
def test_what_cannot_serve_is_said(image, words):
    found = normalised(image.astype(float))
    assert isinstance(found, str)
    assert re.match(words, found)


def test_a_bad_one_does_not_stop_the_others(psf, hsc_server):
    hsc_server.backends[PSF] = lambda line: psf_fits(
        np.ones((20, 20)) if line.band == "g" else spot(line)
    )
    (found,) = ask(psf, some(1))
    assert list(found.images) == ["i"]
    assert "even size" in found.missing["g"]


@pytest.mark.parametrize(("tracts", "wanted"), [
    (((29, 11), (30, 13), (31, 15)), 13), (((30, 13), (29, 11)), 13), (((32, 15), (29, 11)), 11),
])  # fmt: skip
def test_the_asked_tract_or_the_lowest(psf, hsc_server, tracts, wanted):
    hsc_server.backends[PSF] = lambda line: [
        (tract, psf_fits(spot(line, side=side))) for tract, side in tracts
    ]
    (found,) = ask(psf, some(1), "i")
    assert found.images["i"].shape == (wanted, wanted)


def test_a_cut_answer_goes_on(psf, hsc_server):
    hsc_server.fail(Fault("cut-chunked", where="getpsf", after=25_000))
    got = ask(psf, some(5), "i")
    assert all(list(found.images) == ["i"] for found in got)
    assert [len(lines) for lines in hsc_server.lists] == [5, 3]


@pytest.mark.parametrize(("data", "words"), [
    (psf_fits(np.ones((153, 3))), "at most 151 pixels wide, got 153x3"),
    (psf_fits(np.ones((3, 3, 3))), "expected an image of floating-point numbers, got none"),
])  # fmt: skip
def test_wrong_files(psf, hsc_server, data, words):
    hsc_server.backends[PSF] = lambda line: data
    with pytest.raises(DataIntegrityError, match=words):
        ask(psf, some(1), "i")


def test_a_redirect_to_another_host(psf, hsc_server):
    with HSCEmulator() as other:
        hsc_server.fail(Fault("redirect", headers={"Location": other.url}, status=307))
        with pytest.raises(ArchiveError, match="not followed with credentials"):
            ask(psf, some(1), "i")
        assert other.requests == []
