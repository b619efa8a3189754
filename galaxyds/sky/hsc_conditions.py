"""What a coadd of HSC is like at a place: point-spread function, noise, holes.

Compared with real coadds (the COSMOS cutouts that come with scarlet): the exponent 2.5 of the
Moffat profile is the best of 2.2, 2.5, 3 and 3.5 for the encircled light of their g, r and i
point-spread functions together; neighbouring pixels are correlated by about 0.1, so that the
scatter of single pixels is smaller than the depth alone would say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.hashing import Floats, keyed, normal, uniform
from galaxyds.sky.surveys import HSC, SurveyBand

BETA = 2.5
"""Moffat's exponent."""
DEPTH = {"g": 26.6, "r": 26.2, "i": 26.2, "z": 25.3, "y": 24.5}
"""5-sigma limit of point sources in the Wide layer of PDR2 (Aihara et al. 2019, PASJ 71, 114)."""
CORRELATION = 0.05
"""Weight of either neighbour in the smoothing of the noise: adjacent pixels correlate by 0.1."""
HOLE = 96
"""Pixels of the squares of sky in which a coadd may be empty."""
HOLE_SHARE, EMPTY_SHARE = 0.0015, 0.001
"""Share of squares without one band, per band, and without any."""

_SCATTER = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer of the survey: how deep it goes, and what its tables are called.

    Attributes
    ----------
    schema : str
        Schema of its tables, and the rerun of its coadds.
    deeper : float
        Magnitudes by which its limits are fainter than :data:`DEPTH`.
    limit : float
        Faintest i magnitude of a source with a row in the catalogue.
    depth : float
        Faintest SDSS r magnitude of the shells of sources that are looked at for the catalogue.
    """

    schema: str
    deeper: float
    limit: float
    depth: float


WIDE = Layer(schema="pdr2_wide", deeper=0.0, limit=24.0, depth=24.4)
"""The Wide layer of PDR2."""
DEEP = Layer(schema="pdr2_dud", deeper=0.6, limit=25.0, depth=25.4)
"""Its Deep layer."""


def band_at(tract: int, patch: tuple[int, int], name: str) -> SurveyBand:
    """Return a band of HSC with the seeing of a patch.

    Parameters
    ----------
    tract : int
    patch : tuple of int
        x, y.
    name : str
        Of ``grizy``.

    Returns
    -------
    SurveyBand
        Its width scatters log-normally by 7 %, half of it shared by the patches of the tract.
    """
    band = HSC.band(name)
    shared = float(normal(keyed(tract), f"seeing {name}")[()])
    own = float(normal(keyed(tract, *patch), f"seeing {name}")[()])
    factor = np.exp(_SCATTER * (np.clip(shared, -2, 2) + np.clip(own, -2, 2)))
    return replace(band, psf_fwhm=band.psf_fwhm * float(factor), psf_beta=BETA)


def noise_at(tract: int, patch: tuple[int, int], name: str, *, deeper: float = 0.0) -> float:
    """Standard deviation of empty pixels in counts, were they independent.

    It gives the survey's depth, ``deeper`` magnitudes fainter than that of Wide, for a Gaussian
    profile of the typical seeing, and scatters by 6 % from patch to patch.
    """
    width = HSC.band(name).psf_fwhm / 2.3548 / HSC.pixel_scale
    limit = 10 ** (0.4 * (HSC.zero_point - DEPTH[name] - deeper))
    own = float(normal(keyed(tract, *patch), f"noise {name}")[()])
    return float(limit / 5 / np.sqrt(4 * np.pi) / width * np.exp(0.06 * np.clip(own, -2, 2)))


def kernel() -> Floats:
    """Weights (3,) along each axis that smooth white noise and keep its sum's variance."""
    return np.array([CORRELATION, 1.0, CORRELATION]) / (1 + 2 * CORRELATION)


def is_missing(tract: int, x: float, y: float, name: str) -> bool:
    """Whether a coadd is empty around a 0-based tract pixel, in one band or in all."""
    return bool(missing_at(tract, np.asarray(x), np.asarray(y), name)[()])


def missing_at(tract: int, x: Floats, y: Floats, name: str) -> NDArray[np.bool_]:
    """Whether a coadd is empty around 0-based tract pixels, (n,); as :func:`is_missing`."""
    key = keyed(tract, (x // HOLE).astype(np.int64), (y // HOLE).astype(np.int64))
    nothing = uniform(key, "hole in all") < EMPTY_SHARE
    missing: NDArray[np.bool_] = nothing | (uniform(key, f"hole in {name}") < HOLE_SHARE)
    return missing
