"""The ``hub/`` folder of a build: Parquet shards and a card, for ``load_dataset`` without code.

Shards hold train, validation and test of division 0; the other divisions are the ``split_k``
columns.  A split without objects has no shard.  Images are nested lists with the ``huggingface``
schema metadata that makes them ``Array3D``; a missing float is NaN, a missing integer its sentinel,
since NULL would reach torch as ``None``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyds.publish.card import Part, render_card
from galaxyds.store.columns import filled_table, stored_table
from galaxyds.store.hdf5 import IMAGE, let_go

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec
    from galaxyds.store.manifest import Manifest

_SHARD_BYTES = 500_000_000
"""Pixels per shard; hubs ask for fewer than 10,000 files per folder and 20 GB per file."""
_GROUP_BYTES = 4 << 20
"""Pixels per row group: a streaming reader holds one, and int32 list offsets stay far away."""
_LEAF = f"{IMAGE}.list.element.list.element.list.element"


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSize:
    """Rows and bytes in memory of one split."""

    rows: int
    bytes: int


def write_hub(
    directory: Path,
    *,
    spec: DatasetSpec,
    config: str,
    manifest: Manifest,
    table: pa.Table,
    images: NDArray[np.float32],
) -> None:
    """Write the shards and the card.

    Parameters
    ----------
    directory : pathlib.Path
        A new or empty folder.
    spec : DatasetSpec
        Declares columns, bands and texts.
    config : str
        Name of the config; it becomes the config of the hub and the folder of the shards.
    manifest : Manifest
        What the card tells; its ``files`` are not used.
    table : pyarrow.Table
        Stored columns in object-id order, NULL where a value is missing.
    images : ndarray of float32, shape (n, bands, rows, columns)
        In the same order; may be a memory map.

    Raises
    ------
    DataIntegrityError
        If the table does not fit the spec.
    """
    table = filled_table(stored_table(table, spec), spec)
    table = table.replace_schema_metadata(_features_metadata(spec))
    codes = table.column("split_0").to_numpy()
    (directory / config).mkdir(parents=True)
    sizes = {}
    for code, split in enumerate(spec.split.names):
        rows = np.flatnonzero(codes == code)
        if not len(rows):  # `datasets` refuses to load a split without rows
            continue
        _write_split(directory / config / split, rows, table, images)
        sizes[split] = SplitSize(rows=len(rows), bytes=_bytes(table, images, len(rows)))
    part = Part(spec=spec, manifest=manifest, features=hub_features(spec), sizes=sizes)
    card = render_card([part])
    (directory / "README.md").write_text(card, encoding="utf-8")


def hub_features(spec: DatasetSpec) -> dict[str, dict[str, Any]]:
    """Features of the hub's rows, as ``datasets`` serialises them, in the order of the columns."""
    features: dict[str, dict[str, Any]] = {
        column.name: {"dtype": column.dtype, "_type": "Value"} for column in spec.stored_columns()
    }
    shape = list(spec.image_shape())
    features[IMAGE] = {"shape": shape, "dtype": "float32", "_type": "Array3D"}
    return features


def _features_metadata(spec: DatasetSpec) -> dict[str, str]:
    return {"huggingface": json.dumps({"info": {"features": hub_features(spec)}})}


def _bytes(table: pa.Table, images: NDArray[np.float32], rows: int) -> int:
    columns = int(table.nbytes) * rows // max(table.num_rows, 1)
    pixels = math.prod(images.shape[1:]) * 4
    return int(rows * pixels + columns)


def _write_split(
    stem: Path, rows: NDArray[np.int64], table: pa.Table, images: NDArray[np.float32]
) -> None:
    row_bytes = math.prod(images.shape[1:]) * 4
    shards = -(-len(rows) * row_bytes // _SHARD_BYTES)
    for index, part in enumerate(np.array_split(rows, shards)):
        path = stem.with_name(f"{stem.name}-{index:05d}-of-{shards:05d}.parquet")
        _write_shard(path, _groups(part, max(1, _GROUP_BYTES // row_bytes)), table, images)


def _groups(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _write_shard(
    path: Path,
    groups: Iterator[NDArray[np.int64]],
    table: pa.Table,
    images: NDArray[np.float32],
) -> None:
    with _writer(path, _rows(table, images, np.empty(0, np.int64)).schema) as writer:
        for rows in groups:
            _write_group(writer, rows, table, images)
            pa.default_memory_pool().release_unused()


def _write_group(
    writer: pq.ParquetWriter, rows: NDArray[np.int64], table: pa.Table, images: NDArray[np.float32]
) -> None:
    group = _rows(table, images, rows)
    let_go(images)  # they are copied: not twice in memory while they are encoded
    writer.write_table(group, row_group_size=len(rows))


def _rows(table: pa.Table, images: NDArray[np.float32], rows: NDArray[np.int64]) -> pa.Table:
    return table.take(pa.array(rows)).append_column(IMAGE, nested_list(images[rows]))


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    scalars = [name for name in schema.names if name != IMAGE]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=False,
        column_encoding={_LEAF: "BYTE_STREAM_SPLIT"},
        write_statistics=scalars,
        write_page_checksum=True,
    )


def nested_list(images: NDArray[np.float32]) -> pa.Array:
    """Turn cutouts into an Arrow array of three nested lists, without copying pixels.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, rows, columns)
        Contiguous.

    Returns
    -------
    pyarrow.ListArray
        Of length n; the storage type of an ``Array3D`` feature.
    """
    values: pa.Array = pa.array(np.ascontiguousarray(images).reshape(-1))
    outer = images.shape
    for axis in (3, 2, 1):
        count = math.prod(outer[:axis])
        offsets = np.arange(count + 1, dtype=np.int32) * np.int32(outer[axis])
        values = pa.ListArray.from_arrays(pa.array(offsets), values)
    return values
