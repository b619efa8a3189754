"""What the main galaxy sample is chosen from: more photometry, targets, redshifts of other kinds.

Added to the tables of :mod:`galaxyds.sky.photometry` and :mod:`galaxyds.sky.spectroscopy`:
Petrosian magnitudes in every band, Galactic coordinates, the dust coefficients of a release; why a
spectrum was taken; ``galSpecInfo``, which has galaxies of SDSS-I and -II only; ``Photoz``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galaxyds.sky.detections import Detections, asinh_error, asinh_magnitude
from galaxyds.sky.hashing import Floats, Keys, keyed, normal, uniform
from galaxyds.sky.photometry import SENTINEL, Columns
from galaxyds.sky.surveys import SDSS
from galaxyds.sky.universe import GALAXY

# Bits of PrimTarget in the archive's data model.
TARGET_GALAXY, TARGET_GALAXY_BIG, TARGET_GALAXY_RED = 0x40, 0x80, 0x20
FAINTEST = 17.9
"""Dereddened r magnitude down to which nearly every galaxy has a spectrum."""
# Coordinates of the Galactic system, degrees: right ascension and declination of its pole, and
# longitude of the celestial pole (Hipparcos catalogue, volume 1, section 1.5.3).
_POLE = (192.85948, 27.12825, 122.93192)


def galactic(ra: Floats, dec: Floats) -> tuple[Floats, Floats]:
    """Turn ICRS positions into Galactic longitude in [0, 360) and latitude; all in degrees."""
    a, d, pole = np.radians(ra - _POLE[0]), np.radians(dec), np.radians(_POLE[1])
    sine = np.sin(pole) * np.sin(d) + np.cos(pole) * np.cos(d) * np.cos(a)
    y = np.cos(d) * np.sin(a)
    x = np.cos(pole) * np.sin(d) - np.sin(pole) * np.cos(d) * np.cos(a)
    return (_POLE[2] - np.degrees(np.arctan2(y, x))) % 360, np.degrees(np.arcsin(sine))


def photometry(detections: Detections, photo: Columns, extinction: tuple[float, ...]) -> Columns:
    """Columns of ``PhotoObjAll`` that replace or follow those of every release.

    Parameters
    ----------
    detections : Detections
    photo : dict of str to ndarray
        The columns of every release.
    extinction : tuple of float
        A_band / E(B-V) in ugriz.

    Returns
    -------
    dict of str to ndarray
        Petrosian magnitudes and errors (-9999 in all bands where the radius is), ``extinction_*``,
        ``dered_*``, ``l`` and ``b``.
    """
    key, missing = detections.key, photo["petroMag_r"] == SENTINEL
    longitude, latitude = galactic(photo["ra"].astype(float), photo["dec"].astype(float))
    table: Columns = {"l": longitude, "b": latitude}
    # The Petrosian aperture is that of r: what it loses, every band loses.
    shared = np.exp(0.02 * normal(key, "petrosian aperture"))
    noise = 1.3 * detections.model_error
    draws = np.stack([normal(key, f"petrosian {band.name}") for band in SDSS.bands], axis=1)
    flux = detections.model_flux * shared[:, None] + noise * draws
    magnitude, error = asinh_magnitude(flux), asinh_error(flux, noise)
    for k, band in enumerate(SDSS.bands):
        name, dust = band.name, extinction[k] * detections.sources.ebv
        if name != "r":
            table[f"petroMag_{name}"] = np.where(missing, SENTINEL, magnitude[:, k])
        table[f"petroMagErr_{name}"] = np.where(missing, SENTINEL, error[:, k])
        table[f"extinction_{name}"] = dust
        table[f"dered_{name}"] = photo[f"modelMag_{name}"].astype(float) - dust
    return table


def photometric_redshifts(detections: Detections, photo: Columns) -> Columns:
    """Columns of ``Photoz``: every object that counts as a galaxy.

    Parameters
    ----------
    detections : Detections
    photo : dict of str to ndarray
        Of the same rows.

    Returns
    -------
    dict of str to ndarray
        ``objID``, ``z`` and ``zErr`` (-9999 where the fit failed).
    """
    rows = np.flatnonzero(photo["type"] == 3)
    source, key = detections.sources.take(rows), detections.key[rows]
    bright = np.clip(source.magnitude[:, 2] - 17.8, 0.0, 4.0)
    sigma = 0.018 * (1 + source.redshift) * np.exp(0.4 * bright)
    return {
        "objID": photo["objID"][rows],
        "z": np.maximum(source.redshift + sigma * normal(key, "photo-z"), 0.0),
        "zErr": np.where(uniform(key, "no photo-z") < 0.004, SENTINEL, sigma),
    }


def observed_share(detections: Detections) -> Floats:
    """Share of the sources that get a spectrum: nearly every bright galaxy."""
    source = detections.sources
    r = source.magnitude[:, 2] - source.ebv * SDSS.band("r").extinction
    galaxy = source.kind == GALAXY
    share: Floats = np.select(
        [galaxy & (r < FAINTEST), galaxy & (r < 19.5), ~galaxy & (r > 15) & (r < 19.5)],
        [0.93, 0.03, 0.02],
        0.0,
    )
    return share


def mistaken(spec: Columns, kind: NDArray[np.int8], key: Keys) -> Columns:
    """Redshifts of galaxies that are wrong without a warning, and why each spectrum was taken.

    Parameters
    ----------
    spec : dict of str to ndarray
        Columns of ``SpecObjAll``.
    kind : ndarray of int8, (n,)
        What each source is.
    key : ndarray of uint64, (n,)
        Of each spectrum.

    Returns
    -------
    dict of str to ndarray
        ``z`` (a star in front, or a line taken for another one), and ``targetType``.
    """
    draw = uniform(key, "mistaken")
    galaxy = (kind == GALAXY) & (spec["zWarning"] == 0)
    star, line = galaxy & (draw < 0.002), galaxy & (draw > 0.998)
    z = np.where(star, 2e-4 * normal(key, "star in front"), spec["z"])
    z = np.where(line, 0.42 + 0.5 * uniform(key, "wrong line"), z)
    standard = uniform(key, "target type") < 0.004
    return {"z": z, "targetType": np.where(standard, "STANDARD", "SCIENCE")}


def galaxy_spectra(detections: Detections, spec: Columns, rows: NDArray[np.intp]) -> Columns:
    """Columns of ``galSpecInfo``: galaxies, or targets thought to be, of SDSS-I and -II.

    Parameters
    ----------
    detections : Detections
    spec : dict of str to ndarray
        Columns of ``SpecObjAll``.
    rows : ndarray of intp, (n,)
        Detection that each spectrum is of.

    Returns
    -------
    dict of str to ndarray
        ``specObjID``, ``e_bv_sfd`` (unscaled), ``primtarget``, ``targettype``.
    """
    source = detections.sources.take(rows)
    old = np.isin(spec["survey"], ("sdss", "segue1"))
    chosen = np.flatnonzero(old & ((source.kind == GALAXY) | (spec["class"] == "GALAXY")))
    source, ids = source.take(chosen), spec["specObjID"][chosen]
    r = source.magnitude[:, 2] - source.ebv * SDSS.band("r").extinction
    other = uniform(keyed(source.key, ids), "another target") < 0.01
    large = np.where(source.disk_radius > 8, TARGET_GALAXY_BIG, TARGET_GALAXY)
    bits = np.where((r < FAINTEST) & ~other, large, TARGET_GALAXY_RED)
    return {
        "specObjID": ids,
        "e_bv_sfd": source.ebv,
        "primtarget": bits,
        "targettype": np.where(bits == TARGET_GALAXY_RED, "GALAXY_RED", "GALAXY"),
    }
