"""The one address of a dataset: ``name[/config][:version]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from galaxyds.errors import UsageError

_PATTERN = re.compile(
    r"(?P<name>[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*)"
    r"(?:/(?P<config>[a-z0-9]+(?:[-_][a-z0-9]+)*))?"
    r"(?::(?P<version>\d+\.\d+\.\d+(?:\+[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*)?))?"
)

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
NAME_RULE = "lower-case letters, digits and single hyphens, and begins with a letter"
"""What the name of a dataset has, for messages."""


def is_name(text: str) -> bool:
    """Whether this can be the name of a dataset, in kebab-case."""
    return _NAME.fullmatch(text) is not None


def to_kebab(name: str) -> str:
    """Spell a name as the command line does (``sdss-qso``)."""
    return name.replace("_", "-")


def to_snake(name: str) -> str:
    """Spell a name as disks and hubs do (``sdss_qso``)."""
    return name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """Which dataset, which config, which version.

    Attributes
    ----------
    name : str
        Kebab-case name, as on the command line.
    config : str or None
        Variant of the dataset; None means its default.
    version : str or None
        ``MAJOR.MINOR.PATCH`` with an optional local label; None means the newest.
    """

    name: str
    config: str | None = None
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> DatasetRef:
        """Read ``name[/config][:version]``; a leading ``galaxyds/`` (the hub's owner) is dropped.

        Parameters
        ----------
        text : str
            For example ``sdss-qso``, ``sdss_qso/extended``, ``sdss-qso/extended:1.0.0``.

        Returns
        -------
        DatasetRef
            With the name in kebab-case.

        Raises
        ------
        UsageError
            If the text is no address.
        """
        match = _PATTERN.fullmatch(text.removeprefix("galaxyds/"))
        if match is None:
            raise UsageError(
                f"'{text}' is no dataset address: write name[/config][:version], "
                "for example sdss-qso/extended:1.0.0",
                text=text,
            )
        return cls(to_kebab(match["name"]), match["config"], match["version"])

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        version = f":{self.version}" if self.version else ""
        return f"{self.name}{config}{version}"
