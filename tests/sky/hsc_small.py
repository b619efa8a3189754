"""A small footprint of the simulated HSC: one patch each of two tracts that overlap."""

from __future__ import annotations

from galaxyds.archives.base import CutoutObject
from galaxyds.sky.hsc_footprint import HSCFootprint, Tract

EAST = Tract(number=20002, ra=331.62, dec=-0.30, columns=(8, 8), rows=(5, 5))
WEST = Tract(number=20001, ra=330.0, dec=-0.30, columns=(0, 0), rows=(5, 6))
SMALL = HSCFootprint(tracts=(WEST, EAST))
FORCED = "pdr2_wide.forced LEFT JOIN pdr2_wide.specz USING (object_id)"


def objects(rows) -> list[CutoutObject]:
    """Objects for the cutout service from rows with object_id, ra, dec, tract."""
    return [
        CutoutObject(object_id=row["object_id"], ra=row["ra"], dec=row["dec"], tile=(row["tract"],))
        for row in rows
    ]
