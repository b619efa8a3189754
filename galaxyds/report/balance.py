"""How alike the splits are: sizes, medians, and the distance of their redshift distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.spec import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import Split

KOLMOGOROV = 1.358
"""95 % point of the largest distance of a Brownian bridge from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A split of one division.

    Attributes
    ----------
    division : int or None
        Which division, or fold; None for further tests, which are the same in all.
    split : str
        Its name.
    rows : int
        Its objects.
    share, aim : float or None
        Of the objects that are divided, and what the declaration aims at; None for further tests.
    median : float or None
        Of the redshifts.
    distance : float or None
        Kolmogorov-Smirnov distance of its redshifts from those of all objects that are divided.
    chance : float or None
        Distance that a random draw of that size stays below nineteen times in twenty.
    """

    division: int | None
    split: str
    rows: int
    share: float | None
    aim: float | None
    median: float | None
    distance: float | None
    chance: float | None

    @property
    def stands_out(self) -> bool:
        """Whether the distance is larger than chance would have it."""
        return None not in (self.distance, self.chance) and (self.distance or 0) > (
            self.chance or 0
        )


def distance(sample: NDArray[Any], whole: NDArray[Any]) -> float:
    """Largest difference of two cumulative distributions (two-sample Kolmogorov-Smirnov).

    Parameters
    ----------
    sample, whole : ndarray, shape (n,) and (m,)
        Finite values, at least one each.
    """
    sample, whole = np.sort(sample), np.sort(whole)
    points = np.concatenate([sample, whole])
    shares = (np.searchsorted(v, points, side="right") / len(v) for v in (sample, whole))
    return float(np.max(np.abs(next(shares) - next(shares))))


def chance_level(drawn: int, whole: int) -> float:
    """Distance that ``drawn`` objects out of ``whole``, by chance, stay below in 95 of 100 cases.

    The limit of many objects, with the correction for drawing without putting back.
    """
    return KOLMOGOROV * math.sqrt(max(1 / drawn - 1 / whole, 0))


def parts(columns: Mapping[str, NDArray[Any]], split: Split) -> list[Part]:
    """Return every split of every division, those without objects left out.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        ``split_0``, ``split_1`` ... and ``redshift``, as far as there are any.
    split : Split
        Declares names and shares.
    """
    found = []
    for division in range(split.divisions):
        codes = columns.get(f"split_{division}")
        if codes is not None:
            found += [
                _part(columns.get("redshift"), codes, split, place=(division, code))
                for code in range(len(SPLITS) if division else len(split.names))
                if np.any(codes == code)
            ]
    return found


def _part(
    redshift: NDArray[Any] | None, codes: NDArray[Any], split: Split, *, place: tuple[int, int]
) -> Part:
    division, code = place
    mine, divided = codes == code, (codes >= 0) & (codes < len(SPLITS))
    is_drawn, rows = code < len(SPLITS), int(mine.sum())
    z, whole = _finite(redshift, mine), _finite(redshift, divided)
    both = len(z) > 0 and len(whole) > 0
    return Part(
        division=division if is_drawn else None,
        split=split.names[code],
        rows=rows,
        share=rows / int(divided.sum()) if is_drawn else None,
        aim=split.shares(division)[code] if is_drawn else None,
        median=float(np.median(z)) if len(z) else None,
        distance=distance(z, whole) if both else None,
        chance=chance_level(len(z), len(whole)) if both and is_drawn else None,
    )


def _finite(values: NDArray[Any] | None, chosen: NDArray[np.bool_]) -> NDArray[Any]:
    if values is None:
        return np.empty(0)
    picked: NDArray[Any] = values[chosen & np.isfinite(values)]
    return picked


def times_tested(columns: Mapping[str, NDArray[Any]], split: Split) -> dict[int, int]:
    """In how many folds objects are tested: number of objects, by number of folds.

    Objects of further test samples are not counted.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        The split columns.
    split : Split
        Declares the folds.

    Returns
    -------
    dict of int to int
        ``{1: n}`` where every object is tested once; empty where there are no folds.
    """
    codes = [columns.get(f"split_{k}") for k in range(split.folds)]
    present = [each for each in codes if each is not None]
    if not present or len(present) < split.folds:
        return {}
    divided = np.all([each < len(SPLITS) for each in present], axis=0)
    tested = sum((each[divided] == SPLITS.index("test")).astype(int) for each in present)
    times, objects = np.unique(np.asarray(tested), return_counts=True)
    return dict(zip(times.tolist(), objects.tolist(), strict=True))
