"""Settings of the SDSS archive: environment variables, defaults, meanings, in one place."""

from __future__ import annotations

from galaxyds import settings
from galaxyds.settings import Setting

REGISTER = "https://apps.sciserver.org/login-portal/register"

SETTINGS = (
    Setting("GALAXYDS_SDSS_SKYSERVER_URL", "https://skyserver.sdss.org", "catalogue queries"),
    Setting("GALAXYDS_SDSS_SAS_URL", "https://data.sdss.org/sas", "imaging frames"),
    Setting(
        "GALAXYDS_SDSS_CASJOBS_URL",
        "https://skyserver.sdss.org/CasJobs/RestApi",
        "queries in batch, with an account",
    ),
    Setting(
        "GALAXYDS_SDSS_AUTH_URL",
        "https://apps.sciserver.org/login-portal/keystone/v3/tokens",
        "login for CasJobs",
    ),
    Setting("GALAXYDS_SDSS_CATALOG", "skyserver", "who is asked for rows: skyserver or casjobs"),
)
_DEFAULTS = {setting.variable: setting.default for setting in SETTINGS}


def base_url(variable: str) -> str:
    """Return the base URL that a setting of :data:`SETTINGS` names now.

    Raises
    ------
    UsageError
        If its value is no http(s) URL.
    """
    return settings.url(variable, _DEFAULTS[variable])


def chosen_catalog() -> str:
    """Return the service that is to be asked for rows, as the setting names it now."""
    return settings.resolve("GALAXYDS_SDSS_CATALOG", _DEFAULTS["GALAXYDS_SDSS_CATALOG"]).value
