"""Sersic indices of simulated galaxies by galaxyds, SExtractor and public fitters, in one run.

    python benchmarks/sersic.py [--count 300] [--slow 30] [--device cpu]
    python benchmarks/sersic.py --real DIR --picture FILE

The first form simulates galaxies of known index (127 x 127 pixels of 0.168", Moffat PSF of 0.7",
sky noise 0.05, zero point 27, gain 300, mag 18-22.5, n 0.5-6, half-light semi-major axis
0.35-1.8", about three neighbours) with GalSim, and fits each with every fitter that is installed.
Bias and scatter (1.4826 x median absolute deviation) are those of ln(n fitted / n true);
"off" is the share with |ln(n fitted / n true)| > 0.3.  Times are processor milliseconds on one
core, per fitted object.  The second form fits real galaxies of DIR (``hsc/hsc_cosmos.npz`` and
``galaxy_cutouts_profit``) and draws image, model and residual.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import sep
from astropy.io import fits

from galaxyds.morphology import measure_cutouts
from galaxyds.morphology.sersic import (
    SOFTENING,
    SersicFit,
    SersicGuess,
    fit_sersic,
    model_images,
    neighbour_mask,
)

SIDE, SCALE, SIGMA, GAIN, ZERO_POINT = 127, 0.168, 0.05, 300.0, 27.0
FAR = 0.3
MAGNITUDES = ((18.0, 19.5), (19.5, 21.0), (21.0, 22.5))


@dataclass
class Population:
    images: np.ndarray
    psf: np.ndarray
    index: np.ndarray
    magnitude: np.ndarray


@dataclass
class Detections:
    guess: SersicGuess
    sigma: np.ndarray
    mask: np.ndarray


def simulate(count: int, seed: int) -> Population:
    import galsim

    rng = np.random.default_rng(seed)
    psf = galsim.Moffat(beta=3.0, fwhm=0.7)
    images = np.empty((count, SIDE, SIDE), np.float32)
    index, magnitude = rng.uniform(0.5, 6, count), rng.uniform(18, 22.5, count)
    middle = SIDE // 2 * SCALE

    def galaxy(n: float, mag: float, radius: float, place: np.ndarray) -> Any:
        q, angle = rng.uniform(0.3, 1), rng.uniform(0, 180) * galsim.degrees
        flux = 10 ** (0.4 * (ZERO_POINT - mag))
        # GalSim's radius is that of the circle of the same area.
        round_one = galsim.Sersic(n, half_light_radius=radius * np.sqrt(q), flux=flux)
        return round_one.shear(q=q, beta=angle).shift(*place)

    for k in range(count):
        place = rng.uniform(-SCALE / 2, SCALE / 2, 2)
        scene = [galaxy(index[k], magnitude[k], rng.uniform(0.35, 1.8), place)]
        for _ in range(rng.poisson(3)):
            while np.hypot(*(place := rng.uniform(-middle, middle, 2))) < 2.0:
                pass
            mag, radius = rng.uniform(19, 24), rng.uniform(0.2, 1.2)
            scene.append(galaxy(rng.uniform(0.5, 6), mag, radius, place))
        seen = galsim.Convolve(galsim.Sum(scene), psf)
        clean = seen.drawImage(nx=SIDE, ny=SIDE, scale=SCALE).array
        noise = np.sqrt(SIGMA**2 + np.maximum(clean, 0) / GAIN)
        images[k] = clean + noise * rng.normal(size=clean.shape)
    return Population(images, psf.drawImage(nx=61, ny=61, scale=SCALE).array, index, magnitude)


def detect(images: np.ndarray) -> Detections:
    """The source next to the middle of each image, by sep."""
    rows, sigma, masks = [], [], []
    for image in images:
        background = sep.Background(image)
        flat = image - background.back()
        objects, segments = sep.extract(
            flat, 3.0, err=background.globalrms, minarea=5, segmentation_map=True
        )
        middle = (np.array(image.shape[::-1]) - 1) / 2
        k = int(np.argmin(np.hypot(objects["x"] - middle[0], objects["y"] - middle[1])))
        o = objects[k]
        radius, _ = sep.flux_radius(
            flat, [o["x"]], [o["y"]], [40.0], 0.5,
            normflux=[o["flux"]], subpix=5, seg_id=np.array([k + 1], np.int32), segmap=segments,
        )  # fmt: skip
        rows.append((o["x"], o["y"], o["flux"], radius[0], o["b"] / o["a"], np.degrees(o["theta"])))
        sigma.append(background.globalrms)
        masks.append(neighbour_mask(segments, k + 1, center=(o["x"], o["y"])))
    columns = np.array(rows).T
    names = ("x", "y", "flux", "radius", "axis_ratio", "theta")
    guess = SersicGuess(**dict(zip(names, columns, strict=True)))
    return Detections(guess, np.array(sigma), np.array(masks))


def part(found: Detections, rows: slice) -> Detections:
    names = SersicGuess.__dataclass_fields__
    guess = SersicGuess(**{name: getattr(found.guess, name)[rows] for name in names})
    return Detections(guess, found.sigma[rows], found.mask[rows])


def ours(images: np.ndarray, psf: np.ndarray, found: Detections, **options: Any) -> SersicFit:
    import torch

    torch.set_num_threads(1)
    return fit_sersic(images, psf, found.guess, sigma=found.sigma, mask=found.mask, **options)


def whole_stage(population: Population) -> np.ndarray:
    """Index by the morphology stage of a build: detection, every column, mask and fit."""
    count = len(population.images)
    # A stored function has 41 pixels, one per galaxy.
    psf = np.broadcast_to(population.psf[10:-10, 10:-10], (count, 1, 41, 41)).astype(np.float32)
    sides = np.full(count, SIDE)
    found = measure_cutouts(
        population.images[:, None].astype(np.float32), psf, rows=sides, columns=sides, bands="i"
    )
    return found["i_sersic_index"]


def write_psfex(path: Path, psf: np.ndarray) -> None:
    """A constant function in PSFEx's format, sampled at the pixels."""
    table = fits.BinTableHDU.from_columns(
        [fits.Column("PSF_MASK", f"{psf.size}E", dim=f"({psf.shape[1]},{psf.shape[0]},1)",
                     array=(psf / psf.sum()).astype(np.float32)[None, None])],
        name="PSF_DATA",
    )  # fmt: skip
    cards = {"LOADED": 1, "ACCEPTED": 1, "CHI2": 1.0, "POLNAXIS": 0, "POLNGRP": 0,
             "PSF_FWHM": 0.7 / SCALE, "PSF_SAMP": 1.0, "PSFNAXIS": 3, "PSFAXIS1": psf.shape[1],
             "PSFAXIS2": psf.shape[0], "PSFAXIS3": 1}  # fmt: skip
    table.header.update(cards)
    table.writeto(path, overwrite=True)


