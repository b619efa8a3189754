"""A small footprint of the simulated HSC-Deep: three patches, mosaics of 200 arcsec."""

from __future__ import annotations

import numpy as np

from galaxyds.archives.base import CutoutObject
from galaxyds.archives.deep_objects import NO_U
from galaxyds.sky.deep_footprint import DeepFootprint, SkyMosaic
from galaxyds.sky.hsc_footprint import HSCFootprint, Tract

A = Tract(number=21901, ra=150.1, dec=2.2, columns=(4, 5), rows=(4, 4))
B = Tract(number=21902, ra=35.2, dec=-4.7, columns=(4, 4), rows=(4, 4))
BANDS = ("u", "g", "r", "i", "z", "y", "J", "H", "Ks")


def mosaic(tract, number, band, *, scale, turn, side, zero_point, west=0.0):
    """A square of ``side`` arcsec around the middle of the patch, moved ``west`` arcsec."""
    ra, dec = tract.to_sky(np.asarray(18000.0 + west / 0.168), np.asarray(18000.0))
    pixels = round(side / scale) + 80
    return SkyMosaic(
        number=number, field="A" if tract is A else "B", band=band, ra=float(ra), dec=float(dec),
        scale=scale, turn=turn, shape=(pixels, pixels + 7), zero_point=zero_point,
    )  # fmt: skip


SMALL = DeepFootprint(
    hsc=HSCFootprint(tracts=(A, B)),
    mosaics=(
        mosaic(A, 1, "u*", scale=0.186, turn=3, side=120, zero_point=30.0),
        mosaic(A, 2, "u", scale=0.2, turn=-2, side=200, zero_point=25.8),
        mosaic(A, 3, "J", scale=0.3, turn=10, side=200, zero_point=30.0),
        mosaic(A, 4, "H", scale=0.3, turn=10, side=160, zero_point=30.0),
        mosaic(A, 5, "Ks", scale=0.25, turn=-20, side=200, zero_point=23.9),
        mosaic(B, 6, "u", scale=0.186, turn=0.5, side=200, zero_point=30.0),
        mosaic(B, 7, "J", scale=0.2, turn=-5, side=160, zero_point=28.4, west=60),
    ),
)


def wanted(table, count=None):
    """Objects for the cutout service out of a compiled catalogue: all that u and HSC show."""
    rows = table.to_pandas().sort_values("object_id")
    rows = rows[(rows.separation <= 1) & (rows.hsc_coverage == 31) & (rows.u_band != NO_U)]
    rows = rows if count is None else rows.groupby("tract").head(count)
    return rows, [
        CutoutObject(object_id=row.object_id, ra=row.ra, dec=row.dec, tile=(row.tract, row.patch))
        for row in rows.itertuples()
    ]
