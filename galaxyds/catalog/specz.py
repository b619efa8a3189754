"""Spectroscopic redshifts of many surveys, made one table.

A survey is described by data (:class:`RedshiftSurvey`): its columns, and SQL over them that says
which rows have no redshift, which are secure and how much.  Nothing here knows a survey by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyds.catalog.engine import evaluate
from galaxyds.catalog.positions import thin
from galaxyds.catalog.splits import hash_ids
from galaxyds.errors import DataIntegrityError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINING = "training"
"""The sample of surveys that a redshift is learnt from; every other sample is for testing only."""

_SCHEMA = pa.schema(
    [
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("redshift", pa.float32()),
        ("redshift_survey", pa.string()),
        ("redshift_flag", pa.string()),
        ("redshift_confidence", pa.float32()),
        ("sample", pa.string()),
    ]
)
_ABSENT = ["", "--", "-", "nan", "null", "none", "n/a"]  # cells of text tables that hold nothing
_TYPES = {"float64": pa.float64(), "string": pa.string()}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawColumn:
    """A column of a survey's own table.

    Attributes
    ----------
    name : str
        As VizieR has it, or the survey's own file where VizieR has no table; predicates use it.
    also : tuple of str
        Other names that it has in other files, the preferred first.  Case does not matter, nor does
        what stands before a dot.
    dtype : str
        ``"float64"`` or ``"string"``.
    optional : bool
        NULL in every row where a table does not have it.
    """

    name: str
    also: tuple[str, ...] = ()
    dtype: str = "float64"
    optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VizierTable:
    """A table at VizieR.

    Attributes
    ----------
    name : str
        Its full name.
    conditions : tuple of (str, str)
        Conditions on columns, in VizieR's notation, that spare rows nobody needs.
    """

    name: str
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RedshiftSurvey:
    """A spectroscopic survey: where it is, how it is read, what of it is secure.

    All SQL is DuckDB's, over the names of ``columns``; numbers that are not finite are NULL there.

    Attributes
    ----------
    name : str
        Short, kebab-case; also the name of a local file.
    number : int
        Row of Table 1 of Ait-Ouahmed et al. 2023.
    title, reference : str
        Name with release, and the publication.
    where : str
        Where it is published.
    columns : tuple of RawColumn
        All that is read; right ascension and declination come first.
    ra, dec, redshift, flag : str
        Expressions: degrees, degrees, dimensionless, and the survey's own quality flag.
    secure, confidence : str
        Predicate: the redshift is secure.  Expression: how much, on the scale of VVDS (4 certain,
        about 99 %; 3 very probable, about 95 %; below: prisms, grisms and photometry).
    sentinel : str
        Predicate: the row has no redshift of a galaxy (codes, dummies, stars), beside what holds
        for every survey: no position, no redshift, a redshift of 0 or less.
    limits : str
        Predicate: the row belongs to the sample that the paper takes from this survey.
    vizier : tuple of VizierTable
        Empty where only a local file will do.
    parts : tuple of str
        Files ``<name>-<part>`` that describe the same objects and are joined by position; their
        columns get the suffix ``_<part>``.
    sample : str
        :data:`TRAINING`, or the test sample that it makes.
    verified, unverified : tuple of str
        What of this was read in a primary source or seen in use, and what was not.
    """

    name: str
    number: int
    title: str
    reference: str
    where: str
    columns: tuple[RawColumn, ...]
    ra: str
    dec: str
    redshift: str
    flag: str
    secure: str
    confidence: str
    sentinel: str = "FALSE"
    limits: str = "TRUE"
    vizier: tuple[VizierTable, ...] = ()
    parts: tuple[str, ...] = ()
    sample: str = TRAINING
    verified: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    @property
    def test_only(self) -> bool:
        """Whether nothing is learnt from it."""
        return self.sample != TRAINING


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyTally:
    """What a spectroscopic survey brought and lost.

    Attributes
    ----------
    name : str
        Of the survey.
    where : str
        Where its table came from.
    read, sentinel, insecure, secure, duplicate, kept : int
        Rows read; without a redshift (sentinels, dummies, stars); with one that is not secure, or
        outside the limits of the sample; secure; lost to a duplicate; kept.
        ``read = sentinel + insecure + secure`` and ``secure = duplicate + kept``.
    """

    name: str
    where: str
    read: int
    sentinel: int
    insecure: int
    secure: int
    duplicate: int
    kept: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The secure redshifts of one table, and how many rows had none.

    Attributes
    ----------
    survey : RedshiftSurvey
        Whose table.
    where : str
        Where it came from.
    table : pyarrow.Table
        The secure rows, columns as in :class:`Compilation`.
    read, sentinel, insecure : int
        As in :class:`SurveyTally`.
    """

    survey: RedshiftSurvey
    where: str
    table: pa.Table
    read: int
    sentinel: int
    insecure: int


