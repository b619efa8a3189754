"""WebDataset: tar shards per split, ``<object id>.npy`` beside ``<object id>.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import missing_extra
from galaxyds.publish.exports.format import (
    Format,
    Options,
    Progress,
    Source,
    accompany,
    check_division,
)
from galaxyds.store.hdf5 import let_go

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHARD_BYTES = 500_000_000
"""Pixels per shard."""
_BLOCK = 256
_PER_VALUE, _PER_OBJECT = 60, 2560
"""Bytes of a value in JSON with its name, and of headers and padding of two tar members."""


def _size(source: Source, options: Options) -> int:
    del options
    more = _PER_OBJECT + _PER_VALUE * len(source.columns)
    return source.images.nbytes + more * len(source.images)


def _write(source: Source, folder: Path, options: Options, progress: Progress) -> None:
    try:
        from webdataset import TarWriter
    except ImportError as error:
        raise missing_extra("webdataset", "export", "exporting as webdataset") from error
    check_division(source, options.division)
    done = 0
    shards = list(_shards(source, options.division))
    for name, rows in shards:
        # A fixed time and owner: equal builds give equal bytes.
        with (
            (folder / name).open("xb") as stream,
            TarWriter(stream, mtime=0, user="galaxyds", group="galaxyds") as tar,
        ):
            for sample in _samples(source, rows):
                tar.write(sample)
                done += 1
                progress(done, len(source.images))
    accompany(source, folder, form="WebDataset", reading=_reading([name for name, _ in shards]))


def _shards(source: Source, division: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Names of the shards and the rows of each, in object-id order; none for an empty split."""
    codes = source.columns[f"split_{division}"]
    row_bytes = source.images[:1].nbytes
    for code, split in enumerate(source.spec.split.names):
        rows = np.flatnonzero(codes == code)
        count = -(-len(rows) * row_bytes // _SHARD_BYTES)
        for index, part in enumerate(np.array_split(rows, count) if count else ()):
            yield f"{split}-{index:06d}.tar", part


def _samples(source: Source, rows: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        images = source.images[block]
        records = _records(source, block)
        for image, record in zip(images, records, strict=True):
            key = str(record[source.spec.object_id])
            yield {"__key__": key, "npy": np.ascontiguousarray(image), "json": record}
        let_go(source.images)


def _records(source: Source, rows: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """Values of each row as JSON has them: every number exactly, NaN as null, infinity in words."""
    values = [column[rows].tolist() for column in source.columns.values()]
    for record in zip(*values, strict=True):
        yield dict(zip(source.columns, map(_plain, record), strict=True))


def _plain(value: Any) -> Any:
    """JSON has no word for NaN and infinity; these are the ones of protobuf's JSON."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return None
    return "Infinity" if value > 0 else "-Infinity"


def _reading(shards: list[str]) -> str:
    split = shards[0].rpartition("-")[0]
    last = sum(name.startswith(f"{split}-") for name in shards) - 1
    pattern = f"{split}-{{000000..{last:06d}}}.tar" if last else shards[0]
    return (
        "import webdataset\n\n"
        f'data = webdataset.WebDataset("{pattern}", shardshuffle=False).decode()\n'
        "for sample in data:\n"
        '    sample["npy"]   # the cutout\n'
        '    sample["json"]  # a dict of the columns; None where a float is missing'
    )


WEBDATASET = Format(name="webdataset", write=_write, size=_size)
