"""The cross-modal adversarial quasar model of Zhang et al. (2023)."""

from galaxyds_models.crossmodal.differences import DIFFERS
from galaxyds_models.crossmodal.model import build
from galaxyds_models.crossmodal.recipes import RECIPES
from galaxyds_models.estimator import Facts
from galaxyds_models.registry import Entry

ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="crossmodal",
        title="Cross-modal adversarial learning between photometry and images",
        paper="Zhang, Wang, Qu, Zhang & Jiang 2023, A cross-modal adversarial learning method for "
        "estimating photometric redshift of quasars",
        recipes=RECIPES,
        reference=Facts(
            bands=tuple("ugriz"), size=64, filters=tuple("ugriz"), redshift_range=(1.0, 5.0)
        ),
        datasets=("sdss-qso",),
        network=build,
        differs=DIFFERS,
    ),
)
"""What the registry finds here."""
