"""A small dataset declaration and builds of it, for tests of store, publish and loaders."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from galaxyds.catalog.splits import divide
from galaxyds.publish import write_product
from galaxyds.spec import (
    Band,
    Citation,
    Column,
    Config,
    Cut,
    DatasetSpec,
    Deduplication,
    Erratum,
    Licence,
    Pixels,
    PublishedCount,
    Split,
)
from galaxyds.store.layout import build_path
from galaxyds.store.manifest import (
    ArchiveRecord,
    CutRow,
    Dropped,
    Manifest,
    PublishedRecord,
    Selection,
    local_version,
)

BRIGHT = Cut(name="bright", sql="mag_g < 22 OR mag_g IS NULL", why="seen", source="Sect. 2")

SPEC = DatasetSpec(
    name="tiny-sky",
    title="A tiny sky | with <markup>",
    summary="Made for tests.",
    version="1.2.0",
    release_notes={"1.2.0": "First."},
    archive="sdss",
    data_release="DR17",
    tables="SpecObjAll AS a",
    key="spec_id",
    object_id="object_id",
    bands=tuple(
        Band(name=b, unit="nanomaggy", zero_point=22.5, wavelength=w)
        for b, w in zip("ugr", (3557.0, 4825.0, 6261.0), strict=True)
    ),
    columns=(
        Column(name="object_id", dtype="int64", archive="b.objID", description="id"),
        Column(name="spec_id", dtype="uint64", archive="a.specObjID", description="spectrum"),
        Column(name="run", dtype="int32", archive="b.run", description="run"),
        Column(name="kind", dtype="string", archive="a.class", description="class, é"),
        Column(name="redshift", dtype="float32", archive="a.z", description="redshift"),
        Column(name="ra", dtype="float64", unit="deg", archive="b.ra", description="RA"),
        Column(name="good", dtype="bool", archive="b.clean", description="clean"),
        Column(
            name="mag_g",
            dtype="float32",
            unit="mag",
            archive="b.psfMag_g",
            nullable=True,
            sentinel=-9999.0,
            description="magnitude",
        ),
        Column(
            name="warning",
            dtype="int32",
            archive="a.zWarning",
            nullable=True,
            sentinel=-9999.0,
            description="mask",
        ),
        Column(name="row_r", dtype="float32", archive="b.row", description="row", stored=False),
    ),
    configs=(
        Config(
            name="extended",
            description="all",
            cuts=(BRIGHT,),
            published=(PublishedCount(what="all", count=465, source="Sect. 2", after="all"),),
        ),
        Config(
            name="baseline",
            description="fewer",
            cuts=(BRIGHT,),
            published=(PublishedCount(what="all", count=415, source="Sect. 2", after="all"),),
        ),
    ),
    duplicates=(
        Deduplication(
            name="repeats", key="object_id", order=("spec_id",), why="one each", source="Sect. 2"
        ),
    ),
    split=Split(fractions=((0.6, 0.2, 0.2),) * 3, source="Sect. 2"),
    pixels=Pixels(protocol="frames", size=8, scale=0.396, reference_band="r", tile=("run",)),
    flags=(),
    stages=("query", "write"),
    paper="Nobody et al. 2023",
    errata=(Erratum(point="a", paper="x <= 1", choice="x < 1"),),
    citations=(Citation(key="n", role="dataset", text="Nobody", bibtex="@misc{n}"),),
    licence=Licence(
        name="public",
        spdx="CC0-1.0",
        redistribution="free",
        acknowledgement="thanks",
        url="https://example.org",
    ),
)


def images(rows: int, spec: DatasetSpec = SPEC, seed: int = 0) -> np.ndarray:
    """Random float32 cutouts with a NaN and exact zeros among the pixels."""
    pixels = np.random.default_rng(seed).normal(1, 3, (rows, *spec.image_shape())).astype("f4")
    pixels[0, 1, 0, :3] = np.nan
    pixels[-1, 2, 1, :2] = 0
    if spec.has_optional_bands():
        pixels[::3, 2] = 0
    return pixels


def table(rows: int, spec: DatasetSpec = SPEC, seed: int = 0) -> pa.Table:
    """Columns with missing values where the spec allows them; ids increase and are large."""
    rng = np.random.default_rng(seed)
    ids = np.int64(1237645876861272000) + np.cumsum(rng.integers(1, 999, rows))
    missing = np.arange(rows) % 5 == 2
    columns = {
        "object_id": ids,
        "spec_id": np.uint64(2**63) + np.arange(rows, dtype=np.uint64),
        "run": rng.integers(90, 99, rows).astype("i4"),
        "kind": ["QSO" if k % 3 else "GALAXY" for k in range(rows)],
        "redshift": rng.uniform(1, 5, rows).astype("f4"),
        "ra": rng.uniform(0, 360, rows),
        "good": rng.random(rows) < 0.5,
        "mag_g": pa.array(rng.uniform(18, 21.9, rows).astype("f4"), mask=missing),
        "warning": pa.array(rng.integers(0, 9, rows).astype("i4"), mask=missing),
    }
    middle = (spec.pixels.size - 1) / 2
    columns["cutout_x"] = np.full(rows, middle, "f4")
    columns["cutout_y"] = rng.uniform(middle - 0.5, middle + 0.5, rows).astype("f4")
    columns["cutout_flags"] = np.zeros(rows, "i4")
    if spec.has_optional_bands():
        columns["band_mask"] = np.where(np.arange(rows) % 3, 0b111, 0b011).astype("i2")
    known = pa.table(columns)
    for k, codes in enumerate(divide(known, spec.split, object_id="object_id")):
        known = known.append_column(f"split_{k}", [codes])
    return known


def manifest(spec: DatasetSpec = SPEC, *, config="extended", simulated=False, limit=None):
    """A manifest as a build hands it over, before anything is written."""
    selection = Selection(kind="limit", limit=limit) if limit else Selection()
    return Manifest(
        name=spec.name,
        config=config,
        version=local_version(spec.version, simulated=simulated, selection=selection),
        package_version="0.1.0",
        spec_digest=spec.digest(config),
        created="2026-01-01T00:00:00Z",
        archive=ArchiveRecord(
            name="sdss",
            data_release="DR17",
            endpoints={"sky": "https://example.org"},
            simulated=simulated,
        ),
        rows=0,
        shape=spec.image_shape(),
        selection=selection,
        queries=("SELECT a FROM b WHERE a < 1 | 2",),
        cut_flow=(
            CutRow(name="bright", sql=BRIGHT.sql, rows_before=90, rows_after=60, removed=30),
        ),
        duplicates={"repeat spectra": 3},
        dropped=(Dropped(object_id=4, reason="no frame"),),
        published=(PublishedRecord(what="all", count=465, source="Sect. 2", ours=60),),
        departures=("50 times more quasars",) if simulated else (),
        warnings=("<script>alert(1)</script> [x](javascript:alert(1))",),
    )


def make_build(home, rows=60, spec=SPEC, *, replace=False, seed=0, **options):
    """Write a build of ``spec`` below ``home``; return its folder."""
    described = manifest(spec, **options)
    target = build_path(home, spec.name, described.config, described.version)
    pixels = images(rows, spec, seed)
    blocks = iter([pixels[:7], pixels[7:7], pixels[7:]])
    write_product(
        target,
        spec=spec,
        manifest=described,
        table=table(rows, spec, seed),
        blocks=blocks,
        replace=replace,
    )
    return target
