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
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from galaxyds.errors import CredentialsError, UsageError, one_line

PREFIX = "GALAXYDS_"
"""What the environment variables of all settings begin with."""
HOME = "GALAXYDS_HOME"


class Setting(NamedTuple):
    """A setting: environment variable, default, meaning."""

    variable: str
    default: str
    meaning: str


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
    if os.environ.get(variable, "").strip():  # set to nothing is not set
        return Resolved(os.environ[variable], f"environment ({variable})")
    path = config_file()
    key = key_of(variable)
    values = read_config(path)
    if values.get(key, "") == "" or str(values[key]).isspace():  # nothing is not set either
        return Resolved(default, "default")
    if not isinstance(values[key], str):
        raise UsageError(f"{path}: {key} must be a text in quotes: correct that line",
                         path=str(path), advice="correct that line")  # fmt: skip
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
        advice = 'correct it, for example home = "/data/galaxyds", or remove it'
        raise UsageError(
            f"{path} is not valid TOML ({one_line(str(error), 120)}): {advice}",
            path=str(path), advice=advice,
        ) from error  # fmt: skip
    except OSError as error:
        advice = "correct its permissions, or name another file in GALAXYDS_CONFIG"
        raise UsageError(
            f"cannot read {path} ({error.strerror}): {advice}", path=str(path), advice=advice
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
        If it names a file, or what can be no path.
    """
    found = Resolved(str(root), "--root") if root is not None else resolve(HOME, default_home())
    advice = f"name a folder with --root or {HOME}"
    wrong = folder_problem(found.value)
    if wrong:
        raise UsageError(
            f"the data home {one_line(found.value, 120)} {wrong} ({found.origin}): {advice}",
            path=found.value, advice=advice,
        )  # fmt: skip
    return Path(found.value).expanduser().absolute()


def folder_problem(value: str) -> str:
    """Say why a text cannot be the path of a folder, as the end of a sentence; empty if it can."""
    try:
        path = Path(value).expanduser()
        is_other = path.exists() and not path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, nobody's ~
        cause = getattr(error, "strerror", None) or one_line(str(error), 120).rstrip(".")
        return f"can be no folder, {cause[:1].lower()}{cause[1:]}"
    return "is a file, not a folder" if is_other else ""


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
    if wrong := url_problem(found.value):
        is_private = "@" in found.value or "?" in found.value  # perhaps an account, or a token
        shown = "another value" if is_private else one_line(found.value, 120)
        raise UsageError(f"{variable} {wrong}, got '{shown}' from the {found.origin}",
                         variable=variable)  # fmt: skip
    return found.value.rstrip("/")


def url_problem(value: str) -> str:
    """Say what is wrong with a base URL, as the end of a sentence; empty if it is one."""
    wrong = "must be an http(s) URL"
    if not value.startswith(("http://", "https://")):
        return wrong
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:  # brackets, a port that is no number
        return f"{wrong} ({one_line(str(error), 80)})"
    return "" if is_whole else wrong


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
