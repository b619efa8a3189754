"""The simulated HSC-Deep against the universe that it shows."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from galaxyds.archives.base import CatalogArchive, CompiledArchive, CutoutArchive, CutoutObject
from galaxyds.archives.mosaics import Mosaics
from galaxyds.archives.simulated_deep import SimulatedDeep
from galaxyds.sky import Universe
from galaxyds.sky.deep_footprint import BORDER, DEFAULT_DEEP_FOOTPRINT
from galaxyds.sky.deep_mosaics import SimulatedPixels, mosaics
from galaxyds.sky.deep_survey import DEEP
from galaxyds.sky.hsc_conditions import DEEP as DEEP_LAYER
from galaxyds.sky.hsc_conditions import WIDE, noise_at
from galaxyds.sky.universe import GALAXY, STAR
from tests.sky.deep_small import BANDS, SMALL, A, wanted

HALF = 32 * 0.168


@pytest.fixture(scope="module")
def sky():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    return SimulatedDeep(footprint=SMALL)


@pytest.fixture(scope="module")
def table(sky):
    return sky._objects().table


def grid(sky, ra, dec):
    """HSC's grid around a place."""
    (cutout,) = sky.cutouts(
        [CutoutObject(object_id=1, ra=ra, dec=dec, tile=(A.number, 404))], BANDS, half_size=HALF
    )
    return cutout.grid


