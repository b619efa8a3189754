"""Which of the published cutouts belong to the dataset: its cuts and rules for repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.catalog import CutStep, apply_cuts, deduplicate
from galaxyds.spec import Deduplication
from galaxyds.store.foreign import Difference, missing_values
from galaxyds.store.p19.columns import Columns
from galaxyds.store.p19.names import CUTS, words

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import Config, DatasetSpec

_PLACE = "file_row"
_AGAIN = "same-id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """What a rule for repeats did.

    Attributes
    ----------
    name, rule : str
        Of the rule.
    removed, left : int
        Rows.
    """

    name: str
    rule: str
    removed: int
    left: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Rows of the archive that are kept.

    Attributes
    ----------
    rows : ndarray of int64, shape (k,)
        In the order of the archive.
    cut_flow : tuple of CutStep
        What the cuts removed.
    repeats : tuple of Repeats
        What the rules for repeats removed.
    differences : tuple of Difference
        Cuts and rules that could not be applied.
    """

    rows: NDArray[np.int64]
    cut_flow: tuple[CutStep, ...]
    repeats: tuple[Repeats, ...]
    differences: tuple[Difference, ...]


def select(columns: Columns, spec: DatasetSpec, config: Config) -> Selection:
    """Apply the cuts and the rules for repeats, as far as there are labels for them.

    Values are tested as they were published, not in the dtype of the dataset.  The paper's own cuts
    come last, whatever the declaration's have left of them to do: a declaration may leave it to a
    column without a label that a magnitude of -9999 is none.

    Parameters
    ----------
    columns : Columns
        All rows of the archive.
    spec : DatasetSpec
        Declares the rules for repeats.
    config : Config
        Declares the cuts.

    Returns
    -------
    Selection
        One row per object id.
    """
    lacking = {cut.name: columns.lacking(cut.names(), spec) for cut in config.cuts}
    cuts = [cut for cut in config.cuts if not lacking[cut.name]]
    cuts += [cut for cut in CUTS if cut.names() & columns.values.keys()]
    rows = np.arange(len(columns.ids))
    flow: list[CutStep] = []
    for cut in cuts:  # one by one, so that only the columns of one are in memory twice
        table, steps = apply_cuts(_narrow(columns, spec, cut.names(), rows), [cut])
        rows = table.column(_PLACE).to_numpy()
        flow += steps
    repeats = []
    for rule in _rules(spec.duplicates, columns, spec):
        table, removed = deduplicate(_narrow(columns, spec, _names(rule), rows), rule)
        rows = table.column(_PLACE).to_numpy()
        told = f"{rule.what}: {rule.rule()}"
        repeats.append(Repeats(name=rule.name, rule=told, removed=removed, left=len(rows)))
    unused = [rule for rule in spec.duplicates if rule.name not in {r.name for r in repeats}]
    return Selection(
        rows=rows,
        cut_flow=tuple(flow),
        repeats=tuple(r for r in repeats if r.name != _AGAIN or r.removed),
        differences=(*_unapplied(lacking), *_unruled(unused)),
    )


def _rules(
    rules: Sequence[Deduplication], columns: Columns, spec: DatasetSpec
) -> Iterator[Deduplication]:
    """Rules that can be applied, ties broken by the archive's order; at last one row per id."""
    for rule in rules:
        if columns.lacking({rule.key} if rule.key else {"ra", "dec"}, spec):
            continue
        order = tuple(term for term in rule.order if not columns.lacking(words(term), spec))
        yield replace(rule, order=(*order, _PLACE) if rule.order else ())
    yield Deduplication(
        name=_AGAIN,
        key=spec.object_id,
        order=(_PLACE,),
        why="an object can be named once only",
        source="",
    )


def _names(rule: Deduplication) -> frozenset[str]:
    """Columns that a rule needs."""
    return frozenset({rule.key} if rule.key else {"ra", "dec"}).union(*map(words, rule.order))


def _narrow(
    columns: Columns, spec: DatasetSpec, names: frozenset[str], rows: NDArray[np.int64]
) -> pa.Table:
    """Return some columns of some rows, and the rows' places in the archive."""
    import pyarrow as pa

    arrays = {_PLACE: pa.array(rows)}
    if spec.object_id in names:
        arrays[spec.object_id] = pa.array(columns.ids[rows])
    for name in sorted(names & columns.values.keys() - {spec.object_id}):
        column, values = columns.declared[name], columns.values[name][rows]
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8", "replace")
        absent = missing_values(values, column)
        arrays[name] = pa.array(values, mask=absent, from_pandas=False)
    return pa.table(arrays)


def _unapplied(lacking: dict[str, list[str]]) -> Iterator[Difference]:
    for name, columns in lacking.items():
        if columns:
            got = f"no label for {', '.join(columns)}"
            yield Difference(what=f"cut {name}", expected="columns to apply it", got=got)


def _unruled(rules: Sequence[Deduplication]) -> Iterator[Difference]:
    for rule in rules:
        what = f"rule {rule.name}"
        yield Difference(what=what, expected=rule.key or "ra, dec", got="no label for it")