SETTINGS = """CATALOG_NAME out.cat
CATALOG_TYPE ASCII
PARAMETERS_NAME want.param
DETECT_THRESH 3.0
ANALYSIS_THRESH 1.5
DETECT_MINAREA 5
FILTER N
PSF_NAME known.psf
MAG_ZEROPOINT 27.0
PIXEL_SCALE 0.168
GAIN {gain}
NTHREADS 1
VERBOSE_TYPE QUIET
"""
WANTED = "X_IMAGE\nY_IMAGE\nSPHEROID_SERSICN\nFLAGS_MODEL\n"


def sextractor(population: Population, gain: float) -> tuple[np.ndarray, float, int]:
    """Index of the source next to the middle, processor ms per fitted object, objects fitted."""
    program = shutil.which("source-extractor") or shutil.which("sex")
    if program is None:
        return np.array([]), np.nan, 0
    index, fitted = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Its time grows with this image: 25 pixels cost accuracy, 61 half as much time again.
        write_psfex(folder / "known.psf", population.psf[10:-10, 10:-10])
        (folder / "own.sex").write_text(SETTINGS.format(gain=gain))
        (folder / "want.param").write_text(WANTED)
        before = _children()
        for image in population.images:
            fits.writeto(folder / "image.fits", image, overwrite=True)
            subprocess.run([program, "image.fits", "-c", "own.sex"], cwd=folder, check=True)
            table = np.loadtxt(folder / "out.cat", ndmin=2)
            near = np.argmin(np.hypot(*(table[:, :2] - (SIDE + 1) / 2).T))
            index.append(table[near, 2])
            fitted += len(table)
    return np.array(index), 1e3 * (_children() - before) / fitted, fitted


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def with_scipy(population: Population, found: Detections, k: int) -> float:
    """GalSim draws, scipy's least squares moves: a window of 81 pixels, free sky."""
    import galsim
    from scipy.optimize import least_squares

    g, side = found.guess, 81
    corner_x, corner_y = (round(float(v[k])) - side // 2 for v in (g.x, g.y))
    corner_x, corner_y = (min(max(c, 0), SIDE - side) for c in (corner_x, corner_y))
    window = np.s_[k, corner_y : corner_y + side, corner_x : corner_x + side]
    data, keep = population.images[window], ~found.mask[window]
    psf = galsim.InterpolatedImage(galsim.Image(population.psf, scale=1.0), flux=1.0)
    middle = (side - 1) / 2

    def residual(p: np.ndarray) -> np.ndarray:
        x, y, flux, radius, g1, g2, n, sky = p
        e = min(np.hypot(g1, g2), 0.9) / max(np.hypot(g1, g2), 1e-9)
        galaxy = galsim.Sersic(n, half_light_radius=radius, flux=flux).shear(g1=e * g1, g2=e * g2)
        offset = (x - corner_x - middle, y - corner_y - middle)
        image = galsim.Convolve(galaxy, psf).drawImage(
            nx=side, ny=side, scale=1.0, offset=offset, method="no_pixel"
        )
        return ((data - image.array - sky)[keep] / found.sigma[k]).ravel()

    q, t = float(g.axis_ratio[k]), np.radians(float(g.theta[k]))
    e = (1 - q) / (1 + q)
    begin = [g.x[k], g.y[k], g.flux[k], g.radius[k], e * np.cos(2 * t), e * np.sin(2 * t), 2.0, 0.0]
    low = [g.x[k] - 6, g.y[k] - 6, 0, 0.3, -0.9, -0.9, 0.3, -1]
    high = [g.x[k] + 6, g.y[k] + 6, 1e5, 60, 0.9, 0.9, 6.2, 1]
    scale = [0.1, 0.1, 0.05 * g.flux[k], 0.5, 0.05, 0.05, 0.3, 0.01]
    return float(
        least_squares(
            residual, begin, bounds=(low, high), x_scale=scale, diff_step=1e-4, ftol=1e-4, xtol=1e-3
        ).x[6]
    )


def with_statmorph(population: Population, found: Detections, k: int) -> float:
    import statmorph

    image = population.images[k]
    background = sep.Background(image)
    flat = image - background.back()
    _, segments = sep.extract(flat, 1.5, err=background.globalrms, segmentation_map=True)
    mine = segments == segments[round(float(found.guess.y[k])), round(float(found.guess.x[k]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (result,) = statmorph.source_morphology(
            flat, mine.astype(int), mask=found.mask[k], psf=population.psf / population.psf.sum(),
            weightmap=np.full_like(flat, found.sigma[k]),
        )  # fmt: skip
    return float(result.sersic_n)


def row(name: str, population: Population, index: np.ndarray, *, ms: float, note: str = "") -> str:
    count = len(index)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.log(index / population.index[:count])
    error = np.where(np.isfinite(error), error, np.inf)
    magnitude, cells = population.magnitude[:count], []
    for low, high in (*MAGNITUDES, (18.0, 22.5)):
        some = error[(magnitude >= low) & (magnitude < high)]
        if not len(some):
            cells.append(f"{'-':^18}")
            continue
        scatter = 1.4826 * np.median(np.abs(some - np.median(some)))
        far = np.mean(np.abs(some) > FAR)
        cells.append(f"{np.median(some):+.3f} {scatter:.3f} {far:.3f}")
    return f"{name:<24} {count:>4}  " + "   ".join(cells) + f"  {ms:8.2f}  {note}"


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.process_time()
    result = action()
    return result, time.process_time() - begin


def _half(job: tuple[np.ndarray, np.ndarray, Detections, int]) -> float:
    images, psf, found, repeats = job
    ours(images[:16], psf, part(found, slice(16)))
    begin = time.perf_counter()
    for _ in range(repeats):
        ours(images, psf, found)
    return (time.perf_counter() - begin) / repeats


def two_processes(population: Population, found: Detections) -> float:
    """Wall ms per fit of two processes with half of the galaxies each."""
    middle = len(population.images) // 2
    jobs = [
        (population.images[rows], population.psf, part(found, rows), 3)
        for rows in (slice(0, middle), slice(middle, 2 * middle))
    ]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return 1e3 * max(pool.map(_half, jobs)) / (2 * middle)


def compare(count: int, slow: int, device: str, seed: int) -> None:
    population = simulate(count, seed)
    found, spent = timed(lambda: detect(population.images))
    print(f"{count} galaxies, seed {seed}; detection and mask (sep) {1e3 * spent / count:.2f} ms")
    bins = "   ".join(f"{low:g}-{high:g}".center(18) for low, high in MAGNITUDES)
    print(f"{'bias NMAD off':<24}    N  {bins}   {'all':^18}     ms/fit")
    psf = population.psf
    ours(population.images[:16], psf, part(found, slice(16)), device=device)
    variants = {
        "galaxyds, sky noise only": (None, 0.0),
        "galaxyds, gain known": (GAIN, SOFTENING),
        "galaxyds": (None, SOFTENING),
    }
    for name, (gain, softening) in variants.items():
        fit_all = partial(ours, population.images, psf, found, device=device, gain=gain)
        with mock.patch("galaxyds.morphology.sersic.SOFTENING", softening):
            runs = [timed(fit_all) for _ in range(5)]
        fit, times = runs[0][0], sorted(1e3 * run[1] / count for run in runs)
        ms = times[len(times) // 2]
        own, flagged = ms, np.count_nonzero(fit.flags)
        bad = f"{flagged} flagged, {fit.iterations.mean():.1f} evaluations, best {times[0]:.2f} ms"
        print(row(name, population, fit.index, ms=ms, note=bad), flush=True)
    stage = [timed(lambda: whole_stage(population)) for _ in range(3)]
    ms = sorted(1e3 * run[1] / count for run in stage)[1]
    print(row("the whole stage", population, stage[0][0], ms=ms, note="all columns"), flush=True)
    for name, gain in (("SExtractor SPHEROID", 0.0), ("SExtractor, gain known", GAIN)):
        index, ms, fitted = sextractor(population, gain)
        if fitted:
            print(row(name, population, index, ms=ms, note=f"{fitted} objects fitted"), flush=True)
    fitters: list[tuple[str, Any]] = [("GalSim + scipy", with_scipy)]
    if importlib.util.find_spec("statmorph"):
        fitters.append(("statmorph with PSF", with_statmorph))
    for name, fitter in fitters:
        indices, spent = timed(lambda f=fitter: [f(population, found, k) for k in range(slow)])
        print(row(name, population, np.array(indices), ms=1e3 * spent / slow), flush=True)
    print(row("galaxyds, the same", population, fit.index[:slow], ms=own))
    if device == "cpu":
        print(f"two processes: {two_processes(population, found):.2f} ms of wall time per fit")


def real_galaxies(folder: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, image and point-spread function."""
    found = []
    cosmos = np.load(folder / "hsc" / "hsc_cosmos.npz", allow_pickle=True)
    for band, image, psf in zip(cosmos["filters"], cosmos["images"], cosmos["psfs"], strict=True):
        found.append((f"HSC {band}", image, psf))
    for path in sorted((folder / "galaxy_cutouts_profit").glob("*fitim.fits")):
        psf = fits.getdata(str(path).replace("fitim", "psfim"))
        found.append((path.name.removesuffix("fitim.fits"), fits.getdata(path), psf))
    return [(name, np.array(i, np.float32), np.array(p, np.float32)) for name, i, p in found]


def show_real(folder: Path, picture: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    galaxies = real_galaxies(folder)
    figure, axes = plt.subplots(3, len(galaxies), figsize=(1.7 * len(galaxies), 5.6))
    for column, (name, raw, psf) in zip(axes.T, galaxies, strict=True):
        unit = np.float32(np.median(np.abs(raw - np.median(raw)))) * np.float32(1.4826)
        image = raw / unit
        found = detect(image[None])
        fit = ours(image[None], psf, found)
        model = model_images(fit, image.shape, psf)[0]
        chi2, sigma = float(fit.chi2[0]), float(found.sigma[0])
        print(
            f"{name:<14} n {fit.index[0]:.2f}  re {fit.radius[0]:.2f} px  q {fit.axis_ratio[0]:.2f}"
            f"  chi2 {chi2:.2f}  flags {fit.flags[0]}  evaluations {fit.iterations[0]}"
        )
        hidden = np.where(found.mask[0], np.nan, image - model)
        for axis, values, scale in zip(column, (image, model, hidden), (30, 30, 5), strict=True):
            stretched = np.arcsinh((values - fit.sky[0] * (axis is not column[2])) / sigma)
            reach = np.arcsinh(scale)
            low, colours = (-reach, "RdBu") if axis is column[2] else (-reach / 3, "gray")
            axis.imshow(stretched, origin="lower", cmap=colours, vmin=low, vmax=reach)
            axis.set_xticks([])
            axis.set_yticks([])
        column[0].set_title(f"{name}\nn={fit.index[0]:.2f}", fontsize=7)
    for axis, label in zip(axes[:, 0], ("image", "model", "residual"), strict=True):
        axis.set_ylabel(label)
    figure.tight_layout(pad=0.3)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=85)
    # Noise does not compress: 48 colours keep the file small.
    Image.open(drawn).convert("RGB").quantize(48).save(picture, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--slow", type=int, default=30, help="galaxies for the slow fitters")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--picture", type=Path, default=Path("sersic_residuals.png"))
    given = parser.parse_args()
    if given.real:
        show_real(given.real, given.picture)
    else:
        compare(given.count, given.slow, given.device, given.seed)


if __name__ == "__main__":
    sys.exit(main())
