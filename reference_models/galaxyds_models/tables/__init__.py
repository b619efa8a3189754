"""Real photometric tables as benchmarks: the user's file, held to a declaration."""

from galaxyds_models.tables.declared import TABLES, Identity, PhotometricTable
from galaxyds_models.tables.opening import get_table, open_any, open_table

__all__ = ["TABLES", "Identity", "PhotometricTable", "get_table", "open_any", "open_table"]
