"""Files as the HSC services send them: FITS of coadd cutouts and PSFs, tars, a grid, real files."""

from __future__ import annotations

import csv
import io
import math
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

FLUXMAG0 = 63095734448.0194
SCALE = 0.168 / 3600
_UNITS = {"deg": 3600.0, "amin": 60.0, "arcmin": 60.0, "asec": 1.0, "arcsec": 1.0, "": 3600.0}


@dataclass(frozen=True)
class ListLine:
    """One line of an uploaded list; positions in degrees, semi-sizes in arcseconds."""

    line: int
    rerun: str
    filter: str
    tract: int | None
    ra: float
    dec: float
    semi_width: float = 0.0
    semi_height: float = 0.0

    @property
    def band(self) -> str:
        return self.filter.removeprefix("HSC-").lower()


def parse_list(text: str) -> list[ListLine]:
    """Read an uploaded list: columns in any order, comments behind ``#`` on data lines."""
    head, *rows = text.splitlines()
    if not head.startswith("#?"):
        raise ValueError("the first line must begin with #?")
    names = head[2:].split()
    lines = []
    for number, row in enumerate(rows, start=2):
        cells = row.partition("#")[0].split()
        if not cells:
            continue
        if len(cells) != len(names):
            raise ValueError(f"line {number} has {len(cells)} columns")
        given = dict(zip(names, cells, strict=True))
        tract = given.get("tract", "any")
        lines.append(
            ListLine(
                line=number, rerun=given["rerun"], filter=given["filter"],
                tract=None if tract == "any" else int(tract),
                ra=_arcseconds(given["ra"]) / 3600, dec=_arcseconds(given["dec"]) / 3600,
                semi_width=_arcseconds(given.get("sw", "0")),
                semi_height=_arcseconds(given.get("sh", "0")),
            )
        )  # fmt: skip
    return lines


def _arcseconds(text: str) -> float:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(number) * _UNITS[text[len(number) :]]


def cutout_fits(
    pixels: NDArray, *, band: str, crpix: tuple[float, float], crval: tuple[float, float],
    fluxmag0: float | None = FLUXMAG0,
) -> bytes:  # fmt: skip
    """Return a cutout with the four HDUs, keywords and WCS form of a real one."""
    head = fits.PrimaryHDU()
    head.header["COMMENT"] = "DAS Cutout version 200424"
    head.header["HIERARCH variance_scale"] = 1.16
    head.header["FILTER"] = band
    if fluxmag0 is not None:
        head.header["FLUXMAG0"] = fluxmag0
    image = fits.ImageHDU(np.asarray(pixels, np.float32))
    cards = {
        "WCSAXES": 2, "CRPIX1": crpix[0], "CRPIX2": crpix[1], "CRVAL1": crval[0],
        "CRVAL2": crval[1], "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -SCALE,
        "CD2_2": SCALE, "RADESYS": "ICRS", "LTV1": 1.0 - crpix[0], "LTV2": 1.0 - crpix[1],
        "INHERIT": True, "EXTTYPE": "IMAGE", "CTYPE1A": "LINEAR", "CTYPE2A": "LINEAR",
        "CRPIX1A": 1.0, "CRPIX2A": 1.0, "CRVAL1A": 0.0, "CRVAL2A": 0.0,
    }  # fmt: skip
    image.header.update(cards)
    out = io.BytesIO()
    fits.HDUList([head, image, fits.ImageHDU(), fits.ImageHDU()]).writeto(out)
    return out.getvalue()


def psf_fits(image: NDArray) -> bytes:
    """Return a point-spread function as one float64 image."""
    out = io.BytesIO()
    fits.PrimaryHDU(np.asarray(image, np.float64)).writeto(out)
    return out.getvalue()


def tar_of(members: Sequence[tuple[str, bytes]], *, form: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar archive of regular files, by the standard library."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class GridSky:
    """Coadds whose pixels say where they are: a tract per degree of right ascension.

    Pixel (X, Y) of a tract has the value ``1000 b + X mod 100 + (Y mod 100) / 128``, where b is the
    band's place in grizy.  The centre of the tract is pixel (18000, 18000) of its coadd.
    """

    bands = "grizy"

    def centre(self, tract: int) -> tuple[float, float]:
        return float(tract % 360), 0.5

    def wcs(self, tract: int) -> WCS:
        wcs = WCS(naxis=2)
        wcs.wcs.crpix = 18001.0, 18001.0
        wcs.wcs.crval = self.centre(tract)
        wcs.wcs.cd = np.diag([-SCALE, SCALE])
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        return wcs

    def box(self, line: ListLine) -> tuple[int, int, int, int]:
        """First and last column, first and last row: the corners' pixels, rounded, inclusive."""
        wide = line.semi_width / 3600 / math.cos(math.radians(line.dec))
        high = line.semi_height / 3600
        corners = [(line.ra + s * wide, line.dec + t * high) for s in (-1, 1) for t in (-1, 1)]
        x, y = self.wcs(line.tract or 0).all_world2pix(np.array(corners), 0).T
        return round(x.min()), round(x.max()), round(y.min()), round(y.max())

    def pixels(self, band: str, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        x0, x1, y0, y1 = box
        columns, rows = np.arange(x0, x1 + 1), np.arange(y0, y1 + 1)
        value = 1000.0 * self.bands.index(band) + columns % 100 + (rows % 100)[:, None] / 128
        return value.astype(np.float32)

    def cutout(self, line: ListLine) -> bytes | None:
        box = self.box(line)
        crpix = 18001.0 - box[0], 18001.0 - box[2]
        return cutout_fits(
            self.pixels(line.band, box), band=line.band, crpix=crpix,
            crval=self.centre(line.tract or 0),
        )  # fmt: skip

    def psf(self, line: ListLine) -> list[tuple[int, bytes]]:
        """A Gaussian of sum 3 whose width grows with the band, of the nearest tract."""
        y, x = np.mgrid[-20:21, -20:21]
        image = np.exp(-(x**2 + y**2) / 2 / (1.5 + 0.2 * self.bands.index(line.band)) ** 2)
        return [(round(line.ra) % 360, psf_fits(3 * image / image.sum()))]


class RealCutouts:
    """The real cutouts of a folder, found by their object's position in its catalogue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (folder / "star_cat_correct.csv").open(encoding="utf-8") as file:
            self.rows: list[Mapping[str, str]] = list(csv.DictReader(file))

    def objects(self) -> list[tuple[int, float, float, int]]:
        """Id, position and tract of every row of the catalogue."""
        return [
            (int(r["# object_id"]), float(r["ira"]), float(r["idec"]), int(r["tract"]))
            for r in self.rows
        ]

    def cutout(self, line: ListLine) -> bytes | None:
        """The file of the object at that place, if there is one, whatever size was asked."""
        for row in self.rows:
            near = math.hypot(line.ra - float(row["ira"]), line.dec - float(row["idec"])) < 1e-4
            path = self.folder / row["star_filename"]
            if near and line.filter == "HSC-I" and path.is_file():
                return path.read_bytes()
        return None
