"""Frames: format against a real file, astrometry, photometry, overlap, determinism."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from galaxyds.errors import NotInArchiveError
from galaxyds.sky.footprint import ADVANCE, BAND_SHIFT
from galaxyds.sky.frames import band_of, empty_noise, file_name, truncate, write_frames
from tests.sky.conftest import TILE

fits = pytest.importorskip("astropy.io.fits")

NEXT = (TILE[0], TILE[1], TILE[2] + 1)


def opened(folder, tile, band):
    return fits.open(folder / file_name(tile, band))


def sky_to_pixel(header, ra, dec):
    from astropy.wcs import WCS

    return WCS(header).all_world2pix(ra, dec, 0)


def test_structure_equals_a_real_frame(frame_folder, survey_data):
    path = survey_data / "sdss_field_94-1-12" / "frame-r-000094-1-0012.fits.bz2"
    with fits.open(path) as real, opened(frame_folder, TILE, "r") as ours:
        assert len(ours) == len(real) == 4
        for mine, theirs in zip(ours, real, strict=True):
            assert type(mine) is type(theirs)
        for k in (0, 1):
            assert ours[k].data.shape == real[k].data.shape
            assert ours[k].data.dtype == real[k].data.dtype
        for k in (2, 3):
            assert ours[k].columns.names == real[k].columns.names
            assert ours[k].data.dtype == real[k].data.dtype
        assert np.allclose(ours[2].data["XINTERP"], real[2].data["XINTERP"])
        assert np.allclose(ours[2].data["YINTERP"], real[2].data["YINTERP"])
        needed = {"RUN", "CAMCOL", "FRAME", "FILTER", "NMGY", "BUNIT", "RERUN", "CTYPE1", "CRVAL1"}
        assert needed <= set(ours[0].header) & set(real[0].header)
        for name in ("BUNIT", "CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CUNIT1"):
            assert ours[0].header[name] == real[0].header[name]
        cd = [[h[0].header[k] for k in ("CD1_1", "CD1_2", "CD2_1", "CD2_2")] for h in (ours, real)]
        assert cd[0] == pytest.approx(cd[1], abs=1.2e-7)


def test_truncation_is_that_of_real_frames(survey_data):
    path = survey_data / "sdss_field_94-1-12" / "frame-g-000094-1-0012.fits.bz2"
    with fits.open(path) as real:
        pixels = real[0].data[:200].astype(np.float32)
    assert np.array_equal(truncate(pixels), pixels)
    assert (pixels.view(np.uint32) & 0x4000).any()  # one bit fewer would change real pixels
    values = np.random.default_rng(1).normal(size=10_000).astype(np.float32)
    assert np.abs(truncate(values) / values - 1).max() <= 2.0**-10


def test_the_reader_of_real_frames_takes_ours(frame_folder):
    from galaxyds.archives.sdss_frames import read_frame

    frame = read_frame(frame_folder / file_name(TILE, "r"), "r")
    assert frame.pixels.shape == (1489, 2048)
    with opened(frame_folder, TILE, "r") as hdus:
        assert np.array_equal(frame.pixels, hdus[0].data)


def test_positions_agree_with_astropy(frame_folder, footprint, detections):
    mine = (detections.run == TILE[0]) & (detections.field == TILE[2])
    source = detections.sources.take(mine)
    with opened(frame_folder, TILE, "r") as hdus:
        x, y = sky_to_pixel(hdus[0].header, source.ra, source.dec)
    assert np.abs(x - detections.x[mine]).max() < 1e-3
    assert np.abs(y - detections.y[mine]).max() < 1e-3


def test_bands_are_shifted_as_in_reality(frame_folder):
    with opened(frame_folder, TILE, "r") as r, opened(frame_folder, TILE, "g") as g:
        ra, dec = r[0].header["CRVAL1"], r[0].header["CRVAL2"]
        xr, yr = sky_to_pixel(r[0].header, ra, dec)
        xg, yg = sky_to_pixel(g[0].header, ra, dec)
    assert (xg - xr, yg - yr) == pytest.approx(BAND_SHIFT["g"], abs=0.51)


@pytest.mark.parametrize("band", ["g", "r"])
def test_noise_of_empty_sky(frame_folder, band):
    with opened(frame_folder, TILE, band) as hdus:
        pixels = hdus[0].data.astype(float)
    below = pixels[pixels < np.median(pixels)] - np.median(pixels)
    # Sources only add light, so the lower half of the distribution is noise.
    sigma = np.median(-below) / 0.6745
    assert sigma == pytest.approx(empty_noise(TILE, band).mean(), rel=0.03)


@pytest.mark.parametrize("band", ["g", "r"])
def test_noise_follows_from_the_file_as_the_data_model_says(frame_folder, band):
    """The recipe for pixel errors of real frames, from HDUs 1 and 2, predicts the noise here."""
    with opened(frame_folder, TILE, band) as hdus:
        own = band_of(TILE, band)
        table = hdus[2].data
        sky = np.median(table["ALLSKY"])
        predicted = np.sqrt(sky / own.gain + own.dark_variance) * hdus[1].data.mean()
        pixels = hdus[0].data
    corner = pixels - np.median(pixels)
    sigma = np.median(np.abs(corner[corner < 0])) / 0.6745
    assert sigma == pytest.approx(predicted, rel=0.03)


def isolated_stars(detections, tile, brightest=15.5, faintest=19.0):
    """Rows of bright stars of a field without a neighbour of 1 % of their flux within 14 arcsec."""
    mine = np.flatnonzero(
        (detections.run == tile[0]) & (detections.field == tile[2]) & (detections.camcol == tile[1])
    )
    x, y = detections.x[mine], detections.y[mine]
    flux = detections.model_flux[mine, 2]
    r = detections.sources.magnitude[mine, 2]
    distance = np.hypot(x[:, None] - x, y[:, None] - y) * 0.396
    crowded = (distance < 14) & (distance > 0) & (flux[None, :] > 0.01 * flux[:, None])
    inside = (x > 60) & (x < 1988) & (y > 60) & (y < 1429)
    good = inside & (r > brightest) & (r < faintest) & ~crowded.any(axis=1)
    return mine[good & (detections.sources.kind[mine] == 0)]


def disk(shape, x, y, radius):
    """Share of each pixel within a circle, by 5 x 5 points per pixel."""
    steps = (np.arange(5) - 2) / 5
    rows, columns = np.indices(shape)
    inside = [np.hypot(columns + a - x, rows + b - y) <= radius for a in steps for b in steps]
    return np.mean(inside, axis=0)


@pytest.mark.parametrize("band", ["g", "r"])
def test_apertures_of_isolated_stars_give_catalogue_magnitudes(
    frame_folder, detections, photo, band
):
    rows = isolated_stars(detections, TILE)
    assert rows.size >= 12
    k = "ugriz".index(band)
    with opened(frame_folder, TILE, band) as hdus:
        x, y = sky_to_pixel(
            hdus[0].header, detections.sources.ra[rows], detections.sources.dec[rows]
        )
        pixels = hdus[0].data.astype(float)
    own = band_of(TILE, band)
    core = own.psf_fwhm / (2 * np.sqrt(2 ** (1 / own.psf_beta) - 1))
    enclosed = 1 - (1 + (3.0 / core) ** 2) ** (1 - own.psf_beta)
    ratios = []
    for row, cx, cy in zip(rows, x, y, strict=True):
        left, low = int(cx) - 35, int(cy) - 35
        box = pixels[low : low + 71, left : left + 71]
        weight = disk(box.shape, cx - left, cy - low, 3.0 / 0.396)
        yy, xx = np.indices(box.shape)
        distance = np.hypot(xx - (cx - left), yy - (cy - low)) * 0.396
        sky = np.median(box[(distance > 9) & (distance < 13)])
        flux = ((box - sky) * weight).sum() / enclosed
        magnitude = photo.column(f"psfMag_{band}")[int(row)].as_py()
        if magnitude > 0:
            ratios.append(flux / 10 ** (0.4 * (22.5 - magnitude)))
    assert len(ratios) >= 10
    assert np.median(ratios) == pytest.approx(1.0, abs=0.015), k


def test_overlapping_fields_show_the_same_sources(frame_folder):
    with opened(frame_folder, TILE, "r") as first, opened(frame_folder, NEXT, "r") as second:
        upper = first[0].data[ADVANCE:].astype(float)
        lower = second[0].data[: 1489 - ADVANCE].astype(float)
        x, y = sky_to_pixel(first[0].header, second[0].header["CRVAL1"], second[0].header["CRVAL2"])
    # The grids coincide, and so does every bright pixel; the noise is another one.
    assert (x, y) == pytest.approx((1024.0, 744.0 + ADVANCE), abs=0.02)
    sigma = empty_noise(TILE, "r").mean()
    bright = (upper + lower) / 2 > 40 * sigma
    assert bright.sum() > 50
    # The two fields differ in seeing, so fluxes are compared over patches rather than pixels.
    assert upper[bright].sum() == pytest.approx(lower[bright].sum(), rel=0.15)
    empty = np.abs(upper) + np.abs(lower) < 2 * sigma
    assert abs(np.corrcoef(upper[empty], lower[empty])[0, 1]) < 0.1
    assert np.corrcoef(upper[bright], lower[bright])[0, 1] > 0.95


def test_a_frame_is_bit_identical_in_another_process(frame_folder, tmp_path):
    script = (
        "import sys; from pathlib import Path;"
        "from galaxyds.archives.simulated import SimulatedSDSS;"
        "print(*SimulatedSDSS().frames((9001, 3, 12), 'r', Path(sys.argv[1])).values())"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True)
    name = file_name(TILE, "r")
    digests = {
        hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for folder in (frame_folder, tmp_path)
    }
    assert len(digests) == 1


def test_a_field_outside_of_the_footprint_is_not_there(universe, footprint, tmp_path):
    with pytest.raises(NotInArchiveError, match="9001"):
        write_frames(universe, footprint, (9001, 3, 99), bands="r", directory=tmp_path)
    with pytest.raises(NotInArchiveError):
        write_frames(universe, footprint, (94, 1, 12), bands="r", directory=tmp_path)
    assert list(tmp_path.iterdir()) == []
