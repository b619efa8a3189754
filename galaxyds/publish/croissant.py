"""Croissant 1.1 metadata of one build, or of a repository with several configs.

Everything is taken from declaration and manifests, so equal inputs give equal bytes.  Paths are
relative to the folder that ``croissant.json`` stands in: a copy of the repository can be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from galaxyds.errors import one_line
from galaxyds.store.columns import fill_value
from galaxyds.store.hdf5 import IMAGE

if TYPE_CHECKING:
    from galaxyds.spec import Column, DatasetSpec
    from galaxyds.store.manifest import FileRecord, Manifest

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "wd": "http://www.wikidata.org/entity/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        word: f"cr:{word}"
        for word in (
            "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty",
            "excludes", "extract", "field", "fileObject", "fileProperty", "fileSet", "format",
            "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
            "path", "readLines", "recordSet", "references", "regex", "repeated", "replace",
            "samplingRate", "sdVersion", "separator", "source", "subField", "transform",
            "unArchive",
        )
    },
}  # fmt: skip
_DATA_TYPES = {
    "bool": "sc:Boolean",
    "int8": "cr:Int8",
    "int16": "cr:Int16",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "uint64": "cr:UInt64",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
    "string": "sc:Text",
}
_SPLITS = "splits"
_CARDINALITY = "wd:Q4049983"
"""The number of elements of a set, as the specification's own example names it."""
_FORMATS = {".parquet": "application/x-parquet", ".json": "application/json"}
# mlcroissant reads Parquet under this name only; the registered one is application/vnd.apache.*.


def render_croissant(
    spec: DatasetSpec,
    manifests: Sequence[Manifest],
    files: Mapping[str, FileRecord],
    *,
    url: str = "",
) -> str:
    """Write ``croissant.json``.

    Parameters
    ----------
    spec, manifests, files, url
        As for :func:`croissant`.

    Returns
    -------
    str
        JSON-LD that may stand inside a ``script`` element.
    """
    found = json.dumps(croissant(spec, manifests, files, url=url), ensure_ascii=False)
    # Python's own indent is many times slower, and a server writes this for every version.
    return msgspec.json.format(found, indent=2).replace("</", "<\\/") + "\n"


def croissant(
    spec: DatasetSpec,
    manifests: Sequence[Manifest],
    files: Mapping[str, FileRecord],
    *,
    url: str = "",
) -> dict[str, Any]:
    """Describe builds of one dataset in the vocabulary of Croissant 1.1.

    Parameters
    ----------
    spec : DatasetSpec
        The declaration, not narrowed to a config.
    manifests : sequence of Manifest
        Of the builds, one per config; the first is the default config.
    files : mapping of str to FileRecord
        By path relative to ``croissant.json``: ``<config>/train-00000-of-00001.parquet``,
        ``<config>/catalog.parquet``, ``<config>/manifest.json``; others are left out.
    url : str
        Page of the dataset; that of the licence if empty, since the standard asks for one.

    Returns
    -------
    dict
        JSON-LD; one record set per config, and one with the names of the splits.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": spec.name,
        "conformsTo": CONFORMS_TO,
        "description": _description(spec, manifests),
        "alternateName": spec.title,
        "url": url or spec.licence.url,
        "license": spec.licence.url,
        "usageInfo": {
            "@type": "sc:CreativeWork",
            "name": f"{spec.licence.name} ({spec.licence.spdx})",
            "text": f"{spec.licence.redistribution} {spec.licence.acknowledgement}",
        },
        "version": _version(manifests),
        "datePublished": max(manifest.created for manifest in manifests),
        "creator": {"@type": "sc:Organization", "name": "The galaxyds developers"},
        "keywords": ["astronomy", "photometric redshift", "images", spec.data_release],
        "citeAs": "\n\n".join(citation.bibtex for citation in spec.citations),
        "prov:wasDerivedFrom": [entity for m in manifests for entity in _archive(m)],
        "prov:wasGeneratedBy": [_activity(manifest) for manifest in manifests],
        "distribution": [
            *_file_objects(files),
            *(_file_set(spec, manifest, files) for manifest in manifests),
        ],
        "recordSet": [
            _split_set(spec),
            *(_record_set(spec.of(manifest.config), manifest) for manifest in manifests),
        ],
    }


def _description(spec: DatasetSpec, manifests: Sequence[Manifest]) -> str:
    texts = [spec.summary]
    for manifest in manifests:
        if not manifest.is_full:
            texts.append(
                f"This is not the full dataset: config {manifest.config}, version "
                f"{manifest.version}, {manifest.nature()}, {manifest.rows:,} objects."
            )
    simulated = [manifest for manifest in manifests if manifest.archive.simulated]
    if simulated:
        texts.append("The pixels and the catalogue are simulated. Nothing here was observed.")
        texts += dict.fromkeys(one for m in simulated for one in m.departures)
    return " ".join(one_line(text, 4000) for text in texts)


def _version(manifests: Sequence[Manifest]) -> str:
    """The version that all builds share, or the highest without its local label."""
    shared = {manifest.version for manifest in manifests}
    if len(shared) == 1:
        return shared.pop()
    public = (manifest.public_version for manifest in manifests)
    return max(public, key=lambda version: [int(part) for part in version.split(".")])


def _archive(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Where rows and pixels come from; an endpoint may be no URL (a simulated sky)."""
    archive = manifest.archive
    for service, place in archive.endpoints.items() or (("", ""),):
        label = f"{archive.name}, {archive.data_release}{service and ': '}{service}"
        yield {
            "@type": "prov:Entity",
            "prov:label": one_line(label),
            **({"prov:atLocation": one_line(place)} if place else {}),
        }


