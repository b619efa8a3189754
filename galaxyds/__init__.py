"""Versioned, verifiable datasets for photometric redshifts from images.

``import galaxyds`` is light: torch, astropy and pandas are imported by what needs them.
"""

from __future__ import annotations

from typing import Any

from galaxyds._version import __version__
from galaxyds.refs import DatasetRef

__all__ = ["DatasetRef", "__version__", "load", "show_versions"]


def load(address: str, split: str, **options: Any) -> Any:
    """Open a built dataset by its address.

    Parameters
    ----------
    address : str
        ``name[/config][:version]``, for example ``sdss-qso/extended:1.0.0``.
    split : str
        ``train``, ``validation``, ``test`` or ``all``.
    **options
        Of the dataset's class: ``root``, ``division``, ``bands``, ``columns``, ``transform`` ...

    Returns
    -------
    galaxyds.loaders.GalaxyDataset
        A torch map-style dataset.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset, or it is not built; the message quotes the build command.
    """
    from galaxyds.datasets import open_dataset

    return open_dataset(address, split, **options)


def show_versions() -> None:
    """Print the versions that a report of a problem needs; ``galaxyds doctor`` says more."""
    from galaxyds.machine.versions import show_versions as show

    show()
