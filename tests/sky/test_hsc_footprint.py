"""Tracts and patches against real headers, real ids and astropy's projection."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.errors import NotInArchiveError
from galaxyds.pixels.gnomonic import deproject, project
from galaxyds.sky.hsc_footprint import (
    BORDER,
    CENTER,
    DEFAULT_HSC_FOOTPRINT,
    DEGREES,
    INNER,
    Tract,
    object_id,
    patch_number,
)
from tests.sky.hsc_small import EAST, SMALL, WEST


def test_object_ids_have_the_archives_layout():
    # A real object: tract 8279, patch 0,6, as its row and the name of its PSF file say.
    parts = [np.array([value]) for value in (8279, 0, 6)]
    real = 36411452835238206
    assert object_id(*parts, np.array([0]))[0] <= real < object_id(*parts, np.array([2**32]))[0]


def test_simulated_ids_have_17_digits_and_grow_with_tract_and_patch():
    keys = [
        (tract.number, x, y)
        for tract in DEFAULT_HSC_FOOTPRINT.tracts
        for x, y in tract.patches()
    ]  # fmt: skip
    tract, x, y = (np.array(column) for column in zip(*keys, strict=True))
    ids = object_id(tract, x, y, np.ones(tract.size, np.int64))
    assert {len(str(value)) for value in ids} == {17}
    assert (np.diff(ids) > 0).all()
    order = np.lexsort((patch_number(x, y), tract))
    assert (order == np.arange(order.size)).all()


def test_projection_agrees_with_astropy():
    wcs_module = pytest.importorskip("astropy.wcs")
    wcs = wcs_module.WCS(naxis=2)
    wcs.wcs.crpix = CENTER + 1, CENTER + 1
    wcs.wcs.crval = EAST.ra, EAST.dec
    wcs.wcs.cd = np.diag([-DEGREES, DEGREES])
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    ra, dec = np.array([330.9, 331.62, 332.4]), np.array([-1.1, -0.3, 0.5])
    x, y = EAST.to_pixel(ra, dec)
    theirs = wcs.all_world2pix(np.column_stack([ra, dec]), 0).T
    assert np.abs(np.array([x, y]) - theirs).max() < 1e-5
    assert np.abs(np.array(EAST.to_sky(x, y)) - [ra, dec]).max() < 1e-10


def test_deprojecting_undoes_projecting_near_a_pole():
    ra, dec = np.array([10.0, 359.0, 181.0]), np.array([88.5, 89.0, 89.9])
    back = deproject(*project(ra, dec, center=(2.0, 89.0)), center=(2.0, 89.0))
    assert np.abs(np.array(back) - [ra, dec]).max() < 1e-9


def test_the_tangent_point_is_where_real_headers_have_it(survey_data):
    fits = pytest.importorskip("astropy.io.fits")
    folder = survey_data / "hsc" / "hyrax_hscstars" / "images"
    header = fits.getheader(folder / "2-cutout-HSC-I-8279-pdr2_wide.fits", 1)
    first = -header["LTV1"], -header["LTV2"]
    assert header["CRPIX1"] == CENTER - first[0] + 1
    assert header["CRPIX2"] == CENTER - first[1] + 1
    assert header["CD2_2"] == pytest.approx(DEGREES, rel=1e-9)
    # Its objects are in patch 0,6.
    tract = Tract(number=8279, ra=header["CRVAL1"], dec=header["CRVAL2"])
    assert tract.patch_of(*first) == (0, 6)


def test_patches_overlap_by_200_pixels_and_tracts_at_their_rims():
    wide = 2 * BORDER + INNER
    assert wide == 4200
    ra, dec = WEST.to_sky(np.array([100.0]), np.array([22000.0]))
    x, y = EAST.to_pixel(ra, dec)
    assert 34500 < x[0] < 36000
    assert abs(y[0] - 22000) < 30
    assert WEST.patch_of(100.0, 22000.0) == (0, 5)
    assert WEST.patch_of(5000.0, 22000.0) is None
    assert SMALL.owner(ra, dec)[0] in (0, 1)


def test_the_region_holds_every_patch():
    region = WEST.region(0.0)
    x = np.array([0.0, INNER - 1.0, 0.0, INNER - 1.0])
    ra, dec = WEST.to_sky(x, np.array([20000.0, 20000.0, 27999.0, 27999.0]))
    assert region.ra_min <= ra.min() < ra.max() <= region.ra_max
    assert region.dec_min <= dec.min() < dec.max() <= region.dec_max


def test_an_unknown_tract_is_named():
    with pytest.raises(NotInArchiveError, match="no tract 9813: its tracts are 20001, 20002"):
        SMALL.tract(9813)
