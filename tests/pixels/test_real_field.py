"""Cutouts of SDSS field 94-1-12 against its catalogue, its frames and SWarp."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import Cutout2D

from galaxyds.archives.sdss_frames import read_frame
from galaxyds.pixels import cut_field

BANDS = "ugriz"
SCALE = 0.396  # arcsec per pixel
RADIUS = 3.0 / SCALE


@pytest.fixture(scope="module")
def folder(survey_data):
    return survey_data / "sdss_field_94-1-12"


@pytest.fixture(scope="module")
def frames(folder):
    return {
        band: read_frame(folder / f"frame-{band}-000094-1-0012.fits.bz2", band, threads=2)
        for band in BANDS
    }


@pytest.fixture(scope="module")
def catalog(folder):
    table = fits.getdata(folder / "photoObj-000094-1-0012.fits")
    names = ("RA", "DEC", "NCHILD", "APERFLUX", "APERFLUX_IVAR", "ROWC", "COLC")
    return {name: np.array(table[name], dtype=np.float64) for name in names}


@pytest.fixture(scope="module")
def aligned(frames, catalog):
    return cut_field(frames, catalog["RA"], catalog["DEC"], bands=BANDS, size=64, align="r")


@pytest.fixture(scope="module")
def cropped(frames, catalog):
    return cut_field(frames, catalog["RA"], catalog["DEC"], bands=BANDS, size=64, align="none")


def isolated(catalog, flags, band: int) -> np.ndarray:
    """Objects without children, S/N > 10 in the band and a full box."""
    flux, inverse = catalog["APERFLUX"][:, band, 4], catalog["APERFLUX_IVAR"][:, band, 4]
    return np.flatnonzero(
        (catalog["NCHILD"] == 0) & (flux * np.sqrt(np.maximum(inverse, 0)) > 10) & (flags == 0)
    )


def sky_level(image: np.ndarray, x: float, y: float) -> float:
    """Clipped median of the annulus from 7 to 12 arcsec."""
    row, column = np.indices(image.shape)
    radius = np.hypot(row - y, column - x) * SCALE
    values = image[(radius > 7) & (radius < 12)].astype(np.float64)
    for _ in range(5):
        values = values[np.abs(values - np.median(values)) < 3 * values.std()]
    return float(np.median(values))


def aperture_sum(image: np.ndarray, x: float, y: float, *, parts: int = 10) -> float:
    """Sum within 3 arcsec, each pixel weighted by its covered fraction (parts x parts points)."""
    steps = (np.arange(parts) + 0.5) / parts - 0.5
    points = np.arange(image.shape[0])[:, None] + steps
    inside = np.square(points - y)[:, :, None, None] + np.square(points - x)[None, None] < RADIUS**2
    return float((image * inside.mean(axis=(1, 3))).sum())


def centroid(image: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """Centroid under a Gaussian window that moves along (sigma 1.5 px)."""
    row, column = np.indices(image.shape)
    for _ in range(20):
        weight = image * np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * 1.5**2))
        x += 2 * (weight * (column - x)).sum() / weight.sum()
        y += 2 * (weight * (row - y)).sum() / weight.sum()
    return float(x), float(y)


def test_r_cutouts_are_the_frame_itself(frames, catalog, aligned, cropped):
    x, y = frames["r"].wcs.all_world2pix(catalog["RA"], catalog["DEC"], 0)
    np.testing.assert_array_equal(aligned.image[:, 2], cropped.image[:, 2])
    whole = np.flatnonzero(aligned.flags == 0)
    assert len(whole) > 850
    for k in whole:
        theirs = Cutout2D(frames["r"].pixels, (x[k], y[k]), 64)
        assert aligned.image[k, 2].tobytes() == theirs.data.tobytes()
        place = theirs.to_cutout_position((x[k], y[k]))
        assert (aligned.x[k], aligned.y[k]) == pytest.approx(place, abs=1e-4)
    assert np.abs(aligned.x - 31.5).max() <= 0.5001
    assert np.abs(aligned.y - 31.5).max() <= 0.5001
    # The catalogue counts from the corner of the first pixel.
    assert np.median(np.abs(x - (catalog["COLC"][:, 2] - 0.5))) < 0.15
    assert np.median(np.abs(y - (catalog["ROWC"][:, 2] - 0.5))) < 0.15


@pytest.mark.parametrize("band", range(5))
def test_aperture_sums_are_the_catalogues(catalog, aligned, band):
    chosen = isolated(catalog, aligned.flags, band)
    assert len(chosen) >= (65 if band == 0 else 190)
    ratio = []
    for k in chosen:
        image, x, y = aligned.image[k, band], float(aligned.x[k]), float(aligned.y[k])
        flux = aperture_sum(image, x, y) - sky_level(image, x, y) * np.pi * RADIUS**2
        ratio.append(flux / catalog["APERFLUX"][k, band, 4])
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)


def test_the_bands_lie_on_each_other(catalog, aligned):
    """The r centroid on the stated pixel, the others on the r centroid."""
    for band in range(5):
        red, apart = [], []
        for k in isolated(catalog, aligned.flags, band):
            x, y = float(aligned.x[k]), float(aligned.y[k])
            places = [
                np.array(centroid(image - sky_level(image, x, y), x, y))
                for image in (aligned.image[k, 2], aligned.image[k, band])
            ]
            red.append(np.hypot(*(places[0] - (x, y))))
            apart.append(np.hypot(*(places[1] - places[0])))
        assert np.median(red) < 0.3
        assert np.median(apart) < 0.3


def test_without_alignment_the_bands_do_not_share_a_grid(frames, cropped, catalog):
    """Each band is cropped around its own position; these differ by up to 14 rows."""
    rows = []
    for band, name in enumerate(BANDS):
        x, y = frames[name].wcs.all_world2pix(catalog["RA"], catalog["DEC"], 0)
        rows.append(y)
        for k in np.flatnonzero(cropped.flags == 0)[::50]:
            theirs = Cutout2D(frames[name].pixels, (x[k], y[k]), 64)
            np.testing.assert_array_equal(cropped.image[k, band], theirs.data)
    assert np.ptp(np.median(rows, axis=1)) > 10


def test_edge_objects_are_flagged_and_nan(aligned):
    edge = aligned.flags == 1
    assert 30 < edge.sum() < 150
    assert np.isnan(aligned.image[edge]).any(axis=(1, 2, 3)).all()
    assert np.isfinite(aligned.image[~edge]).all()
    assert not (aligned.image[edge] == 0).all(axis=(1, 2)).any()


SWARP = """
COMBINE N
RESAMPLE Y
RESAMPLING_TYPE LANCZOS3
SUBTRACT_BACK N
FSCALASTRO_TYPE VARIABLE
PROJECTION_ERR 0
WRITE_XML N
VERBOSE_TYPE QUIET
NTHREADS 1
"""


def test_resampling_agrees_with_swarp(frames, catalog, aligned, tmp_path):
    """SWarp puts the g frame on the r frame's grid; both use Lanczos-3."""
    swarp = shutil.which("SWarp") or shutil.which("swarp")
    if swarp is None:
        pytest.skip("SWarp is not installed")
    header = frames["r"].wcs.to_header()
    header["EQUINOX"] = 2000.0
    image = frames["g"].wcs.to_header()
    image["EQUINOX"] = 2000.0
    fits.PrimaryHDU(frames["g"].pixels, image).writeto(tmp_path / "g.fits")
    rows, columns = frames["r"].pixels.shape
    # A coadd with one input takes the grid from coadd.head.
    target = fits.PrimaryHDU(np.zeros((rows, columns), np.float32), header).header
    (tmp_path / "coadd.head").write_text(target.tostring(sep="\n") + "\n")
    settings = SWARP.replace("COMBINE N", "COMBINE Y\nCOMBINE_TYPE AVERAGE")
    (tmp_path / "swarp.conf").write_text(settings)
    subprocess.run([swarp, "g.fits", "-c", "swarp.conf"], cwd=tmp_path, check=True, timeout=120)
    theirs = fits.getdata(tmp_path / "coadd.fits")
    assert theirs.shape == (rows, columns)
    x, y = frames["r"].wcs.all_world2pix(catalog["RA"], catalog["DEC"], 0)
    for k in np.flatnonzero(aligned.flags == 0)[::10]:
        expected = Cutout2D(theirs, (x[k], y[k]), 64).data
        ours = aligned.image[k, 1]
        noise = float(1.48 * np.median(np.abs(ours - np.median(ours))))
        assert np.median(np.abs(ours - expected)) < 0.01 * noise
        assert ours.sum() == pytest.approx(expected.sum(), rel=1e-3, abs=noise)
