"""The cross-modal quasar model of Zhang et al. (2023), papers 000 and 001.

Two encoders, a generator from each modality's features to the other's, a discriminator for each
modality behind a gradient reversal, a head for the extinctions, a head for the redshift.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxyds_models.crossmodal.adversarial import Discriminator, modality_loss
from galaxyds_models.crossmodal.config import CrossModalConfig
from galaxyds_models.crossmodal.contrast import contrastive_loss
from galaxyds_models.crossmodal.heads import redshift_head
from galaxyds_models.crossmodal.layers import mlp
from galaxyds_models.crossmodal.photometry import GammaEncoder, TokenEncoder
from galaxyds_models.crossmodal.resnet import ResNet
from galaxyds_models.estimator import Batch, Estimator, Facts, Outputs, Point, full_precision
from galaxyds_models.redshift_grid import RedshiftGrid

GENERATED_PHOTOMETRY = "z.generated-photometry"
GENERATED_IMAGE = "z.generated-image"
PATTERNS = ("z", GENERATED_PHOTOMETRY, GENERATED_IMAGE)
"""Input patterns of paper 000, Table 1: both real; either one's features made from the other's."""


class PhotometryBranch(nn.Module):
    """From a batch's photometry to features (B, F) in float32 (Eq. 1-3)."""

    def __init__(self, config: CrossModalConfig, facts: Facts) -> None:
        super().__init__()
        own, bands = config.photometry, len(facts.filters)
        self.quantities = ("magnitudes", "errors") if own.errors else ("magnitudes",)
        self.encoder: nn.Module
        if own.kind == "tokens":
            self.encoder = TokenEncoder(bands, features=config.features)
        else:
            self.encoder = GammaEncoder(bands, own, features=config.features, slope=config.slope)

    def forward(self, batch: Batch) -> Tensor:
        """Encode ``magnitudes``, ``colors`` and, where configured, ``errors``."""
        x = torch.stack([batch[quantity].float() for quantity in self.quantities], -1)
        with full_precision(x):
            features: Tensor = self.encoder(x, batch["colors"].float())
        return features


class ImageBranch(nn.Module):
    """From a batch's images to features (B, F) in float32 (Eq. 4); the ResNet may be autocast."""

    def __init__(self, config: CrossModalConfig, facts: Facts) -> None:
        super().__init__()
        own, features = config.image, config.features
        self.resnet = ResNet(len(facts.bands), features, layers=own.layers, width=own.width)
        self.perceptron = (
            mlp((features, features, features), slope=config.slope, activate=True)
            if own.perceptron
            else nn.Sequential()
        )

    def forward(self, batch: Batch) -> Tensor:
        """Encode ``image``."""
        pooled: Tensor = self.resnet(batch["image"])
        with full_precision(pooled):
            features: Tensor = self.perceptron(pooled.float())
        return features


class _RedshiftNetwork(Estimator):
    """What is common to one and two modalities: the redshift head, its loss and its answers."""

    point: ClassVar[Point] = "mean"

    def __init__(self, config: CrossModalConfig, facts: Facts) -> None:
        super().__init__()
        self.config = config
        self.head = redshift_head(config, facts)

    def estimates(self, outputs: Outputs) -> dict[str, Tensor]:
        """Point estimate of each pattern of inputs, and the PDF of the first.

        See :meth:`~galaxyds_models.estimator.Estimator.estimates`.
        """
        points = {key: self.head.point(outputs[key]) for key in PATTERNS if key in outputs}
        return {**points, **self.head.describe(outputs["z"])}

    def edges(self) -> Tensor | None:
        """Bin edges of the PDF, if there is one."""
        return self.head.edges()


