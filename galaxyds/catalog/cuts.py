"""Cuts, duplicates and derived columns: tables in, tables and counts out.

One rule for missing values: archives turn sentinels, NaN and empty cells of nullable columns into
NULL on the way in, and SQL's three-valued logic does the rest.  A row stays only where the
predicate is true; a test on a NULL is not true unless the predicate says ``IS NULL``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.catalog.engine import evaluate
from galaxyds.catalog.positions import thin
from galaxyds.errors import DataIntegrityError
from galaxyds.spec import Column, Cut, Deduplication

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True, slots=True)
class CutStep:
    """What one cut did.

    Attributes
    ----------
    name, sql, why, source : str
        Of the cut.
    before, after : int
        Rows before and after it.
    where : str
        ``archive`` or ``local``: who applied it.
    has_effect : bool
        False for a rule that cannot remove a row.
    """

    name: str
    sql: str
    why: str
    source: str
    before: int
    after: int
    where: str
    has_effect: bool

    @property
    def removed(self) -> int:
        """Rows that the cut removed."""
        return self.before - self.after


def steps(cuts: Sequence[Cut], counts: Sequence[int], where: str) -> tuple[CutStep, ...]:
    """Pair cuts with the row counts around them.

    Parameters
    ----------
    cuts : sequence of Cut
        In order of application.
    counts : sequence of int
        ``len(cuts) + 1`` numbers: rows before any, after the first, ...
    where : str
        ``archive`` or ``local``.

    Returns
    -------
    tuple of CutStep
        One per cut.
    """
    return tuple(
        CutStep(
            name=cut.name,
            sql=cut.sql,
            why=cut.why,
            source=cut.source,
            before=before,
            after=after,
            where=where,
            has_effect=cut.has_effect,
        )
        for cut, before, after in zip(cuts, counts[:-1], counts[1:], strict=True)
    )


def apply_cuts(table: pa.Table, cuts: Sequence[Cut]) -> tuple[pa.Table, tuple[CutStep, ...]]:
    """Apply cuts in order and count what each removes.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns that the predicates name.
    cuts : sequence of Cut
        Applied in order, whatever their ``pushdown``.

    Returns
    -------
    pyarrow.Table
        Rows for which every predicate is true, in their order.
    tuple of CutStep
        The cut flow.
    """
    counts = [table.num_rows]
    for cut in cuts:
        numbered = table.append_column("_row", _row_numbers(table.num_rows))
        kept = evaluate(numbered, f"SELECT _row FROM catalog WHERE ({cut.sql}) ORDER BY _row")
        table = table.take(kept.column("_row"))
        counts.append(table.num_rows)
    return table, steps(cuts, counts, "local")


def deduplicate(table: pa.Table, rule: Deduplication) -> tuple[pa.Table, int]:
    """Remove repeats: keep the first row of a value in the rule's order, or none.

    Parameters
    ----------
    table : pyarrow.Table
        Rows, several of which may share ``rule.key`` (a missing key is nobody's repeat), or lie
        within ``rule.radius`` of each other (columns ``ra`` and ``dec``, degrees; a row without a
        finite position is nobody's repeat).
    rule : Deduplication
        Key or radius, and order; the order must end in a unique column to be deterministic.

    Returns
    -------
    pyarrow.Table
        The rows that are left, in their order.
    int
        Rows removed.
    """
    order = ", ".join(f"({expression}) ASC NULLS LAST" for expression in rule.order)
    numbered = table.append_column("_row", _row_numbers(table.num_rows))
    if rule.radius:
        ordered = evaluate(numbered, f"SELECT _row, ra, dec FROM catalog ORDER BY {order}")
        rows, ra, dec = (ordered.column(name).to_numpy() for name in ("_row", "ra", "dec"))
        result = table.take(np.sort(rows[thin(ra, dec, radius=rule.radius)]))
        return result, table.num_rows - result.num_rows
    if rule.order:
        alone = f"row_number() OVER (PARTITION BY {rule.key} ORDER BY {order}) = 1"
    else:
        alone = f"count(*) OVER (PARTITION BY {rule.key}) = 1"
    kept = evaluate(
        numbered,
        f"SELECT _row FROM catalog QUALIFY {rule.key} IS NULL OR {alone} ORDER BY _row",
    )
    result = table.take(kept.column("_row"))
    return result, table.num_rows - result.num_rows


def derive(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Append the columns that are expressions over others.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns that the expressions name.
    columns : sequence of Column
        Those without a ``derived`` expression are passed over.

    Returns
    -------
    pyarrow.Table
        The table with the new columns at its end, in their declared dtypes.
    """
    wanted = [column for column in columns if column.derived]
    if not wanted:
        return table
    casts = {"float32": "FLOAT", "float64": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}
    expressions = ", ".join(
        f'CAST(({column.derived}) AS {casts.get(column.dtype, column.dtype)}) AS "{column.name}"'
        for column in wanted
    )
    values = evaluate(
        table.append_column("_row", _row_numbers(table.num_rows)),
        f"SELECT {expressions} FROM catalog ORDER BY _row",
    )
    for column in wanted:
        table = table.append_column(column.name, values.column(column.name))
    return table


def check_pushdown(table: pa.Table, cuts: Sequence[Cut], archive: str) -> None:
    """Hold the archive to the cuts it was asked to apply.

    Raises
    ------
    DataIntegrityError
        If a row that came back fails a cut, which means that the archive's dialect and ours
        disagree on that predicate.
    """
    _, flow = apply_cuts(table, cuts)
    for step in flow:
        if step.removed:
            raise DataIntegrityError(
                f"{archive} returned {step.removed} rows that fail the cut '{step.name}' "
                f"({step.sql}): build with --no-pushdown to apply every cut here, and report this",
                cut=step.name,
                removed=step.removed,
            )


def _row_numbers(n: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.arange(n, dtype=np.int64))
