"""Hyper-parameters of the multimodal networks: widths, modalities, fusion, losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from galaxyds_models.redshift_grid import RedshiftGrid

Stage = Literal["extremely-early", "very-early", "early", "middle", "late"]
Targets = Literal["both", "classification", "regression"]
Residual = Literal["mae", "rmse", "nmae"]
Route = Literal["auto", "grouped", "loop"]

PARALLEL: dict[Stage, int] = {
    "extremely-early": 0,
    "very-early": 1,
    "early": 2,
    "middle": 4,
    "late": 6,
}
"""Inception blocks before the fusion (paper 003, Sect. 4.3 and 5.2.1)."""

DEPTH = 8
"""Inception blocks that every modality goes through (paper 003, Fig. 1)."""

POOLED = (0, 3, 5)
"""Blocks before which images are halved, counted from 0 (paper 003, Fig. 1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockWidths:
    """Channels of one inception block.

    Attributes
    ----------
    reduce : int
        Of each of the three 1x1 convolutions before the 5x5, the 3x3 and the pool.
    kernels : int
        Of the 5x5 and of the 3x3 convolution.
    direct : int
        Of the 1x1 convolution that goes straight to the output.
    """

    reduce: int
    kernels: int
    direct: int

    @property
    def outputs(self) -> int:
        """Channels after concatenation."""
        return 2 * self.kernels + self.reduce + self.direct


@dataclass(frozen=True, kw_only=True, slots=True)
class Widths:
    """Channels of a network: per band in the parallel part, absolute in the common one.

    The paper gives none.  Its Table C.1 (trainable parameters of 13 networks) fixes that every
    width of a parallel branch is proportional to the number of bands, and all but fixes the sizes;
    the default reproduces the 13 rows within 0.009 million.

    Attributes
    ----------
    conv1, conv2 : int
        First two convolutions, per band.
    block : BlockWidths
        Inception blocks of a branch, per band.
    common : BlockWidths
        Inception blocks after the fusion.
    tail : int
        Convolutions without padding, and so the latent space: 96 (Sect. 3.2).
    hidden : int
        Fully connected layers.
    scale : float
        Factor on all of them.
    multiple : int
        Every width is rounded to a multiple of it: 8 suits tensor cores.
    """

    conv1: int = 50
    conv2: int = 50
    block: BlockWidths = BlockWidths(reduce=30, kernels=46, direct=31)
    common: BlockWidths = BlockWidths(reduce=100, kernels=155, direct=108)
    tail: int = 96
    hidden: int = 1024
    scale: float = 1.0
    multiple: int = 1

    def of(self, width: int, bands: int = 1) -> int:
        """Scale and round the width of a layer for a modality of so many bands."""
        exact = width * bands * self.scale / self.multiple
        return max(1, round(exact)) * self.multiple

    def block_of(self, bands: int | None) -> BlockWidths:
        """Widths of a block of a branch of so many bands; None is a common one."""
        base = self.common if bands is None else self.block
        return BlockWidths(
            reduce=self.of(base.reduce, bands or 1),
            kernels=self.of(base.kernels, bands or 1),
            direct=self.of(base.direct, bands or 1),
        )


TABLE_C1 = Widths(
    conv1=74,
    conv2=36,
    block=BlockWidths(reduce=32, kernels=42, direct=36),
    common=BlockWidths(reduce=101, kernels=156, direct=109),
)
"""All 13 rows of Table C.1 to their printed digits; common blocks as Lin et al. published them."""

FAST = Widths(multiple=8)
"""The default rounded to multiples of 8."""

TABLE_C1_BINS: dict[str, int] = {"default": 943, "table_c1": 871}
"""Redshift bins with which each set of widths reproduces Table C.1.  The table does not tell heads
from body, so these are not the paper's grid, which it does not state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """What is learnt.

    Attributes
    ----------
    targets : str
        ``both`` is cross-entropy plus the residual with equal weights (paper 003, Eq. 1).
    residual : str
        Loss of the regression (App. A): ``mae``, ``rmse``, or ``nmae``, abs(dz) / (1 + z).
    grid : RedshiftGrid or None
        Classes; None chooses by :func:`galaxyds_models.multimodal.heads.choose_grid`.
    """

    targets: Targets = "both"
    residual: Residual = "mae"
    grid: RedshiftGrid | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModalityConfig:
    """Which bands are seen together, and when they are merged.

    Attributes
    ----------
    size : int or None
        Bands per modality; None is one modality of all bands, the paper's baseline.
    orders, singles, together
        As of :func:`galaxyds_models.multimodal.modalities.modalities`.
    dropout : int
        At most so many modalities are dropped in a training step (Sect. 7.4 has 5).
    without : str or None
        In evaluation, also estimate without this modality (``g_r``), or without ``each`` in turn.
    """

    size: int | None = 2
    orders: tuple[int, ...] = (1,)
    singles: bool = False
    together: bool = False
    dropout: int = 0
    without: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MultimodalConfig:
    """The inception network of paper 003.

    Attributes
    ----------
    modalities, widths, head
        See there.
    fusion : str
        After 0, 1, 2, 4 or 6 inception blocks.
    merge : str
        ``concat``, or ``cross`` (Sect. 4.3; :class:`~galaxyds_models.multimodal.inception.Cross`).
    route : str
        ``grouped`` runs modalities of one size as one grouped convolution, ``loop`` one by one;
        the answers are the same.  ``auto`` is grouped on a GPU, a loop elsewhere.
    """

    modalities: ModalityConfig = ModalityConfig()
    widths: Widths = Widths()
    head: HeadConfig = HeadConfig()
    fusion: Stage = "early"
    merge: Literal["concat", "cross"] = "concat"
    route: Route = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainWidths:
    """Channels of a plain network; the paper gives none, these are ours.

    Attributes
    ----------
    parallel : int
        Every layer of a branch, per band.
    common : int
        Every layer after the fusion.
    tail, hidden, scale
        As of :class:`Widths`.
    """

    parallel: int = 50
    common: int = 256
    tail: int = 96
    hidden: int = 1024
    scale: float = 1.0

    def of(self, width: int, bands: int = 1) -> int:
        """Scale the width of a layer for a modality of so many bands."""
        return max(1, round(width * bands * self.scale))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainConfig:
    """A plain network of 5, 10 or 21 convolutions (paper 003, Sect. 7.1)."""

    layers: int = 10
    modalities: ModalityConfig = ModalityConfig()
    widths: PlainWidths = PlainWidths()
    head: HeadConfig = HeadConfig()
    route: Route = "auto"
