"""The table ``Field`` of the simulated sky: where every frame lies."""

from __future__ import annotations

import numpy as np

from galaxyds.sky.footprint import COLUMNS, DEGREES, ROWS, Footprint
from galaxyds.sky.photometry import RERUN, SKY_VERSION, Columns, object_id


def columns(footprint: Footprint) -> Columns:
    """All columns of ``Field`` that the simulated archive holds.

    Parameters
    ----------
    footprint : Footprint

    Returns
    -------
    dict of str to ndarray
        One row per field: its id, name, centre and the range of its frame in band r, degrees.
    """
    tiles = np.array(footprint.tiles(), np.int64)
    astrometry = [footprint.wcs(tile) for tile in footprint.tiles()]
    ra, dec = (np.array([getattr(wcs, name) for wcs in astrometry]) for name in ("ra", "dec"))
    run, camcol, field = tiles.T
    wide = ROWS / 2 * DEGREES / np.cos(np.radians(dec))
    high = COLUMNS / 2 * DEGREES
    return {
        "fieldID": object_id(run, camcol, field, np.zeros_like(run)),
        "skyVersion": np.full_like(run, SKY_VERSION),
        "run": run,
        "rerun": np.full_like(run, RERUN),
        "camcol": camcol,
        "field": field,
        "ra": ra,
        "dec": dec,
        "raMin": ra - wide,
        "raMax": ra + wide,
        "decMin": dec - high,
        "decMax": dec + high,
    }
