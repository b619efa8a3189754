"""The simulated CFHTLS: tiles beside astropy's projection, pixels beside magnitudes, rows."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from galaxyds.archives.base import NO_DATA, CutoutObject
from galaxyds.archives.cadc_tiles import parse_name
from galaxyds.errors import NotInArchiveError, UsageError
from galaxyds.sky import Universe
from galaxyds.sky.cfhtls_catalogue import NO_MAGNITUDE, deepest, table
from galaxyds.sky.cfhtls_coadd import HOLE_SHARE, CFHTLSCoadd, masked, noise_at
from galaxyds.sky.cfhtls_footprint import DEFAULT_CFHTLS_FOOTPRINT, CFHTLSFootprint, SkyTile
from galaxyds.sky.coadd import Box
from galaxyds.sky.surveys import CFHTLS
from galaxyds.sky.universe import STAR
from tests.sky.cfhtls_small import PIXELS, SMALL, W1, W4

HALF = 32 * 0.186


@pytest.fixture(scope="module")
def coadd():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    return CFHTLSCoadd(Universe(), SMALL)


@pytest.fixture(scope="module")
def whole(coadd):
    return coadd.render(W4, Box(x=0, y=0, width=PIXELS, height=PIXELS), W4.bands)


@pytest.fixture(scope="module")
def catalogue():
    """Two tiles that overlap by half, and one without u."""
    tiles = (
        SkyTile(tile_ra=221318, tile_dec=11500, pixels=600),
        SkyTile(tile_ra=221322, tile_dec=11500, pixels=600, new_i=True),
        SkyTile(tile_ra=21800, tile_dec=-70000, pixels=600, missing=("u",)),
    )
    footprint = CFHTLSFootprint(tiles=tiles)
    return footprint, table(Universe(), footprint).to_pandas()


def objects(x, y, tile=W4):
    ra, dec = tile.to_sky(np.asarray(x, float), np.asarray(y, float))
    return [
        CutoutObject(object_id=n, ra=float(a), dec=float(d), tile=(tile.tile_ra, tile.tile_dec))
        for n, (a, d) in enumerate(zip(ra, dec, strict=True))
    ]


@pytest.mark.parametrize("tile", DEFAULT_CFHTLS_FOOTPRINT.tiles)
def test_the_projection_is_that_of_the_header(tile):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, tile.pixels, (2, 50))
    ra, dec = tile.to_sky(x, y)
    np.testing.assert_allclose(tile.to_pixel(ra, dec), (x, y), atol=1e-6)
    np.testing.assert_allclose(WCS(tile.cards()).all_world2pix(ra, dec, 0), (x, y), atol=1e-6)
    assert tile.inside(ra, dec).all()
    assert not tile.inside(ra + 5.0, dec).any()
    assert not tile.inside((ra + 180) % 360, -dec).any()


@pytest.mark.parametrize("tile", DEFAULT_CFHTLS_FOOTPRINT.tiles)
def test_the_name_of_a_tile_is_its_middle(tile):
    number, ra, dec = parse_name(tile.place)
    assert number == (tile.tile_ra, tile.tile_dec)
    assert (tile.ra, tile.dec) == pytest.approx((ra, dec), abs=1e-9)


def test_a_cutout_is_a_part_of_its_tile(coadd, whole):
    rng = np.random.default_rng(3)
    some = objects(*rng.uniform(33, PIXELS - 34, (2, 6)))
    for one, cutout in zip(some, coadd.cutouts(some, "ugriz", half_size=HALF), strict=True):
        x, y = (float(v[0]) for v in W4.to_pixel(np.array([one.ra]), np.array([one.dec])))
        left, low = round(x - cutout.position["r"][0]), round(y - cutout.position["r"][1])
        for band, image in cutout.pixels.items():
            assert image.shape == (64, 64)
            part = whole[band][low : low + 64, left : left + 64]
            assert np.array_equal(image, part, equal_nan=True), band
        assert max(abs(v - 31.5) for v in cutout.position["r"]) <= 0.5 + 1e-6
        at = cutout.grid.all_world2pix(one.ra, one.dec, 0)
        np.testing.assert_allclose(at, cutout.position["r"], atol=1e-6)


def test_edges_of_a_tile_and_what_is_outside(coadd):
    middle = PIXELS / 2
    corner, side, beyond = coadd.cutouts(
        objects([2.0, middle, -300.0], [2.0, PIXELS - 10.0, middle]), "gi", half_size=HALF
    )
    assert corner.pixels["g"].shape == (35, 35)
    assert side.pixels["g"].shape == (41, 64)
    assert beyond.pixels == {}
    assert beyond.missing == {"g": NO_DATA, "i": NO_DATA}


def test_what_there_is_not(coadd):
    (one,) = objects([300.0], [300.0])
    with pytest.raises(UsageError, match="no band 'y'"):
        list(coadd.cutouts([one], "y", half_size=HALF))
    lost = CutoutObject(object_id=1, ra=1.0, dec=1.0, tile=(1, 1))
    with pytest.raises(NotInArchiveError, match="221318"):
        list(coadd.cutouts([lost], "g", half_size=HALF))


def test_pixels_hold_the_light_of_stars(coadd):
    """Stars that stand alone: sums of their cutouts beside their magnitudes."""
    tile = DEFAULT_CFHTLS_FOOTPRINT.tiles[0]
    sky = CFHTLSCoadd(coadd.universe, DEFAULT_CFHTLS_FOOTPRINT)
    placed = sky._of_tile(tile)
    light = 10 ** (0.4 * (30 - placed.sources.magnitude[:, 3]))
    within = (np.minimum(placed.x, placed.y) > 45) & (np.maximum(placed.x, placed.y) < 2950)
    bright = within & (placed.sources.kind == STAR) & (placed.sources.magnitude[:, 3] < 20)
    alone = [
        n
        for n in np.flatnonzero(bright)
        if light[np.hypot(placed.x - placed.x[n], placed.y - placed.y[n]) < 90].sum()
        < 1.02 * light[n]
    ][:12]
    assert len(alone) > 5
    some = objects(placed.x[alone], placed.y[alone], tile)
    for n, cutout in zip(alone, sky.cutouts(some, "gri", half_size=HALF), strict=True):
        for band, image in cutout.pixels.items():
            if np.isnan(image).any():
                continue
            k = CFHTLS.band_index(band)
            expected = 10 ** (0.4 * (30 - placed.sources.magnitude[n, k]))
            noise = 1.2 * noise_at(tile, band) * 64
            assert image.sum() == pytest.approx(expected, rel=0.03, abs=4 * noise), (n, band)


def test_noise_is_that_of_the_sky(whole):
    for band in "ugriz":
        image = whole[band][np.isfinite(whole[band])]
        low, middle = np.percentile(image, (15.865, 50))
        # Neighbours correlate: the scatter of single pixels is smaller than that of sums.
        width = (1 + 2 * 0.05**2) / (1.1**2)
        assert (middle - low) == pytest.approx(noise_at(W4, band) * width, rel=0.12), band


def test_masked_squares_are_rare_and_the_same_for_everyone(coadd):
    tile = SkyTile(tile_ra=221318, tile_dec=11500, pixels=4800)
    box = Box(x=0, y=0, width=4800, height=4800)
    seen = {band: masked(tile, band, box)[::48, ::48] for band in "ugriz"}
    expected = 5 * HOLE_SHARE * 100**2
    found = sum(int(holes.sum()) for holes in seen.values())
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert found > 0
    band = max(seen, key=lambda name: seen[name].sum())
    y, x = (int(v[0]) * 48 for v in np.nonzero(seen[band]))
    part = Box(x=x + 30, y=y + 5, width=60, height=20)
    hole = masked(tile, band, part)
    assert np.array_equal(hole, masked(tile, band, box)[y + 5 : y + 25, x + 30 : x + 90])
    assert hole[:, :18].all()
    image = CFHTLSCoadd(coadd.universe, CFHTLSFootprint(tiles=(tile,))).render(tile, part, [band])
    assert np.array_equal(np.isnan(image[band]), hole)


def test_the_catalogue_has_every_source_once(catalogue):
    footprint, rows = catalogue
    assert rows["CFHTLS"].is_unique
    place = rows[["RAJ2000", "DEJ2000"]].round(5)
    assert not place.duplicated().any()
    overlap = footprint.tiles[0].inside(rows.RAJ2000.to_numpy(), rows.DEJ2000.to_numpy())
    overlap &= footprint.tiles[1].inside(rows.RAJ2000.to_numpy(), rows.DEJ2000.to_numpy())
    assert overlap.sum() > 30
    first = footprint.tiles[0]
    nearer = deepest(footprint, rows.RAJ2000.to_numpy(), rows.DEJ2000.to_numpy())
    assert set(rows.ifl[nearer == 0]) == {0}
    assert {0, 1} <= set(np.unique(nearer[overlap]).tolist())
    assert first.ra < footprint.tiles[1].ra


def test_magnitudes_are_the_true_ones_with_noise(catalogue):
    footprint, rows = catalogue
    tile = footprint.tiles[2]
    sources = Universe().sources(tile.region(0), tile.survey())
    mine = rows[rows.DEJ2000 < 0].sort_values("RAJ2000")
    at = np.searchsorted(np.sort(sources.ra), mine.RAJ2000)
    order = np.argsort(sources.ra)
    near = order[np.clip(at, 0, len(order) - 1)]
    close = np.abs(sources.ra[near] - mine.RAJ2000) + np.abs(sources.dec[near] - mine.DEJ2000)
    good = (close < 1e-4).to_numpy() & (mine.imagA < 23).to_numpy()
    assert good.sum() > 10
    for band in "griz":
        k = CFHTLS.band_index(band)
        off = mine[f"{band}magA"].to_numpy() - sources.magnitude[near, k]
        pull = (off / mine[f"e_{band}magA"].to_numpy())[good]
        assert abs(np.median(pull)) < 0.6, band
        assert 0.5 < 1.4826 * np.median(np.abs(pull - np.median(pull))) < 1.6, band
    assert (mine.umagA == NO_MAGNITUDE).all()  # the band was not observed
    assert (mine.Tfl[good].to_numpy() % 2 == (sources.kind[near[good]] == STAR)).all()


def test_the_i_filters_differ():
    sources = [Universe().sources(W4.region(0), tile.survey()) for tile in (W4, W1)]
    bright = sources[0].magnitude[:, 2] < 22
    shift = (sources[1].magnitude - sources[0].magnitude)[bright]
    assert np.abs(shift[:, [0, 1, 2, 4]]).max() == 0
    assert 0.005 < np.median(np.abs(shift[:, 3])) < 0.1
