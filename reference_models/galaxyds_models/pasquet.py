"""The inception network of Pasquet et al. 2019 (A&A 621, A26), as its released code has it.

image (B, 5, 64, 64) -> conv 5x5, pool                       32
  -> two inception blocks, pool                              16
  -> two inception blocks, pool                              8
  -> one without its 5x5 branch                              348 x 8 x 8
  -> flat, with E(B-V): two hidden layers of 1096, classes   27,596,372 parameters for 180 bins
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Batch, Estimator, Facts, Outputs, Point, full_precision
from galaxyds_models.multimodal.heads import choose_grid, class_loss, pdf_estimates
from galaxyds_models.multimodal.layers import ConvBank, dense, halve, prelu, same_pool
from galaxyds_models.recipe import ImageInput, Inputs, Optimiser, Recipe, Schedule
from galaxyds_models.redshift_grid import RedshiftGrid
from galaxyds_models.registry import Entry

STAGES: tuple[tuple[tuple[int, int, bool], ...], ...] = (
    ((48, 64, True), (64, 92, True)),
    ((92, 128, True), (92, 128, True)),
    ((92, 128, False),),
)
"""Inception blocks between pools: channels before the kernels, of the kernels, with a 5x5."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PasquetConfig:
    """Widths and classes.

    Attributes
    ----------
    conv, hidden : int
        Channels of the first convolution, units of the two hidden layers.
    scale : float
        Factor on every width.
    grid : RedshiftGrid or None
        Classes; None chooses by :func:`galaxyds_models.multimodal.heads.choose_grid`.
    """

    conv: int = 64
    hidden: int = 1096
    scale: float = 1.0
    grid: RedshiftGrid | None = None

    def of(self, width: int) -> int:
        """Scale a width."""
        return max(1, round(width * self.scale))