class TestMosaics:
    def test_a_pixel_is_the_same_from_wherever_one_looks(self, sky):
        for one in mosaics(sky.universe, SMALL)[::3]:
            whole = one.pixels.read(slice(100, 260), slice(150, 330))
            part = one.pixels.read(slice(140, 200), slice(200, 240))
            assert np.allclose(part, whole[40:100, 50:90], rtol=0, atol=1e-4 * one.pixels.sigma)

    def test_what_is_said_of_coverage_is_what_the_pixels_are(self, sky):
        one = mosaics(sky.universe, SMALL)[4].pixels
        rows, columns = one.shape
        edge = one.read(slice(0, rows), slice(0, 120))
        assert np.isnan(edge[:, :BORDER]).all()
        assert np.isfinite(edge[BORDER:-BORDER, BORDER:]).all()
        y, x = np.mgrid[0:rows:7, 0:115]
        said = one.whole(x.ravel(), y.ravel(), reach=5).reshape(x.shape)
        for j, i in [(0, 60), (6, 44), (6, 45), (6, 46), (9, 44), (9, 45), (20, 100)]:
            around = edge[max(y[j, i] - 5, 0) : y[j, i] + 6, max(x[j, i] - 5, 0) : x[j, i] + 6]
            assert said[j, i] == (around.shape == (11, 11) and bool(np.isfinite(around).all()))
        assert not one.whole(np.array([columns + 30]), np.array([rows // 2]), reach=5)[0]

    def test_stars_have_the_light_that_their_magnitudes_say(self, sky):
        """Sums in 4 arcsec around bright, lonely stars, on HSC's grid and zero point."""
        compared = 0
        for band in ("u*", "u", "J", "H", "Ks"):
            region = SMALL.mosaics[1].region(-40.0)
            sources = sky.universe.sources(region, replace(DEEP, bands=(DEEP.band(band),)))
            magnitude = sources.magnitude[:, 0]
            covered = sky.mosaics.covering(sources.ra, sources.dec)[band]
            for n in np.flatnonzero((sources.kind == STAR) & (magnitude < 22) & covered):
                away = 3600 * np.hypot(
                    (sources.ra - sources.ra[n]) * np.cos(np.radians(sources.dec[n])),
                    sources.dec - sources.dec[n],
                )
                close = (away > 0) & (away < 6)
                if (10 ** (-0.4 * magnitude[close])).sum() > 0.01 * 10 ** (-0.4 * magnitude[n]):
                    continue
                at = (float(sources.ra[n]), float(sources.dec[n]))
                where = grid(sky, *at)
                image = sky.mosaics.cutout(band, where, (64, 64), at=at)
                if np.isnan(image).any():
                    continue
                x, y = where.all_world2pix(*at, 0)
                rows, columns = np.mgrid[:64, :64]
                inside = np.hypot(columns - x, rows - y) * 0.168 < 4.0
                # A Moffat profile of exponent 2.5 has 1 - (1 + (r/a)^2)^-1.5 of its light within r.
                core = DEEP.band(band).psf_fwhm / (2 * np.sqrt(2**0.4 - 1))
                light = 10 ** (0.4 * (27.0 - magnitude[n])) * (1 - (1 + (4 / core) ** 2) ** -1.5)
                assert image[inside].sum() == pytest.approx(light, rel=0.04), (band, n)
                compared += 1
        assert compared >= 5

    def test_galaxies_point_where_they_should_on_turned_mosaics(self):
        """One galaxy through a mosaic turned by 50 degrees and through one that is not."""
        pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
        universe = Universe()
        first = replace(SMALL.mosaics[4], scale=0.2, turn=0.0, shape=(1080, 1080))
        turned = replace(first, turn=50.0)
        sources = universe.sources(first.region(-60.0), DEEP)
        k = DEEP.band_index("Ks")
        long = (sources.kind == GALAXY) & (sources.axis_ratio < 0.5) & (sources.disk_radius > 0.8)
        x, y = first.to_pixel(sources.ra, sources.dec)
        long &= (np.abs(x - 540) < 300) & (np.abs(y - 540) < 300)
        n = np.flatnonzero(long)[np.argmin(sources.magnitude[long, k])]
        assert sources.magnitude[n, k] < 21.5
        at = (float(sources.ra[n]), float(sources.dec[n]))
        where = A.grid(*(round(float(v)) - 32 for v in A.to_pixel(*map(np.asarray, at))))
        images = []
        for one in (first, turned):
            (mosaic,) = mosaics(universe, replace(SMALL, mosaics=(one,)))
            images.append(Mosaics([mosaic]).cutout("Ks", where, (64, 64), at=at))
        noise = np.std(images[0] - images[1])
        empty = SimulatedPixels(universe, first).sigma * 10 ** (0.4 * (27 - first.zero_point))
        # Noise of either is its own; a wrong angle would leave light behind.
        assert noise < 2.5 * empty
        assert images[0].max() > 15 * empty

    def test_the_default_has_every_kind_of_place(self):
        found = mosaics(Universe(), DEFAULT_DEEP_FOOTPRINT)
        covering = Mosaics(found).covering
        for tract, wanted_bands in zip(
            DEFAULT_DEEP_FOOTPRINT.hsc.tracts,
            ({"u*", "u", "J", "H", "Ks"}, {"u", "J", "Ks"}, {"u"}),
            strict=True,
        ):
            x, y = np.meshgrid(np.linspace(16_000, 24_000, 60), np.linspace(16_000, 24_000, 60))
            covered = covering(*tract.to_sky(x.ravel(), y.ravel()))
            assert {band for band, there in covered.items() if there.any()} == wanted_bands
        assert 0.3 < covered["u"].mean() < 0.99  # an edge of u lies in the last field
        assert len({(m.zero_point, float(m.wcs.wcs.cd[0, 0])) for m in found}) > 5


class TestArchive:
    def test_masks_are_what_the_catalogue_says(self, sky, table):
        rows, objects = wanted(table, 8)
        for row, cutout in zip(
            rows.itertuples(), sky.cutouts(objects, BANDS, half_size=HALF), strict=True
        ):
            there = sum(
                bit for band, bit in (("J", 1), ("H", 2), ("Ks", 4)) if band in cutout.pixels
            )
            assert there == row.nir_coverage
            assert {"u", *"grizy"} <= set(cutout.pixels)
            x, y = cutout.position["i"]
            assert max(abs(x - 31.5), abs(y - 31.5)) <= 0.5 + 1e-6
        assert set(rows.nir_coverage) >= {0, 1, 5, 7}

    def test_the_catalogue(self, table):
        rows = table.to_pandas()
        assert rows.object_id.is_unique
        matched = rows[rows.separation.notna()]
        assert (matched.object_id > 0).all()
        assert (rows[rows.separation.isna()].object_id < 0).all()
        assert matched.separation.max() <= 1
        assert len(matched) > 0.95 * len(rows)
        assert (rows.redshift > 0).all()
        assert set(rows["sample"]) == {
            "training", "test_3dhst", "test_primus", "test_cosmos2020"
        }  # fmt: skip
        # A hole in a coadd is a place without exposures, and one in some hundreds.
        assert 0 < (matched.hsc_coverage != 31).mean() < 0.05

    def test_the_deep_layer_is_deeper(self):
        deep = noise_at(1, (4, 4), "i", deeper=DEEP_LAYER.deeper)
        assert deep == pytest.approx(noise_at(1, (4, 4), "i") * 10 ** (-0.4 * DEEP_LAYER.deeper))
        assert WIDE.deeper == 0.0

    def test_a_copy_gives_the_same_cutouts_in_any_order(self, sky, table):
        _, objects = wanted(table, 2)
        copy = pickle.loads(pickle.dumps(sky))
        straight = list(sky.cutouts(objects, BANDS, half_size=HALF))
        back = list(copy.cutouts(objects[::-1], BANDS, half_size=HALF))[::-1]
        for one, other in zip(straight, back, strict=True):
            assert set(one.pixels) == set(other.pixels)
            for band, image in one.pixels.items():
                assert np.array_equal(image, other.pixels[band], equal_nan=True)

    def test_it_is_an_archive_that_says_where_it_departs(self, sky):
        assert isinstance(sky, CatalogArchive)
        assert isinstance(sky, CompiledArchive)
        assert isinstance(sky, CutoutArchive)
        assert sky.name == "simulated"
        said = " ".join(sky.departures())
        assert "ELAIS-N1" in said
        assert "Wide layer and the variance" not in said
        assert "2.4 square degrees" not in said
        assert sky.cutout_bytes(BANDS, half_size=HALF) == 0
