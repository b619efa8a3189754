"""Files of simulated cutouts: read by astropy and by the archive's own reader; like real ones."""

from __future__ import annotations

import io

import numpy as np
import pytest

from galaxyds.archives.base import CutoutObject
from galaxyds.archives.hsc_fits import read_cutout, read_point_spread
from galaxyds.sky import Universe
from galaxyds.sky.hsc_coadd import Coadd
from galaxyds.sky.hsc_fits import cutout_fits, point_spread_fits
from tests.sky.hsc_small import SMALL

pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
fits = pytest.importorskip("astropy.io.fits")

HERE = {"tract": 20001, "ra": 330.7123456789, "dec": 0.0123456789}


@pytest.fixture(scope="module")
def coadd():
    return Coadd(Universe(), SMALL)


@pytest.fixture(scope="module")
def data(coadd):
    made = cutout_fits(coadd, "i", **HERE, half_size=10.0)
    assert made is not None
    return made


def test_the_file_holds_the_pixels_and_the_place_of_the_cutout(coadd, data):
    from astropy.wcs import WCS

    one = CutoutObject(object_id=1, ra=HERE["ra"], dec=HERE["dec"], tile=(20001,))
    (cutout,) = coadd.cutouts([one], "i", half_size=10.0)
    with fits.open(io.BytesIO(data)) as hdus:
        assert (hdus[1].data == cutout.pixels["i"]).all()
        at = WCS(hdus[1].header).all_world2pix(HERE["ra"], HERE["dec"], 0)
    assert np.abs(np.array(at) - cutout.position["i"]).max() < 1e-5


def test_the_archives_reader_takes_it(coadd, data):
    place = (HERE["ra"], HERE["dec"])
    read = read_cutout(data, "2-cutout-HSC-I-20001-pdr2_wide.fits", band="i", at=place, side=160)
    assert read.pixels.shape[0] in (120, 121)
    assert read.pixels.dtype == np.dtype("=f4")
    assert abs(read.position[0] - 59.75) < 0.8
    spread = point_spread_fits(coadd, "i", **HERE)
    assert spread is not None
    image = read_point_spread(spread, "2-psf.fits", side=151)
    assert image.shape == (41, 41)
    assert image.sum() == pytest.approx(1, abs=1e-5)


def test_its_headers_are_those_of_a_real_cutout(data, survey_data):
    folder = survey_data / "hsc" / "hyrax_hscstars" / "images"
    real = fits.open(folder / "2-cutout-HSC-I-8279-pdr2_wide.fits")
    with real, fits.open(io.BytesIO(data)) as ours:
        assert len(ours) == len(real) == 4
        assert [hdu.header["NAXIS"] for hdu in ours] == [hdu.header["NAXIS"] for hdu in real]
        assert ours[0].header["FILTER"] == real[0].header["FILTER"] == "i"
        assert ours[0].header["FLUXMAG0"] == pytest.approx(real[0].header["FLUXMAG0"], rel=1e-12)
        lacking = set(real[1].header) - set(ours[1].header)
        assert lacking <= {"DATE-OBS", "MJD-OBS"}
        for name in ("CTYPE1", "CTYPE2", "RADESYS", "BITPIX"):
            assert ours[1].header[name] == real[1].header[name]
        for name in ("CD1_1", "CD2_2"):
            assert ours[1].header[name] == pytest.approx(real[1].header[name], rel=1e-9)
        for axis in (1, 2):
            # The reference pixel and the place in the tract tell the same.
            both = [h[1].header[f"CRPIX{axis}"] - h[1].header[f"LTV{axis}"] for h in (ours, real)]
            assert both[0] == both[1]


def test_where_there_is_no_data_there_is_no_file(coadd):
    away = {"tract": 20001, "ra": 329.9, "dec": 0.0}
    assert cutout_fits(coadd, "g", **away, half_size=10.0) is None
    assert point_spread_fits(coadd, "g", **away) is None
