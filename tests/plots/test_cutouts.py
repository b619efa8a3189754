"""Pictures: the object in the middle decides what is bright."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.plots import Ellipses, color_composite, contact_sheet, limits

SIZE = 60
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]


def scene(*, target=30.0, neighbour=0.0, sigma=1.0, seed=0):
    """Three bands with an object in the middle, perhaps a neighbour in the corner, and noise."""
    rng = np.random.default_rng(seed)

    def blob(row, column):
        return np.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / (2 * 3.0**2))

    clean = target * blob(SIZE // 2, SIZE // 2) + neighbour * blob(6, 6)
    return (clean + rng.normal(0, sigma, (3, SIZE, SIZE))).astype("f4")


def test_a_bright_neighbour_does_not_darken_the_object():
    alone, beside = (color_composite(*scene(neighbour=flux)) for flux in (0.0, 1e5))
    middle = np.s_[SIZE // 2 - 1 : SIZE // 2 + 2, SIZE // 2 - 1 : SIZE // 2 + 2]
    assert beside[middle].mean() > 0.6
    np.testing.assert_allclose(beside[middle], alone[middle], atol=0.08)
    assert beside[6, 6].min() > 0.9  # saturated, not wrapped
    low, high = limits(scene(neighbour=1e5)[0])
    assert low < 0 < high < 40


def test_noise_is_dark_and_nearly_grey():
    """Pixels that only one band lifts are not painted in its colour."""
    picture = color_composite(*scene(target=0.0))
    assert np.quantile(picture, 0.99) < 0.25
    spread = picture.max(axis=-1) - picture.min(axis=-1)
    assert np.quantile(spread, 0.99) < 0.15
    red = scene(target=0.0)
    red[0] += scene(target=60.0, sigma=0.0)[0]
    hue = color_composite(*red)[SIZE // 2, SIZE // 2]
    assert hue[0] > 0.5 > 3 * hue[1:].max()


@pytest.mark.parametrize("missing", ["middle", "all", "corner"])
def test_pixels_that_are_missing_are_grey(missing):
    bands = scene()
    place = {"middle": np.s_[20:40, 20:40], "all": np.s_[:, :], "corner": np.s_[:5, :5]}[missing]
    bands[1][place] = np.nan
    picture = color_composite(*bands)
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1
    np.testing.assert_array_equal(picture[place], 0.5)
    low, high = limits(bands[1])
    assert low < high
    if missing == "all":
        assert (low, high) == (0.0, 1.0)


def test_ellipses_of_other_objects_are_dashed():
    one = np.full((2, 3), 20.0)
    x = one.copy()
    x[1, 2] = np.nan  # nothing to draw
    dashed = np.array([[True, False, False], [False, False, True]])
    figure = contact_sheet(
        np.stack([scene(), scene(seed=1)]),
        bands=["g", "r", "i"],
        labels=["a", "b"],
        title="two",
        ellipses=Ellipses(x=x, y=one, a=one, b=one / 2, theta=one, dashed=dashed),
    )
    styles = [
        "solid" if patch.get_linestyle() in ("solid", "-") else "dashed"
        for axes in figure.axes
        for patch in axes.patches
    ]
    assert len(styles) == 5
    assert styles.count("dashed") == 1
    first = next(axes for axes in figure.axes if axes.patches)
    assert first.patches[0].get_linestyle() not in ("solid", "-")


def test_a_band_without_data_is_hatched_and_not_drawn_as_dark_sky():
    images = np.zeros((2, 3, 8, 8), np.float32)
    images[0] = np.random.default_rng(0).normal(size=(3, 8, 8))
    images[1, 0] = images[0, 0]
    figure = contact_sheet(
        images,
        bands=("g", "r", "J"),
        labels=("a", "b"),
        title="t",
        measured=np.array([[True, True, True], [True, True, False]]),
    )
    nothing = [a for a in figure.axes if [t.get_text() for t in a.texts] == ["no data"]]
    assert len(nothing) == 1
    assert not nothing[0].images
    assert nothing[0].get_subplotspec().rowspan.start == 2
    assert nothing[0].get_subplotspec().colspan.start == 1
