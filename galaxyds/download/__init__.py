"""Published builds, brought here from a hub."""

from galaxyds.download.fetch import Fetched, fetch

__all__ = ["Fetched", "fetch"]
