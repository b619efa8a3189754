"""What a build's files are called in a repository of a hub, and back.

``images.hdf5`` is in no repository: a file of 40 to 90 GB is not wanted on a hub, and the Parquet
shards hold the same pixels.  Whoever fetches a build writes it again, and its hash tells whether
that went well.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from galaxyds.refs import to_snake
from galaxyds.store.layout import CATALOG, HUB, IMAGES, MANIFEST

OWNER = "galaxyds"
CARD = "README.md"
CROISSANT = "croissant.json"
MAIN = "main"


def repo_id(name: str, owner: str = OWNER) -> str:
    """Return the id of a dataset's repository, ``galaxyds/sdss_qso``."""
    return f"{owner}/{to_snake(name)}"


def tag(version: str) -> str:
    """Return the tag of a version, ``v1.0.0``."""
    return f"v{version}"


def repository_path(config: str, file: str) -> str | None:
    """Name a build's file in a repository.

    Parameters
    ----------
    config : str
        The build's config, which is the folder of its files in the repository.
    file : str
        Path relative to the build, as the manifest names it.

    Returns
    -------
    str or None
        None for ``images.hdf5``, and for a file that is not of a build's layout.
    """
    parts = PurePosixPath(file).parts
    if file != "/".join(parts) or ".." in parts or file == IMAGES:
        return None
    if parts in ((MANIFEST,), (CATALOG,)):
        return f"{config}/{file}"
    if parts == (HUB, CARD):
        return f"{config}/{CARD}"
    if len(parts) == 3 and parts[:2] == (HUB, config):
        return f"{config}/{parts[2]}"
    return None


def build_file(config: str, path: str) -> str | None:
    """Name the file of a build that a repository's path stands for: the inverse.

    Parameters
    ----------
    config : str
        The build's config.
    path : str
        Path in the repository.

    Returns
    -------
    str or None
        Path relative to the build; None for what belongs to no build of this config.
    """
    parts = path.split("/")
    if len(parts) != 2 or parts[0] != config:
        return None
    name = parts[1]
    inside = {MANIFEST: MANIFEST, CATALOG: CATALOG, CARD: f"{HUB}/{CARD}"}
    file = inside.get(name, f"{HUB}/{config}/{name}")
    return file if repository_path(config, file) == path else None
