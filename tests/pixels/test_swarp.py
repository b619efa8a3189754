"""Resampling and stacking against SWarp (Bertin et al. 2002), object by object."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from galaxyds.archives.sdss_frames import read_frame
from galaxyds.pixels import Frame, stack_frames
from galaxyds.pixels.regrid import regrid
from tests.pixels.fields import frame, sky, tan

SCALE = 0.396  # arcsec per pixel
SIZE = 64
BANDS = "ugriz"
COMBINE = {"mean": "AVERAGE", "median": "MEDIAN", "weighted": "WEIGHTED", "clipped": "CLIPPED"}

# OVERSAMPLING 1: one kernel per pixel.  GAIN_DEFAULT: so large that the background alone makes
# noise, as in ours; left at 0, said to mean the same, CLIPPED divides by it and rejects nothing.
SETTINGS = """
SUBTRACT_BACK N
RESAMPLING_TYPE LANCZOS3
OVERSAMPLING 1
PROJECTION_TYPE TAN
CELESTIAL_TYPE EQUATORIAL
CENTER_TYPE MANUAL
PIXELSCALE_TYPE MANUAL
PIXEL_SCALE 0.396
IMAGE_SIZE 64
FSCALASTRO_TYPE VARIABLE
GAIN_DEFAULT 1e12
WRITE_XML N
VERBOSE_TYPE QUIET
NTHREADS 1
"""


@pytest.fixture(scope="session")
def program() -> str:
    found = shutil.which("SWarp") or shutil.which("swarp")
    if found is None:
        pytest.skip("SWarp is not installed")
    return found


class Swarp:
    """Runs of SWarp over the same frames, one grid each."""

    def __init__(self, program: str, folder: Path, frames: list[Frame]) -> None:
        self.program, self.folder = program, folder
        self.names = [f"frame{k}.fits" for k in range(len(frames))]
        (folder / "swarp.conf").write_text(SETTINGS)
        for name, one in zip(self.names, frames, strict=True):
            header = one.wcs.to_header()
            header["EQUINOX"] = 2000.0
            fits.PrimaryHDU(one.pixels, header).writeto(folder / name)

    def stack(self, ra: float, dec: float, combine: str, names=None) -> np.ndarray:
        """The coadd around a position; NaN where it has no weight."""
        center = f"{ra:.10f},{dec:.10f}"
        options = ["-c", "swarp.conf", "-CENTER", center, "-COMBINE_TYPE", COMBINE[combine]]
        subprocess.run(
            [self.program, *(names or self.names), *options],
            cwd=self.folder, check=True, timeout=120, capture_output=True,
        )  # fmt: skip
        header = fits.getheader(self.folder / "coadd.fits")
        assert (header["CRVAL1"], header["CRVAL2"]) == pytest.approx((ra, dec), abs=1e-8)
        assert header["CRPIX1"] == header["CRPIX2"] == (SIZE + 1) / 2
        assert header["CD1_1"] < 0 < header["CD2_2"]
        image = fits.getdata(self.folder / "coadd.fits")
        weight = fits.getdata(self.folder / "coadd.weight.fits")
        return np.where(weight > 0, image, np.nan)


def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Flux to 0.5 %, the object's centroid to 0.05 px, pixels to a tenth of the noise.

    Pixels to which SWarp gives weight 0, where it keeps neither of two values, are left out.
    """
    both = np.isfinite(theirs) & np.isfinite(ours)
    assert both.mean() > 0.99
    ours, theirs = (np.where(both, a, 0).astype(float) for a in (ours, theirs))
    noise = 1.4826 * np.median(np.abs(theirs - np.median(theirs)))
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.1 * noise
    row, column = np.indices(ours.shape) - (SIZE - 1) / 2
    near = np.hypot(row, column) < 8
    sums = [image[near].sum() for image in (ours, theirs)]
    assert sums[0] == pytest.approx(sums[1], rel=0.005)
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.005)
    pairs = list(zip((ours, theirs), sums, strict=True))
    for axis in (row, column):
        place = [(image * axis)[near].sum() / total for image, total in pairs]
        assert place[0] == pytest.approx(place[1], abs=0.05)


