"""Zarr v3: one group with ``image`` in sharded chunks and one array per column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from galaxyds.errors import missing_extra
from galaxyds.publish.exports.format import Format, Options, Progress, Source, accompany
from galaxyds.store.columns import fill_value
from galaxyds.store.hdf5 import IMAGE, let_go

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from zarr import Group

    from galaxyds.spec import Column

_CHUNK_BYTES = 64 << 10
"""Pixels per chunk, at least: one cutout of 64 x 64 in five bands, more of smaller ones."""
_SHARD_BYTES = 32 << 20
"""Pixels per file; a shard is in memory while it is written."""
_OBJECT = "object"
_DIMENSIONS = (_OBJECT, "band", "row", "column")
# Else chunks equal to the fill value are left out, and -0.0 would come back as 0.0.
_CONFIG = {"write_empty_chunks": True}


def _size(source: Source, options: Options) -> int:
    del options
    columns = sum(values.nbytes for values in source.columns.values())
    return int(1.02 * source.images.nbytes) + columns + (1 << 20)


def _write(source: Source, folder: Path, options: Options, progress: Progress) -> None:
    del options
    try:
        import zarr
    except ImportError as error:
        raise missing_extra("zarr", "export", "exporting as zarr") from error
    name = f"{source.stem}.zarr"
    group = zarr.open_group(
        str(folder / name), mode="w-", zarr_format=3, attributes=_attributes(source)
    )
    declared = {column.name: column for column in source.spec.stored_columns()}
    for column, values in source.columns.items():
        _write_column(group, declared[column], values)
    _write_bands(group, source)
    _write_images(group, source, progress)
    accompany(source, folder, form="Zarr", reading=_reading(name))


def _attributes(source: Source) -> dict[str, Any]:
    manifest = source.build.manifest
    return {
        "title": source.spec.title,
        "address": source.build.address,
        "nature": manifest.nature(),
        "licence": source.spec.licence.name,
        "licence_url": source.spec.licence.url,
        "citations": [citation.text for citation in source.spec.citations],
        "manifest": msgspec.to_builtins(manifest),
    }


def _write_column(group: Group, column: Column, values: NDArray[Any]) -> None:
    attributes: dict[str, Any] = {"long_name": column.description}
    if column.unit:
        attributes["units"] = column.unit
    if column.nullable and column.dtype.startswith(("int", "uint")):
        # Not missing_value: xarray would turn the integers into floats.
        attributes["missing"] = fill_value(column)
    array = group.create_array(
        column.name,
        shape=values.shape,
        dtype=column.dtype,
        chunks=(max(len(values), 1),),
        dimension_names=(_OBJECT,),
        attributes=attributes,
        config=_CONFIG,
    )
    array[:] = values


def _write_bands(group: Group, source: Source) -> None:
    """The coordinate of the band axis."""
    bands = source.spec.bands
    array = group.create_array(
        "band",
        shape=(len(bands),),
        dtype="string",
        dimension_names=("band",),
        attributes={
            "zero_point": [band.zero_point for band in bands],
            "wavelength": [band.wavelength for band in bands],
            "wavelength_units": "angstrom",
        },
    )
    array[:] = np.array(source.spec.band_names(), dtype=object)


def _write_images(group: Group, source: Source, progress: Progress) -> None:
    from zarr.codecs import BloscCodec

    images, bands = source.images, source.spec.bands
    chunk, shard = _rows(images)
    array = group.create_array(
        IMAGE,
        shape=images.shape,
        dtype="float32",
        chunks=(chunk, *images.shape[1:]),
        shards=(shard, *images.shape[1:]),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        dimension_names=_DIMENSIONS,
        attributes={
            "units": ", ".join(dict.fromkeys(band.unit for band in bands)),
            "bands": [band.name for band in bands],
            "pixel_scale": source.spec.pixels.scale,
            "pixel_scale_units": "arcsec",
        },
        config=_CONFIG,
    )
    for start in range(0, len(images), shard):
        array[start : start + shard] = images[start : start + shard]
        let_go(images)
        progress(min(start + shard, len(images)), len(images))


def _rows(images: NDArray[np.float32]) -> tuple[int, int]:
    """Cutouts per chunk and per shard."""
    row_bytes = max(images[:1].nbytes, 1)
    chunk = max(1, _CHUNK_BYTES // row_bytes)
    most = -(-max(len(images), 1) // chunk)
    return chunk, chunk * min(most, max(1, _SHARD_BYTES // (chunk * row_bytes)))


def _reading(name: str) -> str:
    return (
        "import zarr\n\n"
        f'group = zarr.open("{name}", mode="r")\n'
        'group["image"][0]     # the cutout\n'
        'group["redshift"][:]  # a column\n'
        'group["image"].attrs["units"], group.attrs["manifest"]["cut_flow"]'
    )


ZARR = Format(name="zarr", write=_write, size=_size)
