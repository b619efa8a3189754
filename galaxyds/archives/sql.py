"""From a :class:`~galaxyds.archives.base.CatalogQuery` to the one line of SQL an archive gets.

A statement begins with ``SELECT``, has no comment, no semicolon, no common table expression and no
UNION: SkyServer's procedure takes nothing else.  The text depends on the query alone, so it can be
printed in a manifest and compared.  Predicates: :mod:`galaxyds.archives.predicates`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp, parse

from galaxyds.archives.base import CatalogQuery
from galaxyds.archives.predicates import Dialect, conjunct, expression, is_plain
from galaxyds.errors import UsageError, one_line
from galaxyds.spec import Column

_WIDE = {"tsql": "float", "postgres": "double precision"}  # floating point of 64 bits
# SkyServer turns ; into #, and strips comments even inside of quotes.
_FORBIDDEN = (";", "--", "/*", "*/", "\\")


def where(query: CatalogQuery, *, dialect: Dialect = "tsql") -> tuple[str, ...]:
    """Render all predicates of a query, each one ready to be joined with AND.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    return tuple(conjunct(text, query.vocabulary, dialect=dialect) for text in query.predicates)


def base(query: CatalogQuery, *, dialect: Dialect = "tsql") -> tuple[str, ...]:
    """Render the predicate that holds for every row, if there is one.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    texts = (query.base,) if query.base else ()
    return tuple(conjunct(text, query.vocabulary, dialect=dialect) for text in texts)


def output_names(query: CatalogQuery) -> tuple[str, ...]:
    """Names that the columns of the answer bear: the archive's own where they are unambiguous."""
    own = [is_plain(column.archive) for column in query.columns]
    lower = [name.lower() for name in own]
    return tuple(
        name if name and lower.count(name.lower()) == 1 else column.name
        for name, column in zip(own, query.columns, strict=True)
    )


def key_expression(query: CatalogQuery) -> str:
    """Archive expression of the column along which pages are cut."""
    return expression(_named(query, query.key))


def select(
    query: CatalogQuery,
    *,
    dialect: Dialect = "tsql",
    top: int | None = None,
    after: int | None = None,
    ids: Sequence[int] | None = None,
) -> str:
    """Render the SELECT for rows, or for one page of them.

    Parameters
    ----------
    query : CatalogQuery
        The question.
    dialect : {"tsql", "postgres", "duckdb"}
        What the archive speaks.
    top : int, optional
        Most rows of a page.
    after : int, optional
        Last key of the page before.
    ids : sequence of int, optional
        Values of the column ``query.only`` names, for this page.

    Returns
    -------
    str
        One line that begins with ``SELECT``.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    conditions = [*base(query, dialect=dialect), *where(query, dialect=dialect)]
    fields = _fields(query, dialect)
    if ids is not None:
        conditions.append(_membership(query, ids))
    if after is not None:
        conditions.append(f"{key_expression(query)} > {after}")
    head = f"SELECT TOP {top} " if top is not None and dialect == "tsql" else "SELECT "
    tail = f" LIMIT {top}" if top is not None and dialect != "tsql" else ""
    return _safe(
        f"{head}{fields} FROM {query.tables}{_clause(conditions)}"
        f" ORDER BY {key_expression(query)}{tail}"
    )


def count(
    query: CatalogQuery, *, dialect: Dialect = "tsql", ids: Sequence[int] | None = None
) -> str:
    """Render the SELECT that counts the rows of a query.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    conditions = [*base(query, dialect=dialect), *where(query, dialect=dialect)]
    if ids is not None:
        conditions.append(_membership(query, ids))
    return _safe(f"SELECT COUNT(*) AS n0 FROM {query.tables}{_clause(conditions)}")


