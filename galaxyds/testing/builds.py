"""Small builds for the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galaxyds.build import Summary


def simulated_build(address: str, *, limit: int, root: Path) -> Summary:
    """Build a few objects of a dataset from the simulated archive, in this process.

    Parameters
    ----------
    address : str
        ``name[/config]``.
    limit : int
        At least so many objects, in whole tiles.
    root : pathlib.Path
        Where the build is put; a temporary folder.

    Returns
    -------
    galaxyds.build.Summary
        For the fixture ``built`` of :class:`galaxyds.testing.DatasetContract`.

    Raises
    ------
    MissingExtraError
        If a package that the simulated sky needs is not installed.
    """
    from galaxyds.build import Request, build

    return build(Request(address=address, archive="simulated", limit=limit, root=root, jobs=1))
