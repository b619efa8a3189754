"""Turning a finished table and its pixels into a published build: files, hub folder, card."""

from galaxyds.publish.hub import write_hub
from galaxyds.publish.product import split_counts, write_product

__all__ = ["split_counts", "write_hub", "write_product"]