def count_steps(
    query: CatalogQuery, *, dialect: Dialect = "tsql", ids: Sequence[int] | None = None
) -> str:
    """Render the SELECT that counts rows under none, one, two, ... predicates in one scan.

    Each predicate becomes a column of zeros and ones in a derived table, and their running products
    are summed: CASE may be nested ten times only, and the text stays short.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    tests = where(query, dialect=dialect)
    if not tests:
        return count(query, dialect=dialect, ids=ids)
    flags = ", ".join(f"CASE WHEN {t} THEN 1 ELSE 0 END AS c{i}" for i, t in enumerate(tests, 1))
    sums = (
        f"SUM({' * '.join(f'c{j}' for j in range(1, i + 1))}) AS n{i}"
        for i in range(1, len(tests) + 1)
    )
    listed = [_membership(query, ids)] if ids is not None else []
    clause = _clause([*base(query, dialect=dialect), *listed])
    return _safe(
        f"SELECT COUNT(*) AS n0, {', '.join(sums)} FROM "
        f"(SELECT {flags} FROM {query.tables}{clause}) AS t"
    )


def extent(query: CatalogQuery, names: Sequence[str], *, dialect: Dialect = "tsql") -> str:
    """Render the SELECT that counts the rows of a query by distinct values of some columns.

    The answer has one row: the number of groups, and the number of rows.

    Raises
    ------
    UsageError
        As :func:`predicate`, or for an unknown column.
    """
    grouped = ", ".join(expression(_named(query, name)) for name in names)
    clause = _clause([*base(query, dialect=dialect), *where(query, dialect=dialect)])
    return _safe(
        f"SELECT COUNT(*) AS n0, SUM(n) AS n1 FROM (SELECT COUNT(*) AS n FROM {query.tables}"
        f"{clause} GROUP BY {grouped}) AS t"
    )


def shown(query: CatalogQuery, *, dialect: Dialect = "tsql") -> str:
    """Render the text for people and manifests: no page, and a list shown by its length.

    Raises
    ------
    UsageError
        As :func:`predicate`.
    """
    if query.only is None:
        return select(query, dialect=dialect)
    column, ids = query.only
    marker = f"{expression(_named(query, column))} IN (0)"
    shorter = f"{expression(_named(query, column))} IN ({len(ids)} ids)"
    return select(query, dialect=dialect, ids=(0,)).replace(marker, shorter)


def _fields(query: CatalogQuery, dialect: Dialect) -> str:
    """Render the columns; 32-bit ones that a cut may test come with all their digits.

    SkyServer prints a ``real`` with seven digits, too few to tell 4.9999995 from 5: without the
    cast a row that passed ``z < 5`` there would fail it here.  PostgreSQL before version 12 prints
    six, which is too few for a value that is stored, too: there every 32-bit column is cast.
    """
    tested = _names_used(query.predicates) | {name.lower() for name in query.exact}
    wide = _WIDE.get(dialect)
    fields = []
    for column, name in zip(query.columns, output_names(query), strict=True):
        exact = dialect == "postgres" or column.name.lower() in tested
        if wide and exact and column.dtype == "float32":
            fields.append(f"CAST({column.archive} AS {wide}) AS {name}")
        elif is_plain(column.archive) == name:
            fields.append(column.archive)
        else:
            fields.append(f"{expression(column)} AS {name}")
    return ", ".join(fields)


def _names_used(texts: Sequence[str]) -> frozenset[str]:
    """Return the column names, in lower case, that readable predicates mention."""
    found: set[str] = set()
    for text in texts:
        for tree in parse(text, dialect="duckdb"):
            found |= {c.name.lower() for c in tree.find_all(exp.Column)} if tree else set()
    return frozenset(found)


def _clause(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _membership(query: CatalogQuery, ids: Sequence[int]) -> str:
    if query.only is None:
        raise UsageError("the query names no column for its list of ids")
    listed = ",".join(str(int(value)) for value in ids)
    return f"{expression(_named(query, query.only[0]))} IN ({listed})"


def _named(query: CatalogQuery, name: str) -> Column:
    for column in (*query.columns, *query.vocabulary):
        if column.name == name:
            return column
    raise UsageError(f"the query has no column '{name}'", column=name)


def _safe(statement: str) -> str:
    for mark in _FORBIDDEN:
        if mark in statement:
            raise UsageError(f"'{mark}' cannot be sent to an archive: {one_line(statement, 120)}")
    if not statement.isascii() or not statement.isprintable():
        raise UsageError(f"only printable ASCII can be sent: {one_line(statement, 120)}")
    return statement
