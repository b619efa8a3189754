"""The contracts that every dataset and every catalogue archive must pass; subclass them."""

from galaxyds.testing.archives import CatalogContract
from galaxyds.testing.contract import DatasetContract

__all__ = ["CatalogContract", "DatasetContract"]
