"""Rows of SpecObjAll, PhotoObjAll, Photoz, galSpecInfo and Field made from real files of a field.

Photometry is the file's own.  What it lacks is made up from a hash of the objID, so that every cut
of the quasar sample has something to remove and something to keep: the spectra (class, redshift,
error, warning, signal-to-noise, some repeated, some on plates from 8192 on), ``clean`` (0
throughout in the file), ``insideMask``, and the sentinel -9999 in ``petroRad_r`` where the file has
no model magnitude; photometric redshifts, and what the fibers were for.  ``Field`` is the file
photoField beside it: every field of the run's camera column.
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
    spectra = _spectra(objid)
    run, camcol = int(photo["RUN"][0]), int(photo["CAMCOL"][0])
    return {
        "PhotoObjAll": _photometry(photo, objid),
        "SpecObjAll": spectra,
        "Photoz": _photometric_redshifts(objid),
        "galSpecInfo": _galaxy_spectra(spectra),
        "Field": field_rows(photoobj.parent / f"photoField-{run:06d}-{camcol}.fits"),
    }


def field_rows(photofield: Path) -> pa.Table:
    """Table ``Field`` from a ``photoField`` file; without one, no field is known."""
    from astropy.io import fits

    names = ("fieldID", "run", "rerun", "camcol", "field", "ra", "dec")
    if not photofield.exists():
        return pa.table({name: pa.array([], pa.int64()) for name in names})
    with fits.open(photofield) as hdus:
        data = hdus[1].data
        columns = {name: np.asarray(data[name.upper()]) for name in names}
    for name in ("fieldID", "rerun"):
        columns[name] = np.array([int(text) for text in columns[name]], dtype=np.int64)
    return pa.table({k: v.astype(v.dtype.newbyteorder("=")) for k, v in columns.items()})


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
        "l": photo["L"].astype(np.float64),
        "b": photo["B"].astype(np.float64),
        "insideMask": np.where(uniform(objid, 20) < 0.05, 2, 0).astype(np.int16),
        "petroR50_r": np.where(missing, np.float32(-9999), photo["PETROTH50"][:, 2]),
    }
    for place, band in enumerate(BANDS):
        model, extinction = photo["MODELMAG"][:, place], photo["EXTINCTION"][:, place]
        columns |= {
            f"rowc_{band}": photo["ROWC"][:, place],
            f"colc_{band}": photo["COLC"][:, place],
            f"petroMag_{band}": photo["PETROMAG"][:, place],
            f"petroMagErr_{band}": photo["PETROMAGERR"][:, place],
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
        "survey": np.where(uniform(key, 21) < 0.9, "sdss", "boss"),
        "targetType": np.where(uniform(key, 22) < 0.95, "SCIENCE", "STANDARD"),
        "sciencePrimary": (turn < len(objid)).astype(np.int16),
    }
    for place, band in enumerate(BANDS):
        columns[f"snMedian_{band}"] = (12 * uniform(key, 10 + place)).astype(np.float32)
    return pa.table(columns)


def _photometric_redshifts(objid: NDArray[np.int64]) -> pa.Table:
    error = np.where(uniform(objid, 23) < 0.05, -9999.0, 0.02 + 0.05 * uniform(objid, 24))
    return pa.table(
        {
            "objID": objid,
            "z": (0.4 * uniform(objid, 25)).astype(np.float32),
            "zErr": error.astype(np.float32),
        }
    )


def _galaxy_spectra(spectra: pa.Table) -> pa.Table:
    ids = spectra.column("specObjID").to_numpy()
    return pa.table(
        {
            "specObjID": ids,
            "e_bv_sfd": (0.05 + 0.02 * uniform(ids, 26)).astype(np.float32),
            "primtarget": np.where(uniform(ids, 27) < 0.8, 64, 32).astype(np.int32),
        }
    )
