"""The contract that every dataset must pass; subclass it in your own tests."""

from galaxyds.testing.contract import DatasetContract

__all__ = ["DatasetContract"]
