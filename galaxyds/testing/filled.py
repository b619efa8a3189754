"""What a new declaration still owes: the texts that ``galaxyds new`` left to be written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec

_MARK = re.compile(r"\bfill[ _-]in\b", re.IGNORECASE)


def unfilled(spec: DatasetSpec) -> list[str]:
    """Name the places of a declaration that are marked ``FILL IN``.

    A published count of 0 is one, too.

    Parameters
    ----------
    spec : DatasetSpec
        A declaration.

    Returns
    -------
    list of str
        For example ``configs[0].cuts[3].why``; empty if it is complete.
    """
    counts = [
        f"configs[{c}].published[{p}].count"
        for c, config in enumerate(spec.configs)
        for p, published in enumerate(config.published)
        if published.count == 0
    ]
    return [*_marked(asdict(spec), ""), *counts]


def _marked(value: object, place: str) -> Iterator[str]:
    if isinstance(value, str):
        if _MARK.search(value):
            yield place
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _marked(inner, f"{place}.{name}".lstrip("."))
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _marked(inner, f"{place}[{number}]")
