"""A small build as objects, and a small network, for tests of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from galaxyds.loaders import GalaxyDataset
from galaxyds_models.estimator import Estimator
from galaxyds_models.objects import Objects
from galaxyds_models.recipe import ImageInput, Inputs, Optimiser, Recipe
from tests.small_build import SPEC, make_build


class TinySky(GalaxyDataset):
    @classmethod
    def declaration(cls):
        return SPEC


def tiny_objects(home, split="train", *, rows=200) -> Objects:
    """Objects of the tiny build below ``home``, made if it is not there."""
    if not (home / "tiny_sky").exists():
        make_build(home, rows)
    dataset = TinySky(split, root=home, columns=["redshift"])
    known = dataset.values(np.arange(len(dataset)))
    redshift = known["redshift"].numpy()
    rng = np.random.default_rng(len(dataset))
    magnitudes = (20 + redshift[:, None] * [0.5, 0.3, 0.1]).astype("f4")
    magnitudes += rng.normal(0, 0.02, magnitudes.shape).astype("f4")
    return Objects(
        address="tiny-sky/extended",
        version="1.2.0",
        manifest="0" * 64,
        simulated=True,
        nature="made for tests",
        split=split,
        division=0,
        object_id=known["object_id"].numpy(),
        redshift=redshift,
        filters=("u", "g", "r"),
        magnitudes=magnitudes,
        errors=np.full_like(magnitudes, 0.02),
        ebv=np.full((len(dataset), 1), 0.03, "f4"),
        bands=("u", "g", "r"),
        dataset=dataset,
        rows=np.arange(len(dataset)),
        redshift_range=(1.0, 5.0),
    )


@dataclass(frozen=True)
class TinyConfig:
    width: int = 8
    dropout: float = 0.0


class TinyNetwork(Estimator):
    """A convolution and the magnitudes to one number, with dropout and batch normalisation."""

    def __init__(self, config: TinyConfig = TinyConfig(), *, normalise: bool = True) -> None:
        super().__init__()
        width = config.width
        self.convolution = nn.Conv2d(3, width, 3, padding=1)
        self.normalise = nn.BatchNorm2d(width) if normalise else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Sequential(nn.Linear(width + 3, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, batch):
        maps = torch.relu(self.normalise(self.convolution(batch["image"])))
        joined = torch.cat([maps.mean((2, 3)), batch["magnitudes"]], 1)
        return {"z": self.head(self.dropout(joined)).squeeze(1)}

    def objective(self, outputs, batch):
        return {"loss": (outputs["z"].float() - batch["redshift"]).square().mean()}

    def estimates(self, outputs):
        return {"z": outputs["z"].float()}


INPUTS = Inputs(image=ImageInput(), photometry=("magnitudes",))
RECIPE = Recipe(
    name="tiny",
    about="for tests",
    config=TinyConfig(dropout=0.2),
    inputs=INPUTS,
    optimiser=Optimiser(lr=3e-3),
    batch_size=16,
    epochs=3,
)
WITHOUT_IMAGES = replace(RECIPE, inputs=Inputs(photometry=("magnitudes",)))
