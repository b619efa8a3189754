"""Settings of the HSC archive: environment variables, defaults, the account, in one place."""

from __future__ import annotations

import ipaddress

import urllib3

from galaxyds import settings
from galaxyds.archives.redact import REDACTION, shown_url
from galaxyds.errors import CredentialsError, UsageError, one_line
from galaxyds.settings import Setting

RERUN = "pdr2_wide"
"""Rerun of the coadds: part of every list, and of the names of the files that come back."""
REGISTER = "https://hsc-release.mtk.nao.ac.jp/datasearch/new_user/new"
"""Where an account is obtained; the page's address is not verified."""

SETTINGS = (
    Setting(
        "GALAXYDS_HSC_CATALOG_URL",
        "https://hsc-release.mtk.nao.ac.jp/datasearch/api/catalog_jobs/",
        "catalogue jobs",
    ),
    Setting(
        "GALAXYDS_HSC_CUTOUT_URL",
        "https://hsc-release.mtk.nao.ac.jp/das_cutout/pdr2/cgi-bin/cutout",
        "cutouts by list",
    ),
    Setting(
        "GALAXYDS_HSC_PSF_URL",
        "https://hsc-release.mtk.nao.ac.jp/psf/pdr2/cgi/getpsf",
        "point-spread functions by list",
    ),
)
_DEFAULTS = {setting.variable: setting.default for setting in SETTINGS}
ADVICE = f"register at {REGISTER}, then set GALAXYDS_HSC_USER and GALAXYDS_HSC_PASSWORD"


def base_url(variable: str) -> str:
    """Return the base URL that a setting of :data:`SETTINGS` names now.

    Raises
    ------
    UsageError
        If its value is no http(s) URL, or would send the account in clear text.
    """
    found = settings.url(variable, _DEFAULTS[variable])
    require_private(found, variable)
    return found


def require_private(url: str, variable: str) -> None:
    """Refuse an address to which an account would travel in clear text.

    Parameters
    ----------
    url : str
        Where the account is to be sent.
    variable : str
        Setting that holds the address, for the message.

    Raises
    ------
    UsageError
        If it is neither https nor this machine.
    """
    try:
        # As the session itself splits it: another parser could see another host.
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        raise UsageError(f"{variable} is no URL: {one_line(url, 120)}") from None
    if parts.scheme == "https" or _is_loopback(parts.host or ""):
        return
    raise UsageError(
        f"{variable} is {shown_url(url)}, to which your account would travel in clear text: use an "
        "https address",
        variable=variable,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def account(url: str, variable: str) -> settings.Credentials:
    """Return the account as it is set now; from here on its password shows in no log or error.

    Parameters
    ----------
    url, variable : str
        Where it is to be sent, and the setting that says so.

    Raises
    ------
    CredentialsError
        If there is none.
    UsageError
        As :func:`require_private`.
    """
    require_private(url, variable)
    found = settings.credentials("HSC", register=REGISTER)
    REDACTION.conceal(found.password)
    return found


def refused(error: CredentialsError) -> CredentialsError:
    """Add to a service's refusal where an account is obtained and what to set."""
    if "status" not in error.values:
        return error  # there is no account, and the message says so
    return CredentialsError(f"{error.message}; {ADVICE}", **error.values)
