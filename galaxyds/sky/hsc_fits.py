"""FITS files of the simulated coadds, in the form that the cutout and the PSF service deliver.

Four HDUs as in real cutouts of PDR2: a header with the filter and the calibration, the image on the
projection of its tract, and an empty mask and variance.
"""

from __future__ import annotations

import io

import numpy as np

from galaxyds.archives.base import CutoutObject
from galaxyds.sky.hsc_coadd import Coadd, cutout_box
from galaxyds.sky.hsc_footprint import CENTER, DEGREES
from galaxyds.sky.surveys import HSC

FLUXMAG0 = 10 ** (HSC.zero_point / 2.5)
"""Counts of magnitude 0."""


def cutout_fits(
    coadd: Coadd, band: str, *, tract: int, ra: float, dec: float, half_size: float
) -> bytes | None:
    """Make the file of one cutout, byte for byte in the service's form.

    Parameters
    ----------
    coadd : Coadd
    band : str
        Of ``grizy``.
    tract : int
    ra, dec : float
        Middle of the box, degrees.
    half_size : float
        Half of its width and height, arcsec.

    Returns
    -------
    bytes or None
        None where the coadds have no data: the service then sends no file.

    Raises
    ------
    UsageError
        If the band is unknown.
    NotInArchiveError
        If the tract is not in the footprint.
    MissingExtraError
        If GalSim is not installed.
    """
    from astropy.io import fits

    one = CutoutObject(object_id=0, ra=ra, dec=dec, tile=(tract,))
    (made,) = coadd.cutouts([one], [band], half_size=half_size)
    if band in made.missing:
        return None
    plane = coadd.footprint.tract(tract)
    box = cutout_box(plane, ra, dec, half_size=half_size)
    head = fits.PrimaryHDU()
    head.header["COMMENT"] = "DAS Cutout of a simulated sky"
    head.header["FILTER"] = band
    head.header["FLUXMAG0"] = (FLUXMAG0, "AB mag = 2.5*log(fluxMag0/flux)")
    image = fits.ImageHDU(np.asarray(made.pixels[band], np.float32))
    image.header.update(
        _projection((plane.ra, plane.dec), first=(box.x, box.y)), INHERIT=True, EXTTYPE="IMAGE"
    )
    return _bytes(fits.HDUList([head, image, fits.ImageHDU(), fits.ImageHDU()]))


def _projection(center: tuple[float, float], *, first: tuple[int, int]) -> dict[str, object]:
    """Cards of a gnomonic projection about the tract's middle, and the place in the tract."""
    cards: dict[str, object] = {"WCSAXES": 2}
    for axis, pixel in enumerate(first, 1):
        cards[f"CRPIX{axis}"] = CENTER - pixel + 1
        cards[f"CRVAL{axis}"] = center[axis - 1]
    cards |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -DEGREES, "CD2_2": DEGREES}
    cards |= {"RADESYS": "ICRS", "LTV1": -float(first[0]), "LTV2": -float(first[1])}
    for axis, pixel in enumerate(first, 1):
        cards |= {f"CTYPE{axis}A": "LINEAR", f"CRPIX{axis}A": 1.0, f"CRVAL{axis}A": float(pixel)}
        cards[f"CUNIT{axis}A"] = "PIXEL"
    return cards


def point_spread_fits(
    coadd: Coadd, band: str, *, tract: int, ra: float, dec: float
) -> bytes | None:
    """Make the file of one point-spread function: one image of float64.

    Parameters
    ----------
    coadd : Coadd
    band : str
        Of ``grizy``.
    tract : int
    ra, dec : float
        Degrees.

    Returns
    -------
    bytes or None
        None where the coadds have no data.

    Raises
    ------
    UsageError
        If the band is unknown.
    NotInArchiveError
        If the tract is not in the footprint.
    MissingExtraError
        If GalSim is not installed.
    """
    from astropy.io import fits

    one = CutoutObject(object_id=0, ra=ra, dec=dec, tile=(tract,))
    (made,) = coadd.point_spreads([one], [band])
    if band in made.missing:
        return None
    return _bytes(fits.HDUList([fits.PrimaryHDU(made.images[band].astype(np.float64))]))


def _bytes(hdus: object) -> bytes:
    out = io.BytesIO()
    hdus.writeto(out)  # type: ignore[attr-defined]
    return out.getvalue()
