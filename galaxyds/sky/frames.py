"""Frames of the simulated sky in the format of the SDSS Science Archive Server.

Four HDUs as in the survey's data model for ``frame``: the calibrated, sky-subtracted image; the
calibration vector; the sky table; the astrometric table.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.base import Tile
from galaxyds.errors import storage_error
from galaxyds.sky.footprint import (
    CENTER,
    COLUMNS,
    DARK_VARIANCE,
    GAIN,
    ROWS,
    Footprint,
    TileWCS,
    seeing,
)
from galaxyds.sky.hashing import Floats, keyed, uniform
from galaxyds.sky.render import Exposure, Image, expose
from galaxyds.sky.surveys import SDSS, SurveyBand
from galaxyds.sky.universe import Sources, Universe

SKY_SHAPE = (192, 256)
"""Rows and columns of the coarse sky table."""
_MARGIN = 0.012
_CCDROW = {"u": 3, "g": 5, "r": 1, "i": 2, "z": 4}


def file_name(tile: Tile, band: str) -> str:
    """Return the name of a frame file, without compression."""
    run, camcol, field = tile
    return f"frame-{band}-{run:06d}-{camcol}-{field:04d}.fits"


def truncate(values: Image) -> Image:
    """Round float32 to 10 binary digits, as FLOATCOMPRESS does.

    Parameters
    ----------
    values : ndarray of float32

    Returns
    -------
    ndarray of float32
        At most 2^-10 away, relatively; the last 14 bits of each word are zero, as in real frames.
    """
    words = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (words + np.uint32(1 << 13)) & np.uint32(0xFFFFC000)
    return rounded.view(np.float32)


def band_of(tile: Tile, name: str) -> SurveyBand:
    """Return the SDSS band with the seeing, gain and dark variance of a tile."""
    index = SDSS.band_index(name)
    band = SDSS.band(name)
    camcol = tile[1]
    return replace(
        band,
        psf_fwhm=band.psf_fwhm * float(seeing(np.array([tile]))[0]),
        gain=float(GAIN[camcol - 1, index]),
        dark_variance=float(DARK_VARIANCE[camcol - 1, index]),
    )


def sky_table(tile: Tile, band: SurveyBand) -> tuple[Image, Image, Image]:
    """Sky in counts on the coarse grid, and the grid position of every column and row.

    Parameters
    ----------
    tile : tuple of int
    band : SurveyBand

    Returns
    -------
    tuple of ndarray of float32
        ``ALLSKY`` (192, 256), a plane; ``XINTERP`` (2048,); ``YINTERP`` (1489,).
    """
    key = keyed(*tile)
    slope_x = 0.02 * (uniform(key, f"sky x {band.name}")[()] - 0.5)
    slope_y = 0.02 * (uniform(key, f"sky y {band.name}")[()] - 0.5)
    across = slope_x * (np.arange(SKY_SHAPE[1]) / SKY_SHAPE[1] - 0.5)
    along = slope_y * (np.arange(SKY_SHAPE[0]) / SKY_SHAPE[0] - 0.5)
    table = band.sky * (1 + across[None, :] + along[:, None])
    columns = np.arange(COLUMNS) / 8 - 0.4375
    rows = np.arange(ROWS) / 8 + 0.5625
    return table.astype(np.float32), columns.astype(np.float32), rows.astype(np.float32)


def _sky(table: Image, columns: Image, rows: Image) -> Image:
    """Bilinear sky per pixel; separable, because the table is a plane."""
    across = np.interp(columns, np.arange(table.shape[1]), table[0])
    along = np.interp(rows, np.arange(table.shape[0]), table[:, 0] - table[0, 0])
    sky: Image = (across[None, :] + along[:, None]).astype(np.float32)
    return sky


def calibration_vector(tile: Tile, band: SurveyBand) -> Image:
    """Nanomaggies per count for every column: the mean and a flat field of 0.1 %."""
    column = np.arange(COLUMNS, dtype=np.float64)
    phase = uniform(keyed(tile[0], tile[1]), f"flat {band.name}")[()] * 2 * np.pi
    ripple = 1 + 1e-3 * np.cos(2 * np.pi * column / COLUMNS * 3 + phase)
    vector: Image = (band.unit_per_count * ripple).astype(np.float32)
    return vector


def tile_sources(universe: Universe, footprint: Footprint, tile: Tile) -> Sources:
    """Return the sources whose light can reach a tile."""
    return universe.sources(footprint.region(tile, _MARGIN), SDSS)


def pixels(
    universe: Universe, footprint: Footprint, tile: Tile, band: str, *, sources: Sources
) -> Image:
    """Render the image of one frame.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint
    tile : tuple of int
        run, camcol, field.
    band : str
    sources : Sources
        From :func:`tile_sources`.

    Returns
    -------
    ndarray of float32, (1489, 2048)
        Nanomaggies, before truncation.
    """
    own = band_of(tile, band)
    wcs = footprint.wcs(tile, band)
    x, y = wcs.to_pixel(sources.ra, sources.dec)
    exposure = Exposure(
        survey=SDSS,
        band=own,
        shape=(ROWS, COLUMNS),
        sky=_sky(*sky_table(tile, own)),
        calibration=calibration_vector(tile, own)[None, :],
        # Declination grows along x and right ascension along y: angles from north are from x.
        turn=0.0,
        seed=int(keyed(universe.seed, *tile)[()]),
    )
    return expose(sources, x, y, exposure)


def write_frames(
    universe: Universe,
    footprint: Footprint,
    tile: Tile,
    *,
    bands: Sequence[str],
    directory: Path,
) -> dict[str, Path]:
    """Render a tile and write one FITS file per band.

    Parameters
    ----------
    universe : Universe
    footprint : Footprint
    tile : tuple of int
        run, camcol, field.
    bands : sequence of str
    directory : pathlib.Path
        Created if missing.

    Returns
    -------
    dict of str to pathlib.Path
        By band.

    Raises
    ------
    NotInArchiveError
        If the footprint has no such tile.
    StorageError
        If a file cannot be written.
    """
    sources = tile_sources(universe, footprint, tile)
    paths = {}
    for band in bands:
        image = truncate(pixels(universe, footprint, tile, band, sources=sources))
        paths[band] = directory / file_name(tile, band)
        _write(paths[band], _hdus(image, tile, band_of(tile, band), footprint.wcs(tile, band)))
    return paths


def _write(path: Path, hdus: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hdus.writeto(temporary, overwrite=True, output_verify="silentfix")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def _hdus(image: Image, tile: Tile, band: SurveyBand, wcs: TileWCS) -> Any:
    from astropy.io import fits

    table, columns, rows = sky_table(tile, band)
    sky = fits.BinTableHDU.from_columns(
        [
            fits.Column("ALLSKY", f"{table.size}E", dim="(256, 192)", array=table[None]),
            fits.Column("XINTERP", f"{COLUMNS}E", array=columns[None]),
            fits.Column("YINTERP", f"{ROWS}E", array=rows[None]),
        ]
    )
    return fits.HDUList(
        [
            fits.PrimaryHDU(image, _header(tile, band, wcs)),
            fits.ImageHDU(calibration_vector(tile, band)),
            sky,
            fits.BinTableHDU(_astrometry(tile, band, wcs)),
        ]
    )


def _header(tile: Tile, band: SurveyBand, wcs: TileWCS) -> Any:
    from astropy.io import fits

    run, camcol, field = tile
    header = fits.Header()
    header["ORIGIN"] = ("GALAXYDS", "simulated: not an observation")
    header["TELESCOP"] = "SIMULATED"
    header["RUN"] = (run, "Run number")
    header["FRAME"] = (field, "Frame sequence number within the run")
    header["CCDLOC"] = (10 * _CCDROW[band.name] + camcol, "Location of CCD (rowCol)")
    header["STRIPE"] = (82, "Stripe index number")
    header["FLAVOR"] = ("science", "Flavor of this run")
    header["EXPTIME"] = ("53.907456", "Exposure time (seconds)")
    header["SYSTEM"] = "FK5"
    header["CCDMODE"] = "DRIFT"
    header["EQUINOX"] = 2000.0
    header["BUNIT"] = ("nanomaggy", "1 nanomaggy = 3.631e-6 Jy")
    header["FILTER"] = (band.name, "filter used")
    header["CAMCOL"] = (camcol, "column in the imaging camera")
    header["RADECSYS"] = ("ICRS", "International Celestial Ref. System")
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    header["CRPIX1"], header["CRPIX2"] = CENTER[0] + 1, CENTER[1] + 1
    header["CRVAL1"], header["CRVAL2"] = wcs.ra, wcs.dec
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = wcs.cd
    header["COMMENT"] = "Floats truncated at 10 binary digits with FLOATCOMPRESS"
    header["NMGY"] = (band.unit_per_count, "Calibration factor [nMgy per count]")
    header["NMGYIVAR"] = (1e4 / band.unit_per_count**2, "Calibration factor inverse variance")
    header["RERUN"] = ("301", "rerun")
    return header


def _astrometry(tile: Tile, band: SurveyBand, wcs: TileWCS) -> NDArray[Any]:
    """One row: the linear solution (mu, nu) = (a, d) + (b, e) row + (c, f) column."""
    cd11, cd12, cd21, cd22 = wcs.cd
    stretch = 1 / np.cos(np.radians(wcs.dec))
    numbers: dict[str, Any] = {
        "RUN": tile[0],
        "RERUN": b"301",
        "CAMCOL": tile[1],
        "FILTER": band.name.encode(),
        "NODE": 95.0,
        "INCL": 0.0,
        "NAXIS": (COLUMNS, ROWS),
        "FIELD": tile[2],
        "A": wcs.ra - (cd11 * CENTER[0] + cd12 * CENTER[1]) * stretch,
        "B": cd12 * stretch,
        "C": cd11 * stretch,
        "D": wcs.dec - cd21 * CENTER[0] - cd22 * CENTER[1],
        "E": cd22,
        "F": cd21,
        "RICUT": 100.0,
        "MJD": 55000.0,
        "AIRMASS": 1.2,
        "MUERR": 0.03,
        "NUERR": 0.03,
    }
    row = np.zeros(1, dtype=_ASTROMETRY)
    for name, value in numbers.items():
        row[name] = value
    return row


_ASTROMETRY = np.dtype(
    [
        *(("RUN", ">i4"), ("RERUN", "S3"), ("CAMCOL", ">i4"), ("FILTER", "S1"), ("NODE", ">f8")),
        *(("INCL", ">f8"), ("NAXIS", ">i4", (2,)), ("FIELD", ">i4")),
        *((name, ">f8") for name in "ABCDEF"),
        *((f"D{axis}{k}", ">f8") for axis in ("ROW", "COL") for k in range(4)),
        *((name, ">f8") for name in ("CSROW", "CSCOL", "CCROW", "CCCOL", "RICUT", "MJD")),
        *(("AIRMASS", ">f8"), ("MUERR", ">f4"), ("NUERR", ">f4")),
    ]
)


def empty_noise(tile: Tile, band: str) -> Floats:
    """Expected noise of an empty pixel of a frame, nanomaggies, per column."""
    own = band_of(tile, band)
    variance = own.sky / own.gain + own.dark_variance
    noise: Floats = np.sqrt(variance) * calibration_vector(tile, own).astype(np.float64)
    return noise