class Compilation(NamedTuple):
    """One redshift per place, and what each survey brought and lost.

    ``table`` has columns ra, dec (float64, degrees), redshift (float32), redshift_survey,
    redshift_flag (string: which survey won, its own flag), redshift_confidence (float32, see
    :class:`RedshiftSurvey`) and sample (string), by ascending ra and dec.
    """

    table: pa.Table
    tallies: tuple[SurveyTally, ...]


def read_survey(raw: pa.Table, survey: RedshiftSurvey, *, where: str) -> Reading:
    """Read a survey's own table: sort its rows into those without, with and with a secure redshift.

    Parameters
    ----------
    raw : pyarrow.Table
        With the survey's columns under any of their names, as numbers or as text; a table without
        columns and rows is a survey that was not found.
    survey : RedshiftSurvey
        Its description.
    where : str
        Where the table came from, for messages and the tally.

    Returns
    -------
    Reading
        With positions in [0, 360) and [-90, 90] degrees.

    Raises
    ------
    DataIntegrityError
        If a column is missing, holds text where numbers should be, or cannot be computed with.
    """
    if not raw.num_columns:
        empty = _SCHEMA.empty_table()
        return Reading(survey=survey, where=where, table=empty, read=0, sentinel=0, insecure=0)
    try:
        table = evaluate(_conform(raw, survey, where), _verdicts(survey))
    except duckdb.Error as error:
        cause = one_line(str(error), 160)
        raise DataIntegrityError(
            f"{where}: cannot be read as {survey.title}: {cause}; take the published table "
            f"({survey.where})", file=where, expected=survey.title, got=cause,
        ) from None  # fmt: skip
    verdict = table.column("verdict").to_numpy()
    names = {"redshift_survey": survey.name, "sample": survey.sample}
    rows = table.filter(pa.array(verdict == 2))
    for name, value in names.items():
        rows = rows.append_column(name, pa.repeat(pa.scalar(value), rows.num_rows))
    return Reading(
        survey=survey, where=where, table=rows.select(_SCHEMA.names).cast(_SCHEMA),
        read=len(verdict), sentinel=int((verdict == 0).sum()), insecure=int((verdict == 1).sum()),
    )  # fmt: skip


def _verdicts(survey: RedshiftSurvey) -> str:
    """SELECT the common columns and a verdict: 0 no redshift, 1 not secure, 2 secure."""
    # Some tables count right ascension from -180.
    return f"""
        SELECT CASE WHEN ra < 0 AND ra + 360 < 360 THEN ra + 360
                    WHEN ra < 0 OR ra = 360 THEN 0 ELSE ra END AS ra, dec,
            redshift, COALESCE(flag, '') AS redshift_flag, confidence AS redshift_confidence,
            CASE WHEN ra IS NULL OR dec IS NULL OR redshift IS NULL OR redshift <= 0 OR none
                      OR ra NOT BETWEEN -180 AND 360 OR dec NOT BETWEEN -90 AND 90 THEN 0
                 WHEN secure AND inside AND flag IS NOT NULL THEN 2 ELSE 1 END AS verdict
        FROM (
            SELECT TRY_CAST({survey.ra} AS DOUBLE) AS ra, TRY_CAST({survey.dec} AS DOUBLE) AS dec,
                TRY_CAST({survey.redshift} AS FLOAT) AS redshift,
                TRY_CAST({survey.flag} AS VARCHAR) AS flag,
                COALESCE(TRY_CAST({survey.confidence} AS FLOAT), 0) AS confidence,
                COALESCE({survey.sentinel}, FALSE) AS none,
                COALESCE({survey.secure}, FALSE) AS secure,
                COALESCE({survey.limits}, FALSE) AS inside
            FROM catalog
        )"""


def _conform(raw: pa.Table, survey: RedshiftSurvey, where: str) -> pa.Table:
    """Columns of a survey under their first names, in their types; not finite is NULL."""
    places: dict[str, int] = {}
    for place, name in enumerate(raw.column_names):
        places.setdefault(name.rpartition(".")[2].strip().lower(), place)
        places.setdefault(name.strip().lower(), place)
    arrays = {}
    for column in survey.columns:
        known = [name for name in (column.name, *column.also) if name.lower() in places]
        if known:
            arrays[column.name] = _typed(raw.column(places[known[0].lower()]), column, where)
        elif column.optional:
            arrays[column.name] = pa.nulls(raw.num_rows, _TYPES[column.dtype])
        else:
            raise _missing(column, survey, raw.column_names, where)
    return pa.table(arrays)


def _missing(
    column: RawColumn, survey: RedshiftSurvey, found: Sequence[str], where: str
) -> DataIntegrityError:
    others = f" (or {', '.join(column.also)})" if column.also else ""
    shown = one_line(", ".join(found), 160)
    return DataIntegrityError(
        f"{where}: column {column.name}{others} of {survey.title} is missing among {shown}: take "
        f"the published table ({survey.where}), or rename the column that means it",
        file=where, expected=column.name, got=shown,
    )  # fmt: skip


