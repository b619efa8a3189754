"""The simulated sky beside the real one: number counts of a field, and colours of quasars.

    python benchmarks/sky_vs_sdss.py --data DIR [--png FILE]

DIR holds ``sdss_field_94-1-12/photoObj-000094-1-0012.fits`` and
``sdss_tables/sdss_dr17_star_classification_first20000.csv``; the default is ``GALAXYDS_TEST_DATA``,
else ``../shared/data`` beside the checkout.

Counts: unique detections (NCHILD = 0, not BRIGHT) of types 3 and 6 in half magnitudes of modelMag_r
of one real field, against the mean of simulated fields without their quasars (50 times too many on
purpose).  One field has few bright objects: the Poisson error of the real number stands beside it.
Colours: medians of u-g, g-r, r-i, i-z (model magnitudes as catalogued, neither dereddened) of
quasars in redshift bins; the error is 1.25 sigma / sqrt(n) of the real median.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky import Footprint, Run, Universe
from galaxyds.sky.detections import detect
from galaxyds.sky.photometry import columns
from galaxyds.sky.universe import QUASAR

Floats = NDArray[np.float64]
BINS = np.arange(16.0, 23.01, 0.5)
REDSHIFTS = np.array([1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.6, 4.0, 5.0])
COLORS = ("u-g", "g-r", "r-i", "i-z")
BRIGHT = 0x2
FOOTPRINT = Footprint(runs=(Run(number=9001, ra=30.0, dec=-1.2615, first=11, last=34),))


@dataclass(frozen=True)
class Sky:
    """Counts per field in BINS of galaxies and stars; redshift and ugriz of quasars."""

    galaxies: Floats
    stars: Floats
    redshift: Floats
    ugriz: Floats


def real(data: Path) -> Sky:
    import pandas as pd
    from astropy.io import fits

    with fits.open(data / "sdss_field_94-1-12" / "photoObj-000094-1-0012.fits") as hdus:
        table = hdus[1].data
        unique = (table["NCHILD"] == 0) & ((table["OBJC_FLAGS"] & BRIGHT) == 0)
        kind = table["OBJC_TYPE"][unique]
        r = table["MODELMAG"][unique, 2].astype(float)
    rows = pd.read_csv(data / "sdss_tables" / "sdss_dr17_star_classification_first20000.csv")
    rows = rows[(rows["class"] == "QSO") & (rows["u"] > 0) & rows["redshift"].between(1, 5)]
    return Sky(
        galaxies=np.histogram(r[kind == 3], BINS)[0].astype(float),
        stars=np.histogram(r[kind == 6], BINS)[0].astype(float),
        redshift=rows["redshift"].to_numpy(float),
        ugriz=rows[list("ugriz")].to_numpy(float),
    )


def simulated() -> Sky:
    found = detect(Universe(), FOOTPRINT)
    table: dict[str, NDArray[Any]] = columns(found)
    fields = len(FOOTPRINT.tiles())
    quasar = found.sources.kind == QUASAR
    r = table["modelMag_r"]

    def count(kind: int) -> Floats:
        return np.histogram(r[(table["type"] == kind) & ~quasar], BINS)[0] / fields

    # Real spectroscopic quasars are brighter than about 22.3 in their detection band.
    chosen = quasar & found.primary & (found.sources.magnitude[:, 2] < 22.4)
    return Sky(
        galaxies=count(3),
        stars=count(6),
        redshift=found.sources.redshift[chosen],
        ugriz=np.stack([table[f"modelMag_{b}"][chosen] for b in "ugriz"], axis=1),
    )


def tracks(sky: Sky) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Median colours, their scatter (half of the 16-84 % range), and rows, per redshift bin."""
    medians, scatters, numbers = [], [], []
    color = sky.ugriz[:, :-1] - sky.ugriz[:, 1:]
    for low, high in pairwise(REDSHIFTS):
        mine = color[(sky.redshift >= low) & (sky.redshift < high)]
        low_c, middle, high_c = np.percentile(mine, [16, 50, 84], axis=0)
        medians.append(middle)
        scatters.append((high_c - low_c) / 2)
        numbers.append(len(mine))
    return np.array(medians), np.array(scatters), np.array(numbers)


