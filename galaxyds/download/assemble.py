"""Writing ``images.hdf5`` again from the Parquet shards and the catalogue of a build.

The shards hold train, validation, test and the further samples of division 0, each in object-id
order; the catalogue says which row of the file an object has.  One row group after the other is
read, so memory does not grow with the build.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.errors import DataIntegrityError
from galaxyds.store import layout
from galaxyds.store.columns import stored_table
from galaxyds.store.hdf5 import IMAGE, Blocks, Placed, image_attributes, write_hdf5
from galaxyds.store.parquet import read_batches, read_catalog

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec
    from galaxyds.store.manifest import Manifest

_ROWS = 64
_COLUMN_BYTES = 512
"""Bytes per row and column of a shard, generously, beside its pixels."""


def write_images(
    build: Path, spec: DatasetSpec, manifest: Manifest, *, heard: Callable[[int], None]
) -> None:
    """Write the HDF5 file of a build whose other files are there and verified.

    Parameters
    ----------
    build : pathlib.Path
        Folder with ``catalog.parquet`` and ``hub/``.
    spec : DatasetSpec
        The declaration.
    manifest : Manifest
        Of the build.
    heard : callable
        Told how many cutouts are written.

    Raises
    ------
    DataIntegrityError
        If shards and catalogue do not fit each other, or the declaration.
    """
    spec = spec.of(manifest.config)
    table = read_catalog(build / layout.CATALOG, spec=spec, rows=manifest.rows)
    path = build / layout.IMAGES
    path.unlink(missing_ok=True)
    write_hdf5(
        path,
        spec=spec,
        config=manifest.config,
        table=stored_table(table, spec),
        blocks=_told(_blocks(build, spec, manifest, table), heard),
        attributes=image_attributes(spec, manifest),
    )


def _told(blocks: Iterator[Placed], heard: Callable[[int], None]) -> Blocks:
    done = 0
    for block in blocks:
        yield block
        done += len(block.rows)
        heard(done)


def _blocks(
    build: Path, spec: DatasetSpec, manifest: Manifest, table: pa.Table
) -> Iterator[Placed]:
    codes = table.column("split_0").to_numpy()
    ids = table.column(spec.object_id).to_numpy()
    folder = build / layout.HUB / manifest.config
    for code, split in enumerate(spec.split.names):
        rows, done = np.flatnonzero(codes == code), 0
        for shard in sorted(folder.glob(f"{split}-*.parquet")):
            for here, pixels in _cutouts(shard, spec, rows=len(rows)):
                places = rows[done : done + len(here)]
                if not np.array_equal(ids[places], here):
                    raise _misplaced(shard)
                yield Placed(places, pixels)
                done += len(here)


def _cutouts(
    shard: Path, spec: DatasetSpec, *, rows: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Ids (k,) and pixels (k, bands, rows, columns) of a shard, a few rows at a time."""
    import pyarrow as pa

    shape = spec.image_shape()
    row_bytes = 16 * math.prod(shape) + _COLUMN_BYTES * len(spec.stored_columns())
    names = (spec.object_id, IMAGE)
    limit = (1 << 20) + row_bytes * rows
    for batch in read_batches(shard, columns=names, limit=limit, batch_size=_ROWS):
        ids = batch.column(spec.object_id).to_numpy(zero_copy_only=False)
        values = batch.column(IMAGE)
        for _ in shape:
            values = values.flatten()
        pixels = values.to_numpy(zero_copy_only=False)
        if pixels.dtype != np.float32 or pixels.size != len(ids) * math.prod(shape):
            raise _misplaced(shard)
        yield ids, pixels.reshape(len(ids), *shape)
        pa.default_memory_pool().release_unused()


def _misplaced(shard: Path) -> DataIntegrityError:
    return DataIntegrityError(
        f"{shard.name} does not hold the objects and cutouts that the catalogue lists for it",
        file=shard.name,
        expected="the objects of catalog.parquet",
        got="others",
    )
