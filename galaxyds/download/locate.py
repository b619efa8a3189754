"""The build that a loader opens if it may fetch one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.download.fetch import fetch
from galaxyds.errors import ArchiveError, DatasetNotFoundError, MissingExtraError
from galaxyds.store.layout import BuildDirectory, find_build

if TYPE_CHECKING:
    from galaxyds.refs import DatasetRef
    from galaxyds.spec import DatasetSpec

_log = logging.getLogger(__name__)


def find_or_fetch(home: Path, ref: DatasetRef, spec: DatasetSpec) -> BuildDirectory:
    """Find the build that an address means, or fetch it.

    A local build that is not the full dataset is taken only if it is named with its label, or if
    no version is named and the hub has none or cannot be asked.  Then a warning says both.

    Parameters
    ----------
    home : pathlib.Path
        Root of the builds.
    ref : DatasetRef
        Which dataset; config None means the default, version None the newest.
    spec : DatasetSpec
        Its declaration.

    Returns
    -------
    BuildDirectory
        With the manifest read.

    Raises
    ------
    DatasetNotFoundError, ArchiveError, CredentialsError, DataIntegrityError, StorageError
        As :func:`galaxyds.download.fetch`.
    """
    try:
        here = find_build(home, ref, spec, quiet=True)
    except DatasetNotFoundError:
        here = None
    if here is not None and not here.notice:
        return here
    try:
        fetch(ref, spec, home=home)
    except (DatasetNotFoundError, ArchiveError, MissingExtraError) as error:
        if here is None or ref.version is not None:
            raise
        _log.warning("%s, since nothing could be fetched: %s", here.notice, error)
        return here
    return find_build(home, ref, spec)
