"""Stacking against closed forms and numpy, one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.errors import UsageError
from galaxyds.pixels import COMBINE, Frame, stack, stack_frames
from galaxyds.pixels.regrid import regrid
from tests.pixels.fields import SCALE, frame, gaussian, sky, tan, waves

ARCSEC = SCALE * 3600
CENTRE = (100.3, 120.7)
ANGLES = (0.0, 0.5, 1.3, 2.2, -0.7)


def noisy(brightness, *, count=5, noise=1.0, seed=0, shape=(240, 200)) -> list[Frame]:
    """Frames of one sky at several angles, each with its own noise."""
    rng = np.random.default_rng(seed)
    frames = [frame("r", tan(angle=angle), brightness, shape) for angle in ANGLES[:count]]
    for k, one in enumerate(frames):
        one.pixels[:] += rng.normal(scale=noise * (1 + 0.3 * k), size=shape)
    return frames


def stacked(frames, at=CENTRE, **more):
    return stack_frames(frames, *sky(*at), **({"size": 48, "scale": ARCSEC} | more))


def layers_of(frames, at=CENTRE, size=48) -> np.ndarray:
    ra, dec = sky(*at)
    return np.stack([regrid(one, ra, dec, size=size, scale=ARCSEC)[0] for one in frames])


def by_the_book(values: np.ndarray, sigma: np.ndarray) -> float:
    """The clipped mean of one pixel, as its definition says."""
    there = np.isfinite(values)
    values, sigma = values[there].astype(float), sigma[there].astype(float)
    if not len(values):
        return np.nan
    middle = np.median(values)
    keep = np.abs(values - middle) <= 4 * sigma + 0.3 * abs(middle)
    if len(values) == 2 or not keep.any():
        keep[:] = True
    return float(np.average(values[keep], weights=sigma[keep] ** -2.0))


@pytest.mark.parametrize("combine", COMBINE)
def test_a_source_keeps_flux_and_place_through_rotated_frames(combine):
    got = stacked(noisy(gaussian(*CENTRE, sigma=2.5, flux=5000.0), noise=0.3), combine=combine)
    image = got.image[0].astype(float)
    row, column = np.indices(image.shape)
    near = np.hypot(row - 23.5, column - 23.5) < 12
    assert image[near].sum() == pytest.approx(5000.0, rel=3e-3)
    centre = [(image * a)[near].sum() / image[near].sum() for a in (row, column)]
    assert centre == pytest.approx([23.5, 23.5], abs=0.02)
    assert got.image.dtype == np.float32
    assert got.depth.dtype == np.int16
    assert got.depth.tolist() == [5]
    assert got.complete.tolist() == [True]


def test_mean_and_median_are_numpys():
    frames = noisy(waves)
    frames[1].pixels[118:124, 97:104] = np.nan
    layers = layers_of(frames)
    assert np.isnan(layers).any()
    for combine, theirs in (("mean", np.nanmean), ("median", np.nanmedian)):
        got = stacked(frames, combine=combine).image[0]
        np.testing.assert_allclose(got, theirs(layers, axis=0), rtol=2e-6)


def test_weights_are_inverse_variances_unless_given():
    frames = noisy(waves)
    sigma = np.array([stack.noise(one) for one in frames])
    for weights in (None, [1.0, 5.0, 2.0, 0.1, 3.0], [1e30, 5e30, 2e30, 1e29, 3e30]):
        expected = np.average(
            layers_of(frames), axis=0, weights=sigma**-2.0 if weights is None else weights
        )
        got = stacked(frames, combine="weighted", weights=weights).image[0]
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_clipping_follows_its_definition(count):
    rng = np.random.default_rng(count)
    layers = rng.normal(scale=2.0, size=(count, 3, 12, 12)).astype(np.float32)
    layers[rng.random(layers.shape) < 0.15] += 60
    layers[rng.random(layers.shape) < 0.15] -= 35
    layers[rng.random(layers.shape) < 0.25] = np.nan
    layers += np.linspace(-80, 80, 12, dtype=np.float32)
    sigma = rng.uniform(1, 3, (count, 3)).astype(np.float32)
    got = stack.combined(layers, "clipped", sigma=sigma)
    for k, i, j in np.ndindex(got.shape):
        expected = by_the_book(layers[:, k, i, j], sigma[:, k])
        assert got[k, i, j] == pytest.approx(expected, rel=1e-5, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("count", range(1, 18))
def test_medians_of_any_number(count):
    values = np.random.default_rng(count).normal(size=(count, 2, 7, 7)).astype(np.float32)
    np.testing.assert_allclose(stack.combined(values, "median"), np.median(values, 0), rtol=1e-6)


@pytest.mark.parametrize("count", [3, 5])
def test_cosmic_rays_disappear(count):
    """Of 900."""
    source = gaussian(*CENTRE, sigma=2.5, flux=2000.0)
    frames = noisy(source, count=count, noise=0.3)
    clean = stacked(frames).image[0]
    for k, (row, column) in enumerate([(125, 92), (131, 110)]):
        frames[k].pixels[row, column - 3 : column + 4] += 900.0
    hit = stacked(frames).image[0]
    assert np.abs(stacked(frames, combine="mean").image[0] - clean).max() > 100
    assert np.abs(hit - clean).max() < 3.0
    assert hit.sum() == pytest.approx(clean.sum(), rel=0.02)


@pytest.mark.parametrize("seeing", [(1.0, 1.5), (1.1, 1.8), (1.0, 1.0, 1.8, 1.8)])
def test_two_seeings_keep_the_flux_of_a_bright_compact_galaxy(seeing):
    """400 nMgy of FWHM 1.5 arcsec; neither of two departing values is better than the other."""
    rng = np.random.default_rng(0)
    frames = []
    for width, angle in zip(seeing, ANGLES, strict=False):
        sigma = np.hypot(1.5, width) / 2.3548 / ARCSEC
        one = frame("r", tan(angle=angle), gaussian(*CENTRE, sigma=sigma, flux=400.0))
        one.pixels[:] += rng.normal(scale=0.025, size=one.pixels.shape)
        frames.append(one)
    near = np.hypot(*(np.indices((48, 48)) - 23.5)) * ARCSEC < 6
    got, mean = (stacked(frames, combine=how).image[0][near].sum() for how in ("clipped", "mean"))
    assert got == pytest.approx(mean, rel=0.005)
    assert got == pytest.approx(400.0, rel=0.01)


@pytest.mark.parametrize("how", ["constant", "mostly NaN", "quantised"])
def test_a_frame_of_unknown_noise_weighs_as_the_noisiest(how):
    frames = noisy(waves, count=4, noise=0.3)
    rng = np.random.default_rng(2)
    pixels = frames[3].pixels
    if how == "constant":
        pixels[:] = 7.0
    elif how == "quantised":
        pixels[:] = np.round(rng.normal(scale=0.2, size=pixels.shape))
    else:
        wcs = tan(angle=ANGLES[3])  # the object between the cells in which noise is measured
        x, y = (round(float(p[0])) for p in wcs.wcs_world2pix(*sky(*CENTRE), 0))
        wcs.wcs.crpix += [840 - x, 840 - y]
        wcs.wcs.set()
        pixels = np.full((1600, 1600), np.nan, np.float32)
        pixels[790:890, 790:890] = rng.normal(scale=0.3, size=(100, 100))
        frames[3] = Frame(band="r", pixels=pixels, wcs=wcs)
    known = np.array([stack.noise(one) for one in frames[:3]])
    assert np.isnan(stack.noise(frames[3]))
    weights = np.array([*known, known.max()]) ** -2.0
    got = stacked(frames, combine="weighted").image[0]
    expected = np.average(layers_of(frames), axis=0, weights=weights)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_peaks_survive_a_change_of_seeing():
    """A star far above the noise, through frames that differ by 20 % in its peak."""
    sharpness = [2.2, 2.3, 2.4]
    frames = [
        frame("r", tan(angle=angle), gaussian(*CENTRE, sigma=sigma, flux=1e6))
        for angle, sigma in zip(ANGLES, sharpness, strict=False)
    ]
    rng = np.random.default_rng(1)
    for one in frames:
        one.pixels[:] += rng.normal(size=one.pixels.shape)
    got, mean = stacked(frames).image[0], stacked(frames, combine="mean").image[0]
    assert got[20:28, 20:28].sum() == pytest.approx(mean[20:28, 20:28].sum(), rel=3e-3)


def test_one_frame_is_that_frame_regridded():
    only = noisy(waves, count=1)
    only[0].pixels[118, 97] = np.nan
    for combine in COMBINE:
        np.testing.assert_array_equal(stacked(only, combine=combine).image, layers_of(only)[:1])


def test_nan_only_where_no_frame_has_data():
    """Two frames that share a strip; an object in it, one at either side, one outside."""
    rows = {"left": slice(0, 100), "right": slice(60, 200)}
    whole = frame("r", tan(), waves)
    frames = []
    for part in rows.values():
        pixels = whole.pixels.copy()
        pixels[:, : part.start] = np.nan
        pixels[:, part.stop :] = np.nan
        frames.append(Frame(band="r", pixels=pixels, wcs=tan()))
    cut = Frame(band="r", pixels=whole.pixels[:, :100].copy(), wcs=tan())
    got = stack_frames(
        [*frames, cut], *sky([80.2, 30.1, 150.6, -60.0], [120.0] * 4), size=32, scale=ARCSEC
    )
    assert got.depth.tolist() == [3, 3, 2, 0]
    assert got.complete.tolist() == [True, True, True, False]
    assert np.isnan(got.image[3]).all()
    alone = regrid(whole, *sky([80.2, 30.1, 150.6], [120.0] * 3), size=32, scale=ARCSEC)
    np.testing.assert_allclose(got.image[:3], alone, rtol=1e-5)


@pytest.mark.parametrize("combine", COMBINE)
def test_an_object_does_not_depend_on_its_company_nor_on_frames_elsewhere(combine):
    frames = noisy(waves, noise=0.2)
    frames[2].pixels[100:130, 90:95] = np.nan
    rng = np.random.default_rng(5)
    ra, dec = sky(rng.uniform(-40, 240, 40), rng.uniform(-40, 280, 40))
    how = {"size": 24, "scale": ARCSEC, "combine": combine}
    together = stack_frames(frames, ra, dec, **how)
    order = rng.permutation(40)
    shuffled = stack_frames(frames, ra[order], dec[order], **how)
    assert shuffled.image.tobytes() == together.image[order].tobytes()
    wide = noisy(waves, noise=1e-3)[0]
    away = Frame(band="r", pixels=wide.pixels, wcs=tan((3000, 3000)))
    more = stack_frames([away, *frames[:3], away, *frames[3:]], ra, dec, **how)
    assert more.image.tobytes() == together.image.tobytes()
    np.testing.assert_array_equal(more.depth, together.depth)
    for k in range(0, 40, 5):
        alone = stack_frames(frames, ra[[k]], dec[[k]], **how)
        assert alone.image.tobytes() == together.image[k].tobytes()
        assert alone.depth[0] == together.depth[k]


@pytest.mark.parametrize("gradient", [0.0, 0.05])
def test_noise_is_the_width_of_the_background(gradient):
    rng = np.random.default_rng(3)
    pixels = rng.normal(scale=2.5, size=(1489, 2048)).astype(np.float32)
    pixels += gradient * np.arange(2048, dtype=np.float32)
    for row, column in rng.integers(20, 1400, (400, 2)):
        pixels[row - 4 : row + 4, column - 4 : column + 4] += 300
    pixels[:, :300] = np.nan
    pixels[:200] = 0
    assert stack.noise(Frame(band="r", pixels=pixels, wcs=tan())) == pytest.approx(2.5, rel=0.06)


def test_frames_without_noise_are_stacked_too():
    flat = [
        Frame(band="r", pixels=np.full((240, 200), value, np.float32), wcs=tan(angle=angle))
        for value, angle in ((5.0, 0.0), (5.0, 0.3), (np.nan, 0.1))
    ]
    for combine in COMBINE:
        np.testing.assert_allclose(stacked(flat, combine=combine).image, 5.0, rtol=1e-5)


def test_no_frames_and_no_objects():
    nothing = stacked([])
    assert np.isnan(nothing.image).all()
    assert nothing.depth.tolist() == [0]
    empty = stack_frames(noisy(waves), np.zeros(0), np.zeros(0), size=8, scale=1.0)
    assert empty.image.shape == (0, 8, 8)
    assert empty.depth.shape == empty.complete.shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"combine": "sum"},
        {"kernel": "cubic"},
        {"size": 0},
        {"combine": "mean", "weights": [1.0, 1.0]},
        {"weights": [1.0]},
        {"weights": [1.0, 0.0]},
        {"weights": [1.0, np.nan]},
    ],
    ids=str,
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(UsageError):
        stacked(noisy(waves, count=2), **wrong)


def test_clipping_without_noise_is_refused():
    with pytest.raises(UsageError, match="sigma"):
        stack.combined(np.zeros((2, 1, 4, 4), np.float32), "clipped")
