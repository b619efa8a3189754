"""What a dataset *is*: frozen declarations without any I/O.

A :class:`DatasetSpec` is the single place for a paper's choices.  The SQL sent to an archive, the
cut flow, the documentation and the card are all generated from it.  Predicates and expressions are
written in DuckDB's dialect over galaxyds column names; an archive renders them for its own dialect.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
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
    aliases : tuple of str
        Further names of the same values: links in HDF5, accepted wherever a column is asked for.
    valid : tuple of float or None
        Lowest and highest value that can occur after the cuts; a build with others fails its
        verification.
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
    aliases: tuple[str, ...] = ()
    valid: tuple[float, float] | None = None

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
    shown : str
        The predicate for people, where the real one repeats itself; the predicate by default.
    """

    name: str
    sql: str
    why: str
    source: str
    pushdown: bool = True
    has_effect: bool = True
    shown: str = ""

    def __post_init__(self) -> None:
        if not self.shown:
            object.__setattr__(self, "shown", self.sql)

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
    fractions : tuple of tuple of float
        Per division: train, validation, test; they sum to 1.  Division ``k`` has seed ``k``.
    source : str
        Where the paper says so.
    """

    fractions: tuple[tuple[float, float, float], ...]
    source: str

    def __post_init__(self) -> None:
        for shares in self.fractions:
            if abs(sum(shares) - 1) > 1e-12:
                raise UsageError(f"split fractions {shares} do not sum to 1")

    @property
    def divisions(self) -> int:
        """How many independent divisions there are."""
        return len(self.fractions)

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
    """A number of objects that the paper states.

    Attributes
    ----------
    what, source : str
        What is counted, and where the paper says so.
    count : int
        The number.
    after : str
        What of a build it is compared with: ``all``, ``query`` (rows from the archive), the name of
        a rule for repeats (rows after it), or empty for nothing.
    """

    what: str
    count: int
    source: str
    after: str = ""


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
    """What becomes of rows that share a value, when the archive returns several.

    Attributes
    ----------
    name : str
        Kebab-case.
    key : str
        Column whose repeated values make rows repeats; rows without a value are no repeats.
    order : tuple of str
        DuckDB expressions; the first row in this order is kept.  Empty: a value that occurs more
        than once is removed altogether.
    why, source : str
        Reason, and where the paper says so.
    """

    name: str
    key: str
    order: tuple[str, ...]
    why: str
    source: str

    def rule(self) -> str:
        """One phrase on what is kept."""
        return f"first by {', '.join(self.order)}" if self.order else "none of several is kept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """How pixels are obtained and laid out.

    Attributes
    ----------
    protocol : str
        ``frames`` (whole frames are fetched and cut here) or ``cutouts`` (the archive cuts).
    size : int
        Rows and columns of a cutout.
    scale : float
        Arcseconds per pixel.
    reference_band : str
        Band whose pixel grid the others are resampled to when ``align`` is that band; for cutouts
        the band whose position is recorded.
    tile : tuple of str
        Columns that name the unit of work (an SDSS field: run, camcol, field).
    row, column : str
        Columns with the object's approximate 0-based pixel row and column in the tile.
    tile_rows : int
        Rows of a frame, for protocols that deliver frames.
    half_size : float
        Arcseconds from the object to the edge of a cutout, for archives that cut.
    off_centre : float
        Most pixels by which an object may stand off pixel (N-1)/2, in each direction.
    psf_size : int
        Rows and columns of the point-spread functions that are fetched too; 0 for none.
    """

    protocol: str
    size: int
    scale: float
    reference_band: str
    tile: tuple[str, ...]
    row: str = ""
    column: str = ""
    tile_rows: int = 0
    half_size: float = 0.0
    off_centre: float = 0.5
    psf_size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A variant of a dataset: its cuts, its published counts, and what differs in its pixels.

    Attributes
    ----------
    name, description : str
        Short name, and one line.
    cuts : tuple of Cut
        In order.
    published : tuple of PublishedCount
        The first counts the objects of a build.
    size : int
        Rows and columns of a cutout; 0 for that of :class:`Pixels`.
    cropped_from : str
        Config of the same objects whose cutouts hold these in their middle: both are built from one
        download.
    """

    name: str
    description: str
    cuts: tuple[Cut, ...]
    published: tuple[PublishedCount, ...]
    size: int = 0
    cropped_from: str = ""

    @property
    def published_total(self) -> int:
        """Published number of objects of this config."""
        return self.published[0].count


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedFiles:
    """Files in which the authors published the dataset.

    Attributes
    ----------
    service, record : str
        Where they are (``zenodo``), and under which number.
    layout : str
        How they are laid out (``galaxiesml``).
    pattern : str
        File name with ``{size}`` and ``{split}``.
    splits : tuple of (str, str, int)
        Our name of a split, theirs, and the published number of rows.
    names : tuple of (str, str)
        Our name of a column and theirs, where they differ.
    source : str
        Where the paper says so.
    """

    service: str
    record: str
    layout: str
    pattern: str
    splits: tuple[tuple[str, str, int], ...]
    names: tuple[tuple[str, str], ...]
    source: str

    def files(self, size: int) -> dict[str, str]:
        """File names of a config by our name of the split."""
        return {ours: self.pattern.format(size=size, split=name) for ours, name, _ in self.splits}


