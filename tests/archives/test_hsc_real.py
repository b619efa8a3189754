"""Real HSC cutouts through the same code: their objects are where astropy and the stars say.

    python -m pytest tests/archives/test_hsc_real.py -s

prints the table.
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from galaxyds.archives.base import CutoutObject
from galaxyds.archives.hsc_cutouts import HSCCutouts
from galaxyds.archives.hsc_fits import FLUXMAG0, read_cutout, read_point_spread, tan_pixel
from galaxyds.archives.hsc_psf import normalised
from galaxyds.errors import DataIntegrityError
from tests.servers import HSCEmulator, RealCutouts
from tests.servers.hsc_files import psf_fits


def centroid(pixels, start):
    """Centre of a star: moments under a Gaussian window that follows it (sigma 2.5 pixels).

    The step is doubled, as SExtractor's XWIN_IMAGE does it, since the window halves the offset.
    """
    rows, columns = np.indices(pixels.shape)
    x, y = start
    for _ in range(50):
        weight = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 2.5**2) * pixels
        dx, dy = (weight * (columns - x)).sum(), (weight * (rows - y)).sum()
        x, y = x + 2 * dx / weight.sum(), y + 2 * dy / weight.sum()
    return x, y


@pytest.fixture
def real(survey_data):
    return RealCutouts(survey_data / "hsc/hyrax_hscstars")


@pytest.fixture
def got(real, stream_http, connections, monkeypatch):
    objects = [
        CutoutObject(object_id=number, ra=ra, dec=dec, tile=(tract,))
        for number, ra, dec, tract in real.objects()
    ]
    with HSCEmulator(cutout=real.cutout) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        service = HSCCutouts(http=stream_http, connections=connections)
        return dict(zip(objects, service.cutouts(objects, ("i",), half_size=2.0), strict=True))


def test_positions_of_all_objects(real, got):
    """Ours are astropy's; the service's own box says the same; the stars are where they can be.

    The catalogue's positions are older than the images (its columns have the names of an earlier
    release): all stars stand off them by the same 0.17 arcseconds, and from that mean by less than
    a quarter of a pixel.
    """
    assert len(got) == 10
    offsets, middles, shapes = [], [], set()
    print("\n file                              shape        x       y   astropy x, y     diff"
          "    off middle     star - object")  # fmt: skip
    for row, (one, cutout) in zip(real.rows, got.items(), strict=True):
        path = real.folder / row["star_filename"]
        if not path.is_file():
            assert cutout.missing == {"i": "no data in the archive"}
            continue
        with fits.open(path) as hdus:
            raw = hdus[1].data
            wanted = WCS(hdus[1].header).all_world2pix(one.ra, one.dec, 0)
        assert np.array_equal(cutout.pixels["i"], raw)
        found = cutout.position["i"]
        off = float(np.hypot(*np.subtract(found, wanted)))
        middle = np.subtract(found, (np.array(raw.shape[::-1]) - 1) / 2)
        star = np.subtract(centroid(raw.astype(float), found), found)
        print(f" {path.name} {raw.shape} {found[0]:7.3f} {found[1]:7.3f} {wanted[0]:7.3f} "
              f"{wanted[1]:7.3f}  {off:.0e}  {middle[0]:6.3f} {middle[1]:6.3f}  "
              f"{star[0]:6.3f} {star[1]:6.3f}")  # fmt: skip
        assert off < 1e-6
        offsets.append(star)
        middles.append(middle)
        shapes.add(raw.shape)
    assert shapes == {(25, 25), (24, 25), (25, 24)}
    # The server cut each box around the catalogue's position, in its own projection: were ours off
    # by one, so would be the mean.
    assert np.abs(middles).max() < 0.75
    assert np.abs(np.mean(middles, axis=0)).max() < 0.2
    mean = np.mean(offsets, axis=0)
    print(f" mean star - object: {mean.round(3)} pixels")
    assert np.hypot(*(offsets - mean).T).max() < 0.25
    assert 0.168 * np.hypot(*mean) < 0.2


def test_the_calibration_is_that_of_the_files(real):
    for path in sorted((real.folder / "images").iterdir()):
        with fits.open(path) as hdus:
            assert hdus[0].header["FLUXMAG0"] == pytest.approx(FLUXMAG0, rel=1e-12)


@pytest.mark.parametrize("angle", [0, 30, 200])
def test_the_projection_is_astropys(angle):
    """Turned and mirrored axes too, at all declinations."""
    random = np.random.default_rng(angle)
    turn = np.radians(angle)
    cd = 4.7e-5 * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    for dec0 in (-80.0, -6.7, 0.0, 43.0, 89.5):
        header = fits.Header({
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 14182.0, "CRPIX2": -11879.0,
            "CRVAL1": 359.9, "CRVAL2": dec0, "CD1_1": cd[0, 0], "CD1_2": cd[0, 1],
            "CD2_1": cd[1, 0], "CD2_2": cd[1, 1], "RADESYS": "ICRS",
        })  # fmt: skip
        wcs = WCS(header)
        for x, y in random.uniform(-20_000, 20_000, (20, 2)):
            ra, dec = wcs.all_pix2world(x, y, 0)
            assert tan_pixel(dict(header), float(ra), float(dec)) == pytest.approx((x, y), abs=1e-4)


def test_a_position_behind_the_projection():
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 1.0, "CRPIX2": 1.0,
              "CRVAL1": 10.0, "CRVAL2": 0.0, "CD1_1": 1e-5, "CD2_2": 1e-5}  # fmt: skip
    with pytest.raises(ValueError, match="not on the projection"):
        tan_pixel(header, 190.0, 0.0)


def test_real_point_spreads(survey_data):
    with fits.open(survey_data / "hsc/PSF_HSC.fits") as hdus:
        images = hdus[0].data
    for image in images:
        found = normalised(read_point_spread(psf_fits(image), "x.fits", side=151))
        assert found.shape == (31, 31)
        assert float(found.sum(dtype=float)) == pytest.approx(1, abs=1e-6)
        assert np.allclose(found, image / image.sum(), rtol=1e-6, atol=1e-9)


def test_damage_anywhere_in_a_file_is_refused_or_harmless(real):
    """Whatever is flipped or lost in a real file: an image of its size, or one line."""
    data = (real.folder / real.rows[0]["star_filename"]).read_bytes()
    at = (float(real.rows[0]["ira"]), float(real.rows[0]["idec"]))
    random = np.random.default_rng(3)
    messages: list[str] = []
    for _ in range(600):
        spoilt = bytearray(data[: random.integers(len(data) // 2, len(data) * 3)])
        for place in random.integers(0, min(8600, len(spoilt)), random.integers(1, 8)):
            spoilt[place] = random.integers(0, 256)
        try:
            found = read_cutout(bytes(spoilt), "a.fits", band="i", at=at, side=60)
        except DataIntegrityError as error:
            messages.append(error.message)
        else:
            assert max(found.pixels.shape) <= 60
            assert np.isfinite(found.position).all()
    assert 100 < len(messages) < 600
    assert all(message.isprintable() for message in messages)
