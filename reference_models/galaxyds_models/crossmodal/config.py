"""Hyper-parameters of the quasar model of paper 000."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from galaxyds.errors import UsageError
from galaxyds_models.crossmodal.layers import Norm

Modality = Literal["photometry", "image"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """What each part of the loss counts.

    Attributes
    ----------
    redshift, adversarial, extinction, contrast : float
        Of J_z, J_intra-modal and J_extinction (paper 000, Eq. 8) and of the contrastive loss of the
        authors' later code.  Without a weight of its own there is no extinction head.
    """

    redshift: float = 1.0
    adversarial: float = 0.0
    extinction: float = 0.0
    contrast: float = 0.0

    @classmethod
    def balanced(cls, alpha: float = 0.1, beta: float = 0.1) -> Weights:
        """Eq. 8: alpha J_intra-modal + beta J_extinction + (1 - alpha - beta) J_z.

        The paper gives neither alpha nor beta.  The authors' later code weighs redshift and
        adversarial loss 5 : 0.4, which is alpha = 0.07; it has no extinction loss.

        Raises
        ------
        UsageError
            If a weight would be negative.
        """
        if min(alpha, beta, 1 - alpha - beta) < 0:
            raise UsageError(
                f"alpha = {alpha} and beta = {beta} leave a negative weight of Eq. 8: "
                "choose both at least 0 and their sum at most 1"
            )
        return cls(redshift=1 - alpha - beta, adversarial=alpha, extinction=beta)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotometryConfig:
    """Encoder of the photometry.

    Attributes
    ----------
    kind : str
        ``gamma``: Eq. 1-3 of paper 000.  ``tokens``: the attention of the authors' later code, on
        magnitudes only.
    errors : bool
        X has two columns, magnitudes and errors, or magnitudes only; of ``gamma``.
    layers, hidden : int
        Layers of Eq. 2, and the width inside each; of ``gamma``.
    damped : bool
        Divide Gamma by 1 + mean(X^2); of ``gamma``.
    """

    kind: Literal["gamma", "tokens"] = "gamma"
    errors: bool = True
    layers: int = 2
    hidden: int = 64
    damped: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageConfig:
    """Encoder of the images.

    Attributes
    ----------
    layers : tuple of int
        Blocks of each group of the ResNet; (3, 4, 23, 3) is ResNet-101.
    width : int
        Channels of its stem; 64 in ResNet-101.
    perceptron : bool
        A hidden layer and an activation after it (Eq. 4); the later code has neither.
    """

    layers: tuple[int, ...] = (3, 4, 23, 3)
    width: int = 64
    perceptron: bool = True


EQUATION_8 = Weights.balanced()
"""With alpha = beta = 0.1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossModalConfig:
    """The whole network.

    Attributes
    ----------
    modalities : tuple of str
        Both, or the one that is seen; then the other one's features are always generated.
    photometry, image
        The encoders.
    features : int
        F, of each modality: 512 in paper 000, 256 in the later code.  Hidden layers are fractions
        or multiples of F, as in that code; the paper gives none.
    norm : str
        Batch normalisation in discriminators and heads.
    generator_norm : str
        The same in generators.
    slope : float
        Of the leaky ReLUs below zero.
    components : int
        Gaussians of the redshift PDF; 0 is a point estimate and the mean square error (Eq. 10).
    weights
        Of the losses.
    train_generated : bool
        J_z is the mean over the three patterns of inputs, not of the real pair alone.
    reversal : float
        Strength of the gradient reversal.
    classes : int
        Equal redshift classes of the contrastive loss.
    """

    modalities: tuple[Modality, ...] = ("photometry", "image")
    photometry: PhotometryConfig = PhotometryConfig()
    image: ImageConfig = ImageConfig()
    features: int = 512
    norm: Norm = "every"
    generator_norm: Norm = "input"
    slope: float = 0.2
    components: int = 0
    weights: Weights = EQUATION_8
    train_generated: bool = False
    reversal: float = 1.0
    classes: int = 12
