"""Files in the layout of Pasquet et al. (2019), of any size, with what is wrong with them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

SIZE, BANDS, LABELS = 64, 5, 64
_BLOCK = 250


def labels(rows: int, *, seed: int = 3) -> np.ndarray:
    """Return 64 labels per row, repeats, sentinels and values beyond the paper's cuts included."""
    rng = np.random.default_rng(seed)
    objects = 1_237_648_720_142_401_611 + rng.permutation(rows).astype("i8") * 65_537
    again = rng.choice(rows, rows // 20, replace=False)
    objects[again] = objects[(again + 1) % rows]  # repeat spectra
    ra, dec = rng.uniform(0, 360, rows), rng.uniform(-9, 60, rows)
    near = rng.choice(rows, rows // 25, replace=False)
    ra[near], dec[near] = ra[(near + 7) % rows], dec[(near + 7) % rows] + 0.4 / 3600
    extinction = rng.uniform(0.02, 0.5, rows).astype("f4")
    magnitude = (rng.uniform(14, 18.5, rows) - extinction).astype("f4")
    magnitude[rng.choice(rows, rows // 50, replace=False)] = -9999 - 0.25
    colours = dict(zip("ugriz", (2, 1, 0, -1, -2), strict=True))
    columns: dict[str, Any] = {
        "specObjID": rng.permutation(rows).astype("u8") + np.uint64(299_489_677_444_933_632),
        "objID": objects,
        "ra": ra,
        "dec": dec,
        "z": np.abs(rng.normal(0.1, 0.15, rows)).astype("f8"),
        "zErr": rng.choice([-1.0, 1e-5, 3e-5], rows),
        "EBV": rng.uniform(0, 0.3, rows),
        "zphot": rng.uniform(0, 0.4, rows),
        "extinction_r": extinction,
        **{f"dered_petro_{b}": magnitude + k for b, k in colours.items()},
        **{f"petroMagErr_{b}": rng.uniform(0, 0.1, rows) for b in "ugriz"},
        "class": np.full(rows, "GALAXY", dtype="S6"),
    }  # fmt: skip
    columns["z"][:3] = (0.4, np.nextafter(0.4, 1), 0.0)
    for k in range(LABELS - len(columns)):
        columns[f"label_{k}"] = rng.normal(size=rows)
    table = np.empty(rows, dtype=[(n, np.asarray(v).dtype) for n, v in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table.view(np.recarray)


def pixels(first: int, rows: int) -> np.ndarray:
    """Return cutouts as published, bands last; coarse values, so that they deflate quickly."""
    rng = np.random.default_rng([7, first])
    values = rng.integers(-40, 90, (rows, SIZE, SIZE, BANDS), dtype=np.int16)
    return (values / np.float32(16)).astype("<f4")


def write(path: Path, rows: int, *, deflated: bool = True, table: np.ndarray | None = None) -> Path:
    """Write a file of any size as :func:`numpy.savez` would, without holding it."""
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        with archive.open("cube.npy", "w", force_zip64=True) as stream:
            shape = (rows, SIZE, SIZE, BANDS)
            header = {"shape": shape, "fortran_order": False, "descr": "<f4"}
            npy.write_array_header_1_0(stream, header)
            for first in range(0, rows, _BLOCK):
                stream.write(pixels(first, min(_BLOCK, rows - first)).tobytes())
        with archive.open("labels.npy", "w", force_zip64=True) as stream:
            npy.write_array(stream, labels(rows) if table is None else table)
    return path
