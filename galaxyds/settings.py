"""Settings: where data live, where archives answer, who we are to them.

A value comes from the argument of a call, else the environment, else ``config.toml`` in the
platform's configuration folder, else the default; :func:`resolve` says which.  Nothing is cached:
a setting is read where it is used.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from galaxyds.errors import CredentialsError, UsageError


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
    if path.is_file():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path} is not valid TOML: {error}", path=str(path)) from error
        key = variable.removeprefix("GALAXYDS_").lower()
        if key in values:
            return Resolved(str(values[key]), f"config file ({path})")
    return Resolved(default, "default")


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
    """
    if root is not None:
        return Path(root).expanduser().absolute()
    import platformdirs

    found = resolve("GALAXYDS_HOME", platformdirs.user_data_dir("galaxyds"))
    return Path(found.value).expanduser().absolute()


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
    user_variable, password_variable = f"GALAXYDS_{archive}_USER", f"GALAXYDS_{archive}_PASSWORD"
    user = os.environ.get(user_variable)
    password = os.environ.get(password_variable)
    if user and not password:
        password = _from_keyring(f"galaxyds-{archive.lower()}", user)
    if not user or not password:
        raise CredentialsError(
            f"{archive} needs an account: register at {register}, then set "
            f"{user_variable} and {password_variable}",
            archive=archive,
        )
    return Credentials(user, password)


def has_credentials(archive: str) -> bool:
    """Whether :func:`credentials` would find an account."""
    try:
        credentials(archive, register="")
    except CredentialsError:
        return False
    return True


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
