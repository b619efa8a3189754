"""Labels as our columns: which label is which, in whose dtype, and what identifies an object."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.catalog import derive
from galaxyds.spec import Column
from galaxyds.store.columns import arrow_type
from galaxyds.store.foreign import Difference, converted, dtype_name, missing_values
from galaxyds.store.npz import refused
from galaxyds.store.p19.labels import Labels
from galaxyds.store.p19.names import CUTS, FIELD_BITS, IDS, VOCABULARY, find_label, words

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import Config, DatasetSpec

_EXACT = 2**53
_LARGEST = 2**63 - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Labels by our names.

    Attributes
    ----------
    labels : Labels
        Where the others are read from when it is known of which rows.
    labelled : dict of str to str
        Labels by our names.
    values : dict of str to ndarray, shape (n,)
        Of those that cuts and rules for repeats test: as published, whatever our dtype.
    declared : dict of str to Column
        Declarations of all.
    ids : ndarray of int64, shape (n,)
        What identifies an object.
    is_photometric : bool
        Whether the ids are SDSS objIDs.
    differences : tuple of Difference
        What is not there, and what stands in for it.
    """

    labels: Labels
    labelled: dict[str, str]
    values: dict[str, NDArray[Any]]
    declared: dict[str, Column]
    ids: NDArray[np.int64]
    is_photometric: bool
    differences: tuple[Difference, ...]

    def lacking(self, names: Collection[str], spec: DatasetSpec) -> list[str]:
        """Return those of some words that are columns without a label, in alphabetical order."""
        there = {*self.labelled, *self.values, spec.object_id}
        return sorted((set(names) & set(self.declared)) - there)

    def take(
        self, rows: NDArray[np.int64], spec: DatasetSpec
    ) -> tuple[pa.Table, tuple[Difference, ...]]:
        """Read the declared columns of some rows, in the order of their ids.

        Parameters
        ----------
        rows : ndarray of int64, shape (k,)
            Rows of the archive, ascending.
        spec : DatasetSpec
            Declares the columns.

        Returns
        -------
        pyarrow.Table
            Every column but those of the splits; derived where one has no label but an expression,
            else NULL or what stands in for it.
        tuple of Difference
            Labels of another kind than declared.
        """
        import pyarrow as pa

        splits = {column.name for column in spec.split.columns()}
        wanted = {c.name: c for c in (*spec.columns, *spec.stored_columns())}
        order = np.argsort(self.ids[rows], kind="stable")
        ids = self.ids[rows[order]]
        told: list[Difference] = []
        arrays = {spec.object_id: pa.array(ids, type=arrow_type(wanted[spec.object_id]))}
        for name, raw in self._kept(rows, set(wanted) - {spec.object_id}):
            column = wanted[name]
            if column.stored:
                told += _differences(raw, self.labelled.get(name, name), column)
            arrays[name] = _array(raw[order], column)
        absent = [c for name, c in wanted.items() if name not in {*arrays, *splits}]
        derived = [c for c in absent if c.derived and not self.lacking(words(c.derived), spec)]
        table = derive(pa.table(arrays), derived)
        for column in absent:
            if column not in derived:
                table = table.append_column(column.name, self._substitute(column, ids, spec))
        return table, tuple(told)

    def _kept(
        self, rows: NDArray[np.int64], names: Collection[str]
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the values of some rows by column: those in memory, then those in the file."""
        for name in sorted(set(names) & set(self.values)):
            yield name, self.values.pop(name)[rows]
        chosen = np.zeros(len(self.ids), dtype=bool)
        chosen[rows] = True
        rest = {name: label for name, label in self.labelled.items() if name in names}
        narrowed = {label: self.declared[name].dtype for name, label in rest.items()}
        raw = self.labels.read(narrowed, rows=chosen)
        for name, label in rest.items():
            yield name, raw[label]

    def _substitute(self, column: Column, ids: NDArray[np.int64], spec: DatasetSpec) -> pa.Array:
        """What stands for a column without a label."""
        import pyarrow as pa

        kind = arrow_type(column)
        if column.name == spec.split.key:
            return pa.array(ids, type=kind)
        if column.name in FIELD_BITS and self.is_photometric:
            shift, mask = FIELD_BITS[column.name]
            return pa.array((ids >> shift) & mask, type=kind)
        if "int" in column.dtype and column.sentinel is None:
            return pa.array(np.full(len(ids), _no_integer(column)), type=kind)
        return pa.nulls(len(ids), kind)


def _array(raw: NDArray[Any], column: Column) -> pa.Array:
    """Values of a label in our dtype, NULL where there is none."""
    import pyarrow as pa

    values, fits = converted(_numbers(raw, column), column.dtype)
    absent = ~fits | missing_values(values, column)
    return pa.array(values, type=arrow_type(column), mask=absent, from_pandas=False)


def _no_integer(column: Column) -> int:
    """What stands for a missing integer of a column that declares nothing for it."""
    return 0 if column.dtype.startswith("u") else -1


def read_columns(
    labels: Labels, spec: DatasetSpec, config: Config, *, names: Mapping[str, str]
) -> Columns:
    """Find and read the labels of the declared columns.

    Parameters
    ----------
    labels : Labels
        Opened.
    spec : DatasetSpec
        Declares the columns.
    config : Config
        Its cuts test values as they are published, before they are narrowed.
    names : mapping of str to str
        Labels by our names, where they differ.

    Returns
    -------
    Columns
        Those that are tested in memory, the others in the file, which must stay open.

    Raises
    ------
    DataIntegrityError
        If a cut or a rule tests numbers where the label holds texts.
    """
    declared = {c.name: c for c in (*VOCABULARY, *spec.columns)}
    found = {ours: find_label(ours, names, labels.names) for ours in declared}
    labelled = {o: label for o, label in found.items() if label and o != spec.object_id}
    ids, chosen, told = _identify(labels)
    tested = {o: label for o, label in labelled.items() if o in _tested(spec, config)}
    raw = labels.read(dict.fromkeys(tested.values(), ""))
    values = {ours: raw[label] for ours, label in tested.items()}
    for ours, found_values in values.items():
        if found_values.dtype.kind in "SU" and declared[ours].dtype.startswith("float"):
            cause = f"label '{tested[ours]}' holds texts, no numbers for the column {ours}"
            raise refused(labels.place, cause)
    if all(name in values and values[name].dtype.kind == "f" for name in ("ra", "dec")):
        galactic = _galactic(values["ra"], values["dec"])
        made = {name: found for name, found in galactic.items() if name in declared}
        values |= {name: found for name, found in made.items() if name not in labelled}
    return Columns(
        labels=labels,
        labelled={o: label for o, label in labelled.items() if o not in tested},
        values=values,
        declared=declared,
        ids=ids,
        is_photometric=chosen in IDS[:2],
        differences=(
            *told,
            *_absences({*labelled, *values}, spec, is_photometric=chosen in IDS[:2]),
        ),
    )


def _galactic(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Galactic coordinates of positions in degrees (Hipparcos catalogue, vol. 1, Sect. 1.5.3)."""
    pole_ra, pole_dec, node = (np.radians(a) for a in (192.85948, 27.12825, 32.93192))
    lon, lat = np.radians(ra) - pole_ra, np.radians(dec)
    z = np.sin(lat) * np.sin(pole_dec) + np.cos(lat) * np.cos(pole_dec) * np.cos(lon)
    y = np.sin(lat) * np.cos(pole_dec) - np.cos(lat) * np.sin(pole_dec) * np.cos(lon)
    x = np.cos(lat) * np.sin(lon)
    longitude = (np.degrees(np.arctan2(y, x) + node)) % 360
    return {"galactic_l": longitude, "galactic_b": np.degrees(np.arcsin(np.clip(z, -1, 1)))}


def _tested(spec: DatasetSpec, config: Config) -> frozenset[str]:
    """Names in cuts and in rules for repeats, and the positions."""
    rules = (words(term) for rule in spec.duplicates for term in (rule.key, *rule.order))
    cuts = (cut.names() for cut in (*config.cuts, *CUTS))
    return frozenset({"ra", "dec"}).union(*cuts, *rules)


def _identify(labels: Labels) -> tuple[NDArray[np.int64], str, list[Difference]]:
    """Choose what identifies an object: the first label whose digits are all there."""
    told = []
    for name in IDS:
        label = find_label(name, {}, labels.names)
        if label is None:
            continue
        ids = _ids(labels.read({label: ""})[label])
        if ids is not None:
            if name != IDS[0]:
                told.append(Difference(what="object_id", expected=IDS[0], got=label))
            return ids, name, told
        what = f"values of {label}"
        told.append(Difference(what=what, expected="whole numbers", got="digits that are lost"))
    what = "object_id"
    told.append(Difference(what=what, expected=IDS[0], got="no id: the row in the file stands in"))
    return np.arange(labels.rows, dtype=np.int64), "", told


def _ids(raw: NDArray[Any]) -> NDArray[np.int64] | None:
    """Read ids of 64 bits, or None if they are none, or have lost digits."""
    if raw.dtype.kind in "SU":
        raw = _parsed(raw)
    if raw.dtype.kind == "f":
        whole = bool(np.all((np.abs(raw) < _EXACT) & (raw == np.floor(raw))))
        return raw.astype(np.int64) if whole else None
    if raw.dtype.kind not in "iu" or (len(raw) and int(raw.max()) > _LARGEST):
        return None
    return raw.astype(np.int64)


def _parsed(raw: NDArray[Any]) -> NDArray[Any]:
    """Read whole numbers from texts; the texts themselves where one is none."""
    try:
        return np.array([int(text) for text in raw.tolist()], dtype=np.uint64)
    except (ValueError, OverflowError):
        return raw


def _numbers(raw: NDArray[Any], column: Column) -> NDArray[Any]:
    """Ids are often published as texts."""
    return _parsed(raw) if raw.dtype.kind in "SU" and "int" in column.dtype else raw


def _absences(
    there: Collection[str], spec: DatasetSpec, *, is_photometric: bool
) -> Iterator[Difference]:
    """Say which columns have no label, and what stands in for them."""
    for column in spec.columns:
        if not column.stored or column.name in there or column.derived:
            continue
        got = "no such label"
        if column.name == spec.object_id or (column.name in FIELD_BITS and is_photometric):
            continue
        if column.name == spec.split.key:
            got = f"no such label: {spec.object_id} stands in"
        elif "int" in column.dtype and column.sentinel is None:
            got = f"no such label: {_no_integer(column)} stands in"
        yield Difference(what=f"column {column.name}", expected="a label", got=got)


def _differences(raw: NDArray[Any], label: str, column: Column) -> Iterator[Difference]:
    """Say whether a label is of another kind than declared, and what is lost of it."""
    got = dtype_name(raw.dtype)
    if got == column.dtype or (got.startswith("float") and column.dtype.startswith("float")):
        return
    yield Difference(what=f"dtype of {label}", expected=column.dtype, got=got)
    _, fits = converted(_numbers(raw, column), column.dtype)
    if unfit := int(len(fits) - np.count_nonzero(fits)):
        what = f"values of {label} that are no {column.dtype}"
        yield Difference(what=what, expected="0", got=f"{unfit}, taken as missing")
