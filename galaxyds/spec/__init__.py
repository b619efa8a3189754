"""What a dataset *is*: frozen declarations without any I/O.

A :class:`DatasetSpec` is the single place for a paper's choices.  The SQL sent to an archive, the
cut flow, the documentation and the card are all generated from it.  Predicates and expressions are
written in DuckDB's dialect over galaxyds column names; an archive renders them for its own dialect.
"""

from __future__ import annotations

from galaxyds.spec.dataset import DatasetSpec
from galaxyds.spec.pixels import BAND_MASK, CUTOUT_COLUMNS, Config, Pixels, PublishedFiles
from galaxyds.spec.splits import SPLITS, ExtraSplit, Split
from galaxyds.spec.words import (
    DTYPES,
    Band,
    Citation,
    Column,
    Cut,
    Deduplication,
    Erratum,
    Flag,
    Licence,
    PublishedCount,
)

__all__ = [
    "BAND_MASK",
    "CUTOUT_COLUMNS",
    "DTYPES",
    "SPLITS",
    "Band",
    "Citation",
    "Column",
    "Config",
    "Cut",
    "DatasetSpec",
    "Deduplication",
    "Erratum",
    "ExtraSplit",
    "Flag",
    "Licence",
    "Pixels",
    "PublishedCount",
    "PublishedFiles",
    "Split",
]
