"""Which packages are here, in which versions, and which extra brings those that are not."""

from __future__ import annotations

import importlib
import platform
import re
from collections import Counter
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec

from galaxyds._version import __version__
from galaxyds.errors import one_line

_NOT_FOR_USERS = frozenset({"all", "bench", "docs", "parity", "test"})
_MODULES = {"scikit-learn": "sklearn"}
"""Packages that are imported under another name than their own with an underscore."""
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)[^;]*?(?:>=\s*(?P<least>[\w.]+))?[^;>]*(?:;(?P<when>.*))?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package that galaxyds requires or can use.

    Attributes
    ----------
    name, version : str
        Its name, and the installed version; empty if it is not installed.
    least : str
        Lowest version that galaxyds asks for; empty if any will do.
    extras : tuple of str
        Extras of galaxyds that bring it; none for what is always required.
    """

    name: str
    version: str
    least: str
    extras: tuple[str, ...]

    @property
    def is_required(self) -> bool:
        """Whether nothing works without it."""
        return not self.extras

    @property
    def is_too_old(self) -> bool:
        """Whether it is here, but in a version below the lowest."""
        return bool(self.version) and _release(self.version) < _release(self.least)

    @property
    def module(self) -> str:
        """Name under which it is imported."""
        return _MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def install(self) -> str:
        """Command that brings it."""
        wanted = f"galaxyds[{self.extras[0]}]" if self.extras else f"{self.name}>={self.least}"
        return f"pip install {'--upgrade ' if self.is_too_old else ''}'{wanted}'"


def packages() -> tuple[Package, ...]:
    """Every package that galaxyds names in its metadata: those required, then those of extras."""
    try:
        requirements = metadata.requires("galaxyds") or []
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return ()
    found: dict[str, Package] = {}
    for text in requirements:
        one = _package(text)
        if one is None:
            continue
        earlier = found.get(one.name)
        if earlier is None or one.is_required:
            found[one.name] = one
        elif not earlier.is_required:
            extras = tuple(dict.fromkeys((*earlier.extras, *one.extras)))
            found[one.name] = replace(one, least=one.least or earlier.least, extras=extras)
    size = Counter(extra for one in found.values() for extra in one.extras)
    ordered = (
        replace(p, extras=tuple(sorted(p.extras, key=lambda e: (size[e], e))))
        for p in found.values()
    )  # the extra that brings least else comes first
    return tuple(sorted(ordered, key=lambda p: (not p.is_required, p.extras, p.name)))


def import_problem(package: Package) -> str:
    """Say why a package that is installed cannot be imported; empty if it can.

    One that is required is imported; one that an extra brings, which may take seconds, is found.
    """
    try:
        if package.is_required:
            importlib.import_module(package.module)
        elif find_spec(package.module) is None:
            return f"no module {package.module}"
    except Exception as error:  # a broken installation raises what it likes
        return one_line(f"{type(error).__name__}: {error}", 120)
    return ""


def system_versions() -> dict[str, str]:
    """Versions of what is no package: galaxyds itself, Python, the HDF5 library, the system."""
    return {
        "galaxyds": __version__,
        "python": platform.python_version(),
        "HDF5": _hdf5(),
        "system": platform.platform(),
    }


def show_versions() -> None:
    """Print every version that a report of a fault should name."""
    lines = system_versions() | {one.name: one.version or "not installed" for one in packages()}
    width = max(len(name) for name in lines)
    for name, version in lines.items():
        print(f"{name:<{width}}  {version}")


def _package(requirement: str) -> Package | None:
    """Read one requirement; None for those of developers."""
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if match is None:
        return None
    extras = tuple(re.findall(r"extra\s*==\s*['\"]([\w-]+)['\"]", match["when"] or ""))
    if extras and set(extras) <= _NOT_FOR_USERS:
        return None
    return Package(
        name=match["name"], version=_version(match["name"]), least=match["least"] or "",
        extras=extras,
    )  # fmt: skip


def _version(name: str) -> str:
    try:
        return metadata.version(name) or ""
    except metadata.PackageNotFoundError:
        return ""


def _release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with; labels behind them do not count."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _hdf5() -> str:
    try:
        import h5py
    except Exception:  # a broken installation raises what it likes
        return "not there"
    return str(h5py.version.hdf5_version)
