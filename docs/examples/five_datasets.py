"""Draw objects of all five datasets, a row each: ``python five_datasets.py ROOT OUT.png``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import galaxyds
from galaxyds.plots import color_composite, figure_class, save

ADDRESSES = ("sdss-qso", "sdss-mgs", "hsc-galaxiesml/64", "cfhtls-wide", "hsc-deep/9band")
COLUMNS = 12
PIXELS = 48  # of the middle


def draw(root: str, output: str) -> None:
    """Draw ``COLUMNS`` objects of each dataset, ordered by redshift."""
    figure = figure_class()(figsize=(9.6, 3.62), dpi=160)
    grid = figure.subplots(len(ADDRESSES), COLUMNS, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for address, cells in zip(ADDRESSES, grid, strict=True):
        dataset = galaxyds.load(address, "all", root=root)
        name = address.split("/")[0]
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for cell, index in zip(cells, at_even_ranks(dataset), strict=True):
            cell.imshow(picture(dataset, index), origin="lower", interpolation="nearest")
    for cell in grid.flat:
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set_visible(False)
    figure.subplots_adjust(left=0.125, right=1, bottom=0, top=1)
    save(figure, Path(output))


def at_even_ranks(dataset: Any) -> list[int]:
    """Objects at even ranks of redshift."""
    order = np.argsort(dataset.values(np.arange(len(dataset)))["redshift"].numpy())
    return [int(order[k]) for k in np.linspace(0, len(order) - 1, COLUMNS).round().astype(int)]


def picture(dataset: Any, index: int) -> np.ndarray:
    """Colours of the middle of a cutout: i, r, g as red, green, blue."""
    image = dataset[index]["image"].numpy()
    edge = (image.shape[-1] - PIXELS) // 2
    planes = image[[dataset.bands.index(band) for band in "irg"], edge:-edge, edge:-edge]
    return color_composite(*planes)


if __name__ == "__main__":
    draw(*sys.argv[1:3])