def _activity(manifest: Manifest) -> dict[str, Any]:
    queries = (
        {"@type": "prov:Entity", "prov:label": f"query {number}", "prov:value": query}
        for number, query in enumerate(manifest.queries, 1)
    )
    return {
        "@id": f"{manifest.config}/build",
        "@type": "prov:Activity",
        "prov:label": f"galaxyds build {manifest.name}/{manifest.config}:{manifest.version}",
        "prov:endedAtTime": manifest.created,
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "prov:label": "galaxyds",
            "version": manifest.package_version,
        },
        "prov:used": [
            *_archive(manifest),
            *queries,
            {
                "@type": "prov:Entity",
                "prov:label": "sha256 of the declaration",
                "prov:value": manifest.spec_digest,
            },
        ],
        "additionalProperty": [
            {"@type": "sc:PropertyValue", "position": position, **step}
            for position, step in enumerate(_steps(manifest), 1)
        ],
    }


def _steps(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """What removed rows, in order: the cut flow, repeats, objects without pixels."""
    removed = {"unitText": "rows removed"}
    for row in manifest.cut_flow:
        why = f"{row.why} ({row.source})" if row.source else row.why
        text = f"keeps rows where {row.sql}; {row.rows_before} -> {row.rows_after}; {why}"
        name = f"cut {row.name}"
        yield {"name": name, "value": row.removed, **removed, "description": one_line(text, 2000)}
    for rule, count in manifest.duplicates.items():
        yield {"name": one_line(f"repeats, {rule}"), "value": count, **removed}
    for reason, count in manifest.dropped_by_reason().items():
        yield {"name": one_line(f"dropped, {reason}"), "value": count, **removed}


def _file_objects(files: Mapping[str, FileRecord]) -> Iterator[dict[str, Any]]:
    for path, record in sorted(files.items()):
        suffix = f".{path.rpartition('.')[2]}"
        if suffix in _FORMATS and "/" in path:
            yield {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": path,
                "contentSize": f"{record.bytes} B",
                "encodingFormat": _FORMATS[suffix],
                "sha256": record.sha256,
            }


def _file_set(
    spec: DatasetSpec, manifest: Manifest, files: Mapping[str, FileRecord]
) -> dict[str, Any]:
    """The shards of a config; without ``containedIn``, which mlcroissant 1.1 reads archives by."""
    stems = (f"{manifest.config}/{split}-" for split in spec.split.names)
    present = [stem for stem in stems if any(path.startswith(stem) for path in files)]
    return {
        "@type": "cr:FileSet",
        "@id": _shards(manifest),
        "name": f"shards of {manifest.config}",
        "encodingFormat": _FORMATS[".parquet"],
        "includes": [f"{stem}*.parquet" for stem in present],
    }


def _shards(manifest: Manifest) -> str:
    return f"{manifest.config}/shards"


def _split_set(spec: DatasetSpec) -> dict[str, Any]:
    terms = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit"}
    return {
        "@type": "cr:RecordSet",
        "@id": _SPLITS,
        "name": _SPLITS,
        "dataType": "cr:Split",
        "key": {"@id": f"{_SPLITS}/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"{_SPLITS}/name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": f"{_SPLITS}/url", "dataType": ["sc:URL", "cr:Split"]},
        ],
        "data": [
            {f"{_SPLITS}/name": name, f"{_SPLITS}/url": terms.get(name, "cr:TestSplit")}
            for name in spec.split.names
        ],
    }


def _record_set(spec: DatasetSpec, manifest: Manifest) -> dict[str, Any]:
    config = manifest.config
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": one_line(
            f"{spec.config(config).description}; {manifest.rows:,} objects", 2000
        ),
        "key": {"@id": f"{config}/{spec.object_id}"},
        "prov:wasGeneratedBy": {"@id": f"{config}/build"},
        "annotation": {
            "@type": "cr:Field",
            "@id": f"{config}/count",
            "dataType": ["sc:Integer", _CARDINALITY],
            "value": manifest.rows,
        },
        "field": [
            _split_field(spec, manifest),
            _image_field(spec, manifest),
            *(_column_field(column, manifest) for column in spec.stored_columns()),
        ],
    }


