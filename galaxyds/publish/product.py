"""Writing a whole build: pixels, catalogue, hub folder, then the manifest that names them all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from galaxyds.publish.hub import write_hub
from galaxyds.spec import BAND_MASK
from galaxyds.store import layout
from galaxyds.store.columns import stored_table
from galaxyds.store.files import publishing_directory, sha256
from galaxyds.store.hdf5 import Blocks, image_attributes, image_map, write_hdf5
from galaxyds.store.manifest import FileRecord, Manifest, write_manifest
from galaxyds.store.parquet import write_catalog
from galaxyds.store.statistics import band_statistics

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec


def write_product(
    target: Path,
    *,
    spec: DatasetSpec,
    manifest: Manifest,
    table: pa.Table,
    blocks: Blocks,
    replace: bool = False,
) -> Manifest:
    """Write a build beside its final place and rename it there when it is complete.

    Parameters
    ----------
    target : pathlib.Path
        ``<root>/<name>/<config>/<version>``.
    spec : DatasetSpec
        The declaration.
    manifest : Manifest
        What is known before writing; rows, splits, band statistics and files are filled in here.
    table : pyarrow.Table
        Stored columns (others are left out), in object-id order.
    blocks : iterator of ndarray or Placed
        float32 (k, bands, rows, columns), together one cutout per row.
    replace : bool
        Take the place of an existing build; readers that mapped it keep their bytes.

    Returns
    -------
    Manifest
        As written.

    Raises
    ------
    StorageError
        If ``target`` exists and may not be replaced, or something cannot be written.
    DataIntegrityError
        If table, blocks and spec do not fit each other.
    """
    spec = spec.of(manifest.config)
    table = stored_table(table, spec)
    with publishing_directory(target, replace=replace) as folder:
        write_hdf5(
            folder / layout.IMAGES,
            spec=spec,
            config=manifest.config,
            table=table,
            blocks=blocks,
            attributes=image_attributes(spec, manifest),
        )
        write_catalog(folder / layout.CATALOG, table, spec=spec)
        images = image_map(folder / layout.IMAGES)
        manifest = msgspec.structs.replace(
            manifest,
            rows=table.num_rows,
            shape=spec.image_shape(),
            splits=split_counts(table, spec),
            bands=band_statistics(images, spec.band_names(), mask=_mask(table)),
        )
        write_hub(
            folder / layout.HUB,
            spec=spec,
            config=manifest.config,
            manifest=manifest,
            table=table,
            images=images,
        )
        manifest = msgspec.structs.replace(manifest, files=file_records(folder))
        write_manifest(folder / layout.MANIFEST, manifest)
    return manifest


def _mask(table: pa.Table) -> NDArray[np.integer] | None:
    """Which bands of each object have data, in datasets where some may lack."""
    if BAND_MASK.name not in table.column_names:
        return None
    return np.asarray(table.column(BAND_MASK.name).to_numpy())


def split_counts(table: pa.Table, spec: DatasetSpec) -> dict[str, dict[str, int]]:
    """Count rows per split, by division."""
    counts = {}
    for division in range(spec.split.divisions):
        codes = table.column(f"split_{division}").to_numpy()
        names = enumerate(spec.split.names)
        counts[str(division)] = {name: int((codes == k).sum()) for k, name in names}
    return counts


def file_records(folder: Path) -> dict[str, FileRecord]:
    """Size and sha256 of every file below ``folder`` except the manifest, by relative path."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileRecord(
            bytes=path.stat().st_size, sha256=sha256(path)
        )
        for path in found
        if path.name != layout.MANIFEST
    }
