import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord, search_around_sky
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyds.catalog.positions import nearest, thin

CENTRES = {"pole": (12.0, 90.0), "south": (200.0, -90.0), "seam": (0.0, 0.0), "field": (150.1, 2.2)}


def patch(centre: tuple[float, float], n: int, *, spread: float, seed: int):
    """Positions scattered over ``spread`` arcsec around a place, by astropy's own offsets."""
    rng = np.random.default_rng(seed)
    middle = SkyCoord(*centre, unit="deg")
    angles = rng.uniform(0, 360, n) * units.deg
    sky = middle.directional_offset_by(
        angles, spread * np.sqrt(rng.uniform(0, 1, n)) * units.arcsec
    )
    return sky.ra.deg, sky.dec.deg


def separations(ra, dec, to_ra, to_dec):
    """All separations in arcsec, by Vincenty's formula as astropy has it."""
    one = SkyCoord(ra, dec, unit="deg")[:, None]
    return one.separation(SkyCoord(to_ra, to_dec, unit="deg")[None, :]).arcsec


@pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES.keys())
def test_nearest_agrees_with_all_separations(centre):
    ra, dec = patch(centre, 200, spread=30, seed=1)
    to_ra, to_dec = patch(centre, 150, spread=30, seed=2)
    index, separation = nearest(ra, dec, to_ra=to_ra, to_dec=to_dec, radius=2.0)
    every = separations(ra, dec, to_ra, to_dec)
    near = every.min(axis=1) <= 2.0
    assert 20 < near.sum() < 180
    np.testing.assert_array_equal(index, np.where(near, every.argmin(axis=1), -1))
    np.testing.assert_allclose(separation[near], every.min(axis=1)[near], rtol=1e-7, atol=1e-9)
    assert np.isinf(separation[~near]).all()


@pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES.keys())
def test_thin_leaves_no_two_within_the_radius_and_nothing_is_dropped_in_vain(centre):
    ra, dec = patch(centre, 400, spread=20, seed=3)
    kept = thin(ra, dec, radius=1.0)
    assert 100 < kept.sum() < 390
    sky = SkyCoord(ra, dec, unit="deg")
    one, two, _, _ = search_around_sky(sky[kept], sky[kept], 1.0 * units.arcsec)
    assert (one == two).all()
    one, two, _, _ = search_around_sky(sky[~kept], sky[kept], 1.0 * units.arcsec)
    dropped, stayed = np.flatnonzero(~kept), np.flatnonzero(kept)
    earlier = {dropped[a] for a, b in zip(one, two, strict=True) if stayed[b] < dropped[a]}
    assert earlier == set(dropped)


def test_the_seam_and_the_poles_are_places_like_others():
    index, separation = nearest(
        np.array([0.0001, 90.0, 350.0]), np.array([0.0, 90.0, -90.0]),
        to_ra=np.array([359.9999, 270.0, 10.0]), to_dec=np.array([0.0, 89.9999, -89.9999]),
        radius=1.0,
    )  # fmt: skip
    np.testing.assert_array_equal(index, [0, 1, 2])
    np.testing.assert_allclose(separation, [0.72, 0.36, 0.36], rtol=1e-8)
    assert thin(np.array([0.0, 360.0, 0.001]), np.zeros(3), radius=1.0).tolist() == [
        True, False, True,
    ]  # fmt: skip


def test_of_equally_near_ones_the_first_is_taken():
    to_ra = np.array([10.0, 10.0002, 9.9998, 10.0002, 10.0002])
    index, _ = nearest(
        np.array([10.0]), np.zeros(1), to_ra=to_ra[1:], to_dec=np.zeros(4), radius=1.0
    )
    assert index.tolist() == [0]
    index, _ = nearest(np.array([10.0002]), np.zeros(1), to_ra=to_ra, to_dec=np.zeros(5), radius=1)
    assert index.tolist() == [1]


def test_a_radius_is_inclusive():
    step = np.array([5.0, 5.0 + 1 / 3600])
    assert nearest(step[:1], np.zeros(1), to_ra=step[1:], to_dec=np.zeros(1), radius=1.0)[0] == 0
    assert thin(step, np.zeros(2), radius=1.0).tolist() == [True, False]
    assert thin(step, np.zeros(2), radius=0.999).tolist() == [True, True]


def test_nothing_in_nothing_out():
    none = np.zeros(0)
    index, separation = nearest(none, none, to_ra=none, to_dec=none, radius=1.0)
    assert index.shape == separation.shape == thin(none, none, radius=1.0).shape == (0,)
    index, separation = nearest(np.ones(1), np.ones(1), to_ra=none, to_dec=none, radius=1.0)
    assert index.tolist() == [-1]


def test_thousands_of_rows_at_one_place_leave_one():
    ra = np.full(200_000, 33.0)
    assert np.flatnonzero(thin(ra, ra, radius=1.0)).tolist() == [0]


def test_a_chain_keeps_both_ends():
    ra = np.array([10.0, 10.0 + 0.8 / 3600, 10.0 + 1.6 / 3600])
    assert thin(ra, np.zeros(3), radius=1.0).tolist() == [True, False, True]
    middle_first = np.array([1, 0, 2])
    assert thin(ra[middle_first], np.zeros(3), radius=1.0).tolist() == [True, False, False]


grid = st.lists(
    st.tuples(st.integers(-6, 6), st.integers(-6, 6)), min_size=1, max_size=60
)  # half arcseconds: many rows at one place


@given(grid)
@settings(max_examples=60, deadline=None)
def test_thin_is_the_greedy_choice(cells):
    ra, dec = (np.array(cells) * 0.5 / 3600).T
    chosen: list[int] = []
    for n, (x, y) in enumerate(cells):
        if all((x - cells[m][0]) ** 2 + (y - cells[m][1]) ** 2 > 9.5 for m in chosen):
            chosen.append(n)
    radius = 0.5 * np.sqrt(9.5)  # between the grid's distances 3 and sqrt(10)
    assert np.flatnonzero(thin(ra % 360, dec, radius=radius)).tolist() == chosen


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=150))
@settings(max_examples=40, deadline=None)
def test_a_crowd_is_thinned_as_by_all_separations(cells):
    ra, dec = (np.array(cells, dtype=float).reshape(-1, 2) * 0.037 / 3600).T
    chosen: list[int] = []
    for n in range(len(ra)):
        if not chosen or separations(ra[n : n + 1], dec[n : n + 1], ra[chosen], dec[chosen]).min() > 0.5:  # fmt: skip  # noqa: E501
            chosen.append(n)
    assert np.flatnonzero(thin(ra, dec, radius=0.5)).tolist() == chosen


def test_a_crowd_of_distinct_positions_needs_no_list_of_its_pairs():
    ra = 10 + np.random.default_rng(0).random(30_000) * 1e-4  # 450 million pairs
    assert np.flatnonzero(thin(ra, np.full(30_000, 5.0), radius=1.0)).tolist() == [0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_position_that_is_none_matches_nothing_and_stays(bad):
    ra, dec = np.array([1.0, bad, 1.0, 2.0]), np.array([0.0, 0.0, 0.0, bad])
    assert thin(ra, dec, radius=1.0).tolist() == [True, True, False, True]
    index, separation = nearest(ra, dec, to_ra=ra[::-1], to_dec=dec[::-1], radius=1.0)
    assert index.tolist() == [1, -1, 1, -1]
    assert separation.tolist() == [0, np.inf, 0, np.inf]
