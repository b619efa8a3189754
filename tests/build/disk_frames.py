"""A small frame archive on disk: three scans that overlap at three angles, two bands.

Its frames are FITS files that are copied when they are asked for.  What it does not hold, what is
damaged and when it is down is decided by files in its folder, so that every process sees the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from galaxyds.archives.base import FRAMES_ENDPOINT, Tile
from galaxyds.errors import ArchiveError, DataIntegrityError, NotInArchiveError
from galaxyds.pixels import Frame

BANDS = ("g", "r")
SCALE = 0.396
CENTRE = (150.0, 2.0)
TILES = tuple((run, 1, field) for run in (1, 2, 3) for field in (10, 11, 12))
SHAPE = (220, 300)
SIGMA = 1.8  # px, of every source
NOISE = 0.02
SIZE = 32


def wcs_of(tile: Tile, band: str = "r") -> WCS:
    """Fields of a scan advance by 190 of their 220 rows; scans differ by 20 degrees."""
    run, _, field = tile
    angle = np.radians(20 * (run - 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = CENTRE
    advance = 190 * (field - 11) + (3.3 if band == "g" else 0)
    wcs.wcs.crpix = [SHAPE[1] / 2 + 7.4 * run, SHAPE[0] / 2 - advance]
    wcs.wcs.cd = SCALE / 3600 * turn @ np.array([[-1.0, 0.0], [0.0, 1.0]])
    wcs.wcs.set()
    return wcs


def objects(count: int = 24, seed: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, right ascensions and declinations within 100 arcsec of the middle."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-30, 30, count), rng.uniform(-100, 100, count)
    ra = CENTRE[0] + x / 3600 / np.cos(np.radians(CENTRE[1]))
    return np.arange(1000, 1000 + count), ra, CENTRE[1] + y / 3600


def fluxes(ids: np.ndarray) -> np.ndarray:
    return 50.0 + (ids % 7) * 10.0


def file_name(tile: Tile, band: str) -> str:
    return f"{'-'.join(map(str, tile))}-{band}.fits"


def make_frames(folder: Path) -> None:
    """Write every frame: Gaussian sources at the objects, and noise."""
    folder.mkdir(parents=True)
    ids, ra, dec = objects()
    rows, columns = np.indices(SHAPE)
    for tile in TILES:
        for band in BANDS:
            wcs = wcs_of(tile, band)
            x, y = wcs.wcs_world2pix(ra, dec, 0)
            seed = [*tile, BANDS.index(band)]
            pixels = np.random.default_rng(seed).normal(0, NOISE, SHAPE)
            for one, column, row in zip(fluxes(ids), x, y, strict=True):
                square = (columns - column) ** 2 + (rows - row) ** 2
                pixels += one / (2 * np.pi * SIGMA**2) * np.exp(-square / (2 * SIGMA**2))
            header = wcs.to_header()
            fits.writeto(folder / file_name(tile, band), pixels.astype(np.float32), header)


class DiskFrames:
    """The archive; implements :class:`galaxyds.archives.base.CoverageArchive`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    name = "disk"

    def endpoints(self) -> dict[str, str]:
        return {FRAMES_ENDPOINT: str(self.folder)}

    def needs(self) -> tuple:
        return ()

    def departures(self) -> tuple:
        return ()

    def frames(self, tile: Tile, bands: Sequence[str], directory: Path) -> dict[str, Path]:
        if (self.folder / f"down-{'-'.join(map(str, tile))}").exists():
            raise ArchiveError(f"{self.name} is down: try again later")
        paths = {}
        for band in bands:
            name = file_name(tile, band)
            paths[band] = directory / name
            if paths[band].exists():
                continue
            with (self.folder / "transfers.log").open("a") as log:
                log.write(f"{name}\n")
            if (self.folder / "slow").exists():
                time.sleep(0.3)
            if not (self.folder / name).exists():
                raise NotInArchiveError(f"{name} is not in {self.name}: ask for another one")
            shutil.copy(self.folder / name, paths[band])
            if (once := self.folder / f"{name}.break-once").exists():
                once.unlink()
                paths[band].write_bytes(b"noise on the line")
        return paths

    def read(self, path: Path, band: str) -> Frame:
        try:
            with fits.open(path, memmap=False) as hdus:
                pixels = np.ascontiguousarray(hdus[0].data, dtype=np.float32)
                return Frame(band=band, pixels=pixels, wcs=WCS(hdus[0].header))
        except OSError as error:
            raise DataIntegrityError(f"{path} is damaged: fetch it again") from error

    def neighbours(self, tile: Tile) -> tuple[Tile, ...]:
        run, camcol, field = tile
        around = ((run, camcol, field - 1), (run, camcol, field + 1))
        return tuple(one for one in around if one in TILES)

    def tile_bytes(self, bands: Sequence[str]) -> int:
        return len(bands) * (SHAPE[0] * SHAPE[1] * 4 + 5760)

    def covering(self, ra, dec, *, radius: float) -> list[tuple[Tile, ...]]:
        reach = radius / SCALE
        found: list[list[Tile]] = [[] for _ in ra]
        for tile in TILES:
            x, y = wcs_of(tile).wcs_world2pix(ra, dec, 0)
            near = (x > -reach) & (x < SHAPE[1] + reach) & (y > -reach) & (y < SHAPE[0] + reach)
            for place in np.flatnonzero(near):
                found[place].append(tile)
        return [tuple(tiles) for tiles in found]

    def transfers(self) -> list[str]:
        log = self.folder / "transfers.log"
        return log.read_text().split() if log.exists() else []
