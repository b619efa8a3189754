"""Sersic fits against GalSim, closed forms, finite differences and real galaxies."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import galsim
import numpy as np
import pytest
import torch
from astropy.io import fits
from scipy import ndimage

from galaxyds.errors import UsageError
from galaxyds.morphology.flags import FIT_AT_BOUND, FIT_FAILED, NO_PSF
from galaxyds.morphology.sersic import (
    SersicFit,
    SersicGuess,
    fit_sersic,
    model_images,
    neighbour_mask,
)
from galaxyds.morphology.sersic_model import (
    Shapes,
    basis,
    combination,
    quadratic,
    render,
    rows_of_table,
    transfer,
    waves,
)
from galaxyds.morphology.sersic_profile import ProfileTable, half_light_b, profile_table

SIDE = 97
MOFFAT = galsim.Moffat(beta=3.0, fwhm=4.17)
FINE = galsim.GSParams(maximum_fft_size=8192, folding_threshold=1e-3)
PSF = MOFFAT.drawImage(nx=61, ny=61, scale=1.0).array
GRID = [
    # n, a (px), q, theta (deg), dx, dy
    (0.5, 4.0, 0.8, 20.0, 0.3, -0.2),
    (1.0, 6.0, 0.3, -60.0, 0.0, 0.4),
    (2.5, 5.0, 0.6, 85.0, -0.4, 0.1),
    (4.0, 3.0, 0.95, 10.0, 0.2, 0.2),
    (6.0, 4.0, 0.5, -15.0, 0.1, -0.5),
]


def galaxy(n: float, a: float, q: float, theta: float, dx: float, dy: float, flux: float = 500.0):
    """An image by GalSim, whose radius is that of the circle of the same area."""
    sersic = galsim.Sersic(n, half_light_radius=a * np.sqrt(q), flux=flux, gsparams=FINE)
    shape = sersic.shear(q=q, beta=theta * galsim.degrees).shift(dx, dy)
    return (
        galsim.Convolve(shape, MOFFAT, gsparams=FINE).drawImage(nx=SIDE, ny=SIDE, scale=1.0).array
    )


def guess_of(rows: list[tuple[float, ...]], flux: float = 500.0) -> SersicGuess:
    """A detection's rough idea: wrong by tens of per cent, blurred."""
    table = np.array(rows, float).T
    return SersicGuess(
        x=SIDE // 2 + table[4] + 0.3,
        y=SIDE // 2 + table[5] - 0.3,
        flux=np.full(len(rows), 0.8 * flux),
        radius=np.hypot(0.9 * table[1] * np.sqrt(table[2]), 2.3),
        axis_ratio=np.sqrt(table[2]),
        theta=table[3] + 10,
    )


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return np.stack([galaxy(*row) for row in GRID]).astype(np.float32)


@pytest.fixture(scope="module")
def noisy(clean: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 0.05, clean.shape)
    return (clean + noise).astype(np.float32)


def fit(images: np.ndarray, rows: list[tuple[float, ...]] = GRID, **options: object) -> SersicFit:
    sigma = np.full(len(images), 0.05)
    return fit_sersic(images, PSF, guess_of(rows), sigma=sigma, **options)


def same(one: SersicFit, other: SersicFit, rtol: float) -> None:
    for field in fields(SersicFit):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5, err_msg=field.name)


@pytest.mark.parametrize("n", [0.5, 1.0, 2.5, 4.0, 6.0])
def test_the_profiles_transform_is_galsims(n: float) -> None:
    table, k = profile_table(), np.geomspace(1e-3, 100, 300)
    s = 0.5 * np.log(k**2 + 9e-8)
    row = rows_of_table(torch.tensor([np.log(n)], dtype=torch.float32), table)[0]
    ours = np.interp(s, table.log_wave[0] + table.log_wave[1] * np.arange(row.shape[1]), row[0])
    sersic = galsim.Sersic(n, half_light_radius=1.0)
    theirs = [sersic.kValue(float(x), 0).real for x in k]
    error = np.abs(ours - theirs)
    # GalSim joins two approximations, with a step of 2e-4 where they meet.
    assert error.max() < 2.5e-4
    assert np.quantile(error, 0.98) < 3e-5


def test_half_of_the_light_of_an_exponential_is_within_its_radius() -> None:
    b = half_light_b(torch.tensor([1.0], dtype=torch.float64)).item()
    assert 1 - np.exp(-b) * (1 + b) == pytest.approx(0.5, abs=1e-12)


