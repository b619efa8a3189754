"""Open a build of sdss-qso and look at one batch: ``python first_batch.py [ROOT]``."""

from __future__ import annotations

import sys

from galaxyds.datasets import SDSSQuasar
from galaxyds.loaders import BatchLoader

root = sys.argv[1] if len(sys.argv) > 1 else None
train = SDSSQuasar("train", root=root, bands="gri")
print(train)

batch = next(iter(BatchLoader(train, batch_size=32)))
print(f"image {tuple(batch['image'].shape)} {batch['image'].dtype}")
print(f"redshift {batch['redshift'].min():.3f} to {batch['redshift'].max():.3f}")
