"""Loading a build: a torch dataset over the mapped pixels, and batches gathered ahead.

Importing this package imports torch.
"""

from galaxyds.errors import missing_extra

try:
    import torch  # noqa: F401
except ImportError as error:
    raise missing_extra("torch", "torch", "Loading a dataset") from error

from galaxyds.loaders.batches import BatchLoader
from galaxyds.loaders.dataset import GalaxyDataset, Samples, collate

__all__ = ["BatchLoader", "GalaxyDataset", "Samples", "collate"]