CUTOUT_COLUMNS = (
    Column(
        name="cutout_x",
        dtype="float32",
        unit="pix",
        nullable=True,
        description="0-based column of the object in the cutout of the reference band",
    ),
    Column(
        name="cutout_y",
        dtype="float32",
        unit="pix",
        nullable=True,
        description="0-based row of the object in the cutout of the reference band",
    ),
    Column(
        name="cutout_flags",
        dtype="int32",
        nullable=True,
        sentinel=-1,
        description="bit mask on the making of the cutout, 0 = complete",
    ),
)
"""Columns that the making of a cutout adds; missing where published files lack them."""


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
    base : str
        Predicate that holds for every row and where counts start; empty for the whole catalogue.
    duplicates : tuple of Deduplication
        Rules for repeats, in the order in which they are applied.
    split, pixels
        The rules for divisions and cutouts.
    measured : tuple of Column
        Columns that stages make from the pixels.
    files : PublishedFiles or None
        The authors' own files, if there are any.
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
    duplicates: tuple[Deduplication, ...]
    split: Split
    pixels: Pixels
    flags: tuple[Flag, ...]
    stages: tuple[str, ...]
    paper: str
    errata: tuple[Erratum, ...]
    citations: tuple[Citation, ...]
    licence: Licence
    base: str = ""
    measured: tuple[Column, ...] = ()
    files: PublishedFiles | None = None

    def __post_init__(self) -> None:
        declared = {column.name for column in self.columns}
        wanted = {self.key, self.object_id, *self.pixels.tile}
        wanted |= {rule.key for rule in self.duplicates}
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

    def family(self, name: str | None = None) -> tuple[Config, ...]:
        """Return the config that is downloaded for a config, and those cropped from it.

        Parameters
        ----------
        name : str, optional
            The config; the default one if None.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        config = self.config(name)
        root = self.config(config.cropped_from) if config.cropped_from else config
        return (root, *(c for c in self.configs if c.cropped_from == root.name))

    def of(self, config: str) -> DatasetSpec:
        """Return the declaration narrowed to a config: the size of its cutouts in ``pixels``.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        size = self.config(config).size or self.pixels.size
        if size == self.pixels.size:
            return self
        return replace(self, pixels=replace(self.pixels, size=size))

    def column(self, name: str) -> Column:
        """Return the column of that name or alias (those of the splits included).

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        for column in self.stored_columns():
            if name in (column.name, *column.aliases):
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
        return (*kept, *CUTOUT_COLUMNS, *self.measured, *self.split.columns())

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
                {k: v for k, v in asdict(c).items() if k != "description"}
                for c in (*self.columns, *self.measured)
            ],
            "base": self.base,
            "cuts": [(cut.name, cut.sql, cut.pushdown) for cut in chosen.cuts],
            "duplicates": [(rule.key, rule.order) for rule in self.duplicates],
            "split": self.split.fractions,
            "pixels": asdict(self.of(config).pixels),
        }
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
