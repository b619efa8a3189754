"""Seeded divisions by a hash of the object id: adding an object moves no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from galaxyds.catalog.engine import evaluate
from galaxyds.spec import SPLITS, Split

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def hash_ids(ids: NDArray[np.integer], seed: int) -> NDArray[np.uint64]:
    """Mix 64-bit ids with a seed (the SplitMix64 finalizer of Steele et al. 2014, applied twice).

    Parameters
    ----------
    ids : ndarray of int64 or uint64, shape (n,)
        Object ids.
    seed : int
        Non-negative.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The same on every machine and in every version.
    """
    start = _finalize(np.array([seed], dtype=np.uint64) * _GOLDEN + _GOLDEN)
    return _finalize(_finalize(ids.astype(np.int64).view(np.uint64) + _GOLDEN) ^ start)


def _finalize(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        return x ^ (x >> np.uint64(31))


_FOLD_SEED = 1_000  # the folds' own; divisions have seeds from 0, validation from the next on
_TRAIN, _VALIDATION, _TEST = range(len(SPLITS))


def divide(table: pa.Table, rule: Split, *, object_id: str) -> list[NDArray[np.int8]]:
    """Place every row in a split, in every division.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns that the rule names.
    rule : Split
        Independent divisions or folds, and objects that are kept for testing.
    object_id : str
        Column that is hashed where the rule names none.

    Returns
    -------
    list of ndarray of int8, shape (n,)
        Codes by division: the place of the split in ``rule.names``.
    """
    ids = table.column(rule.key or object_id).to_numpy()
    if rule.folds:
        found = folds(ids, rule.folds)
        codes = [_fold(ids, found, k, rule.validation) for k in range(rule.folds)]
    else:
        codes = [assign(ids, k, rule.fractions[k]) for k in range(rule.divisions)]
    if rule.extra and table.num_rows:
        cases = " ".join(f"WHEN {e.sql} THEN {len(SPLITS) + n}" for n, e in enumerate(rule.extra))
        numbered = table.append_column("_row", [np.arange(table.num_rows)])
        chosen = evaluate(numbered, f"SELECT CASE {cases} ELSE -1 END AS code FROM catalog "
                                    "ORDER BY _row").column("code").to_numpy()  # fmt: skip
        codes = [np.where(chosen >= 0, chosen, code).astype(np.int8) for code in codes]
    return codes


def folds(ids: NDArray[np.integer], number: int) -> NDArray[np.int8]:
    """Place every object in one of ``number`` folds, of about equal size.

    Parameters
    ----------
    ids : ndarray of int64 or uint64, shape (n,)
        What is hashed.
    number : int
        How many folds.

    Returns
    -------
    ndarray of int8, shape (n,)
        0 to ``number - 1``.
    """
    return (_uniform(ids, _FOLD_SEED) * number).astype(np.int8)


def _fold(
    ids: NDArray[np.integer], found: NDArray[np.int8], fold: int, validation: float
) -> NDArray[np.int8]:
    held_back = _uniform(ids, _FOLD_SEED + 1 + fold) < validation
    codes = np.where(held_back, _VALIDATION, _TRAIN)
    return np.where(found == fold, _TEST, codes).astype(np.int8)


def _uniform(ids: NDArray[np.integer], seed: int) -> NDArray[np.float64]:
    """Map ids to [0, 1); 53 bits are exact, so a comparison is the same everywhere."""
    return np.asarray((hash_ids(ids, seed) >> np.uint64(11)).astype(np.float64) / 2.0**53)


def assign(
    ids: NDArray[np.integer], division: int, fractions: tuple[float, float, float]
) -> NDArray[np.int8]:
    """Place every object in train (0), validation (1) or test (2).

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
        Object ids.
    division : int
        Which of the independent divisions; it is the seed.
    fractions : tuple of float
        Expected shares of train, validation and test.

    Returns
    -------
    ndarray of int8, shape (n,)
        Codes; the shares hold up to binomial scatter.
    """
    bounds = np.cumsum(fractions)[:2]
    return np.searchsorted(bounds, _uniform(ids, division), side="right").astype(np.int8)
