"""From a name and a dataset to derive from, to the files of a package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from galaxyds._version import __version__
from galaxyds.errors import UsageError, storage_error
from galaxyds.refs import DatasetRef, to_snake
from galaxyds.scaffold.names import checked
from galaxyds.specs import OWN, get_spec, package_of
from galaxyds.store.files import publishing_directory

LIMIT = 60
"""Objects of the small builds that the new package's page and test make."""
# A cut that removes some objects of the parent's simulated sky, but not all of them.
_EXAMPLES = {"sdss-qso": "redshift >= 2", "sdss-mgs": "redshift >= 0.05"}
_EXAMPLE = "redshift >= 0.3"
_LOCAL = "        pushdown=False,  # applied here, as the ones before it\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaffold:
    """A package that is about to be written.

    Attributes
    ----------
    name, module : str
        Of the dataset in kebab-case, and of the module.
    like, config : str
        Dataset and config that it derives from.
    pushdown : bool
        Whether its own cut is one that the archive applies; those come before the others.
    """

    name: str
    module: str
    like: str
    config: str
    pushdown: bool = True

    def files(self) -> dict[str, str]:
        """Text of every file, by its path in the package."""
        brought = package_of(self.like).split()
        words = {
            "name": self.name,
            "module": self.module,
            "like": self.like,
            "config": self.config,
            "example": _EXAMPLES.get(self.like, _EXAMPLE),
            "local": "" if self.pushdown else _LOCAL,
            "title": "".join(part.capitalize() for part in self.name.split("-")),
            "limit": str(LIMIT),
            "needs": f'"galaxyds>={__version__}"' + (f', "{brought[0]}"' if brought else ""),
        }
        return {
            "README.md": _filled("README.md", words),
            "pyproject.toml": _filled("pyproject.toml", words),
            f"{self.module}.py": _filled("module.py", words),
            f"tests/test_{self.module}.py": _filled("test_module.py", words),
        }


def plan_package(name: str, like: str = OWN[0]) -> Scaffold:
    """Check the name of a new dataset and what it derives from; write nothing.

    Parameters
    ----------
    name : str
        ``demo-set`` or ``demo_set``.
    like : str
        ``name[/config]`` of a dataset there is.

    Returns
    -------
    Scaffold
        Ready to be written.

    Raises
    ------
    UsageError
        If the name is none, too long or taken, or the config of ``like`` cannot be derived from.
    DatasetNotFoundError
        If there is no dataset ``like``.
    """
    kebab = checked(name)
    ref = DatasetRef.parse(like)
    spec = get_spec(ref.name)
    config = spec.config(ref.config)
    if config.cropped_from:
        raise UsageError(
            f"{spec.name}/{config.name} is cut out of {config.cropped_from}: "
            f"derive from {spec.name}/{config.cropped_from}"
        )
    return Scaffold(
        name=kebab,
        module=to_snake(kebab),
        like=spec.name,
        config=config.name,
        pushdown=all(cut.pushdown for cut in config.cuts),
    )


def write_package(scaffold: Scaffold, folder: Path) -> Path:
    """Write a package into a folder of its own, all of it or nothing.

    Parameters
    ----------
    scaffold : Scaffold
        From :func:`plan_package`.
    folder : pathlib.Path
        Where the folder of the package is made.

    Returns
    -------
    pathlib.Path
        The folder of the package.

    Raises
    ------
    UsageError
        If it is there already.
    StorageError
        If it cannot be written.
    """
    target = folder / scaffold.name
    try:
        is_there = target.exists() or target.is_symlink()
    except OSError as error:  # a part of the path that is too long
        raise storage_error(error, target, option="--output") from error
    if is_there:
        raise UsageError(f"{target} is there already: choose another name, or another --output")
    with publishing_directory(target, option="--output") as temporary:
        (temporary / "tests").mkdir()
        for path, text in scaffold.files().items():
            (temporary / path).write_text(text, encoding="utf-8")
    return target


def _filled(template: str, words: Mapping[str, str]) -> str:
    folder = resources.files(__package__) / "templates"
    return Template((folder / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)