def print_counts(truth: Sky, ours: Sky) -> None:
    print(
        "modelMag_r   galaxies: real +-poisson   sim  sim/real | stars: real +-poisson   sim  ratio"
    )
    for k, low in enumerate(BINS[:-1]):
        cells = []
        for name in ("galaxies", "stars"):
            there, here = getattr(truth, name)[k], getattr(ours, name)[k]
            ratio = f"{here / there:7.2f}" if there else "      -"
            cells.append(f"{there:14.0f} {np.sqrt(there):7.1f} {here:8.1f} {ratio}")
        print(f"{low:.1f}-{low + 0.5:.1f}  {cells[0]}   | {cells[1]}")
    for name, low, high in (("galaxies", 18, 21.5), ("galaxies", 19, 22), ("stars", 16, 22)):
        part = (BINS[:-1] >= low) & (BINS[1:] <= high)
        there, here = getattr(truth, name)[part].sum(), getattr(ours, name)[part].sum()
        print(
            f"{name} {low}-{high}: real {there:.0f}, simulated {here:.0f}, ratio {here / there:.2f}"
        )


def print_tracks(truth: Sky, ours: Sky) -> None:
    (m_real, s_real, n_real), (m_sim, s_sim, n_sim) = tracks(truth), tracks(ours)
    print(
        "\nredshift      n real  n sim   "
        + "   ".join(f"{c}: real   sim   diff +-" for c in COLORS)
    )
    error = 1.25 * s_real / np.sqrt(n_real)[:, None]
    difference = m_sim - m_real
    for k in range(len(n_real)):
        cells = "   ".join(
            f"{a:9.2f} {b:6.2f} {d:+6.2f} {e:.2f}"
            for a, b, d, e in zip(m_real[k], m_sim[k], difference[k], error[k], strict=True)
        )
        span = f"{REDSHIFTS[k]:.1f}-{REDSHIFTS[k + 1]:.1f}"
        print(f"{span:12s} {n_real[k]:6d} {n_sim[k]:6d}  {cells}")
    for j, name in enumerate(COLORS):
        d = np.abs(difference[:, j])
        excess = np.maximum(d - 2 * error[:, j], 0)
        print(
            f"{name}: |difference| median {np.median(d):.3f}, within 0.10 in {(d <= 0.10).sum()},"
            f" within 0.15 in {(d <= 0.15).sum()} of {d.size} bins; beyond 0.15 and 2 errors in"
            f" {((d > 0.15) & (excess > 0)).sum()}; scatter real {np.median(s_real[:, j]):.2f},"
            f" simulated {np.median(s_sim[:, j]):.2f}"
        )


def draw(truth: Sky, ours: Sky, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(15, 8.5))
    middle = (BINS[1:] + BINS[:-1]) / 2
    for axis, name in ((axes[0, 0], "galaxies"), (axes[1, 0], "stars")):
        there = getattr(truth, name)
        axis.errorbar(middle, there, np.sqrt(there), fmt="ko", label="real field 94-1-12")
        axis.step(middle, getattr(ours, name), where="mid", color="C3", label="simulated mean")
        axis.set(yscale="log", xlabel="modelMag_r", ylabel=f"{name} per field and 0.5 mag")
        axis.legend()
    (m_real, s_real, n_real), (m_sim, s_sim, _) = tracks(truth), tracks(ours)
    z = (REDSHIFTS[1:] + REDSHIFTS[:-1]) / 2
    for j, axis in enumerate(axes[:, 1:].ravel()):
        cloud = truth.ugriz[:, j] - truth.ugriz[:, j + 1]
        axis.plot(truth.redshift, cloud, ".", ms=2, color="0.75", zorder=0)
        error = 1.25 * s_real[:, j] / np.sqrt(n_real)
        axis.errorbar(z, m_real[:, j], error, fmt="ko", label="real median")
        axis.plot(z, m_sim[:, j], "C3-", label="simulated median")
        band = (m_sim[:, j] - s_sim[:, j], m_sim[:, j] + s_sim[:, j])
        axis.fill_between(z, *band, color="C3", alpha=0.2, label="simulated 16-84 %")
        middle_c = np.median(cloud)
        axis.set(xlabel="redshift", ylabel=COLORS[j], xlim=(0.95, 5), title="quasars")
        axis.set_ylim((-1, 5) if j == 0 else (middle_c - 0.8, middle_c + (2.5 if j == 1 else 1.1)))
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("GALAXYDS_TEST_DATA", beside))
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--png", type=Path, default=Path("sky_vs_sdss.png"))
    options = parser.parse_args()
    truth, ours = real(options.data), simulated()
    print_counts(truth, ours)
    print_tracks(truth, ours)
    draw(truth, ours, options.png)
    print(f"\npicture: {options.png}")


if __name__ == "__main__":
    main()
