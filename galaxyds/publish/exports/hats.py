"""HATS: the catalogue in HEALPix partitions for ``lsdb``, on request with the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyds.errors import UsageError, missing_extra
from galaxyds.publish.exports.format import Format, Options, Progress, Source, accompany
from galaxyds.store.hdf5 import IMAGE, let_go
from galaxyds.store.parquet import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PARTITION_ROWS = 50_000
_PARTITION_BYTES = 256 << 20
"""Pixels per partition, where there are pixels: readers hold whole partitions."""
_GROUP_BYTES = 4 << 20
"""Pixels per row group, where there are pixels."""
_LARGEST = 8 << 30
"""Bytes in memory above which a file is not taken for a catalogue."""
_UCDS = {
    "object_id": "meta.id;meta.main",
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "redshift": "src.redshift",
}


def _size(source: Source, options: Options) -> int:
    columns = sum(values.nbytes for values in source.columns.values())
    # A partition with pixels stands beside the one without while it is written.
    return 2 * columns + (source.images.nbytes if options.images else 0) + (1 << 20)


def _write(source: Source, folder: Path, options: Options, progress: Progress) -> None:
    try:
        import lsdb  # noqa: F401 -- before anything is written
    except ImportError as error:
        raise missing_extra("lsdb", "export", "exporting as hats") from error
    if missing := [name for name in ("ra", "dec") if name not in source.columns]:
        raise UsageError(
            f"{source.spec.name} has no column {missing[0]}, and HATS needs positions: choose "
            "another --format"
        )
    _write_catalogue(source, folder, rows=_partition_rows(source, options))
    _finish(source, folder, images=options.images, progress=progress)
    accompany(source, folder, form="HATS", reading=_reading(source, images=options.images))


def _partition_rows(source: Source, options: Options) -> int:
    fitting = _PARTITION_BYTES // max(source.images[:1].nbytes, 1)
    return min(_PARTITION_ROWS, max(fitting, 1)) if options.images else _PARTITION_ROWS


def _write_catalogue(source: Source, folder: Path, *, rows: int) -> None:
    import lsdb
    import pandas as pd

    table = read_table(source.build.catalog, rows=len(source.images), limit=_LARGEST)
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    catalogue = lsdb.from_dataframe(
        frame,
        ra_column="ra",
        dec_column="dec",
        catalog_name=source.stem,
        partition_rows=rows,
        margin_threshold=None,
    )
    catalogue.write_catalog(
        folder,
        catalog_name=source.stem,
        as_collection=False,
        overwrite=True,  # the folder is ours, and empty
        progress_bar=False,
        create_parquet_metadata=False,  # written when the partitions are finished
        # hats cannot hold the extremes of unsigned 64-bit numbers, which SDSS spectra have.
        create_per_partition_statistics=False,
        addl_hats_properties=_properties(source),
    )


def _properties(source: Source) -> dict[str, Any]:
    manifest, spec = source.build.manifest, source.spec
    return {
        "obs_title": spec.title,
        "obs_description": f"{spec.summary} {source.build.address}: {manifest.nature()}.",
        "obs_copyright": spec.licence.name,
        "obs_copyright_url": spec.licence.url,
        "obs_ack": spec.licence.acknowledgement,
        "bib_reference": "; ".join(citation.text for citation in spec.citations),
        "hats_data_semver": manifest.version,
        "hats_creator": f"galaxyds {manifest.package_version}",
    }


def _finish(source: Source, folder: Path, *, images: bool, progress: Progress) -> None:
    """Write every partition again with what is known of its columns, on request with cutouts."""
    from hats.io import write_parquet_metadata

    done = 0
    for path in sorted((folder / "dataset").rglob("Npix=*.parquet")):
        table = _described(pq.read_table(path, partitioning=None), source)
        described = path.with_suffix(".described")
        for part in _write_parts(described, source, table, images=images):
            done += part
            progress(done, len(source.images))
        described.replace(path)
    write_parquet_metadata(folder)


def _described(table: pa.Table, source: Source) -> pa.Table:
    """Put unit, UCD and description into the schema's fields."""
    declared = {column.name: column for column in source.spec.stored_columns()}
    fields = []
    for field in table.schema:
        column = declared.get(field.name)
        about = {"ucd": _UCDS.get(field.name, "")}
        if column is not None:
            about |= {"unit": column.unit, "description": column.description}
        fields.append(field.with_metadata({key: text for key, text in about.items() if text}))
    return table.cast(pa.schema(fields))


def _write_parts(path: Path, source: Source, table: pa.Table, *, images: bool) -> Iterator[int]:
    """Write a partition in row groups; yield the rows of each."""
    if not images:
        pq.write_table(table, path, compression="zstd")
        yield table.num_rows
        return
    ids = table.column(source.spec.object_id).to_numpy()
    rows = np.searchsorted(source.columns[source.spec.object_id], ids)
    step = max(1, _GROUP_BYTES // max(source.images[:1].nbytes, 1))
    schema = _with_images(source, table[:0], rows[:0]).schema
    settings = {
        "compression": "zstd",
        "use_dictionary": table.column_names,
        "write_statistics": table.column_names,
        "column_encoding": {f"{IMAGE}.list.element": "BYTE_STREAM_SPLIT"},
    }
    with pq.ParquetWriter(path, schema, **settings) as writer:
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            writer.write_table(_with_images(source, table[start : start + step], chosen))
            let_go(source.images)
            yield len(chosen)


def _with_images(source: Source, table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Append the cutouts as lists of fixed length; the shape stands with the field."""
    shape = source.images.shape[1:]
    flat = pa.array(np.ascontiguousarray(source.images[rows]).reshape(-1))
    pixels = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(shape)))
    about = {"shape": ",".join(map(str, shape)), "bands": ",".join(source.spec.band_names())}
    return table.append_column(pa.field(IMAGE, pixels.type, metadata=about), pixels)


def _reading(source: Source, *, images: bool) -> str:
    ra, dec = source.columns["ra"][0], source.columns["dec"][0]
    lines = [
        "import lsdb",
        "",
        'catalogue = lsdb.open_catalog(".")  # or the path of this folder',
        f"catalogue.cone_search({ra:.5f}, {dec:.5f}, radius_arcsec=60).compute()",
    ]
    if images:
        shape = ", ".join(map(str, source.images.shape[1:]))
        lines += [
            "",
            "import numpy as np",
            "",
            'rows = lsdb.open_catalog(".", columns=["object_id", "image"]).compute()',
            f'np.stack(rows["image"].to_numpy()).astype("float32").reshape(-1, {shape})',
        ]
    return "\n".join(lines)


HATS = Format(name="hats", write=_write, size=_size)
