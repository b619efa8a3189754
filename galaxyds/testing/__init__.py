"""The contracts that every dataset and every catalogue archive must pass; subclass them."""

from galaxyds.testing.archives import CatalogContract
from galaxyds.testing.builds import simulated_build
from galaxyds.testing.contract import DatasetContract
from galaxyds.testing.filled import unfilled

__all__ = ["CatalogContract", "DatasetContract", "simulated_build", "unfilled"]