class PreluConv(nn.Module):
    """Convolutions that share an input, same size, a PReLU slope per channel that starts at 0."""

    def __init__(self, inputs: int, pieces: Sequence[int], *, kernel: int) -> None:
        super().__init__()
        self.conv = ConvBank(1, inputs, pieces, kernel=kernel)
        self.slope = nn.Parameter(torch.zeros(self.conv.outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, r, c) to (B, sum(pieces), r, c)."""
        return prelu(self.conv(x), self.slope)


class Inception(nn.Module):
    """1x1, 1x1 -> 5x5 (or not), 1x1 -> 3x3 and 1x1 -> average pool, concatenated.

    Parameters
    ----------
    inputs : int
        Channels into it.
    reduce, kernels : int
        Channels of the 1x1 convolutions before a kernel or the pool, and of all others.
    five : bool
        Whether it has the 5x5 branch.
    """

    def __init__(self, inputs: int, reduce: int, kernels: int, *, five: bool) -> None:
        super().__init__()
        self.pieces = [kernels, *[reduce] * (2 + int(five))]
        self.outputs = (2 + int(five)) * kernels + reduce
        self.reduce = PreluConv(inputs, self.pieces, kernel=1)
        sizes = (3, 5) if five else (3,)
        self.kernels = nn.ModuleList(PreluConv(reduce, (kernels,), kernel=k) for k in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, r, c) to (B, outputs, r, c)."""
        direct, pooled, *others = torch.split(self.reduce(x), self.pieces, 1)
        kernels = [kernel(part) for kernel, part in zip(self.kernels, others, strict=True)]
        return torch.cat([direct, *kernels, same_pool(pooled)], 1)


class Pasquet(Estimator):
    """Images and E(B-V) to a PDF of the redshift.

    Parameters
    ----------
    config : PasquetConfig
        Widths and classes.
    facts : Facts
        Bands, size and redshifts of the data.

    Raises
    ------
    UsageError
        If there are no images of 8 pixels or more.
    """

    point: ClassVar[Point] = "mean"

    def __init__(self, config: PasquetConfig, facts: Facts) -> None:
        super().__init__()
        if not facts.bands or facts.size < 8:
            raise UsageError("pasquet needs images of at least 8 pixels: choose another dataset")
        self.grid = config.grid or choose_grid(facts.redshift_range)
        self.first = PreluConv(len(facts.bands), (config.of(config.conv),), kernel=5)
        self.stages = nn.ModuleList()
        channels = config.of(config.conv)
        for stage in STAGES:
            blocks = nn.Sequential()
            for reduce, kernels, five in stage:
                block = Inception(channels, config.of(reduce), config.of(kernels), five=five)
                blocks.append(block)
                channels = block.outputs
            self.stages.append(blocks)
        hidden, pixels = config.of(config.hidden), (facts.size // 8) ** 2
        self.hidden1 = dense(channels * pixels + 1, hidden)
        self.hidden2 = dense(hidden, hidden)
        self.classify = dense(hidden, self.grid.bins)

    def forward(self, batch: Batch) -> Outputs:
        """Return ``logits`` (B, bins)."""
        x: Tensor = self.first(batch["image"])
        for stage in self.stages:
            x = stage(halve(x))
        x = torch.cat([x.flatten(1), batch["ebv"].to(x.dtype)], 1)
        x = functional.relu(self.hidden2(functional.relu(self.hidden1(x))))
        with full_precision(x):
            return {"logits": self.classify(x.float())}

    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the bin that holds the redshift."""
        return {"loss": class_loss(outputs["logits"], batch["redshift"], self.grid)}

    def estimates(self, outputs: Outputs) -> dict[str, Tensor]:
        """``z``, the mean of the PDF over bin centres."""
        found = pdf_estimates(outputs["logits"], self.grid)
        del found["z_median"]
        return {"z": found["z_mean"], **found}

    def edges(self) -> Tensor:
        """Bin edges (bins + 1,)."""
        return self.grid.edges()


_INPUTS = Inputs(image=ImageInput(), photometry=("ebv",))
_RECIPES = (
    Recipe(
        name="paper",
        about=(
            "The released network; its code only predicts, so the training is Lin et al.'s for "
            "SDSS (Adam 1e-4, times 0.2 at two fifths) in batches of 128; 37 epochs are the 120,000"
            " steps of the released checkpoint, five networks as in paper 003."
        ),
        config=PasquetConfig(),
        inputs=_INPUTS,
        optimiser=Optimiser(kind="adam", lr=1e-4),
        schedule=Schedule(kind="steps", at=(0.4,), factor=0.2),
        batch_size=128,
        epochs=37,
        members=5,
    ),
    Recipe(
        name="fast",
        about="Ours: one network, batches of 512, one-cycle to 5e-4.",
        config=PasquetConfig(),
        inputs=_INPUTS,
        optimiser=Optimiser(kind="adam", lr=5e-4),
        schedule=Schedule(kind="one-cycle", warmup=0.2),
        batch_size=512,
        epochs=30,
    ),
    Recipe(
        name="small",
        about="Ours, for processors: a quarter of the widths, batches of 32, one-cycle to 1e-3.",
        config=PasquetConfig(scale=0.25),
        inputs=_INPUTS,
        optimiser=Optimiser(kind="adam", lr=1e-3),
        schedule=Schedule(kind="one-cycle", warmup=0.2),
        batch_size=32,
        epochs=10,
    ),
)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="pasquet",
        title="Inception network for SDSS",
        paper="Pasquet et al. 2019",
        recipes=_RECIPES,
        reference=Facts(
            bands=("u", "g", "r", "i", "z"),
            size=64,
            redshift_range=(0.0, 0.4),
            objects=413_220,  # four fifths of 516,525
        ),
        datasets=("sdss-mgs",),
        network=Pasquet,
        differs=(
            (
                "The mean of a PDF is taken over bin centres; the released script takes left "
                "edges, which moves every redshift by half a bin, -0.0011."
            ),
            "The released code has no training; optimiser, schedule and epochs are ours.",
            "Bands are standardised after compression, as in paper 003.",
        ),
    ),
)
