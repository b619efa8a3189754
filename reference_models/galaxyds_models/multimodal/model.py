"""The multimodal network of Ait-Ouahmed et al. 2023 (paper 003) and its single-modality baseline.

image (B, bands, 64, 64)
  -> per modality: conv 5x5, conv 3x3, inception blocks       parallel part, 64 -> 32 (-> 16 -> 8)
  -> concatenated                                             fusion after 0, 1, 2, 4 or 6 blocks
  -> the other inception blocks of eight                      common part, 8 in the end
  -> three 3x3 convolutions without padding, average          8 -> 6 -> 4 -> 2 -> 1: 96 features
  -> with E(B-V): two hidden layers, classes and a redshift
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Batch, Estimator, Facts, Outputs, full_precision
from galaxyds_models.multimodal.config import (
    DEPTH,
    PARALLEL,
    POOLED,
    HeadConfig,
    ModalityConfig,
    MultimodalConfig,
    Route,
)
from galaxyds_models.multimodal.heads import (
    RedshiftHead,
    choose_grid,
    class_loss,
    pdf_estimates,
    residual_loss,
)
from galaxyds_models.multimodal.inception import Cross, InceptionBank
from galaxyds_models.multimodal.layers import concatenate
from galaxyds_models.multimodal.modalities import (
    Modality,
    by_size,
    modalities,
    name_of,
    positions,
)
from galaxyds_models.multimodal.trunk import Branches, Common, Design
from galaxyds_models.redshift_grid import RedshiftGrid


class Multimodal(Estimator):
    """Modalities in parallel, merged, and mapped to a redshift.

    Parameters
    ----------
    design : Design
        Layers.
    chosen : ModalityConfig
        Which bands are seen together.
    head : HeadConfig
        What is learnt.
    route : str
        How modalities of one size are run.
    facts : Facts
        Bands, size and redshifts of the data.

    Raises
    ------
    UsageError
        If the bands or the size of the images do not suit.
    """

    owner: Tensor

    def __init__(
        self,
        design: Design,
        chosen: ModalityConfig,
        *,
        head: HeadConfig,
        route: Route,
        facts: Facts,
    ) -> None:
        super().__init__()
        _check_size(facts.size, design.pooled)
        self.head_config = replace(head, grid=head.grid or choose_grid(facts.redshift_range))
        self.route = route
        self.dropout = chosen.dropout
        groups = by_size(_choose(facts.bands, chosen))
        self.modalities = tuple(modality for group in groups for modality in group)
        self.without = _without(chosen.without, self.modalities)
        branches = [Branches(positions(g, facts.bands), len(facts.bands), design) for g in groups]
        self.branches = nn.ModuleList(branches)
        widths = [branch.outputs for branch in branches for _ in range(branch.count)]
        owner = torch.tensor([index for index, width in enumerate(widths) for _ in range(width)])
        self.register_buffer("owner", owner, persistent=False)  # modality of each channel
        self.common = Common(sum(widths), groups, design)
        hidden = design.widths.of(design.widths.hidden)
        self.head = RedshiftHead(self.common.outputs + 1, hidden, self.head_config)

    def forward(self, batch: Batch) -> Outputs:
        """Return ``logits`` (B, bins) and ``redshift`` (B,), where they are learnt.

        In evaluation also ``logits.NAME``, without the modality of that name.
        """
        features, ebv = self.extract(batch["image"]), batch["ebv"]
        if self.training:
            return self.read(self.drop_some(features) if self.dropout else features, ebv)
        outputs = self.read(features, ebv)
        for name, index in self.without.items():
            partial = self.read(self.keep(features, self.modality_numbers() != index), ebv)
            outputs |= {f"{key}.{name}": value for key, value in partial.items()}
        return outputs

    def extract(self, image: Tensor) -> Tensor:
        """Run the parallel part: (B, bands, r, c) to (B, channels, r', c')."""
        grouped = self.grouped(image)
        return concatenate([branch(image, grouped) for branch in self.branches])

    def read(self, features: Tensor, ebv: Tensor) -> Outputs:
        """Run the common part on features (B, channels, r', c') and E(B-V) (B, 1)."""
        latent = self.common(features, self.grouped(features))
        with full_precision(latent):
            outputs: Outputs = self.head(torch.cat([latent.float(), ebv.float()], 1))
        return outputs

    def grouped(self, x: Tensor) -> bool:
        """Whether modalities of one size run as one convolution where ``x`` is."""
        return x.is_cuda if self.route == "auto" else self.route == "grouped"

    def modality_numbers(self) -> Tensor:
        """0, 1, ... for each modality, on the network's device."""
        return torch.arange(len(self.modalities), device=self.owner.device)

    def keep(self, features: Tensor, kept: Tensor) -> Tensor:
        """Set the features of modalities that are not kept, bool (modalities,), to zero."""
        return features * kept[self.owner].to(features.dtype)[:, None, None]

    def drop_some(self, features: Tensor) -> Tensor:
        """Drop 0 to ``dropout`` modalities, each number equally likely (Sect. 7.4).

        The others are not made larger for it.  The draw is tensors only: no shape and no branch
        depends on it.
        """
        draws = torch.rand(len(self.modalities) + 1, device=features.device)
        rank = draws[1:].argsort().argsort()
        return self.keep(features, rank >= (draws[0] * (self.dropout + 1)).floor())

    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy, residual, and their sum (paper 003, Eq. 1)."""
        terms: dict[str, Tensor] = {}
        redshift = batch["redshift"].float()
        if "logits" in outputs:
            terms["cross_entropy"] = class_loss(outputs["logits"], redshift, self.grid)
        if "redshift" in outputs:
            kind = self.head_config.residual
            terms[kind] = residual_loss(outputs["redshift"].float(), redshift, kind)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def estimates(self, outputs: Outputs) -> dict[str, Tensor]:
        """``z``, the median of the PDF (Sect. 5.1), or the regression where there is no PDF."""
        if "logits" not in outputs:
            found = {"z": outputs["redshift"].float()}
        else:
            found = pdf_estimates(outputs["logits"], self.grid)
            found["z"] = found.pop("z_median")
        for name in self.without:
            found[f"z.without-{name}"] = self._estimate(outputs, f".{name}")
        return found

    def _estimate(self, outputs: Outputs, suffix: str) -> Tensor:
        logits = outputs.get(f"logits{suffix}")
        if logits is None:
            return outputs[f"redshift{suffix}"].float()
        return self.grid.median(logits.float().softmax(-1))

    @property
    def grid(self) -> RedshiftGrid:
        """Redshift bins of the classes."""
        if self.head_config.grid is None:
            raise UsageError("the network has no redshift bins: give its head a grid")
        return self.head_config.grid

    def edges(self) -> Tensor | None:
        """Bin edges, or None of a network that only regresses."""
        return None if self.head_config.targets == "regression" else self.grid.edges()


def build(config: MultimodalConfig, facts: Facts) -> Multimodal:
    """Make the inception network for a dataset.

    Parameters
    ----------
    config : MultimodalConfig
        Widths, modalities, fusion.
    facts : Facts
        Bands, size and redshifts of the data.
    """
    widths = config.widths

    def block(count: int, inputs: int, bands: int | None) -> InceptionBank:
        return InceptionBank(count, inputs, widths.block_of(bands))

    def cross(count: int, inputs: int, bands: int) -> Cross:
        return Cross(count, inputs, widths.block_of(bands))

    design = Design(
        depth=DEPTH,
        parallel=PARALLEL[config.fusion],
        pooled=POOLED,
        stem=(widths.conv1, widths.conv2),
        widths=widths,
        block=block,
        cross=cross if config.merge == "cross" else None,
    )
    return Multimodal(design, config.modalities, head=config.head, route=config.route, facts=facts)


def _choose(bands: Sequence[str], chosen: ModalityConfig) -> tuple[Modality, ...]:
    if not bands:
        raise UsageError("the multimodal network needs images: choose a dataset with cutouts")
    return modalities(
        bands,
        chosen.size,
        orders=chosen.orders,
        singles=chosen.singles,
        together=chosen.together,
    )


def _without(wanted: str | None, known: Sequence[Modality]) -> dict[str, int]:
    """Numbers of the modalities to do without, by name."""
    numbers = {name_of(modality): index for index, modality in enumerate(known)}
    if wanted in (None, "each"):
        return numbers if wanted else {}
    if wanted not in numbers:
        raise UsageError(f"no modality '{wanted}': choose {', '.join(numbers)}, each", name=wanted)
    return {wanted: numbers[wanted]}


def _check_size(size: int, pooled: Sequence[int]) -> None:
    smallest = 7 << len(pooled)
    if size < smallest:
        raise UsageError(
            f"images of {size} pixels: the network halves them {len(pooled)} times and needs "
            f"{smallest}; choose a config with larger cutouts",
            size=size,
        )
