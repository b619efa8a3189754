"""Datasets of other installed packages: found by the entry points ``galaxyds.specs``.

Nothing here is kept between calls: a package that was installed a moment ago is found, and Python
itself remembers the modules that were imported.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

from galaxyds.errors import DatasetNotFoundError, one_line
from galaxyds.refs import NAME_RULE, is_name, to_kebab
from galaxyds.spec import DatasetSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "galaxyds.specs"
"""Group of the entry points: the name of a dataset, and ``module:SPEC``."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A dataset that an installed package offers.

    Attributes
    ----------
    name : str
        Kebab-case.
    package : str
        Name and version of the package.
    entry : EntryPoint
        Where its declaration is.
    fault : str
        Why it cannot be taken, as far as its name tells; empty if it can.
    """

    name: str
    package: str
    entry: EntryPoint
    fault: str = ""

    def load(self) -> DatasetSpec:
        """Import the declaration; what its package prints meanwhile goes to standard error.

        Raises
        ------
        DatasetNotFoundError
            If it cannot be imported, or is none; names the package.
        """
        if self.fault:
            raise self._refused(self.fault)
        try:
            with redirect_stdout(sys.stderr):  # standard output is for results, such as JSON
                spec = self.entry.load()
        except (Exception, SystemExit) as error:  # whatever a foreign module does at import
            cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise self._refused(f"importing {self.entry.value} failed with {cause}") from error
        if not isinstance(spec, DatasetSpec):
            kind = type(spec).__name__
            raise self._refused(f"{self.entry.value} is no DatasetSpec but of type {kind}")
        if spec.name != self.name:
            raise self._refused(f"{self.entry.value} is named '{spec.name}'; both must agree")
        return spec

    def _refused(self, why: str) -> DatasetNotFoundError:
        return DatasetNotFoundError(
            f"dataset '{one_line(self.name, 80)}' of the package {one_line(self.package, 80)} "
            f"cannot be used: {one_line(why)}; mend that package or uninstall it",
            name=self.name,
            package=self.package,
        )


def offers(taken: Collection[str]) -> tuple[Offer, ...]:
    """Find what installed packages offer; imports none of them.

    Parameters
    ----------
    taken : collection of str
        Names that no package may give: those of galaxyds itself.

    Returns
    -------
    tuple of Offer
        In alphabetical order.
    """
    from importlib.metadata import entry_points

    entries = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    counts = Counter(to_kebab(entry.name) for entry in entries)
    return tuple(_offer(entry, taken, counts) for entry in entries)


def _offer(entry: EntryPoint, taken: Collection[str], counts: Mapping[str, int]) -> Offer:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "without a name"
    name, fault = to_kebab(entry.name), ""
    if name in taken:
        fault = "that name is one of galaxyds' own"
    elif counts[name] > 1:
        fault = f"{counts[name]} packages offer that name"
    elif not is_name(name):
        fault = f"a name has {NAME_RULE}"
    return Offer(name, package, entry, fault)
