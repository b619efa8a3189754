"""Structures of arrays: selecting and joining rows of frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")


def take_rows(item: Item, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Item:
    """Select rows of every array of a dataclass, and of the dataclasses in it.

    Parameters
    ----------
    item : dataclass instance
        All its fields are arrays with rows on the first axis, or such dataclasses.
    chosen : ndarray of intp or bool

    Returns
    -------
    dataclass instance
        Of the same type.
    """

    def pick(value: Any) -> Any:
        return take_rows(value, chosen) if is_dataclass(value) else value[chosen]

    return type(item)(**{f.name: pick(getattr(item, f.name)) for f in fields(item)})  # type: ignore[arg-type]


def join_rows(items: Sequence[Item]) -> Item:
    """Put the rows of dataclasses of one type below each other.

    Parameters
    ----------
    items : sequence of dataclass instances
        At least one.

    Returns
    -------
    dataclass instance
        Of the same type.
    """

    def join(name: str) -> Any:
        values = [getattr(item, name) for item in items]
        return join_rows(values) if is_dataclass(values[0]) else np.concatenate(values)

    return type(items[0])(**{f.name: join(f.name) for f in fields(items[0])})  # type: ignore[arg-type]
