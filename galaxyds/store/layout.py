"""Where builds live: ``<root>/<name>/<config>/<version>/`` with fixed names inside."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.errors import DataIntegrityError, DatasetNotFoundError
from galaxyds.refs import DatasetRef, to_snake
from galaxyds.store.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec

MANIFEST = "manifest.json"
WORK = ".work"
"""Folder of a root in which builds are made."""
IMAGES = "images.hdf5"
CATALOG = "catalog.parquet"
HUB = "hub"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildDirectory:
    """A finished build.

    Attributes
    ----------
    path : pathlib.Path
        Its folder.
    manifest : Manifest
        What is known about it.
    notice : str
        Empty if this is what was asked for; else one line that says what it is instead.
    """

    path: Path
    manifest: Manifest
    notice: str = ""

    @property
    def images(self) -> Path:
        """The HDF5 file."""
        return self.path / IMAGES

    @property
    def catalog(self) -> Path:
        """The catalogue with NULL where a value is missing."""
        return self.path / CATALOG

    @property
    def hub(self) -> Path:
        """The folder for ``load_dataset``."""
        return self.path / HUB

    @property
    def address(self) -> str:
        """``name/config:version`` of exactly this build."""
        return f"{self.manifest.name}/{self.manifest.config}:{self.manifest.version}"


def build_path(home: Path, name: str, config: str, version: str) -> Path:
    """Folder of a build; the name is spelled in snake_case."""
    return home / to_snake(name) / config / version


def home_of(directory: Path) -> Path:
    """Root that a build lies in, or is being built in."""
    for parent in directory.parents:
        if parent.name == WORK:
            return parent.parent
    return directory.parents[2]


def list_builds(home: Path) -> Iterator[BuildDirectory]:
    """Yield every build below ``home``, in the order of names, configs and versions.

    A folder whose manifest cannot be read is passed over with a warning that names it.
    """
    yield from _read_builds(sorted(home.glob(f"*/*/*/{MANIFEST}")))


def _read_builds(paths: list[Path]) -> Iterator[BuildDirectory]:
    for path in paths:
        if path.parent.name.startswith("."):
            continue
        try:
            yield BuildDirectory(path=path.parent, manifest=read_manifest(path))
        except DataIntegrityError as error:
            _log.warning("%s", error)


def find_build(
    home: Path, ref: DatasetRef, spec: DatasetSpec, *, quiet: bool = False
) -> BuildDirectory:
    """Find the build that an address means.

    Without a version the full, real build is preferred, the newest if several are there.  If none
    is, a limited or simulated one is taken and a warning says so; the same line stands in
    ``notice``.  A version means exactly that build: ``1.0.0`` the full one,
    ``1.0.0+simulated.limit2000`` that one.

    Parameters
    ----------
    home : pathlib.Path
        Root of the builds.
    ref : DatasetRef
        Which dataset; config None means the default, version None the newest.
    spec : DatasetSpec
        Its declaration.
    quiet : bool
        Leave the warning to the caller, who finds it in ``notice``.

    Returns
    -------
    BuildDirectory
        With the manifest read.

    Raises
    ------
    DatasetNotFoundError
        If there is no such build; the message quotes the command that makes it.
    UsageError
        If the dataset has no such config.
    """
    config = spec.config(ref.config).name
    folder = home / to_snake(spec.name) / config
    candidates = [
        build
        for build in _read_builds(sorted(folder.glob(f"*/{MANIFEST}")))
        if ref.version in (None, build.manifest.version)
    ]
    if not candidates:
        raise _not_built(folder, spec, config, ref)
    best = max(candidates, key=lambda build: preference(build.manifest))
    if best.manifest.is_full or best.manifest.version == ref.version:
        return best
    notice = (
        f"{spec.name}/{config}: the full dataset is not built here, using {best.address} "
        f"({best.manifest.nature()}, {best.manifest.rows} objects)"
    )
    if not quiet:
        _log.warning("%s", notice)
    return BuildDirectory(path=best.path, manifest=best.manifest, notice=notice)


def find_family(
    home: Path, ref: DatasetRef, spec: DatasetSpec, *, quiet: bool = False
) -> list[BuildDirectory]:
    """Find the default config's build and those of the configs built from the same download.

    Parameters
    ----------
    home, ref, spec, quiet
        As for :func:`find_build`; ``ref`` names no config.

    Returns
    -------
    list of BuildDirectory
        At least one; of the other configs those with the version of the first.

    Raises
    ------
    DatasetNotFoundError
        If none of them is built.
    """
    found: list[BuildDirectory] = []
    missing: DatasetNotFoundError | None = None
    for config in spec.family():
        version = found[0].manifest.version if found else ref.version
        try:
            one = DatasetRef(ref.name, config.name, version)
            found.append(find_build(home, one, spec, quiet=quiet))
        except DatasetNotFoundError as error:
            missing = missing or error
    if not found and missing is not None:
        raise missing
    return found


def preference(manifest: Manifest) -> tuple[bool, bool, tuple[int, ...], int, str]:
    """Rank of a build among those of one config: full, real, newest, largest, latest."""
    version = tuple(int(part) for part in manifest.public_version.split("."))
    real = not manifest.archive.simulated
    return manifest.is_full, real, version, manifest.rows, manifest.created


def _not_built(
    folder: Path, spec: DatasetSpec, config: str, ref: DatasetRef
) -> DatasetNotFoundError:
    address = spec.name if config == spec.configs[0].name else f"{spec.name}/{config}"
    others = [
        build.manifest.version for build in _read_builds(sorted(folder.glob(f"*/{MANIFEST}")))
    ]
    there = f" (built here: {', '.join(others)})" if others else ""
    wanted = f"{spec.name}/{config}" + (f":{ref.version}" if ref.version else "")
    command = f"galaxyds build {address}{label_options(ref.version or '')}"
    run = f"run {command}"
    if ref.version and ref.version.partition("+")[0] != spec.version:
        run = f"this galaxyds builds {spec.version}, with {command}"
    return DatasetNotFoundError(
        f"{wanted} is not built in {folder.parent.parent}{there}: {run}, or "
        "name another folder with --root (root= in Python) or GALAXYDS_HOME",
        name=spec.name,
        config=config,
        command=command,
    )


def label_options(version: str) -> str:
    """Options that make a build with the local label of a version."""
    label = version.partition("+")[2].split(".")
    archive = next((kind for kind in ("simulated", "release") if kind in label), "")
    limit = next((part[5:] for part in label if re.fullmatch(r"limit\d+", part)), "")
    return (f" --archive {archive}" if archive else "") + (f" --limit {limit}" if limit else "")
