"""A small footprint of the simulated CFHTLS: one tile near W4, one near W1, and their files."""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits

from galaxyds.sky.cfhtls_coadd import CFHTLSCoadd
from galaxyds.sky.cfhtls_footprint import CFHTLSFootprint, SkyTile
from galaxyds.sky.coadd import Box

PIXELS = 640
W4 = SkyTile(tile_ra=221318, tile_dec=11500, pixels=PIXELS)
W1 = SkyTile(tile_ra=21800, tile_dec=-70000, pixels=PIXELS, new_i=True)
SMALL = CFHTLSFootprint(tiles=(W4, W1))


def tile_files(coadd: CFHTLSCoadd) -> dict[str, bytes]:
    """Whole tiles as FITS files, by the archive's name, in every band that was observed."""
    files = {}
    for tile in coadd.footprint.tiles:
        box = Box(x=0, y=0, width=tile.pixels, height=tile.pixels)
        for band, image in coadd.render(tile, box, tile.bands).items():
            hdu = fits.PrimaryHDU(np.asarray(image, ">f4"))
            hdu.header.update(tile.cards())
            stream = io.BytesIO()
            hdu.writeto(stream)
            files[f"CFHTLS_W_{band}_{tile.place}_T0007_MEDIAN.fits"] = stream.getvalue()
    return files
