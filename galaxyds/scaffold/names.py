"""Which names a dataset of one's own can have, and what to write instead of one that it cannot."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec

from galaxyds.errors import UsageError
from galaxyds.refs import NAME_RULE, is_name, to_kebab, to_snake
from galaxyds.shown import visible
from galaxyds.specs import OWN, package_of

LONGEST = 60
"""Characters of a name; hubs and file systems stop at 96 and 255, with more than the name in it."""
_RESERVED = frozenset(
    {"build", "conftest", "dist", "setup", "sitecustomize", "test", "tests", "usercustomize"}
)
"""Modules of these names are run by Python, pip or pytest, or hidden by folders of a package."""


def checked(name: str) -> str:
    """Return a name in kebab-case, if a new dataset and its module can have it.

    Parameters
    ----------
    name : str
        ``demo-set`` or ``demo_set``.

    Raises
    ------
    UsageError
        If it is no name, too long, or taken; offers one that would do.
    """
    kebab = to_kebab(name)
    if why := _objection(kebab, name):
        raise UsageError(f"{why}: choose another name, for example {_instead(kebab)}", name=name)
    return kebab


def _objection(kebab: str, written: str) -> str:
    """Why a name cannot be, as it was written; empty if it can."""
    if not is_name(kebab):
        return f"'{visible(written, 80)}' is no name of a dataset (a name has {NAME_RULE})"
    if len(kebab) > LONGEST:
        return f"'{visible(written, 80)}' has {len(kebab)} characters, a name at most {LONGEST}"
    if kebab in OWN:
        return f"{kebab} is one of galaxyds' own datasets, which --like {kebab} derives from"
    if package := package_of(kebab):
        return f"the package {package} brings {kebab} already"
    return _module_objection(to_snake(kebab))


def _module_objection(module: str) -> str:
    if keyword.iskeyword(module):
        return f"'{module}' is a word of the language Python and no name of a module"
    if module in _RESERVED:
        return f"a module '{module}' would be taken for another thing by Python, pip or pytest"
    return f"there is a Python module '{module}' already" if find_spec(module) else ""


def _instead(kebab: str) -> str:
    """Return the nearest name that can be."""
    near = re.sub(r"[^a-z0-9]+", "-", kebab.lower()).strip("-")[: LONGEST - 3].strip("-")
    tried = (near, f"my-{near}", "demo-set")
    return next((each for each in tried if not _objection(each, each)), "my-own-set")
