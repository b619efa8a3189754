"""Settings: where data live, where archives answer, who we are to them.

A value comes from the argument of a call, else the environment, else ``config.toml`` in the
platform's configuration folder, else the default; :func:`resolve` says which.  Nothing is cached:
a setting is read where it is used.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galaxyds.errors import CredentialsError, UsageError, one_line

PREFIX = "GALAXYDS_"
"""What the environment variables of all settings begin with."""
HOME = "GALAXYDS_HOME"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A setting's value and where it came from (``environment``, ``config file``, ``default``)."""

    value: str
    origin: str


def config_file() -> Path:
    """Path of the user's configuration file (it need not exist)."""
    override = os.environ.get("GALAXYDS_CONFIG")
    if override:
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_config_dir("galaxyds")) / "config.toml"


def resolve(variable: str, default: str) -> Resolved:
    """Look a setting up by the name of its environment variable.

    Parameters
    ----------
    variable : str
        For example ``GALAXYDS_SDSS_SAS_URL``; in the file the key is ``sdss_sas_url``.
    default : str
        Used when neither the environment nor the file has it.

    Returns
    -------
    Resolved
        The value and its origin.

    Raises
    ------
    UsageError
        If the configuration file is no TOML.
    """
    if os.environ.get(variable):  # set to nothing is not set
        return Resolved(os.environ[variable], f"environment ({variable})")
    path = config_file()
    key = key_of(variable)
    values = read_config(path)
    if key not in values:
        return Resolved(default, "default")
    if not isinstance(values[key], str):
        raise UsageError(f"{path}: {key} must be a text in quotes: correct that line",
                         path=str(path))  # fmt: skip
    return Resolved(str(values[key]), f"config file ({path})")


def key_of(variable: str) -> str:
    """Name of a setting in the file: that of ``GALAXYDS_SDSS_SAS_URL`` is ``sdss_sas_url``."""
    return variable.removeprefix(PREFIX).lower()


def read_config(path: Path) -> dict[str, Any]:
    """Read the configuration file.

    Parameters
    ----------
    path : pathlib.Path
        It need not exist.

    Returns
    -------
    dict
        Its keys and values, as TOML has them.

    Raises
    ------
    UsageError
        If the file is no TOML or cannot be read.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, RecursionError) as error:  # also no UTF-8
        raise UsageError(
            f"{path} is not valid TOML ({one_line(str(error), 120)}): correct it, for example "
            'home = "/data/galaxyds", or remove it',
            path=str(path),
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot read {path} ({error.strerror}): correct its permissions, or name another file "
            "in GALAXYDS_CONFIG",
            path=str(path),
        ) from error


def home(root: str | os.PathLike[str] | None = None) -> Path:
    """Folder that holds the built datasets.

    Parameters
    ----------
    root : path-like, optional
        An explicit choice; it wins over ``GALAXYDS_HOME``, the file and the platform's default.

    Returns
    -------
    pathlib.Path
        An absolute path; the folder need not exist.

    Raises
    ------
    UsageError
        If it names a file.
    """
    found = Resolved(str(root), "--root") if root is not None else resolve(HOME, default_home())
    path = Path(found.value).expanduser().absolute()
    if path.is_file():
        raise UsageError(
            f"the data home {path} is a file, not a folder ({found.origin}): name a folder with "
            f"--root or {HOME}",
            path=str(path),
        )
    return path


def default_home() -> str:
    """The platform's data folder."""
    import platformdirs

    return platformdirs.user_data_dir("galaxyds")


def url(variable: str, default: str) -> str:
    """Base URL of a service, without a trailing slash.

    Raises
    ------
    UsageError
        If the value is not an http(s) URL.
    """
    found = resolve(variable, default)
    if not found.value.startswith(("http://", "https://")):
        raise UsageError(
            f"{variable} must be an http(s) URL, got '{found.value}' from the {found.origin}",
            variable=variable,
        )
    return found.value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account at an archive; the password never shows in a repr."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, password=***)"


def credentials(archive: str, *, register: str) -> Credentials:
    """Account for an archive: environment, else the system's keyring.

    Parameters
    ----------
    archive : str
        Upper-case name, for example ``SDSS``.
    register : str
        Page where an account is obtained, for the message.

    Returns
    -------
    Credentials
        User and password.

    Raises
    ------
    CredentialsError
        If no complete account is found.
    """
    found = find_account(archive)
    if not found.user or not found.password:
        raise CredentialsError(
            f"{archive} needs an account: register at {register}, then set "
            f"{account_variable(archive, 'USER')} and {account_variable(archive, 'PASSWORD')}",
            archive=archive,
        )
    return Credentials(found.user, found.password)


def has_credentials(archive: str) -> bool:
    """Whether :func:`credentials` would find an account."""
    found = find_account(archive)
    return bool(found.user and found.password)


@dataclass(frozen=True, slots=True)
class Account:
    """What is set of an account; the password never shows in a repr.

    Attributes
    ----------
    user, password : str
        Empty for what is not set.
    origin : str
        ``environment``, ``environment and keyring``, or empty for a password that is not set.
    """

    user: str
    password: str = field(repr=False)
    origin: str


def find_account(archive: str) -> Account:
    """Look an account up: the environment, for a missing password the system's keyring.

    Parameters
    ----------
    archive : str
        Upper-case name, for example ``SDSS``.

    Returns
    -------
    Account
        What is there; perhaps nothing, or half of it.
    """
    user = os.environ.get(account_variable(archive, "USER"), "")
    password = os.environ.get(account_variable(archive, "PASSWORD"), "")
    if password:
        return Account(user, password, "environment")
    kept = (_from_keyring(f"galaxyds-{archive.lower()}", user) if user else None) or ""
    return Account(user, kept, "environment and keyring" if kept else "")


def account_variable(archive: str, what: str) -> str:
    """Variable of an account: ``what`` is ``USER`` or ``PASSWORD``."""
    return f"{PREFIX}{archive}_{what}"


def _from_keyring(service: str, user: str) -> str | None:
    try:
        import keyring
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(service, user)
    except Exception:  # a keyring backend may raise anything of its own
        return None
    return found
