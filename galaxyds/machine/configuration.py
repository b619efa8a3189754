"""Every setting that there is, its value and where that came from, and changes of ``config.toml``.

The settings themselves stand beside the archives that use them; here they are put together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from galaxyds import settings
from galaxyds.archives.redact import shown_url
from galaxyds.errors import UsageError, did_you_mean, one_line
from galaxyds.machine.config_file import edit
from galaxyds.settings import Resolved, Setting

_SECRET = re.compile(r"(^|_)(user|password|passwd|token|secret|key|account)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """An archive that wants an account.

    Attributes
    ----------
    archive : str
        As in the names of its variables (``HSC``).
    what : str
        What the account is for.
    register : str
        Page where it is obtained.
    """

    archive: str
    what: str
    register: str


SECRETS = (
    Setting("GALAXYDS_SERVE_TOKEN", "", "what galaxyds serve asks of those who read from it"),
)
"""Variables that only the environment holds, beside those of accounts; never shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A setting as it is now.

    Attributes
    ----------
    key, variable : str
        Its name in the file, and in the environment.
    value, origin, default : str
        In force, where from, and what it would be otherwise; user and query of a URL are left out.
    what : str
        What it decides.
    problem : str
        What is wrong with the value; empty if nothing is.
    """

    key: str
    variable: str
    value: str
    origin: str
    default: str
    what: str
    problem: str = ""


def known_settings() -> tuple[Setting, ...]:
    """Settings that may stand in the environment and in the file, with their defaults."""
    from galaxyds.archives import cadc_settings, deepdip, dust, hsc_settings, sdss_settings, zenodo

    return (
        Setting(settings.HOME, settings.default_home(), "folder of the builds (--root wins)"),
        *sdss_settings.SETTINGS,
        *hsc_settings.SETTINGS,
        *cadc_settings.SETTINGS,
        Setting(zenodo.VARIABLE, zenodo.DEFAULT_URL, "published files of hsc-galaxiesml"),
        Setting(deepdip.VARIABLE, deepdip.DEFAULT_URL, "published files of sdss-mgs"),
        Setting(deepdip.FOLDER_VARIABLE, "", "folder with your own copy of those files"),
        Setting(dust.VARIABLE, dust.DEFAULT_URL, "dust maps"),
        Setting(dust.FOLDER, "", "folder of the dust maps, if they are there already"),
    )


def services() -> tuple[Service, ...]:
    """Archives that want an account, which only the environment and the keyring hold."""
    from galaxyds.archives import hsc_settings, sdss_settings

    return (
        Service(archive="HSC", what="hsc-galaxiesml and hsc-deep with --archive remote",
                register=hsc_settings.REGISTER),
        Service(archive="SDSS", what="GALAXYDS_SDSS_CATALOG=casjobs only",
                register=sdss_settings.REGISTER),
    )  # fmt: skip


def rows() -> tuple[Row, ...]:
    """Every setting as it is now.

    Raises
    ------
    UsageError
        If the file is no TOML or cannot be read.
    """
    settings.read_config(settings.config_file())  # a broken file is one mistake, not one per key
    return tuple(_row(setting) for setting in known_settings())


def strangers() -> tuple[str, ...]:
    """Say which keys of the file mean nothing, one line each.

    Raises
    ------
    UsageError
        If the file is no TOML or cannot be read.
    """
    path = settings.config_file()
    known = [settings.key_of(setting.variable) for setting in known_settings()]
    return tuple(
        f"{path}: {_unknown(key, known)}" for key in settings.read_config(path) if key not in known
    )


def set_value(name: str, value: str) -> Row:
    """Write a setting into the file; its other lines and its comments stay as they are.

    Parameters
    ----------
    name : str
        ``sdss_sas_url`` or ``GALAXYDS_SDSS_SAS_URL``.
    value : str
        A relative folder is made absolute.

    Returns
    -------
    Row
        The setting as it is now; the environment may still win over the file.

    Raises
    ------
    UsageError
        If there is no such setting, it holds a secret, or cannot have that value.
    StorageError
        If the file cannot be written.
    """
    setting = find_setting(name)
    key = settings.key_of(setting.variable)
    if not value.strip():
        raise UsageError(f"{key} cannot be empty: galaxyds config unset {key} restores its default")
    if wrong := problem(setting, value):
        is_url = setting.variable.endswith("_URL")
        shown = shown_url(value) if is_url else one_line(value, 120)
        raise UsageError(f"{key} cannot be '{shown}': {wrong}")
    if _is_folder(setting):
        value = str(Path(value).expanduser().absolute())
    edit(settings.config_file(), settings.key_of(setting.variable), value)
    return _row(setting)


def unset_value(name: str) -> Row:
    """Take a setting out of the file, so that its default holds.

    Raises
    ------
    UsageError
        If there is no such setting, or it does not stand in the file.
    StorageError
        If the file cannot be written.
    """
    setting = find_setting(name)
    edit(settings.config_file(), settings.key_of(setting.variable), None)
    return _row(setting)


def find_setting(name: str) -> Setting:
    """Find a setting of the file by its key or its variable.

    Raises
    ------
    UsageError
        If there is none, or accounts are meant.
    """
    key = settings.key_of(name.upper().replace("-", "_"))
    known = {settings.key_of(setting.variable): setting for setting in known_settings()}
    if key not in known:
        raise UsageError(_unknown(key, list(known)))
    return known[key]


def problem(setting: Setting, value: str) -> str:
    """Say why a setting cannot have a value; empty if it can."""
    if one_line(value, len(value) + 1) != value.strip() or not value.isprintable():
        return "it must be one line of plain text"
    if setting.variable.endswith("_URL"):
        return _problem_of_url(value)
    choices = _choices().get(setting.variable, ())
    if choices and value not in choices:
        return f"{did_you_mean(value, choices)}one of {', '.join(choices)}"
    if _is_folder(setting) and value and (wrong := settings.folder_problem(value)):
        return f"it {wrong}"
    return ""


def _problem_of_url(value: str) -> str:
    if wrong := settings.url_problem(value):
        return f"it {wrong}"
    parts = urlsplit(value)
    if "@" in parts.netloc:
        return "accounts do not belong in a URL"
    if parts.query or parts.fragment:
        return "it must end with its path: a query or fragment may hold a secret"
    return ""


def _choices() -> dict[str, tuple[str, ...]]:
    from galaxyds.archives import cadc_settings

    catalogs = ("skyserver", "casjobs")
    return {cadc_settings.WAY: cadc_settings.WAYS, "GALAXYDS_SDSS_CATALOG": catalogs}


def _is_folder(setting: Setting) -> bool:
    return setting.variable.endswith(("_HOME", "_DIR"))


def _row(setting: Setting) -> Row:
    try:
        found, wrong = settings.resolve(setting.variable, setting.default), ""
    except UsageError as error:
        found, wrong = Resolved("", f"config file ({settings.config_file()})"), error.message
    is_url = setting.variable.endswith("_URL")
    return Row(
        key=settings.key_of(setting.variable),
        variable=setting.variable,
        value=shown_url(found.value) if is_url else one_line(found.value),
        origin=found.origin,
        default=setting.default,
        what=setting.meaning,
        problem=wrong or problem(setting, found.value),
    )


def _unknown(key: str, known: list[str]) -> str:
    if key == "config":
        return "GALAXYDS_CONFIG names the file itself: set it in the environment"
    if _SECRET.search(key):
        archive = "SDSS" if key.startswith("sdss") else "HSC"
        user, password = (settings.account_variable(archive, w) for w in ("USER", "PASSWORD"))
        return (
            f"'{one_line(key, 60)}' belongs to an account, which no file of galaxyds holds: set "
            f"{user} and {password} in the environment, or keep the password in the system's "
            f"keyring (keyring set galaxyds-{archive.lower()} USER)"
        )
    hint = did_you_mean(key, known)
    return f"there is no setting '{one_line(key, 60)}': {hint}all of them: galaxyds config"
