"""Pixels against closed forms: flux, noise, shape, orientation, any survey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from galaxyds.errors import MissingExtraError
from galaxyds.sky import CFHTLS, HSC, SDSS, Region, Universe, render
from galaxyds.sky.render import Exposure, PointSpread, expose, patch
from galaxyds.sky.universe import GALAXY, STAR, Sources

pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")


def source(survey, *, kind=STAR, magnitude=18.0, **values):
    """One source at the origin with the same magnitude in all bands."""
    bands = len(survey.bands)
    table = {
        "key": np.array([7], np.uint64),
        "kind": np.array([kind], np.int8),
        "magnitude": np.full((1, bands), magnitude),
        "bulge": np.full((1, bands), values.pop("bulge", 0.0)),
    }
    for name in ("ra", "dec", "redshift", "ebv", "bulge_radius", "disk_radius", "angle"):
        table[name] = np.array([values.get(name, 0.0)])
    for name in ("bulge_ratio", "axis_ratio"):
        table[name] = np.array([values.get(name, 1.0)])
    return Sources(**table)


def quiet(survey, band, *, sky=1e-3, shape=(151, 151)):
    """An exposure whose noise is small against a bright source."""
    return Exposure(
        survey=survey, band=replace(band, dark_variance=0.0, gain=1e6), shape=shape,
        sky=np.full((1, 1), sky, np.float32),
        calibration=np.full((1, 1), band.unit_per_count, np.float32), turn=np.pi / 2, seed=3,
    )  # fmt: skip


def moments(image):
    y, x = np.indices(image.shape)
    total = image.sum()
    cx, cy = (image * x).sum() / total, (image * y).sum() / total
    xx, yy = (image * (x - cx) ** 2).sum() / total, (image * (y - cy) ** 2).sum() / total
    return cx, cy, xx, yy, (image * (x - cx) * (y - cy)).sum() / total


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (0.31, 0.77), (0.999, 0.06), (0.5, 0.5)])
def test_a_point_source_has_its_flux_and_place(dx, dy):
    psf = PointSpread(SDSS.band("r"), SDSS.pixel_scale)
    image = psf.at(dx, dy)
    # Moffat: fraction within R is 1 - (1 + (R / rd)^2)^(1 - beta); a box holds a little more.
    inside = 1 - (1 + (24.5 / psf.radius) ** 2) ** (1 - psf.beta)
    assert inside - 1e-4 <= image.sum() <= 1.0
    core = image[9:40, 9:40]
    assert moments(core)[:2] == pytest.approx((15 + dx, 15 + dy), abs=0.02)


def test_interpolated_phases_match_galsim_itself():
    import galsim

    band = SDSS.band("g")
    model = galsim.Convolve(
        galsim.Moffat(beta=band.psf_beta, fwhm=band.psf_fwhm), galsim.Pixel(SDSS.pixel_scale)
    )
    drawn = model.drawImage(
        nx=49, ny=49, scale=SDSS.pixel_scale, offset=(0.29, 0.66), method="no_pixel"
    ).array
    ours = PointSpread(band, SDSS.pixel_scale).at(0.29, 0.66)
    assert np.abs(ours - drawn).max() < 0.01 * drawn.max()


@pytest.mark.parametrize("survey", [SDSS, HSC, CFHTLS], ids=lambda survey: survey.name)
def test_zero_points_of_all_surveys(survey):
    for band in survey.bands:
        image = expose(source(survey), np.array([75.2]), np.array([74.6]), quiet(survey, band))
        expected = 10 ** (0.4 * (survey.zero_point - 18.0))
        assert image.sum() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("survey", [HSC, CFHTLS], ids=lambda survey: survey.name)
def test_a_patch_of_sky_renders_for_other_surveys(survey):
    region = Region(ra_min=30.03, ra_max=30.07, dec_min=0.03, dec_max=0.07)
    images = patch(Universe().sources(region, survey), survey, (30.05, 0.05), 401)
    assert list(images) == [band.name for band in survey.bands]
    for band in survey.bands:
        sigma = np.sqrt(band.sky / band.gain + band.dark_variance) * band.unit_per_count
        image = images[band.name]
        assert image.shape == (401, 401)
        spread = 1.4826 * np.median(np.abs(image - np.median(image)))
        assert spread == pytest.approx(sigma, rel=0.35)
        assert image.max() > 10 * sigma


def test_noise_has_the_closed_form_variance():
    band = SDSS.band("u")
    exposure = Exposure(
        survey=SDSS, band=band, shape=(700, 700), sky=np.full((1, 1), band.sky, np.float32),
        calibration=np.full((1, 1), 0.5, np.float32), turn=0.0, seed=1,
    )  # fmt: skip
    far = np.array([-1e4])
    image = expose(source(SDSS), far, far, exposure)
    sigma = 0.5 * np.sqrt(39.2 / 1.62 + 9.61)
    assert image.std() == pytest.approx(sigma, rel=0.005)
    assert abs(image.mean()) < 4 * sigma / 700


@pytest.mark.parametrize(
    ("angle", "east", "north"),
    [(0.0, 0, 1), (np.pi / 2, 1, 0), (np.pi / 4, 1, 1), (2.5, 0.598, -0.801)],
)
def test_position_angles_run_from_north_to_east(angle, east, north):
    galaxy = source(
        SDSS, kind=GALAXY, magnitude=13.0, disk_radius=4.0, bulge_radius=1.0, axis_ratio=0.3,
        bulge_ratio=0.8, angle=angle,
    )  # fmt: skip
    image = expose(galaxy, np.array([75.0]), np.array([75.0]), quiet(SDSS, SDSS.band("r")))
    _, _, xx, yy, xy = moments(image.astype(float))
    # North is up, east is left: the long axis lies along (-east, north).
    norm = np.hypot(east, north)
    along = (xx * east**2 + yy * north**2 - 2 * xy * east * north) / norm**2
    across = (xx * north**2 + yy * east**2 + 2 * xy * east * north) / norm**2
    assert along > 3 * across


def test_shot_photons_match_the_convolved_profile(monkeypatch):
    """The two ways to draw a galaxy agree in flux, place and shape."""
    band = replace(SDSS.band("r"), gain=4.7)
    exposure = replace(quiet(SDSS, band), band=replace(band, dark_variance=0.0))
    galaxy = source(
        SDSS, kind=GALAXY, magnitude=13.5, disk_radius=1.6, bulge_radius=0.9, axis_ratio=0.5,
        bulge_ratio=0.7, angle=0.6, bulge=0.4,
    )  # fmt: skip
    x, y = np.array([75.3]), np.array([74.8])
    images = []
    for limit in (1.0, 1e12):
        monkeypatch.setattr(render, "_SHOOT_BELOW", limit)
        images.append(expose(galaxy, x, y, exposure)[35:116, 35:116].astype(float))
    drawn, shot = images
    assert shot.sum() == pytest.approx(drawn.sum(), rel=0.005)
    assert moments(shot)[:2] == pytest.approx(moments(drawn)[:2], abs=0.03)
    assert moments(shot)[2:] == pytest.approx(moments(drawn)[2:], rel=0.03, abs=0.3)
    # Point by point within the noise of the photons.
    bright = drawn > 0.02 * drawn.max()
    electrons = drawn[bright] / band.unit_per_count * band.gain
    pull = (shot - drawn)[bright] / band.unit_per_count * band.gain / np.sqrt(electrons)
    assert pull.std() < 1.8


def test_colours_differ_between_bulge_and_disk():
    galaxy = source(
        SDSS, kind=GALAXY, magnitude=14.0, disk_radius=4.0, bulge_radius=1.0, axis_ratio=0.9
    )
    share = np.array([[0.05, 0.1, 0.3, 0.4, 0.5]])
    galaxy = replace(galaxy, bulge=share)
    x = np.array([75.0])
    radius = {}
    for name in ("g", "z"):
        band = replace(SDSS.band(name), psf_fwhm=1.3)
        image = expose(galaxy, x, x, quiet(SDSS, band))
        radius[name] = sum(moments(image.astype(float))[2:4])
    assert radius["g"] > 1.2 * radius["z"]


def test_without_galsim_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "galsim", None)
    with pytest.raises(MissingExtraError, match=r"galaxyds\[sky\]"):
        PointSpread(SDSS.band("r"), SDSS.pixel_scale)
