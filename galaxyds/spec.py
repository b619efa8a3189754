"""What a dataset *is*: frozen declarations without any I/O.

A :class:`DatasetSpec` is the single place for a paper's choices.  The SQL sent to an archive, the
cut flow, the documentation and the card are all generated from it.  Predicates and expressions are
written in DuckDB's dialect over galaxyds column names; an archive renders them for its own dialect.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from galaxyds.errors import UsageError

DTYPES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "string",
)
SPLITS = ("train", "validation", "test")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_STRING = re.compile(r"'(?:[^']|'')*'")


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """One photometric band of a dataset.

    Attributes
    ----------
    name : str
        As in the paper and in column names (``u``).
    unit : str
        Unit of one pixel value (``nanomaggy``).
    zero_point : float
        AB magnitude of a source with flux 1 in that unit.
    wavelength : float
        Effective wavelength in angstrom.
    """

    name: str
    unit: str
    zero_point: float
    wavelength: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One value per object.

    Attributes
    ----------
    name : str
        Snake-case name in every product.
    dtype : str
        One of :data:`DTYPES`.
    unit : str
        FITS-style unit, empty for none.
    description : str
        One line.
    archive : str
        Expression at the archive (``b.psfMag_u``); empty if the column is not queried.
    derived : str
        Expression over other columns, in DuckDB's dialect; empty if the column is queried.
    nullable : bool
        Whether sentinels, NaN and NULL may occur.  They become NULL in tables, and NaN (floats) or
        the sentinel of the archive (integers) in HDF5.
    sentinel : float or None
        What the archive writes where it has no value.
    stored : bool
        Whether it is kept in the built dataset, or serves the build only.
    """

    name: str
    dtype: str
    unit: str = ""
    description: str
    archive: str = ""
    derived: str = ""
    nullable: bool = False
    sentinel: float | None = None
    stored: bool = True

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"column {self.name}: unknown dtype '{self.dtype}'", column=self.name)
        if bool(self.archive) and bool(self.derived):
            raise UsageError(f"column {self.name} is both queried and derived", column=self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A selection rule: one predicate, why it is there, and where the paper says so.

    Attributes
    ----------
    name : str
        Kebab-case.
    sql : str
        One predicate in DuckDB's dialect over column names; rows where it is not true are removed.
    why : str
        One line.
    source : str
        Section, table or appendix of the paper.
    pushdown : bool
        Whether the archive is asked to apply it.
    has_effect : bool
        False for a rule that the paper states but that cannot remove a row.
    """

    name: str
    sql: str
    why: str
    source: str
    pushdown: bool = True
    has_effect: bool = True

    def names(self) -> frozenset[str]:
        """Words of the predicate outside of string literals: columns, functions, keywords."""
        return frozenset(_WORD.findall(_STRING.sub("''", self.sql)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One bit of the ``cutout_flags`` column, declared once and documented from here."""

    name: str
    bit: int
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Random divisions into train, validation and test, by a hash of the object id and a seed.

    Attributes
    ----------
    fractions : tuple of float
        Train, validation, test; they sum to 1.
    divisions : int
        How many independent divisions; division ``k`` has seed ``k``.
    source : str
        Where the paper says so.
    """

    fractions: tuple[float, float, float]
    divisions: int
    source: str

    def __post_init__(self) -> None:
        if abs(sum(self.fractions) - 1) > 1e-12:
            raise UsageError(f"split fractions {self.fractions} do not sum to 1")

    def columns(self) -> tuple[Column, ...]:
        """The ``split_0``, ``split_1`` ... columns that hold the divisions."""
        codes = ", ".join(f"{code} {name}" for code, name in enumerate(SPLITS))
        return tuple(
            Column(
                name=f"split_{k}",
                dtype="int8",
                description=f"split of the object in division {k}: {codes}",
            )
            for k in range(self.divisions)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """What to cite, and for what."""

    key: str
    role: str
    text: str
    bibtex: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Erratum:
    """A point where the paper contradicts itself, and the choice taken here."""

    point: str
    paper: str
    choice: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedCount:
    """A number of objects that the paper states."""

    what: str
    count: int
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Terms of the data, as their owner states them."""

    name: str
    spdx: str
    redistribution: str
    acknowledgement: str
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Deduplication:
    """Which row of an object is kept when the archive returns several.

    Attributes
    ----------
    key : str
        Column that names an object.
    order : tuple of str
        DuckDB expressions; the first row in this order is kept.
    why, source : str
        Reason, and where the paper says so.
    """

    key: str
    order: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """How pixels are obtained and laid out.

    Attributes
    ----------
    protocol : str
        ``frames``, ``cutouts`` or ``release``: which pixel protocol the archive speaks.
    size : int
        Rows and columns of a cutout.
    scale : float
        Arcseconds per pixel.
    reference_band : str
        Band whose pixel grid the others are resampled to when ``align`` is that band.
    tile : tuple of str
        Columns that name the unit of work (an SDSS field: run, camcol, field).
    row, column : str
        Columns with the object's approximate 0-based pixel row and column in the tile.
    tile_rows : int
        Rows of a frame, for protocols that deliver frames.
    """

    protocol: str
    size: int
    scale: float
    reference_band: str
    tile: tuple[str, ...]
    row: str = ""
    column: str = ""
    tile_rows: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A variant of a dataset: its cuts and its published counts."""

    name: str
    description: str
    cuts: tuple[Cut, ...]
    published: tuple[PublishedCount, ...]

    @property
    def published_total(self) -> int:
        """Published number of objects of this config."""
        return self.published[0].count


CUTOUT_COLUMNS = (
    Column(
        name="cutout_x",
        dtype="float32",
        unit="pix",
        description="0-based column of the object in the cutout of the reference band",
    ),
    Column(
        name="cutout_y",
        dtype="float32",
        unit="pix",
        description="0-based row of the object in the cutout of the reference band",
    ),
    Column(
        name="cutout_flags",
        dtype="int32",
        description="bit mask on the making of the cutout, 0 = complete",
    ),
)
"""Columns that the making of a cutout adds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """The declaration of a dataset.

    Attributes
    ----------
    name, title, summary, version : str
        Kebab-case name, a title, two or three sentences, ``MAJOR.MINOR.PATCH``.
    release_notes : dict of str to str
        One line per version.
    archive, data_release : str
        Name of the archive module, and the survey's data release.
    tables : str
        The FROM clause at the archive.
    key : str
        Column that is unique per returned row (a spectrum); pages are cut along it.
    object_id : str
        Column that identifies an object in the built dataset.
    bands, columns, configs : tuple
        In order; the first config is the default.
    duplicates, split, pixels
        The rules for repeats, divisions and cutouts.
    flags : tuple of Flag
        Bits of ``cutout_flags``.
    stages : tuple of str
        Build stages in order.
    paper, errata, citations, licence
        Where it comes from.

    Raises
    ------
    UsageError
        If a cut, a rule or a derived column names a column that is not declared.
    """

    name: str
    title: str
    summary: str
    version: str
    release_notes: dict[str, str] = field(hash=False)
    archive: str
    data_release: str
    tables: str
    key: str
    object_id: str
    bands: tuple[Band, ...]
    columns: tuple[Column, ...]
    configs: tuple[Config, ...]
    duplicates: Deduplication
    split: Split
    pixels: Pixels
    flags: tuple[Flag, ...]
    stages: tuple[str, ...]
    paper: str
    errata: tuple[Erratum, ...]
    citations: tuple[Citation, ...]
    licence: Licence

    def __post_init__(self) -> None:
        declared = {column.name for column in self.columns}
        wanted = {self.key, self.object_id, self.duplicates.key, *self.pixels.tile}
        wanted |= {name for name in (self.pixels.row, self.pixels.column) if name}
        if missing := wanted - declared:
            raise UsageError(f"{self.name}: undeclared columns {sorted(missing)}")
        for config in self.configs:
            for cut in config.cuts:
                if not cut.names() & declared:
                    raise UsageError(f"{self.name}: cut {cut.name} names no declared column")
                if strangers := {n for n in cut.names() if "_" in n} - declared:
                    raise UsageError(
                        f"{self.name}: cut {cut.name} names undeclared {sorted(strangers)}"
                    )
        if self.version not in self.release_notes:
            raise UsageError(f"{self.name}: version {self.version} has no release note")

    def config(self, name: str | None = None) -> Config:
        """Return the config of that name, or the default one.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        if name is None:
            return self.configs[0]
        for config in self.configs:
            if config.name == name:
                return config
        known = ", ".join(config.name for config in self.configs)
        raise UsageError(f"{self.name} has no config '{name}'; it has: {known}", config=name)

    def column(self, name: str) -> Column:
        """Return the column of that name (those of the splits included).

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        for column in self.stored_columns():
            if column.name == name:
                return column
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"{self.name} has no column '{name}'", column=name)

    def queried_columns(self) -> tuple[Column, ...]:
        """Columns that the archive is asked for."""
        return tuple(column for column in self.columns if column.archive)

    def tested_columns(self) -> tuple[str, ...]:
        """Names of the queried columns that a cut of any config tests."""
        words = frozenset[str]().union(*(cut.names() for c in self.configs for cut in c.cuts))
        return tuple(column.name for column in self.queried_columns() if column.name in words)

    def stored_columns(self) -> tuple[Column, ...]:
        """Columns of the built dataset: queried and derived, of the cutouts, of the splits."""
        kept = (column for column in self.columns if column.stored)
        return (*kept, *CUTOUT_COLUMNS, *self.split.columns())

    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the image axis."""
        return tuple(band.name for band in self.bands)

    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one cutout: bands, rows, columns."""
        return len(self.bands), self.pixels.size, self.pixels.size

    def digest(self, config: str) -> str:
        """Sha256 over what decides the bytes of a build of ``config``.

        Prose (summary, reasons, citations, errata) is left out: mending a sentence does not make
        finished stages stale.
        """
        chosen = self.config(config)
        relevant: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "tables": self.tables,
            "key": self.key,
            "object_id": self.object_id,
            "bands": [asdict(band) for band in self.bands],
            "columns": [
                {k: v for k, v in asdict(c).items() if k != "description"} for c in self.columns
            ],
            "cuts": [(cut.name, cut.sql, cut.pushdown) for cut in chosen.cuts],
            "duplicates": (self.duplicates.key, self.duplicates.order),
            "split": (self.split.fractions, self.split.divisions),
            "pixels": asdict(self.pixels),
        }
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
