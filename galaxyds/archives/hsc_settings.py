"""Settings of the HSC archive: environment variables, defaults, the account, in one place."""

from __future__ import annotations

from galaxyds import settings
from galaxyds.archives.redact import REDACTION
from galaxyds.archives.sdss_settings import Setting
from galaxyds.errors import CredentialsError

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
        If its value is no http(s) URL.
    """
    return settings.url(variable, _DEFAULTS[variable])


def account() -> settings.Credentials:
    """Return the account as it is set now; from here on its password shows in no log or error.

    Raises
    ------
    CredentialsError
        If there is none.
    """
    found = settings.credentials("HSC", register=REGISTER)
    REDACTION.conceal(found.password)
    return found


def refused(error: CredentialsError) -> CredentialsError:
    """Add to a service's refusal where an account is obtained and what to set."""
    if "status" not in error.values:
        return error  # there is no account, and the message says so
    return CredentialsError(f"{error.message}; {ADVICE}", **error.values)