class SingleModalNetwork(_RedshiftNetwork):
    """One encoder, the generator of the other modality's features, and the redshift head.

    Parameters
    ----------
    config : CrossModalConfig
        With one modality.
    facts : Facts
        Of the data.
    """

    def __init__(self, config: CrossModalConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        self.photometric = config.modalities == ("photometry",)
        if self.photometric:
            self.encoder: nn.Module = PhotometryBranch(config, facts)
            self.generator = _image_generator(config)
        else:
            self.encoder = ImageBranch(config, facts)
            self.generator = _photometry_generator(config)

    def forward(self, batch: Batch) -> Outputs:
        """Return ``z``, the raw answer of the head."""
        real: Tensor = self.encoder(batch)
        with full_precision(real):
            generated: Tensor = self.generator(real)
            pair = (real, generated) if self.photometric else (generated, real)
            return {"z": self.head(*pair)}

    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return J_z as ``loss``."""
        return {"loss": self.head.loss(outputs["z"], batch["redshift"])}


class CrossModalNetwork(_RedshiftNetwork):
    """The whole model.

    Parameters
    ----------
    config : CrossModalConfig
        With both modalities.
    facts : Facts
        Of the data.
    """

    def __init__(self, config: CrossModalConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        weights, features = config.weights, config.features
        self.photometry = PhotometryBranch(config, facts)
        self.image = ImageBranch(config, facts)
        self.image_generator = _image_generator(config)
        self.photometry_generator = _photometry_generator(config)
        self.photometry_discriminator = _discriminator(config)
        self.image_discriminator = _discriminator(config)
        self.extinction = (
            mlp(
                (features, max(features // 4, 4), len(facts.filters)),
                norm=config.norm,
                slope=config.slope,
            )
            if weights.extinction
            else None
        )
        low, high = facts.redshift_range
        self.classes = RedshiftGrid(low=low, high=high, bins=config.classes)

    def forward(self, batch: Batch) -> Outputs:
        """Return features, discriminators' logits, extinctions, and the raw answers for redshift.

        ``z`` is there always; the other patterns while evaluating, or where they are trained on.
        """
        photometry, image = self.photometry(batch), self.image(batch)
        with full_precision(image):
            false_image = self.image_generator(photometry)
            false_photometry = self.photometry_generator(image)
            outputs: Outputs = {
                "photometry": photometry,
                "image": image,
                "photometry-logits": self.photometry_discriminator(photometry, false_photometry),
                "image-logits": self.image_discriminator(image, false_image),
            }
            if self.extinction is not None:
                outputs["extinctions"] = self.extinction(image)
            if self.training and not self.config.train_generated:
                return outputs | {"z": self.head(photometry, image)}
            first = torch.cat((photometry, false_photometry, photometry))
            second = torch.cat((image, image, false_image))
            return outputs | dict(zip(PATTERNS, self.head(first, second).chunk(3), strict=True))

    def objective(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted sum of Eq. 8 as ``loss``, and its parts.

        While evaluating ``loss`` is J_z alone: of a game of two players the sum says nothing about
        which weights are best.
        """
        parts = self._parts(outputs, batch)
        if not self.training:
            return {"loss": parts["redshift"], **parts}
        weights = self.config.weights
        weighted = [getattr(weights, name) * part for name, part in parts.items()]
        return {"loss": torch.stack(weighted).sum(), **parts}

    def _parts(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        parts = {
            "redshift": self._redshift_loss(outputs, batch["redshift"]),
            "adversarial": modality_loss(outputs["photometry-logits"])
            + modality_loss(outputs["image-logits"]),
        }
        if self.extinction is not None:
            wanted = batch["extinctions"].float()
            parts["extinction"] = functional.mse_loss(outputs["extinctions"].float(), wanted)
        if self.config.weights.contrast:
            classes = self.classes.classes(batch["redshift"])
            parts["contrast"] = contrastive_loss(outputs["photometry"], outputs["image"], classes)
        return parts

    def _redshift_loss(self, outputs: Outputs, redshift: Tensor) -> Tensor:
        keys = PATTERNS if self.config.train_generated else PATTERNS[:1]
        return torch.stack([self.head.loss(outputs[key], redshift) for key in keys]).mean()


def build(config: CrossModalConfig, facts: Facts) -> Estimator:
    """Return the network of a config, for one modality or for both."""
    network = CrossModalNetwork if len(config.modalities) == 2 else SingleModalNetwork
    return network(config, facts)


def _image_generator(config: CrossModalConfig) -> nn.Sequential:
    """From features of photometry to those of an image (Eq. 5)."""
    f = config.features
    return mlp((f, 2 * f, f), norm=config.generator_norm, slope=config.slope, activate=True)


def _photometry_generator(config: CrossModalConfig) -> nn.Sequential:
    """From features of an image to those of photometry (Eq. 5)."""
    f = config.features
    return mlp((f, 2 * f, 4 * f, f), norm=config.generator_norm, slope=config.slope, activate=True)


def _discriminator(config: CrossModalConfig) -> Discriminator:
    return Discriminator(
        config.features, norm=config.norm, slope=config.slope, strength=config.reversal
    )
