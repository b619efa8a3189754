"""The layout in which Pasquet et al. (2019) published their cutouts: one ``.npz`` with labels.

``cube`` (n, 64, 64, 5) float32, the bands u, g, r, i, z last, and ``labels``, a record array of n
rows and 64 columns.  The file holds more galaxies than the paper: whoever uses it applies the
paper's cuts again, and so does :func:`open_published`.

Labels that were saved as Python objects are a pickle, which can run any code and is not read; a
table of the same rows beside the file, ``<stem>_labels.parquet``, ``.csv`` or ``.npy``, is read in
their place.
"""

from __future__ import annotations

from galaxyds.store.p19.names import companions
from galaxyds.store.p19.published import Published, check_published, open_published

__all__ = ["Published", "check_published", "companions", "open_published"]
