"""What a unit of work is, and what becomes of it: the scheduler knows no more than this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from galaxyds.errors import GalaxydsError, MissingExtraError, StorageError

FAILED = "unit failed"


class Unit(Protocol):
    """Some objects whose results lie in one file.  It is pickled to a worker process."""

    @property
    def name(self) -> str:
        """Name of the unit and of its file."""

    @property
    def shard(self) -> Path:
        """The file that the unit leaves."""

    @property
    def count(self) -> int:
        """How many objects it has."""

    def work(self) -> tuple[str, ...]:
        """Make the file; return what the archive says that it does not hold, one line each.

        Raises
        ------
        GalaxydsError
            If it cannot be made.
        """


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a unit.

    Attributes
    ----------
    name : str
        The unit.
    objects : int
        How many it has.
    error : GalaxydsError or None
        None if its shard stands.
    missing : tuple of str
        What the archive says that it does not hold, one line each.
    """

    name: str
    objects: int
    error: GalaxydsError | None = None
    missing: tuple[str, ...] = ()


def run_unit(unit: Unit) -> Outcome:
    """Make the shard of a unit, unless it stands.

    Parameters
    ----------
    unit : Unit
        What to do.

    Returns
    -------
    Outcome
        With the error of a unit that failed for good; other units go on.

    Raises
    ------
    StorageError, MissingExtraError
        If the disk is full or a package cannot be used: no other unit could go on either.
    """
    if unit.shard.exists():
        return Outcome(name=unit.name, objects=unit.count)
    try:
        missing = unit.work()
    except (StorageError, MissingExtraError):
        raise
    except GalaxydsError as error:
        return Outcome(name=unit.name, objects=unit.count, error=error)
    return Outcome(name=unit.name, objects=unit.count, missing=missing)


Runner = Callable[[Unit], Outcome]
