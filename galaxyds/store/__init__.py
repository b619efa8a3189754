"""The only place that knows files: HDF5 and Parquet layouts, manifests, publishing, verifying."""

from galaxyds.store.files import require_space, sha256
from galaxyds.store.hdf5 import image_map, read_columns, safe_open, write_hdf5
from galaxyds.store.layout import (
    BuildDirectory,
    build_path,
    find_build,
    find_family,
    list_builds,
)
from galaxyds.store.manifest import (
    ArchiveRecord,
    BandStatistics,
    CutRow,
    Dropped,
    FileRecord,
    Manifest,
    PublishedRecord,
    Selection,
    SurveyRecord,
    local_version,
    read_manifest,
    write_manifest,
)
from galaxyds.store.parquet import read_table, write_catalog
from galaxyds.store.verify import Result, verify

__all__ = [
    "ArchiveRecord",
    "BandStatistics",
    "BuildDirectory",
    "CutRow",
    "Dropped",
    "FileRecord",
    "Manifest",
    "PublishedRecord",
    "Result",
    "Selection",
    "SurveyRecord",
    "build_path",
    "find_build",
    "find_family",
    "image_map",
    "list_builds",
    "local_version",
    "read_columns",
    "read_manifest",
    "read_table",
    "require_space",
    "safe_open",
    "sha256",
    "verify",
    "write_catalog",
    "write_hdf5",
    "write_manifest",
]
