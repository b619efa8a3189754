"""A build in the formats of other communities, with its provenance beside it.

Each module has one :class:`Format`.  Packages that only one format needs are imported when it is
written.
"""

from __future__ import annotations

from galaxyds.publish.exports.croissant import CROISSANT
from galaxyds.publish.exports.format import (
    Format,
    Options,
    Source,
    open_source,
    sweep,
    write_export,
)
from galaxyds.publish.exports.hats import HATS
from galaxyds.publish.exports.webdataset import WEBDATASET
from galaxyds.publish.exports.zarr import ZARR

FORMATS: dict[str, Format] = {one.name: one for one in (WEBDATASET, ZARR, HATS, CROISSANT)}
"""By name, as ``galaxyds export --format`` takes it."""

__all__ = ["FORMATS", "Format", "Options", "Source", "open_source", "sweep", "write_export"]