def galaxies(seed: int, count: int = 30):
    """Elliptical Gaussians of 1.3 to 4 px, the brightest in the middle."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(40, 160, count), rng.uniform(60, 180, count)
    u[0], v[0] = 100.3, 120.7
    flux = 10 ** rng.uniform(1.5, 3.5, count)
    flux[0] = 4e3
    minor, major = rng.uniform(1.3, 2.5, count), rng.uniform(2.5, 4.0, count)
    turn = rng.uniform(0, np.pi, count)

    def brightness(x, y):
        total = np.zeros(np.shape(x))
        for k in range(count):
            along = (x - u[k]) * np.cos(turn[k]) + (y - v[k]) * np.sin(turn[k])
            across = (y - v[k]) * np.cos(turn[k]) - (x - u[k]) * np.sin(turn[k])
            shape = np.exp(-0.5 * ((along / major[k]) ** 2 + (across / minor[k]) ** 2))
            total += flux[k] / (2 * np.pi * major[k] * minor[k]) * shape
        return total

    return brightness


def overlapping(seed: int, count: int) -> list[Frame]:
    """Frames of one sky: turned, shifted and of other pixel sizes, each with its own noise."""
    rng = np.random.default_rng(seed)
    brightness = galaxies(seed)
    frames = []
    for k in range(count):
        shift, angle = (
            (40 + rng.uniform(-9, 9), 60 + rng.uniform(-9, 9)),
            rng.uniform(-np.pi, np.pi),
        )
        wcs = tan((shift[0] + 60, shift[1] + 60), angle=angle, scale=rng.uniform(0.95, 1.05))
        one = frame("r", wcs, brightness, (420, 400))
        one.pixels[:] += rng.normal(scale=0.5 * (1 + 0.3 * k), size=one.pixels.shape)
        frames.append(one)
    return frames


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_rotated_frames_are_stacked_as_swarp_stacks_them(program, tmp_path, count, combine):
    frames = overlapping(count, count)
    ra, dec = sky(100.3, 120.7)
    ours = stack_frames(frames, ra, dec, size=SIZE, scale=SCALE, combine=combine)
    assert ours.depth.tolist() == [count]
    agree(ours.image[0], Swarp(program, tmp_path, frames).stack(ra[0], dec[0], combine))


def test_frames_that_cover_part_of_a_cutout(program, tmp_path):
    """Five frames, cut so that their ends cross the cutout; and cosmic rays."""
    frames = []
    for k, one in enumerate(overlapping(11, 5)):
        x, y = (int(p[0]) for p in one.wcs.wcs_world2pix(*sky(100.3, 120.7), 0))
        pixels = one.pixels[: y + 9 * k - 3, : x + 60].copy()
        pixels[y - 12 + 3 * k, x - 6 + 2 * k : x + k] += 400.0
        frames.append(Frame(band="r", pixels=pixels, wcs=one.wcs))
    ra, dec = sky(100.3, 120.7)
    ours = stack_frames(frames, ra, dec, size=SIZE, scale=SCALE)
    theirs = Swarp(program, tmp_path, frames).stack(ra[0], dec[0], "clipped")
    layers = np.array([regrid(one, ra, dec, size=SIZE, scale=SCALE)[0] for one in frames])
    # Near a frame's end SWarp cuts the kernel short where we have NaN: compare where all or none
    # of the frames' kernels are whole within 4 pixels.
    same = np.ones((SIZE, SIZE), bool)
    for layer in layers:
        there = np.pad(np.isfinite(layer), 4, mode="edge")
        window = np.lib.stride_tricks.sliding_window_view(there, (9, 9))
        same &= window.all(axis=(2, 3)) | ~window.any(axis=(2, 3))
    same &= np.isfinite(theirs) & np.isfinite(ours.image[0])
    assert same.mean() > 0.3
    noise = 1.4826 * np.nanmedian(np.abs(theirs - np.nanmedian(theirs)))
    assert np.sqrt(np.mean((ours.image[0] - theirs)[same] ** 2)) < 0.1 * noise
    assert np.abs(np.nanmean(layers, axis=0) - theirs)[same].max() > 50 * noise  # some were clipped


@pytest.fixture(scope="module")
def real(survey_data):
    folder = survey_data / "sdss_field_94-1-12"
    frames = [read_frame(folder / f"frame-{b}-000094-1-0012.fits.bz2", b, threads=2) for b in BANDS]
    table = fits.getdata(folder / "photoObj-000094-1-0012.fits")
    row, column, flux = table["ROWC"][:, 2], table["COLC"][:, 2], table["PETROFLUX"][:, 2]
    chosen = (row > 60) & (row < 1420) & (column > 60) & (column < 1980) & (table["NCHILD"] == 0)
    brightest = np.flatnonzero(chosen)[np.argsort(-flux[chosen])][[1, 30]]
    return frames, table["RA"][brightest].astype(float), table["DEC"][brightest].astype(float)


@pytest.fixture(scope="module")
def real_swarp(program, real, tmp_path_factory):
    return Swarp(program, tmp_path_factory.mktemp("real"), real[0])


@pytest.mark.parametrize("band", range(5))
def test_real_frames_are_resampled_as_swarp_resamples_them(real, real_swarp, band):
    frames, ra, dec = real
    ours = stack_frames([frames[band]], ra, dec, size=SIZE, scale=SCALE)
    assert ours.complete.all()
    for k in range(len(ra)):
        theirs = real_swarp.stack(ra[k], dec[k], "clipped", [f"frame{band}.fits"])
        agree(ours.image[k], theirs)


@pytest.mark.parametrize("combine", ["median", "mean"])
def test_real_bands_are_stacked_as_swarp_stacks_them(real, real_swarp, combine):
    """As if they were one band: five systems of coordinates, five levels of noise."""
    frames, ra, dec = real
    ours = stack_frames(frames, ra, dec, size=SIZE, scale=SCALE, combine=combine)
    for k in range(len(ra)):
        agree(ours.image[k], real_swarp.stack(ra[k], dec[k], combine))


def exposed(one: Frame, quarters: int, noise: float, seed: int) -> Frame:
    """A frame turned by quarters of a circle, pixels and coordinates alike, with more noise."""
    wcs, (rows, columns) = one.wcs.deepcopy(), one.pixels.shape
    for _ in range(quarters):
        x, y = wcs.wcs.crpix
        wcs.wcs.crpix = [y, columns + 1 - x]
        wcs.wcs.cd = wcs.wcs.cd @ np.array([[0.0, -1.0], [1.0, 0.0]])
        rows, columns = columns, rows
    wcs.wcs.set()
    pixels = np.rot90(one.pixels, quarters)
    pixels = pixels + np.random.default_rng(seed).normal(scale=noise, size=pixels.shape)
    return Frame(band=one.band, pixels=pixels.astype(np.float32), wcs=wcs)


def test_real_frames_turned_about_are_clipped_as_swarp_clips_them(program, real, tmp_path):
    frames, ra, dec = real
    several = [exposed(frames[2], k % 4, 0.02 * k, k) for k in range(5)]
    rng = np.random.default_rng(8)
    for one in several:  # rays, on a thousandth of the pixels
        one.pixels[tuple(rng.integers(0, 1489, (2, 2000)))] += 30.0
    swarp = Swarp(program, tmp_path, several)
    ours = stack_frames(several, ra, dec, size=SIZE, scale=SCALE)
    for k in range(len(ra)):
        agree(ours.image[k], swarp.stack(ra[k], dec[k], "clipped"))
