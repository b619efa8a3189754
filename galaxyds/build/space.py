"""How much disk a build needs, told before it begins and asked for when it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxyds.build.context import Context

SHARD_OVERHEAD = 1.02
"""A shard's size over that of its pixels (zip members, ids)."""
HUB_SHARE = 0.87
"""Size of the Parquet copy over that of the pixels (measured on SDSS-like noise)."""


def shard_bytes(context: Context, rows: int) -> int:
    """Bytes of all shards: cutouts of the largest config, and point-spread functions."""
    bands, size, _ = context.spec.image_shape()
    pixels = bands * (size**2 + context.spec.pixels.psf_size**2)
    return int(SHARD_OVERHEAD * 4 * rows * pixels)


def product_bytes(context: Context, rows: int) -> int:
    """Bytes of what is published: HDF5 and hub folder of every product."""
    shapes = (context.spec.of(product.name).image_shape() for product in context.products)
    pixels = sum(int(np.prod(shape)) for shape in shapes)
    return int((1 + HUB_SHARE) * 4 * rows * pixels)


def held(folder: Path) -> int:
    """Bytes of the files below a folder: what an interrupted run has already paid for."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
