"""Plain networks of 5, 10 or 21 convolutions, with or without modalities (paper 003, Sect. 7.1).

The paper gives their number of layers only.  Ours are the inception network with 3x3 convolutions
in place of its blocks: 5x5 and 3x3 at the start, ``layers`` - 5 in the middle, of which a quarter
is parallel as in early fusion, three without padding at the end.  21 layers are two per inception
block, which is how deep a block is.
"""

from __future__ import annotations

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Facts
from galaxyds_models.multimodal.config import DEPTH, PARALLEL, POOLED, PlainConfig
from galaxyds_models.multimodal.layers import ReluBank
from galaxyds_models.multimodal.model import Multimodal
from galaxyds_models.multimodal.trunk import Design


def build_plain(config: PlainConfig, facts: Facts) -> Multimodal:
    """Make a plain network for a dataset.

    Parameters
    ----------
    config : PlainConfig
        Layers, widths, modalities.
    facts : Facts
        Bands, size and redshifts of the data.

    Raises
    ------
    UsageError
        If there are fewer than 5 layers.
    """
    if config.layers < 5:
        raise UsageError(
            f"a plain network of {config.layers} layers: two at the start and three at the end "
            "are fixed; choose 5 or more",
            layers=config.layers,
        )
    widths, middle = config.widths, config.layers - 5

    def block(count: int, inputs: int, bands: int | None) -> ReluBank:
        base = widths.common if bands is None else widths.parallel
        return ReluBank(count, inputs, (widths.of(base, bands or 1),), kernel=3)

    design = Design(
        depth=middle,
        parallel=middle * PARALLEL["early"] // DEPTH,
        pooled=tuple(round(middle * at / DEPTH) for at in POOLED),
        stem=(widths.parallel, widths.parallel),
        widths=widths,
        block=block,
    )
    return Multimodal(design, config.modalities, head=config.head, route=config.route, facts=facts)
