"""Synthetic photometry and cosmology against closed forms, astropy and published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.sky import CFHTLS, HSC, SDSS
from galaxyds.sky.seds import (
    SPEED_OF_LIGHT,
    ab_magnitude,
    comoving_distance,
    distance_modulus,
    forest,
    lyman_alpha_depth,
    redshifted,
    volume_per_redshift,
)

BANDS = [band for survey in (SDSS, HSC, CFHTLS) for band in survey.bands]


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_a_flat_spectrum_has_its_ab_magnitude(band):
    wave = band.curve.grid()
    flux = 3.631e-20 * SPEED_OF_LIGHT / wave**2  # 3631 Jy at every frequency
    assert ab_magnitude(wave, flux, band.curve) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("slope", [-2.0, -0.5, 1.0])
def test_colours_of_power_laws(slope):
    blue, red = SDSS.band("g").curve, SDSS.band("i").curve

    def magnitude(curve):
        wave = curve.grid()
        return ab_magnitude(wave, wave ** (-2.0 - slope), curve)

    expected = 2.5 * slope * np.log10(blue.pivot() / red.pivot())
    assert magnitude(blue) - magnitude(red) == pytest.approx(expected, abs=0.02)


def test_pivots_are_those_of_the_survey():
    published = {"u": 3557, "g": 4702, "r": 6176, "i": 7490, "z": 8947}
    for band in SDSS.bands:
        assert band.curve.pivot() == pytest.approx(published[band.name], abs=12)


def test_k_correction_of_a_power_law():
    # f_nu ~ nu^a gives K = -2.5 (1 + a) log10(1 + z) in every band (Hogg et al. 2002).
    z = np.array([0.0, 0.5, 2.0])
    magnitude = redshifted(lambda rest: rest**-1.5, SDSS.band("r").curve, z)
    assert magnitude - magnitude[0] == pytest.approx(-2.5 * 0.5 * np.log10(1 + z), abs=1e-3)


def test_distances_agree_with_astropy():
    cosmology = pytest.importorskip("astropy.cosmology").FlatLambdaCDM(H0=70, Om0=0.3)
    z = np.array([0.01, 0.1, 0.5, 1.0, 3.0])
    assert comoving_distance(z) == pytest.approx(cosmology.comoving_distance(z).value, rel=1e-4)
    assert distance_modulus(z) == pytest.approx(cosmology.distmod(z).value, abs=1e-3)
    per_degree = cosmology.differential_comoving_volume(z).value * np.radians(1) ** 2
    assert volume_per_redshift(z) == pytest.approx(per_degree, rel=1e-3)


def test_the_forest_has_the_published_depth():
    # Another survey's fit: 5.54e-3 (1 + z)^3.182, metals included (Kamble et al. 2020, BOSS DR12).
    z = np.array([2.5, 3.0, 3.8])
    assert lyman_alpha_depth(z) == pytest.approx(5.54e-3 * (1 + z) ** 3.182, rel=0.25)


def test_the_forest_absorbs_only_blueward_of_lyman_alpha():
    observed = np.linspace(3000, 10000, 500)
    through = forest(observed, np.array([0.0, 2.0, 5.0]))
    assert (through[1][observed > 3 * 1215.67] == 1).all()
    assert through[1][observed < 3 * 1215.67].max() < 1
    assert through[2][observed < 6 * 900].max() < 0.05
    assert (through >= 0).all()
    assert (through <= 1).all()