def _field(manifest: Manifest, name: str, **more: Any) -> dict[str, Any]:
    source = {"fileSet": {"@id": _shards(manifest)}, "extract": {"column": name}}
    return {
        "@type": "cr:Field",
        "@id": f"{manifest.config}/{name}",
        "name": name,
        "source": source,
        **more,
    }


def _split_field(spec: DatasetSpec, manifest: Manifest) -> dict[str, Any]:
    return _field(
        manifest,
        "split",
        description=f"split of division 0 of {spec.split.divisions}, from the name of the shard",
        dataType="sc:Text",
        source={
            "fileSet": {"@id": _shards(manifest)},
            "extract": {"fileProperty": "filename"},
            # The optional rest: mlcroissant applies the transform again to what it gave.
            "transform": {"regex": f"^({'|'.join(spec.split.names)})(?:-.*\\.parquet)?$"},
        },
        references={"field": {"@id": f"{_SPLITS}/name"}},
    )


def _image_field(spec: DatasetSpec, manifest: Manifest) -> dict[str, Any]:
    units = dict.fromkeys(band.unit for band in spec.bands)
    zero_points = ", ".join(f"{band.name} {band.zero_point:g}" for band in spec.bands)
    return _field(
        manifest,
        IMAGE,
        description=f"cutout: bands {', '.join(spec.band_names())}, then rows, then columns, of "
        f"{spec.pixels.scale:g} arcsec; AB zero points: {zero_points}; missing pixels are NaN",
        dataType=_DATA_TYPES["float32"],
        isArray=True,
        arrayShape=",".join(str(length) for length in spec.image_shape()),
        unitText=", ".join(units),
    )


def _column_field(column: Column, manifest: Manifest) -> dict[str, Any]:
    unit = {"unitText": column.unit} if column.unit else {}
    return _field(
        manifest,
        column.name,
        description=one_line(column.description, 2000) + _missing(column),
        dataType=_DATA_TYPES[column.dtype],
        **unit,
    )


def _missing(column: Column) -> str:
    """What stands for a missing value in the shards, as a phrase; empty if none can be missing."""
    if not column.nullable:
        return ""
    value = fill_value(column) if column.dtype != "string" else "empty"
    return f"; missing: {value}"
