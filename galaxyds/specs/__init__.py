"""The datasets: one module of declarations each, found by name."""

from __future__ import annotations

import difflib
import importlib

from galaxyds.errors import DatasetNotFoundError
from galaxyds.refs import to_kebab, to_snake
from galaxyds.spec import DatasetSpec

__all__ = ["get_spec", "spec_names"]

_MODULES = ("sdss_qso", "hsc_galaxiesml", "sdss_mgs", "cfhtls_wide", "hsc_deep")


def spec_names() -> tuple[str, ...]:
    """Names of all datasets, in kebab-case."""
    return tuple(to_kebab(module) for module in _MODULES)


def get_spec(name: str) -> DatasetSpec:
    """Return the declaration of a dataset.

    Parameters
    ----------
    name : str
        ``sdss-qso`` or ``sdss_qso``.

    Returns
    -------
    DatasetSpec
        The newest version.

    Raises
    ------
    DatasetNotFoundError
        If there is none of that name; the nearest one is offered.
    """
    module = to_snake(name)
    if module not in _MODULES:
        near = difflib.get_close_matches(to_kebab(name), spec_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "see: galaxyds list"
        raise DatasetNotFoundError(f"there is no dataset '{name}': {hint}", name=name)
    spec: DatasetSpec = importlib.import_module(f"galaxyds.specs.{module}").SPEC
    return spec
