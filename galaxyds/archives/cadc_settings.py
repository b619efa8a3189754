"""Settings of the CADC and VizieR archives: environment variables, defaults, meanings."""

from __future__ import annotations

from galaxyds import settings
from galaxyds.errors import UsageError
from galaxyds.settings import Setting

_CADC = "https://ws.cadc-ccda.hia-iha.nrc-cnrc.gc.ca"
TAP, SODA, DATA = "GALAXYDS_CADC_TAP_URL", "GALAXYDS_CADC_SODA_URL", "GALAXYDS_CADC_DATA_URL"
WAY = "GALAXYDS_CADC_CUTOUTS"
VIZIER = "GALAXYDS_VIZIER_URL"
WAYS = ("auto", "soda", "tiles")
"""How cutouts are made: by the service, out of whole tiles, or tiles where the service refuses."""

SETTINGS = (
    Setting(TAP, f"{_CADC}/argus", "catalogue of the archive's holdings (TAP)"),
    Setting(SODA, f"{_CADC}/caom2ops/sync", "cutouts (SODA)"),
    Setting(DATA, f"{_CADC}/data/pub", "whole files"),
    Setting(WAY, "auto", "who makes CFHTLS cutouts: soda, tiles, or auto for whoever can"),
    Setting(VIZIER, "https://vizier.cds.unistra.fr", "published catalogues (VizieR)"),
)
_DEFAULTS = {setting.variable: setting.default for setting in SETTINGS}


def base_url(variable: str) -> str:
    """Return the URL that a setting of :data:`SETTINGS` names now, without a trailing slash.

    Raises
    ------
    UsageError
        If its value is no http(s) URL.
    """
    return settings.url(variable, _DEFAULTS[variable])


def chosen_way() -> str:
    """Return one of :data:`WAYS`, as the setting names it now.

    Raises
    ------
    UsageError
        If it names another.
    """
    found = settings.resolve(WAY, _DEFAULTS[WAY])
    if found.value not in WAYS:
        raise UsageError(
            f"{WAY} must be one of {', '.join(WAYS)}, got '{found.value}' from the {found.origin}"
        )
    return found.value
