"""Cutouts of synthetic fields with a known answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.nddata import Cutout2D

from galaxyds.errors import UsageError
from galaxyds.pixels import (
    EDGE,
    FLAGS,
    MISSING_BAND,
    NEIGHBOUR,
    Frame,
    cut_field,
    mask,
    needs_neighbours,
)
from tests.pixels.fields import frame, gaussian, sky, tan, waves

BANDS = "gr"


def pair(brightness, shift=(4.37, -7.81), **turn) -> dict[str, Frame]:
    """r on the plain grid, g displaced from it."""
    return {"r": frame("r", tan(), brightness), "g": frame("g", tan(shift, **turn), brightness)}


def cut(frames, ra, dec, *, size=64, align="r", bands=BANDS, **more):
    return cut_field(frames, ra, dec, bands=bands, size=size, align=align, **more)


@pytest.mark.parametrize("size", [64, 127, 1, 2])
@pytest.mark.parametrize("align", ["r", "none"])
def test_the_reference_band_is_cropped_as_cutout2d_crops(size, align):
    frames = pair(waves)
    rng = np.random.default_rng(5)
    u, v = rng.uniform(68, 125, 40), rng.uniform(78, 165, 40)
    got = cut(frames, *sky(u, v), size=size, align=align)
    for k in range(40):
        theirs = Cutout2D(frames["r"].pixels, (u[k], v[k]), size)
        np.testing.assert_array_equal(got.image[k, 1], theirs.data)
        place = theirs.to_cutout_position((u[k], v[k]))
        np.testing.assert_allclose((got.x[k], got.y[k]), place, atol=1e-5)
    assert np.abs(np.stack([got.x, got.y]) - (size - 1) / 2).max() <= 0.5 + 1e-5
    assert got.image.dtype == np.float32
    assert got.flags.dtype == np.int32
    assert not got.flags.any()


def test_half_pixels_round_one_way():
    """With an even size the object lies in (31, 32]."""
    got = cut(pair(waves), *sky([99.999, 100.001], [100.25, 100.5]))
    np.testing.assert_allclose(got.x, [31.999, 31.001], atol=1e-5)
    np.testing.assert_allclose(got.y, [31.25, 31.5], atol=1e-5)


@pytest.mark.parametrize(
    "turn",
    [{}, {"scale": 1.0004}, {"angle": 2e-4}, {"angle": 0.3}, {"scale": 1.2}, {"angle": 1.9}],
    ids=str,
)
def test_a_source_keeps_its_place_and_its_flux(turn):
    source = gaussian(97.3, 118.6, sigma=2.2)
    frames = pair(source, **turn)
    got = cut(frames, *sky(97.3, 118.6), size=48)
    red, green = got.image[0, 1].astype(float), got.image[0, 0].astype(float)
    row, column = np.indices(red.shape)
    for image in (red, green):
        assert image.sum() == pytest.approx(100.0, rel=2e-3)
        centre = (image * column).sum() / image.sum(), (image * row).sum() / image.sum()
        # The first moment of Lanczos-3 is not zero: up to 0.02 px.
        assert centre == pytest.approx((got.x[0], got.y[0]), abs=0.025)
    np.testing.assert_allclose(green, red, atol=0.005 * red.max())


def test_a_displaced_pattern_lands_on_the_reference_grid():
    """Everywhere in the field, not only at its centre."""
    frames = pair(waves, scale=1.0004, angle=1.5e-4)
    u, v = (a.ravel() for a in np.meshgrid([60.0, 100.4, 140.9], [60.2, 121.0, 180.7]))
    got = cut(frames, *sky(u, v))
    np.testing.assert_allclose(got.image[:, 0], got.image[:, 1], atol=6e-3)


def test_whole_shifts_copy_pixels_in_every_band():
    noise = np.random.default_rng(1).normal(size=(240, 200)).astype(np.float32)
    frames = {
        "r": Frame(band="r", pixels=noise, wcs=tan()),
        "g": Frame(band="g", pixels=noise[3:, 5:].copy(), wcs=tan((-5, -3))),
    }
    got = cut(frames, *sky(100.2, 120.3))
    np.testing.assert_array_equal(got.image[0, 0], got.image[0, 1])


def test_without_alignment_every_band_is_cropped_by_its_own_position():
    frames = pair(waves)
    u, v = 100.2, 120.3
    got = cut(frames, *sky(u, v), align="none")
    theirs = Cutout2D(frames["g"].pixels, (u + 4.37, v - 7.81), 64)
    np.testing.assert_array_equal(got.image[0, 0], theirs.data)
    assert got.x[0] == pytest.approx(100.2 - np.ceil(100.2 - 32), abs=1e-4)


def test_the_first_axis_is_rows():
    pixels = np.zeros((240, 200), np.float32)
    pixels[150, 50] = 1.0  # row 150, column 50
    frames = {"r": Frame(band="r", pixels=pixels, wcs=tan())}
    got = cut(frames, *sky(50.0, 150.0), bands="r", size=9)
    assert got.image[0, 0, round(float(got.y[0])), round(float(got.x[0]))] == 1.0


def test_pixels_beyond_the_frame_are_nan_and_flagged():
    frames = {"r": frame("r", tan(), waves)}
    for u, v in [(100.2, 5.3), (100.7, 235.1), (5.4, 120.1), (195.2, 120.3), (2.2, 3.3)]:
        got = cut(frames, *sky(u, v), bands="r")
        theirs = Cutout2D(
            frames["r"].pixels, (u, v), 64, mode="partial", fill_value=np.float32(np.nan)
        )
        np.testing.assert_array_equal(got.image[0, 0], theirs.data)
        assert got.flags[0] == mask(EDGE)
        assert np.isnan(got.image).any()


def test_a_band_that_ends_earlier_is_nan_there_and_right_elsewhere():
    frames = pair(waves, shift=(4.37, -31.6))
    got = cut(frames, *sky(100.2, 40.3))
    assert got.flags[0] == mask(EDGE)
    assert not np.isnan(got.image[0, 1]).any()
    hole = np.isnan(got.image[0, 0])
    # The cutout begins on r row 9, that is g row 9 - 31.6; the kernel needs rows floor - 2 and up.
    first = next(i for i in range(64) if np.floor(9 + i - 31.6) - 2 >= 0)
    assert hole[:first].all()
    assert not hole[first:].any()
    np.testing.assert_allclose(got.image[0, 0, first:], got.image[0, 1, first:], atol=6e-3)


def test_a_kernel_that_just_fits_is_no_edge():
    frames = pair(waves, shift=(0.5, 0.5))
    got = cut(frames, *sky(100.2, 33.6))  # r rows 2..65, g rows 0..68 under the kernel
    assert got.flags[0] == 0
    got = cut(frames, *sky(100.2, 32.6))
    assert got.flags[0] == mask(EDGE)


def test_a_hole_in_the_frame_is_nan_but_no_edge():
    frames = pair(waves)
    frames["g"].pixels[112, 104] = np.nan
    frames["r"].pixels[121, 100] = np.nan
    got = cut(frames, *sky(100.0, 120.0))
    assert got.flags[0] == 0
    assert np.isnan(got.image[0, 1]).sum() == 1
    assert np.isnan(got.image[0, 0]).sum() == 36


@pytest.mark.parametrize(
    "position", [(-1.0, 100.0), (100.0, 400.0), (100.0, -0.7), (1e5, 1e5), (199.6, 9)]
)
def test_an_object_off_the_frame_is_all_nan(position):
    got = cut(pair(waves), *sky(*position))
    assert np.isnan(got.image).all()
    assert got.flags[0] == mask(EDGE)


@pytest.mark.parametrize(("ra", "dec"), [(156.66, 0.93), (np.nan, 1.0), (0.0, 90.0)])
def test_a_position_on_the_far_side_or_unknown_is_all_nan(ra, dec):
    near = sky(100.0, 120.0)
    got = cut(pair(waves), np.array([ra, *near[0]]), np.array([dec, *near[1]]))
    assert np.isnan(got.image[0]).all()
    assert got.flags.tolist() == [mask(EDGE), 0]
    assert np.isfinite(got.image[1]).all()


def test_an_absent_band_is_nan_and_flagged():
    frames = {"r": frame("r", tan(), waves)}
    got = cut(frames, *sky([100.0, 100.0], [120.0, 4.0]), bands="urz")
    assert np.isnan(got.image[:, [0, 2]]).all()
    assert np.isfinite(got.image[0, 1]).all()
    assert got.flags.tolist() == [mask(MISSING_BAND), mask(MISSING_BAND, EDGE)]


def scan(band: str, shift=(0.0, 0.0), start: int = 0, rows: int = 240) -> Frame:
    """Rows ``start`` ... of one long scan, as a field with its own astrometry."""
    whole = frame(band, tan(shift), waves, shape=(700, 200))
    wcs = tan((shift[0], shift[1] - start))
    return Frame(band=band, pixels=whole.pixels[start : start + rows].copy(), wcs=wcs)


SHIFTS = {"r": (0.0, 0.0), "g": (4.37, -7.81)}
LONG = {band: scan(band, shift, 0, 700) for band, shift in SHIFTS.items()}
FIELD = {band: scan(band, shift, 200) for band, shift in SHIFTS.items()}
BEFORE = {band: scan(band, shift, 20) for band, shift in SHIFTS.items()}
AFTER = {band: scan(band, shift, 410) for band, shift in SHIFTS.items()}


@pytest.mark.parametrize("align", ["r", "none"])
def test_neighbours_complete_rows_as_if_the_scan_had_never_been_divided(align):
    u, v = np.array([100.0, 101.3, 99.7, 60.0]), np.array([201.0, 438.0, 320.0, 225.4])
    expected = cut(LONG, *sky(u, v), align=align)
    got = cut(FIELD, *sky(u, v), align=align, neighbours=(BEFORE, AFTER))
    np.testing.assert_allclose(got.image, expected.image, atol=1e-5)
    np.testing.assert_array_equal(got.image[:, 1], expected.image[:, 1])
    assert got.flags.tolist() == [mask(NEIGHBOUR), mask(NEIGHBOUR), 0, mask(NEIGHBOUR)]
    alone = cut(FIELD, *sky(u, v), align=align)
    assert alone.flags.tolist() == [mask(EDGE), mask(EDGE), 0, mask(EDGE)]
    filled = ~np.isnan(alone.image)
    np.testing.assert_allclose(got.image[filled], alone.image[filled], atol=1e-5)


def test_a_neighbour_on_one_side_leaves_the_other_side_empty():
    got = cut(FIELD, *sky(100.0, 438.0), neighbours=(BEFORE,))
    assert got.flags[0] == mask(EDGE)


def test_columns_are_never_completed():
    got = cut(FIELD, *sky(5.2, 205.3), neighbours=(BEFORE,))
    assert got.flags[0] == mask(EDGE, NEIGHBOUR)
    assert np.isnan(got.image[0, 1, :, :26]).all()
    assert np.isfinite(got.image[0, 1, :, 26:]).all()


def moved(other: dict[str, Frame], columns: float = 0.0, rows: float = 0.0) -> dict[str, Frame]:
    wcs = {band: f.wcs.deepcopy() for band, f in other.items()}
    for system in wcs.values():
        system.wcs.crpix = np.add(system.wcs.crpix, [columns, rows])
        system.wcs.set()
    return {band: replace(f, wcs=wcs[band]) for band, f in other.items()}


@pytest.mark.parametrize("by", [{"columns": 1.0}, {"rows": 0.4}, {"columns": 0.3}, {"rows": 1e4}])
def test_a_neighbour_that_does_not_join_is_not_used(by):
    got = cut(FIELD, *sky(100.0, 205.0), neighbours=(moved(BEFORE, **by),))
    assert got.flags[0] == mask(EDGE)
    assert np.isnan(got.image[0, 1, :20]).all()


def test_a_neighbour_within_the_tolerance_is_placed_by_whole_rows():
    position = sky(100.0, 205.0)
    got = cut(FIELD, *position, neighbours=(moved(BEFORE, rows=0.1),))
    np.testing.assert_array_equal(got.image[0, 1], cut(LONG, *position).image[0, 1])
    narrow = {band: replace(f, pixels=f.pixels[:, :150].copy()) for band, f in BEFORE.items()}
    assert cut(FIELD, *position, neighbours=(narrow,)).flags[0] == mask(EDGE)


def test_an_object_does_not_depend_on_its_company():
    rng = np.random.default_rng(9)
    position = sky(rng.uniform(0, 200, 60), rng.uniform(200, 440, 60))
    together = cut(FIELD, *position, neighbours=(BEFORE, AFTER))
    order = rng.permutation(60)
    other = cut(FIELD, position[0][order], position[1][order], neighbours=(BEFORE, AFTER))
    assert other.image.tobytes() == together.image[order].tobytes()
    for k in (0, 17, 59):
        one = cut(FIELD, position[0][[k]], position[1][[k]], neighbours=(BEFORE, AFTER))
        assert one.image.tobytes() == together.image[k].tobytes()
        assert one.flags[0] == together.flags[k]


def test_frames_are_not_changed_and_cutouts_are_copies():
    frames = pair(waves)
    before = {band: f.pixels.copy() for band, f in frames.items()}
    got = cut(frames, *sky([100.0, 3.0], [120.0, 3.0]))
    got.image[:] = -1
    for band in BANDS:
        np.testing.assert_array_equal(frames[band].pixels, before[band])


def test_no_objects_give_no_cutouts():
    got = cut(pair(waves), np.zeros(0), np.zeros(0))
    assert got.image.shape == (0, 2, 64, 64)
    assert got.x.shape == got.y.shape == got.flags.shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [{"align": "g"}, {"align": "R"}, {"reference": "z", "align": "z"}, {"size": 0}],
    ids=str,
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(UsageError):
        cut(pair(waves), *sky(100.0, 120.0), **wrong)


def test_positions_of_unequal_length_are_refused():
    with pytest.raises(UsageError):
        cut(pair(waves), np.zeros(3), np.zeros(4))


def test_objects_that_need_neighbours_are_all_found():
    """Whatever is completed or left empty at the ends was announced by its row."""
    v = np.arange(200.0, 440.0, 1.0)
    got = cut(FIELD, *sky(np.full(len(v), 100.0), v), neighbours=(BEFORE, AFTER))
    announced = needs_neighbours(v - 200, 64, rows=240)
    assert not (got.flags.astype(bool) & ~announced).any()
    assert not announced[60:-60].any()
    assert needs_neighbours(np.array([np.nan]), 64, rows=240).all()


def test_every_flag_has_its_own_bit():
    assert len({flag.bit for flag in FLAGS}) == len(FLAGS)
    assert mask(EDGE) == 1
    assert mask(NEIGHBOUR) == 2
    assert mask(EDGE, NEIGHBOUR, MISSING_BAND) == 7