def test_models_are_galsims_images(clean: np.ndarray) -> None:
    table = np.array(GRID, np.float32).T
    empty = SersicFit.empty(len(GRID))
    drawn = SersicFit(
        **{f.name: getattr(empty, f.name) for f in fields(SersicFit)}
        | {"index": table[0], "radius": table[1], "axis_ratio": table[2], "theta": table[3]}
        | {"x": SIDE // 2 + table[4], "y": SIDE // 2 + table[5]}
        | {"flux": np.full(5, 500, np.float32), "sky": np.zeros(5, np.float32)}
    )
    difference = model_images(drawn, (SIDE, SIDE), PSF) - clean
    # The function's image ends at 30 pixels and lacks 0.2 % of its light there.
    assert np.all(np.abs(difference).max((1, 2)) < 5e-4 * clean.max((1, 2)))


def test_parameters_come_back_from_images_without_noise(clean: np.ndarray) -> None:
    found, truth = fit(clean), np.array(GRID).T
    np.testing.assert_allclose(found.index, truth[0], rtol=0.02)
    np.testing.assert_allclose(found.radius, truth[1], rtol=0.02)
    np.testing.assert_allclose(found.axis_ratio, truth[2], atol=0.01)
    np.testing.assert_allclose(found.x, SIDE // 2 + truth[4], atol=0.01)
    np.testing.assert_allclose(found.y, SIDE // 2 + truth[5], atol=0.01)
    np.testing.assert_allclose(found.flux, 500, rtol=0.02)
    turn = (found.theta - truth[3] + 90) % 180 - 90
    assert np.all(np.abs(turn) < 1.0 / (1 - truth[2]))
    assert not found.flags.any()


def test_scatter_with_noise() -> None:
    rng = np.random.default_rng(3)
    rows = [
        (rng.uniform(0.6, 5), rng.uniform(2.5, 7), rng.uniform(0.3, 1), rng.uniform(-90, 90), 0, 0)
        for _ in range(40)
    ]
    images = np.stack([galaxy(*row) for row in rows])
    images = (images + rng.normal(0.3, 0.05, images.shape)).astype(np.float32)
    found = fit(images, rows)
    error = np.log(found.index / np.array(rows)[:, 0])
    assert 1.4826 * np.median(np.abs(error - np.median(error))) < 0.06
    assert np.mean(np.abs(error) > 0.3) <= 0.05
    assert abs(np.median(found.sky) - 0.3) < 0.005
    assert 0.9 < np.median(found.chi2) < 1.1


def test_jacobian_against_finite_differences() -> None:
    grid, single = waves(96, 1, torch.device("cpu"), torch.float64), profile_table()
    table = ProfileTable(single.values.double(), single.log_index, single.log_wave)
    optics = transfer(torch.from_numpy(PSF).double()[None], grid, 1)
    rows = [[45.3, 48.2, 500, 0.1, 1.4, 0.2, -0.1, 0.3], [47, 46.6, 90, 0.0, 0.9, -0.4, 0.2, 1.2]]
    params = torch.tensor(rows, dtype=torch.float64)

    def shapes(at: torch.Tensor) -> Shapes:
        return Shapes(at, quadratic(at)[:, 0], rows_of_table(at[:, 7], table), optics)

    def model(at: torch.Tensor) -> torch.Tensor:
        return at[:, 2, None, None] * render(shapes(at), grid, table) + at[:, 3, None, None]

    images = basis(shapes(params), grid, table)
    images = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    jacobian = torch.einsum("npk,nkyx->npyx", combination(params, quadratic(params)), images)
    for place in range(8):
        step = torch.zeros(8, dtype=torch.float64)
        step[place] = 5e-3
        numeric = (model(params + step) - model(params - step)) / 1e-2
        # A table read by straight lines: its slopes agree to a few parts in a thousand.
        assert (numeric - jacobian[:, place]).abs().max() < 5e-3 * numeric.abs().max()


def test_ignored_pixels_have_no_influence(noisy: np.ndarray) -> None:
    mask = np.zeros(noisy.shape, bool)
    mask[:, 60:75, 10:30] = True
    spoilt, missing = noisy.copy(), noisy.copy()
    spoilt[mask], missing[mask] = 1e4, np.nan
    expected = fit(noisy, mask=mask)
    same(expected, fit(spoilt, mask=mask), rtol=0)
    same(expected, fit(missing), rtol=0)


def test_a_galaxy_does_not_see_the_others(noisy: np.ndarray) -> None:
    together = fit(noisy)
    same(together, fit(noisy, batch_size=2), rtol=1e-5)
    order = np.array([3, 0, 4, 1, 2])
    shuffled = fit(noisy[order], [GRID[k] for k in order])
    back = SersicFit(
        **{f.name: getattr(shuffled, f.name)[np.argsort(order)] for f in fields(SersicFit)}
    )
    same(together, back, rtol=1e-5)
    same(together, fit(noisy), rtol=0)


def test_one_function_for_each_galaxy(noisy: np.ndarray) -> None:
    stacked = np.repeat(PSF[None], len(GRID), axis=0)
    guess = guess_of(GRID)
    found = fit_sersic(noisy, stacked, guess, sigma=np.full(len(GRID), 0.05))
    same(fit(noisy), found, rtol=1e-5)
    drawn = model_images(found, (SIDE, SIDE), stacked)
    np.testing.assert_allclose(drawn, model_images(found, (SIDE, SIDE), PSF), atol=1e-6)


def test_units_do_not_matter(noisy: np.ndarray) -> None:
    expected, guess = fit(noisy), guess_of(GRID, flux=500e-11)
    found = fit_sersic(noisy * np.float32(1e-11), PSF, guess, sigma=np.full(5, 0.05e-11))
    np.testing.assert_allclose(found.index, expected.index, rtol=1e-3)
    np.testing.assert_allclose(found.flux * 1e11, expected.flux, rtol=1e-3)


def test_a_known_gain_tells_chi2_of_the_galaxys_own_noise() -> None:
    rows = [(1.0, 4.0, 0.7, 30.0, 0.0, 0.0)]
    light = galaxy(*rows[0], flux=5000.0)
    noise = np.random.default_rng(0).normal(size=light.shape) * np.sqrt(0.05**2 + light / 20)
    images, sigma = (light + noise).astype(np.float32)[None], np.array([0.05])
    guess = guess_of(rows, flux=5000.0)
    blind = fit_sersic(images, PSF, guess, sigma=sigma)
    told = fit_sersic(images, PSF, guess, sigma=sigma, gain=20.0)
    assert 0.85 < told.chi2[0] < 1.15 < 2 < blind.chi2[0]
    assert told.index[0] == pytest.approx(1.0, rel=0.05)


def test_what_cannot_be_fitted_is_flagged(noisy: np.ndarray) -> None:
    images, masks = np.repeat(noisy[:1], 7, axis=0), np.zeros((7, SIDE, SIDE), bool)
    psfs, sigma = np.repeat(PSF[None], 7, axis=0), np.full(7, 0.05)
    guess = guess_of([GRID[0]] * 7)
    masks[0] = True
    images[1] = np.nan
    images[2] = 0
    psfs[3] = 0
    psfs[4] = np.nan
    sigma[5] = 0
    guess.x[6] = np.nan
    found = fit_sersic(images, psfs, guess, sigma=sigma, mask=masks)
    failed, without = 1 << FIT_FAILED.bit, 1 << NO_PSF.bit
    assert found.flags.tolist() == [failed] * 3 + [without] * 2 + [failed] * 2
    assert np.isnan(found.index).all()
    assert np.isnan(model_images(found, (SIDE, SIDE), psfs)).all()


def test_noise_and_stars_end_flagged_or_within_bounds() -> None:
    rng = np.random.default_rng(5)
    star = MOFFAT.drawImage(nx=SIDE, ny=SIDE, scale=1.0).array * 500
    images = rng.normal(0, 0.05, (4, SIDE, SIDE)).astype(np.float32)
    images[2:] += star
    found = fit(images, [GRID[3]] * 4)
    assert np.isfinite(found.index).all()
    assert np.all((found.index >= 0.3) & (found.index <= 8))
    assert np.all((found.axis_ratio >= 0.05) & (found.axis_ratio <= 1))
    assert np.all(found.radius[2:] < 0.6)


def test_an_index_beyond_the_bound_is_flagged() -> None:
    # Two shells: a ring has no profile of this family, the nearest one is flat.
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    ring = 2 * np.exp(-((np.hypot(x, y) - 14) ** 2) / 8)
    noise = np.random.default_rng(2).normal(0, 0.05, ring.shape)
    found = fit((ring + noise)[None].astype(np.float32), [(1.0, 12.0, 1.0, 0.0, 0.0, 0.0)])
    assert found.flags[0] & (1 << FIT_AT_BOUND.bit)
    assert found.index[0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sigma": np.ones(2)}, "sigma is for 2 galaxies"),
        ({"psf": PSF[:60, :60]}, "p odd"),
        ({"mask": np.zeros((5, 3, 3), bool)}, "mask"),
    ],
)
def test_shapes_that_do_not_belong_together(
    noisy: np.ndarray, change: dict[str, np.ndarray], words: str
) -> None:
    given = {"psf": PSF, "sigma": np.full(5, 0.05), "mask": None} | change
    with pytest.raises(UsageError, match=words):
        fit_sersic(noisy, given["psf"], guess_of(GRID), sigma=given["sigma"], mask=given["mask"])


@pytest.mark.parametrize("grow", [0.0, 1.0, 4.5, 10.0])
def test_neighbours_grow_by_their_distance(grow: float) -> None:
    segments = np.zeros((70, 61), int)
    segments[5:9, 40:50], segments[30:40, 28:36], segments[50:, :4], segments[60, 60] = 2, 1, 3, 4
    found = neighbour_mask(segments, 1, grow=grow, core=2.0)
    away = ndimage.distance_transform_edt((segments == 0) | (segments == 1))
    y, x = np.mgrid[:70, :61]
    kept = (segments == 1) & (np.hypot(x - 31.5, y - 34.5) <= 2 * np.sqrt(80 / np.pi))
    np.testing.assert_array_equal(found, (away <= grow) & ~kept)


def test_neighbours_enter_the_central_segment_but_not_its_core() -> None:
    segments = np.zeros((50, 50), int)
    segments[15:35, 15:30], segments[15:35, 30:40] = 1, 2
    found = neighbour_mask(segments, 1, grow=6.0, core=0.5)
    assert found[25, 29]
    assert not found[25, 22]
    moved = neighbour_mask(segments, 1, grow=6.0, core=0.5, center=(28.0, 25.0))
    assert not moved[25, 28]
    assert not neighbour_mask(segments * (segments == 1), 1).any()


def test_the_module_loads_without_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, galaxyds.morphology\n"
        "from galaxyds.errors import MissingExtraError\n"
        "from galaxyds.morphology.sersic import SersicGuess, fit_sersic\n"
        "one = np.ones(1); guess = SersicGuess(x=one, y=one, flux=one, radius=one,"
        " axis_ratio=one, theta=one)\n"
        "try:\n    fit_sersic(np.ones((1, 9, 9)), np.ones((3, 3)), guess, sigma=one)\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'galaxyds[torch]'" in done.stdout


@pytest.mark.parametrize("name", ["G265911", "G266033"])
def test_two_surveys_see_one_galaxy(survey_data: Path, name: str) -> None:
    sizes = []
    # Arcsec per pixel, which the headers lack: Robotham et al. 2017, MNRAS 466, 1513.
    for survey, scale in (("KiDS", 0.2), ("SDSS", 0.339)):
        start = str(survey_data / "galaxy_cutouts_profit" / f"{survey}-{name}")
        image, psf, segments, sigma = (
            np.array(fits.getdata(f"{start}{kind}.fits"))
            for kind in ("fitim", "psfim", "segim", "sigma")
        )
        height, width = image.shape
        mine = segments[height // 2, width // 2]
        y, x = np.nonzero(segments == mine)
        light = image[y, x].astype(np.float64)
        guess = SersicGuess(
            x=np.array([np.sum(x * light) / light.sum()]),
            y=np.array([np.sum(y * light) / light.sum()]),
            flux=np.array([light.sum()]),
            radius=np.array([np.sqrt(len(x) / np.pi) / 3]),
            axis_ratio=np.array([0.6]),
            theta=np.array([45.0]),
        )
        noise = np.array([np.quantile(sigma, 0.1)], float)
        hidden = neighbour_mask(segments.astype(int), int(mine))
        found = fit_sersic(
            image[None].astype(np.float32), psf, guess, sigma=noise, mask=hidden[None]
        )
        assert found.flags[0] == 0
        sizes.append((found.radius[0] * scale, found.axis_ratio[0]))
    assert sizes[0][0] == pytest.approx(sizes[1][0], rel=0.2)
    assert sizes[0][1] == pytest.approx(sizes[1][1], abs=0.15)


def test_five_real_bands_leave_noise(survey_data: Path) -> None:
    scene = np.load(survey_data / "hsc" / "hsc_cosmos.npz", allow_pickle=True)
    images, psfs = scene["images"].astype(np.float32), scene["psfs"].astype(np.float32)
    sigma = 1.4826 * np.median(np.abs(images - np.median(images, (1, 2), keepdims=True)), (1, 2))
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    brightest = np.unravel_index(np.argmax(images[2]), images[2].shape)
    far = np.hypot(x - brightest[1], y - brightest[0]) > 10
    many = np.ones(5)
    guess = SersicGuess(
        x=many * brightest[1], y=many * brightest[0], flux=images[:, ~far].sum(1), radius=many * 3,
        axis_ratio=many * 0.9, theta=many * 0,
    )  # fmt: skip
    found = fit_sersic(images, psfs, guess, sigma=sigma, mask=np.repeat(far[None], 5, axis=0))
    left = images - model_images(found, images.shape[1:], psfs)
    assert np.all(np.hypot(found.x - brightest[1], found.y - brightest[0]) < 1.0)
    # What the model leaves is noise, not galaxy: in r to y 98 % of the squared light is gone.
    before = (images - found.sky[:, None, None])[:, ~far]
    assert np.all((left[:, ~far] ** 2).sum(1)[1:] < 0.02 * (before**2).sum(1)[1:])
