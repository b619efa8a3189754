"""What the published file calls its arrays and labels, and what is done with them by name.

Of the 64 labels only ``z``, ``EBV``, ``zphot``, ``dered_petro_*``, ``petroMagErr_*``,
``extinction_r`` and, in one variant, ``specObjID`` and ``absMag_*`` were ever seen quoted.  All
other names here are those of the survey's own tables; nothing depends on a label being there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from galaxyds.spec import Column, Cut

CUBE = "cube"
LABELS = "labels"
ROWS = 659_857
"""Published number of cutouts, before the paper's cuts."""
IDS = ("objID", "bestObjID", "specObjID")
"""Labels that can identify an object, the best first."""
CANDIDATES: dict[str, tuple[str, ...]] = {
    "object_id": IDS[:2],
    "spec_object_id": ("specObjID",),
    "redshift": ("z",),
    "redshift_err": ("zErr",),
    "ebv": ("EBV", "e_bv_sfd"),
    "photo_flags": ("flags",),
    "spec_class": ("class",),
}
"""Labels of our columns whose names are not ours in another spelling."""
REQUIRED = ("redshift", "ra", "dec", "ebv")
"""Columns without which the rest is of no use: what is learnt, where, and behind how much dust."""
FIELD_BITS: dict[str, tuple[int, int]] = {
    "rerun": (48, 0x7FF),
    "run": (32, 0xFFFF),
    "camcol": (29, 0x7),
    "field": (16, 0xFFF),
}
"""Shift and mask of what an SDSS objID holds (SDSS, fSDSSfromObjID)."""
_SOURCE = "Pasquet et al. 2019, Sect. 2"
CUTS = (
    Cut(
        name="published-magnitude-limit",
        sql="dered_petro_r > 0 AND dered_petro_r <= 17.8",
        why="the file holds fainter galaxies; -9999 minus an extinction is no magnitude",
        source=_SOURCE,
    ),
    Cut(
        name="published-redshift-range",
        sql="redshift > 0 AND redshift <= 0.4",
        why="the file holds galaxies beyond the paper's range",
        source=_SOURCE,
    ),
)
"""The paper's cuts on the labels that are known."""
VOCABULARY = (
    Column(
        name="dered_petro_r",
        dtype="float64",
        nullable=True,
        sentinel=-9999.0,
        description="Petrosian magnitude minus extinction",
    ),
    Column(name="redshift", dtype="float64", description="spectroscopic redshift"),
)
"""Columns of these cuts."""
_SUFFIXES = (".parquet", ".csv", ".npy")


def companions(name: str) -> tuple[str, ...]:
    """Names of the tables that are read instead of the labels in a file.

    Parameters
    ----------
    name : str
        Of the ``.npz``.

    Returns
    -------
    tuple of str
        The first that is there is taken.
    """
    return tuple(f"{Path(name).stem}_labels{suffix}" for suffix in _SUFFIXES)


def plain(name: str) -> str:
    """Bring a name to the form in which spellings are compared: ``petroMag_r``, ``petro_mag_r``."""
    return name.replace("_", "").lower()


def words(sql: str) -> frozenset[str]:
    """Words of an expression that may be columns."""
    return Cut(name="words", sql=sql, why="", source="").names()


def find_label(ours: str, names: Mapping[str, str], there: Sequence[str]) -> str | None:
    """Find the label of one of our columns.

    Parameters
    ----------
    ours : str
        Name of the column.
    names : mapping of str to str
        Labels by our names, as declared.
    there : sequence of str
        Labels of the file.

    Returns
    -------
    str or None
        The declared label, else a candidate, else our own name, in any spelling.
    """
    declared = (names[ours],) if ours in names else ()
    wanted: tuple[str, ...] = (*declared, *CANDIDATES.get(ours, ()), ours)
    spelt: dict[str, str] = {}
    for label in there:
        spelt.setdefault(plain(label), label)
    for name in wanted:
        if name in there:
            return name
        if plain(name) in spelt:
            return spelt[plain(name)]
    return None
