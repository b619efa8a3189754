"""Differences between galaxyds and SExtractor, source by source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from galaxyds.morphology import Detections, central, measure

ABSOLUTE = {
    "X_WORLD": "x",
    "Y_WORLD": "y",
    "THETA_IMAGE": "theta",
    "ELLIPTICITY": "ellipticity",
    "ISOAREA_IMAGE": "isophotal_area",
    "MU_MAX": "mu_max",
}
"""SExtractor's name and ours of the parameters whose differences are shown as they are."""
RELATIVE = {
    "A_IMAGE": "a",
    "B_IMAGE": "b",
    "FLUX_RADIUS": "half_light_radius",
    "KRON_RADIUS": "kron_radius",
    "FLUX_AUTO": "auto_flux",
    "PETRO_RADIUS": "petro_radius",
    "FLUX_PETRO": "petro_flux",
}
"""Those whose differences are relative."""
MERGED = 2


@dataclass(frozen=True)
class Parity:
    """Differences of all sources of some images.

    Attributes
    ----------
    images, equal_counts : int
        Images compared, and those with as many sources in both.
    differences : dict of str to numpy.ndarray
        By SExtractor's name of the parameter, one value per source.
    central, blended : numpy.ndarray
        bool per source: nearest to the centre of its image; deblended.
    equal_flags : float
        Share of sources with equal ``FLAGS``.
    """

    images: int
    equal_counts: int
    differences: dict[str, np.ndarray]
    central: np.ndarray
    blended: np.ndarray
    equal_flags: float

    def quantiles(self, name: str, chosen: np.ndarray) -> tuple[float, float, float]:
        """Median, 90th percentile and maximum of a parameter's difference."""
        found = self.differences[name][chosen]
        return float(np.median(found)), float(np.quantile(found, 0.9)), float(found.max())


def compare(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Parity:
    """Measure images and hold the results against SExtractor's catalogues of them."""
    rows, images, equal = [], 0, 0
    for image, catalogue in pairs:
        ours = measure(image)
        images += 1
        if len(ours) == len(catalogue):
            equal += 1
            rows += _differences(ours, catalogue)
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Parity(
        images,
        equal,
        {name: table[name] for name in (*ABSOLUTE, *RELATIVE)},
        table["central"],
        table["blended"],
        float(table["flags"].mean()),
    )


def _differences(ours: Detections, catalogue: np.ndarray) -> list[dict[str, float]]:
    middle, rows = central(ours), []
    for i in range(len(ours)):
        apart = np.hypot(catalogue["X_WORLD"] - ours.x[i], catalogue["Y_WORLD"] - ours.y[i])
        theirs = catalogue[np.argmin(apart)]
        row = {name: abs(getattr(ours, own)[i] - theirs[name]) for name, own in ABSOLUTE.items()}
        row["THETA_IMAGE"] = min(row["THETA_IMAGE"], 180 - row["THETA_IMAGE"])
        for name, own in RELATIVE.items():
            row[name] = abs(getattr(ours, own)[i] - theirs[name]) / max(abs(theirs[name]), 1e-9)
        row["central"] = i == middle
        row["blended"] = bool(theirs["FLAGS"] & MERGED)
        row["flags"] = ours.flags[i] == theirs["FLAGS"]
        rows.append(row)
    return rows
