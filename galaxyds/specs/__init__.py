"""The datasets: one module of declarations each, found by name.

Beside those of galaxyds there are the datasets of other installed packages, which name them in the
entry point group ``galaxyds.specs`` (``demo-set = "demo_set:SPEC"``).
"""

from __future__ import annotations

import importlib
import logging

from galaxyds.errors import DatasetNotFoundError, UsageError, did_you_mean
from galaxyds.refs import DatasetRef, to_kebab, to_snake
from galaxyds.spec import DatasetSpec

__all__ = ["OWN", "declared", "get_spec", "package_of", "spec_names"]

_MODULES = ("sdss_qso", "hsc_galaxiesml", "sdss_mgs", "cfhtls_wide", "hsc_deep")
OWN = tuple(to_kebab(module) for module in _MODULES)
"""Names of the datasets that galaxyds brings itself, in kebab-case."""
LOG = logging.getLogger(__name__)


def spec_names() -> tuple[str, ...]:
    """Names of all datasets, in kebab-case: those of galaxyds, then those of other packages.

    A package whose declaration cannot be used is left out, with one warning in the log.
    """
    from galaxyds.specs._foreign import offers

    usable = []
    for offer in offers(OWN):
        try:
            usable.append(offer.load().name)
        except DatasetNotFoundError as error:
            LOG.warning("%s", error)
    return (*OWN, *usable)


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
        If there is none of that name, and the nearest one is offered; or if the package that brings
        it is broken.
    """
    kebab = to_kebab(name)
    if kebab in OWN:
        own: DatasetSpec = importlib.import_module(f"galaxyds.specs.{to_snake(name)}").SPEC
        return own
    from galaxyds.specs._foreign import offers

    foreign = {offer.name: offer for offer in offers(OWN)}
    if kebab in foreign:
        return foreign[kebab].load()
    hint = did_you_mean(kebab, (*OWN, *foreign)).strip() or "see: galaxyds list"
    raise DatasetNotFoundError(f"there is no dataset '{name}': {hint}", name=name)


def declared(ref: DatasetRef) -> DatasetSpec:
    """Return the declaration that an address means; its config and version have to be there.

    Parameters
    ----------
    ref : DatasetRef
        An address.

    Returns
    -------
    DatasetSpec
        Of all configs, in the newest version.

    Raises
    ------
    DatasetNotFoundError
        As :func:`get_spec`.
    UsageError
        If the dataset has no such config, or never had that version.
    """
    spec = get_spec(ref.name)
    spec.config(ref.config)
    if ref.version not in (None, spec.version, *spec.release_notes):
        raise UsageError(
            f"{spec.name} has no version {ref.version}: it is at {spec.version}; leave the version "
            "out"
        )
    return spec


def package_of(name: str) -> str:
    """Return the package that brings a dataset.

    Parameters
    ----------
    name : str
        Of the dataset.

    Returns
    -------
    str
        Name and version; empty for one of galaxyds' own, and where there is none of that name.
    """
    from galaxyds.specs._foreign import offers

    kebab = to_kebab(name)
    packages = [offer.package for offer in offers(OWN) if offer.name == kebab]
    return packages[0] if packages and kebab not in OWN else ""
