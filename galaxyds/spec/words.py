"""The words of a declaration: bands, columns, cuts, rules for repeats, and what to cite."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_STRING = re.compile(r"'(?:[^']|'')*'")


def sql_words(sql: str) -> frozenset[str]:
    """Words of an expression outside of string literals: columns, functions, keywords."""
    return frozenset(_WORD.findall(_STRING.sub("''", sql)))


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
    optional : bool
        Whether an object may lack it: its pixels are then zeros and its bit of ``band_mask`` is 0.
    """

    name: str
    unit: str
    zero_point: float
    wavelength: float
    optional: bool = False


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
        return sql_words(self.sql)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One bit of the ``cutout_flags`` column, declared once and documented from here."""

    name: str
    bit: int
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Deduplication:
    """What becomes of rows that share a value, or a position, when there are several.

    Attributes
    ----------
    name : str
        Kebab-case.
    key : str
        Column whose repeated values make rows repeats; rows without a value are no repeats.  Empty
        for a rule by position.
    order : tuple of str
        DuckDB expressions; the first row in this order is kept.  Empty: a value that occurs more
        than once is removed altogether.
    why, source : str
        Reason, and where the paper says so.
    radius : float
        Arcseconds within which positions (columns ``ra`` and ``dec``) are one object: in the given
        order, a row is removed if one that is kept lies within it.
    """

    name: str
    key: str
    order: tuple[str, ...]
    why: str
    source: str
    radius: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.radius < float("inf"):
            raise UsageError(f"rule {self.name}: a radius of {self.radius} arcsec is none")
        if bool(self.key) == bool(self.radius) or (self.radius and not self.order):
            raise UsageError(f"rule {self.name} needs either a key, or a radius and an order")

    @property
    def what(self) -> str:
        """What repeats share."""
        return self.key or f"position within {self.radius:g} arcsec"

    def rule(self) -> str:
        """One phrase on what is kept."""
        return f"first by {', '.join(self.order)}" if self.order else "none of several is kept"


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
        a rule for repeats (rows after it), ``training`` (objects that stand in no extra split), the
        name of a split (objects that stand in it in division 0), or empty for nothing.
    """

    what: str
    count: int
    source: str
    after: str = ""


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
class Licence:
    """Terms of the data, as their owner states them."""

    name: str
    spdx: str
    redistribution: str
    acknowledgement: str
    url: str
