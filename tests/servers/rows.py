"""Rows of SpecObjAll and PhotoObjAll made from a real photoObj file.

Photometry is the file's own.  What it lacks is made up from a hash of the objID, so that every cut
of the quasar sample has something to remove and something to keep: the spectra (class, redshift,
error, warning, signal-to-noise, some repeated, some on plates from 8192 on), ``clean`` (0
throughout in the file), and the sentinel -9999 in ``petroRad_r`` where the file has no model
magnitude.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BANDS = "ugriz"


def catalogue_rows(photoobj: Path) -> dict[str, pa.Table]:
    """Tables by archive name, from ``photoObj-RUN-CAMCOL-FIELD.fits``."""
    from astropy.io import fits

    with fits.open(photoobj) as hdus:
        data = hdus[1].data
        photo = {name: np.asarray(data[name]) for name in data.names}
    objid = np.array([int(text) for text in photo["OBJID"]], dtype=np.int64)
    return {"PhotoObjAll": _photometry(photo, objid), "SpecObjAll": _spectra(objid)}


def uniform(ids: NDArray[np.integer], salt: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) from ids (SplitMix64)."""
    x = ids.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) / 2.0**53


def _photometry(photo: dict[str, NDArray], objid: NDArray[np.int64]) -> pa.Table:
    missing = photo["MODELMAG"][:, 2] < -9000
    flags = photo["OBJC_FLAGS"].astype(np.uint32).astype(np.int64)
    columns = {
        "objID": objid,
        "run": photo["RUN"].astype(np.int16),
        "rerun": np.full(len(objid), 301, np.int16),
        "camcol": photo["CAMCOL"].astype(np.int16),
        "field": photo["FIELD"].astype(np.int16),
        "obj": photo["ID"].astype(np.int16),
        "mode": photo["MODE"].astype(np.int16),
        "nChild": photo["NCHILD"].astype(np.int16),
        "type": photo["OBJC_TYPE"].astype(np.int16),
        "clean": (uniform(objid, 1) < 0.9).astype(np.int32),
        "flags": flags | (photo["OBJC_FLAGS2"].astype(np.uint32).astype(np.int64) << 32),
        "ra": photo["RA"].astype(np.float64),
        "dec": photo["DEC"].astype(np.float64),
    }
    for place, band in enumerate(BANDS):
        model, extinction = photo["MODELMAG"][:, place], photo["EXTINCTION"][:, place]
        columns |= {
            f"rowc_{band}": photo["ROWC"][:, place],
            f"colc_{band}": photo["COLC"][:, place],
            f"psfMag_{band}": photo["PSFMAG"][:, place],
            f"psfMagErr_{band}": photo["PSFMAGERR"][:, place],
            f"modelMag_{band}": model,
            f"extinction_{band}": extinction,
            f"dered_{band}": np.where(model < -9000, np.float32(-9999), model - extinction),
            f"petroRad_{band}": np.where(missing, np.float32(-9999), photo["PETROTHETA"][:, place]),
        }
    native = {k: v.astype(v.dtype.newbyteorder("=")) for k, v in columns.items()}
    return pa.table(native)


def _spectra(objid: NDArray[np.int64]) -> pa.Table:
    repeated = objid[uniform(objid, 2) < 0.15]
    best = np.concatenate([objid, repeated, [0, 0, 0]])
    turn = np.arange(len(best), dtype=np.uint64)
    key = best.astype(np.uint64) + turn * np.uint64(7919)
    plate = (300 + uniform(key, 3) * 12_000).astype(np.uint64)
    pick = uniform(key, 4)
    error = 10 ** (-4.5 + 2 * uniform(key, 6))
    columns: dict[str, NDArray] = {
        "specObjID": (plate << np.uint64(50)) | (turn << np.uint64(38)) | np.uint64(26 << 10),
        "bestObjID": best,
        "class": np.where(pick < 0.75, "QSO", np.where(pick < 0.9, "GALAXY", "STAR")),
        "z": (0.5 + 5.5 * uniform(key, 5)).astype(np.float32),
        "zErr": np.where(uniform(key, 7) < 0.03, -1.0, error).astype(np.float32),
        "zWarning": np.where(uniform(key, 8) < 0.9, 0, 4).astype(np.int32),
    }
    for place, band in enumerate(BANDS):
        columns[f"snMedian_{band}"] = (12 * uniform(key, 10 + place)).astype(np.float32)
    return pa.table(columns)
