"""One answer from several networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from galaxyds_models.estimator import Point
from galaxyds_models.redshift_grid import RedshiftGrid

Estimates = dict[str, Tensor]


def combine(
    members: Sequence[Estimates], edges: Tensor | None, *, point: Point = "median"
) -> Estimates:
    """Average what networks estimate.

    PDFs are averaged (paper 003, Sect. 3.4) and their point estimates taken again; a ``sigma``
    becomes that of the mixture of Gaussians; anything else is averaged.

    Parameters
    ----------
    members : sequence of dict
        As :func:`galaxyds_models.train.predict` returns.
    edges : Tensor of float32, shape (bins + 1,), or None
        Of equal bins; None where there is no PDF.
    point : str
        What ``z`` is of a PDF.

    Returns
    -------
    dict of str to Tensor
        With the same keys.
    """
    if len(members) == 1:
        return members[0]
    stacked = {name: torch.stack([m[name] for m in members]) for name in members[0]}
    combined = {name: values.mean(0) for name, values in stacked.items()}
    if "sigma" in stacked:
        second = (stacked["sigma"] ** 2 + stacked["z"] ** 2).mean(0)
        combined["sigma"] = (second - combined["z"] ** 2).clamp_min(0).sqrt()
    if "pdf" in stacked and edges is not None:
        grid = RedshiftGrid(low=edges[0].item(), high=edges[-1].item(), bins=len(edges) - 1)
        combined["z"] = (grid.mean if point == "mean" else grid.median)(combined["pdf"])
        combined["z_mean"] = grid.mean(combined["pdf"])
        combined["z_mode"] = grid.mode(combined["pdf"])
    return combined
