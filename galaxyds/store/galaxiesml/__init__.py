"""The layout in which GalaxiesML is published: reading it and writing it (Do et al. 2024).

Three files, one per split, flat: ``image`` (n, 5, S, S) float32 in chunks, one dataset (n,) per
column, texts as bytes (n, 1), rows in the order of ``object_id``; beside each a CSV of the same
stem without the pixels.  What the files and some columns are called, and how many rows were
published, the spec says (:class:`galaxyds.spec.PublishedFiles`).

What dtypes and which chunks the real files have is not documented, so only what the pixels and
their order depend on is insisted on; everything else becomes a :class:`Difference`.
"""

from __future__ import annotations

from galaxyds.store.foreign import Difference
from galaxyds.store.galaxiesml.export import unwritten, write_published
from galaxyds.store.galaxiesml.names import BANDS, PUBLISHED_COLUMNS
from galaxyds.store.galaxiesml.published import Published, open_published

__all__ = [
    "BANDS",
    "PUBLISHED_COLUMNS",
    "Difference",
    "Published",
    "open_published",
    "unwritten",
    "write_published",
]
