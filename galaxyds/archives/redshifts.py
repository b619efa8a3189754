"""Where the tables of redshift surveys come from: files that one has, else VizieR."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from galaxyds.archives.redshift_files import SUFFIXES, read_table, short_name
from galaxyds.archives.regions import Region
from galaxyds.archives.vizier import POSITION
from galaxyds.catalog.parts import join_parts
from galaxyds.catalog.specz import RawColumn, RedshiftSurvey, VizierTable
from galaxyds.catalog.surveys import SURVEYS
from galaxyds.errors import ArchiveError, DataIntegrityError, UsageError, one_line

_REFUSED = (".gz", ".bz2", ".xz", ".zip", ".fz", ".xml", ".vot", ".votable", ".parquet", ".xlsx")
"""Endings of tables that cannot be read as they are, which the reader says; others are notes."""
_LOG = logging.getLogger(__name__)


class Tables(Protocol):
    """What is asked for published tables: :class:`galaxyds.archives.vizier.VizieR`."""

    def table(
        self,
        catalog: str,
        columns: Sequence[str],
        *,
        region: Region | None = None,
        conditions: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Return all rows of one table."""


class RedshiftSource:
    """The tables of redshift surveys.

    A file of the folder goes before VizieR.  Its name up to the first dot is the survey's name, so
    that a survey may have several (``vvds.wide.csv``, ``vvds.deep.csv``); a survey in parts has
    one ``<name>-<part>`` of each.  docs/redshift_surveys.md lists the names.

    Parameters
    ----------
    vizier : Tables or None
        Asked for what the folder does not have; nothing is, if it is None.
    folder : pathlib.Path or None
        Folder of files.
    regions : sequence of Region
        Pieces of sky to ask VizieR for; they must not overlap, for rows in two would count twice.
        Without any, whole tables.
    surveys : sequence of RedshiftSurvey
        Which to bring.

    Raises
    ------
    UsageError
        If the folder does not exist.

    Notes
    -----
    Files whose ending is none of a table (``vvds.csv~``, ``vvds.README.md``) are passed over, and
    the log says so; two of one name that differ in their endings alone are an error.
    """

    def __init__(
        self,
        vizier: Tables | None,
        folder: Path | None = None,
        regions: Sequence[Region] = (),
        *,
        surveys: Sequence[RedshiftSurvey] = SURVEYS,
    ) -> None:
        if folder is not None and not folder.is_dir():
            raise UsageError(
                f"there is no folder of redshift tables {folder}: give the right one to "
                "--redshifts, or leave it out",
                folder=str(folder),
            )
        self.vizier, self.folder, self.regions = vizier, folder, tuple(regions)
        self.surveys = tuple(surveys)

    def tables(self) -> Iterator[tuple[RedshiftSurvey, pa.Table, str]]:
        """Yield every survey's tables as they are, and where they came from.

        A survey that has neither a file nor a table at VizieR comes once, with a table without
        columns and rows; ``where`` says what is missing.

        Yields
        ------
        survey : RedshiftSurvey
            Whose table.
        table : pyarrow.Table
            Its own columns.
        where : str
            The file, or VizieR's name of the table, or why there is nothing.

        Raises
        ------
        ArchiveError
            If VizieR fails.
        DataIntegrityError
            If a file is not a table or there twice, or a part of a survey is missing.
        """
        files = self._files()
        for survey in self.surveys:
            if any((survey.name, part) in files for part in ("", *survey.parts)):
                yield from self._local(survey, files)
            elif survey.vizier and self.vizier is not None:
                yield from self._remote(survey, self.vizier)
            else:
                _LOG.info("%s: not there", survey.title)
                yield survey, pa.table({}), f"nowhere: no file {survey.name}.fits, .csv or .txt"

    def _files(self) -> dict[tuple[str, str], list[Path]]:
        """Files of the folder by survey and part."""
        known = {survey.name: (survey.name, "") for survey in SURVEYS + self.surveys}
        for survey in self.surveys:
            known |= {f"{survey.name}-{part}": (survey.name, part) for part in survey.parts}
        found: dict[tuple[str, str], list[Path]] = {}
        for path in sorted(self.folder.iterdir()) if self.folder else ():
            stem = path.name.partition(".")[0].lower()
            suffix = path.suffix.lower()
            if not path.is_file() or (stem not in known and suffix not in SUFFIXES):
                continue
            if stem not in known:
                _LOG.warning("%s is not read: no survey has that name", path)
            elif suffix in SUFFIXES + _REFUSED:
                found.setdefault(known[stem], []).append(path)
            else:
                _LOG.warning("%s is not read: tables end in %s", path, ", ".join(SUFFIXES))
        for paths in found.values():
            _require_distinct(paths)
        return found

    def _local(
        self, survey: RedshiftSurvey, files: Mapping[tuple[str, str], list[Path]]
    ) -> Iterator[tuple[RedshiftSurvey, pa.Table, str]]:
        names = _names(survey)
        for path in files.get((survey.name, ""), ()):
            yield survey, read_table(path, names=names), path.name
        parts = {part: files.get((survey.name, part), []) for part in survey.parts}
        if any(parts.values()):
            yield survey, _joined(survey, parts), _listed(parts)

    def _remote(
        self, survey: RedshiftSurvey, vizier: Tables
    ) -> Iterator[tuple[RedshiftSurvey, pa.Table, str]]:
        # Positions as the service computes them: a table's own may be sexagesimal.
        others = [column.name for column in survey.columns[2:] if not column.optional]
        for table in survey.vizier:
            rows = [
                _ask(vizier, survey, table, [*POSITION, *others], region=region)
                for region in self.regions or (None,)
            ]
            yield survey, pa.concat_tables(rows), f"VizieR {table.name}"


