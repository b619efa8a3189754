"""What counts as a plain gnomonic header, and its matrix as astropy reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from galaxyds.archives.tan import departure, matrix, require_plain
from galaxyds.errors import DataIntegrityError

STEP = 0.186 / 3600
PLAIN = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 5.0, "CRPIX2": 5.0,
         "CRVAL1": 10.0, "CRVAL2": 0.0}  # fmt: skip
STRAIGHT = {**PLAIN, "CD1_1": -STEP, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": STEP}


@pytest.mark.parametrize(
    "more",
    [{}, {"RADESYS": "ICRS"}, {"RADECSYS": "FK5", "EQUINOX": 2000.0}, {"LONPOLE": 180.0},
     {"LATPOLE": 0.0, "CUNIT1": "deg"}, {"EQUINOX": 2000}, {"PV1_1A": 0.5}],
)  # fmt: skip
def test_plain(more):
    assert departure({**STRAIGHT, **more}, scale=0.186) is None


@pytest.mark.parametrize(
    ("more", "got"),
    [({"CTYPE1": "GLON-TAN"}, "GLON-TAN"), ({"PV1_1": 1.1}, "PV1_1"), ({"A_ORDER": 2}, "A_ORDER"),
     ({"B_0_2": 1e-5}, "B_0_2"), ({"CQDIS1": "TPD"}, "CQDIS1"), ({"D2IMDIS1": "Lookup"}, "D2IM"),
     ({"DP1": "EXTVER: 1"}, "DP1"), ({"DP1.EXTVER": 1.0}, "DP1"), ({"RADESYS": "FK4"}, "FK4"),
     ({"EQUINOX": 1950.0}, "1950"), ({"LONPOLE": 90.0}, "LONPOLE 90"), ({"CUNIT2": "rad"}, "rad"),
     ({"CD1_1": -STEP / 2, "CD2_2": 2 * STEP}, "0.093"), ({"CD1_2": STEP}, "pixels"),
     ({"CD1_1": 0.0, "CD2_2": 0.0}, "pixels"), ({"CD2_2": "wide"}, "wide"),
     ({"CD1_1": -1.01 * STEP, "CD2_2": 1.01 * STEP}, '0.18786"')],
)  # fmt: skip
def test_departures(more, got):
    with pytest.raises(DataIntegrityError, match=r"there\.fits: expected .*") as caught:
        require_plain({**STRAIGHT, **more}, Path("there.fits"), scale=0.186)
    assert got in caught.value.values["got"]
    assert caught.value.values["other_product"]


def test_skewed_pixels():
    tilted = {**STRAIGHT, "CD1_2": 0.6 * STEP, "CD2_2": 0.8 * STEP}
    assert departure(tilted) == ("square pixels", "skewed ones")


@pytest.mark.parametrize(
    "terms",
    [{"CD1_1": -1e-4, "CD2_2": 2e-4, "CD1_2": 3e-5}, {"CDELT1": -1e-4, "CDELT2": 1e-4},
     {"CDELT1": -1e-4, "CDELT2": 1e-4, "PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
     {"CDELT1": -1e-4, "CDELT2": 1e-4, "PC001001": 0.0, "PC001002": 1.0, "PC002001": -1.0,
      "PC002002": 0.0},
     {"CDELT1": -1e-4, "CDELT2": 1e-4, "CROTA2": 30.0}],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_matrix_as_astropy_reads_it(terms):
    expected = WCS(fits.Header({**PLAIN, **terms})).pixel_scale_matrix
    assert matrix({**PLAIN, **terms}) == pytest.approx(tuple(np.ravel(expected)), abs=1e-12)


def test_no_scale():
    assert departure(PLAIN) == ("numbers for CD, or for CDELT and PC", "no CDELT1")