def _typed(values: pa.ChunkedArray, column: RawColumn, where: str) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_binary(values.type) or pa.types.is_string(values.type):
        values = pc.utf8_trim_whitespace(values.cast(pa.string()))
        absent = pc.is_in(pc.utf8_lower(values), pa.array(_ABSENT))
        values = pc.if_else(absent, pa.scalar(None, pa.string()), values)
    elif pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    try:
        values = values.cast(_TYPES[column.dtype])
    except pa.ArrowInvalid as error:
        raise DataIntegrityError(
            f"{where}: column {column.name} should hold numbers: {one_line(str(error), 120)}; "
            "sexagesimal positions and footnotes are not read, convert them",
            file=where, expected="numbers", got=one_line(str(error), 120),
        ) from None  # fmt: skip
    if column.dtype == "float64":
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    return values


def compile_redshifts(
    readings: Iterable[Reading], *, radius: float = 1.0, seed: int = 0
) -> Compilation:
    """Merge surveys by position: of redshifts closer than ``radius``, the most secure stays.

    Greedy, not by friends of friends: rows are taken in order of preference, and each removes what
    is within the radius of it, so that a chain of neighbours does not fall to one row.  Preferred
    are rows of training surveys, then those of test samples in the order in which the samples are
    given; among them the more confident; of equally confident ones a hash of position and survey
    draws, so that rows added elsewhere on the sky change nothing.

    Parameters
    ----------
    readings : iterable of Reading
        Their order does not matter, but for that of the test samples.  Several readings of one
        survey share a tally.
    radius : float
        Arcseconds.
    seed : int
        Non-negative; of the draw.

    Returns
    -------
    Compilation
        No two rows within ``radius``.
    """
    readings = tuple(readings)
    samples = list(dict.fromkeys([TRAINING, *(r.survey.sample for r in readings)]))
    table = pa.concat_tables([_SCHEMA.empty_table(), *(r.table for r in readings)])
    table = table.take(pa.array(_preference(table, samples, seed))).combine_chunks()
    ra, dec = table.column("ra").to_numpy(), table.column("dec").to_numpy()
    kept = table.filter(pa.array(thin(ra, dec, radius=radius)))
    found = pc.value_counts(kept.column("redshift_survey")).to_pylist()
    counts = {item["values"]: item["counts"] for item in found}
    kept = kept.sort_by([("ra", "ascending"), ("dec", "ascending")]).combine_chunks()
    return Compilation(kept, _tallies(readings, counts))


def _preference(table: pa.Table, samples: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Order of the rows, the most wanted first; rows that differ in anything have one order."""
    ra, dec, redshift, confidence = (
        table.column(name).to_numpy() + 0  # no negative zeros: equal numbers, equal bits
        for name in ("ra", "dec", "redshift", "redshift_confidence")
    )
    rank, _ = _codes(table, "sample", samples)
    survey, words = _codes(table, "redshift_survey")
    flag, _ = _codes(table, "redshift_flag")
    drawn = hash_ids(ra.view(np.int64), seed)
    drawn = hash_ids((drawn ^ dec.view(np.uint64)).view(np.int64), seed)
    drawn = hash_ids((drawn ^ words[survey]).view(np.int64), seed)
    return np.lexsort((flag, redshift, dec, ra, drawn, -confidence, rank)).astype(np.int64)


def _codes(
    table: pa.Table, name: str, order: Sequence[str] = ()
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Codes of a text column in the given or in alphabetical order, and a 64-bit word per code."""
    values = table.column(name)
    words = list(order) or sorted(pc.unique(values).to_pylist())
    codes = pc.index_in(values, pa.array(words, pa.string())).to_numpy().astype(np.int64)
    digests = (hashlib.blake2b(word.encode(), digest_size=8).digest() for word in words)
    return codes, np.array([int.from_bytes(digest, "big") for digest in digests], np.uint64)


def _tallies(readings: Sequence[Reading], kept: dict[str, int]) -> tuple[SurveyTally, ...]:
    tallies = []
    for name in dict.fromkeys(reading.survey.name for reading in readings):
        own = [reading for reading in readings if reading.survey.name == name]
        secure, stay = sum(r.table.num_rows for r in own), int(kept.get(name, 0))
        tallies.append(
            SurveyTally(
                name=name, where="; ".join(dict.fromkeys(r.where for r in own)),
                read=sum(r.read for r in own), sentinel=sum(r.sentinel for r in own),
                insecure=sum(r.insecure for r in own),
                secure=secure, duplicate=secure - stay, kept=stay,
            )
        )  # fmt: skip
    return tuple(tallies)
