"""Which archive serves which dataset, by kind: remote, simulated or release."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from galaxyds.archives.base import CatalogArchive, FrameArchive
from galaxyds.errors import UsageError
from galaxyds.spec import DatasetSpec

KINDS = ("remote", "simulated", "release")
SIMULATED = "simulated"
"""Name of the archive whose sky is made by galaxyds."""


@runtime_checkable
class Archive(CatalogArchive, FrameArchive, Protocol):
    """Rows and frames together."""


def open_archive(spec: DatasetSpec, kind: str) -> Archive:
    """Return the archive of a dataset.

    Parameters
    ----------
    spec : DatasetSpec
        Names the archive.
    kind : str
        ``remote``, ``simulated`` or ``release``.

    Returns
    -------
    Archive
        Ready to be asked; no request has been sent.

    Raises
    ------
    UsageError
        If the dataset has no archive of that kind.
    """
    if (spec.archive, kind) == ("sdss", "remote"):
        from galaxyds.archives.sdss import SDSSArchive

        return SDSSArchive()
    if (spec.archive, kind) == ("sdss", "simulated"):
        from galaxyds.archives.simulated import SimulatedSDSS

        return SimulatedSDSS()
    if kind not in KINDS:
        raise UsageError(f"there is no archive '{kind}': one of {', '.join(KINDS)}")
    raise UsageError(
        f"{spec.name} cannot be built from --archive {kind}: its authors published no files; "
        "use --archive remote or --archive simulated"
    )
