"""Padding to one size, by the authors' rule as numpy.pad does it."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.pixels import PADDING_FLAGS, centred, middle, pad
from galaxyds.pixels.flags import CROPPED, GRIDS_DIFFER, NAN_PIXELS, TRIMMED, mask

BANDS = ("g", "r", "i")


def cutouts(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    return {band: rng.normal(size=(rows, columns)).astype(np.float32) for band in BANDS}


def padded(pixels, *, x=59.5, y=60.25, size=127, position=None):
    where = position or dict.fromkeys(pixels, (x, y))
    return pad(pixels, where, bands=BANDS, reference="i", size=size)


@pytest.mark.parametrize(("rows", "columns"), [(120, 120), (121, 120), (120, 121), (127, 126)])
def test_zeros_go_where_numpy_pad_puts_them(rows, columns):
    pixels = cutouts(rows, columns)
    result = padded(pixels)
    low = [(127 - n) // 2 for n in (rows, columns)]
    widths = [(first, 127 - n - first) for first, n in zip(low, (rows, columns), strict=True)]
    expected = np.stack([np.pad(pixels[band], widths) for band in BANDS])
    assert result.image.dtype == np.float32
    assert np.array_equal(result.image, expected)
    assert (result.row, result.column) == tuple(low)
    assert (result.rows, result.columns) == (rows, columns)
    assert result.flags == 0


@pytest.mark.parametrize("shape", [(120, 121), (131, 130), (12, 200)])
def test_the_object_keeps_its_pixel(shape):
    pixels = {band: np.zeros(shape, np.float32) for band in BANDS}
    y, x = shape[0] // 2, shape[1] // 2
    for image in pixels.values():
        image[y, x] = 7
    result = padded(pixels, x=x, y=y)
    assert result.image[2, round(result.y), round(result.x)] == 7
    assert bool(result.flags & mask(CROPPED)) == (max(shape) > 127)


def test_bands_that_differ_and_pixels_that_are_nan_are_flagged():
    pixels = cutouts(120, 120)
    pixels["g"] = cutouts(121, 120)["g"]
    assert padded(pixels).flags == mask(GRIDS_DIFFER)
    pixels = cutouts(120, 120)
    moved = {"g": (59.5, 60.25), "r": (59.5, 60.45), "i": (59.5, 60.25)}
    assert padded(pixels, position=moved).flags == mask(GRIDS_DIFFER)
    pixels["r"][3, 4] = np.nan
    assert padded(pixels).flags == mask(NAN_PIXELS)
    assert pad(
        cutouts(118, 120), dict.fromkeys(BANDS, (9.0, 9.0)), bands=BANDS, reference="i", size=127,
        expected=119.05,
    ).flags == mask(TRIMMED)  # fmt: skip
    assert len({flag.bit for flag in PADDING_FLAGS}) == len(PADDING_FLAGS)


def test_the_smaller_image_is_rows_and_columns_31_to_94():
    image = np.arange(127 * 127, dtype=np.float32).reshape(1, 127, 127)
    assert np.array_equal(middle(image, 64), image[:, 31:95, 31:95])
    assert middle(image, 127).shape == (1, 127, 127)


@pytest.mark.parametrize(("have", "want"), [(43, 41), (33, 41), (41, 41)])
def test_a_centred_image_keeps_its_middle_pixel(have, want):
    image = np.random.default_rng(1).random((have, have)).astype(np.float32)
    result = centred(image, want)
    assert result.shape == (want, want)
    assert result[want // 2, want // 2] == image[have // 2, have // 2]
    if have <= want:
        assert result.sum() == pytest.approx(image.sum(), rel=1e-6)