def _require_distinct(paths: Sequence[Path]) -> None:
    """Refuse two forms of one table: its rows would count twice."""
    forms: dict[str, Path] = {}
    for path in paths:
        other = forms.setdefault(path.stem.lower(), path)
        if other is not path:
            raise DataIntegrityError(
                f"{other.name} and {path.name} are two forms of one table: keep one of them",
                file=str(path), expected="one of them", got="both",
            )  # fmt: skip


def _ask(
    vizier: Tables,
    survey: RedshiftSurvey,
    table: VizierTable,
    columns: Sequence[str],
    *,
    region: Region | None,
) -> pa.Table:
    try:
        return vizier.table(table.name, columns, region=region, conditions=dict(table.conditions))
    except ArchiveError as error:
        advice = (
            f"a file {survey.name}.fits, .csv or .txt given by --redshifts would be read instead"
        )
        raise type(error)(f"{error.message}; {advice}", **error.values) from error


def _names(survey: RedshiftSurvey, part: str = "") -> frozenset[str]:
    """All names, as files are asked for them, that columns of a survey may have."""
    names = [short_name(name) for column in survey.columns for name in (column.name, *column.also)]
    end = f"_{part}"
    return frozenset(names) | {name.removesuffix(end) for name in names if name.endswith(end)}


def _joined(survey: RedshiftSurvey, parts: Mapping[str, list[Path]]) -> pa.Table:
    """Join the parts of a survey; each must be there, once."""
    for part, paths in parts.items():
        if len(paths) != 1:
            raise DataIntegrityError(
                f"{survey.title} needs one file {survey.name}-{part}.fits beside "
                f"{_listed(parts)}, and there are {len(paths)}: {survey.where}",
                expected=f"{survey.name}-{part}.fits", got=str(len(paths)),
            )  # fmt: skip
    tables = {
        part: read_table(paths[0], names=_names(survey, part)) for part, paths in parts.items()
    }
    positions = {
        part: (_found(table, survey.columns[0], parts[part][0], part),
               _found(table, survey.columns[1], parts[part][0], part))
        for part, table in tables.items()
    }  # fmt: skip
    try:
        return join_parts(tables, positions)
    except pa.ArrowInvalid as error:
        raise DataIntegrityError(
            f"{_listed(parts)}: positions should be degrees: {one_line(str(error), 120)}; take the "
            "published tables",
            file=_listed(parts), expected="numbers", got=one_line(str(error), 120),
        ) from None  # fmt: skip


def _found(table: pa.Table, column: RawColumn, path: Path, part: str) -> str:
    """Name that a column of positions has in one part."""
    names: dict[str, str] = {short_name(name): name for name in table.column_names}
    for name in (column.name.removesuffix(f"_{part}"), *column.also):
        if name.lower() in names:
            return names[name.lower()]
    raise DataIntegrityError(
        f"{path.name}: no column {' or '.join(column.also)} among {', '.join(names) or 'none'}: "
        "take the published table",
        file=str(path), expected=column.also[0], got=", ".join(names),
    )  # fmt: skip


def _listed(parts: Mapping[str, list[Path]]) -> str:
    return " and ".join(path.name for paths in parts.values() for path in paths)
