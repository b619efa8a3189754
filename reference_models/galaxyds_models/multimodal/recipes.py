"""Recipes of the networks of paper 003, and what of them the paper does not state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from galaxyds_models.multimodal.config import (
    FAST,
    PARALLEL,
    TABLE_C1,
    ModalityConfig,
    MultimodalConfig,
    PlainConfig,
    PlainWidths,
    Stage,
    Widths,
)
from galaxyds_models.recipe import ImageInput, Inputs, Optimiser, Recipe, Schedule

INPUTS = Inputs(image=ImageInput(), photometry=("ebv",))
"""Compressed, standardised pixels, flips and quarter turns; E(B-V) (paper 003, Sect. 3.1, 3.4)."""

_UNSTATED = (
    "Adam, batch 32 and ensembles of 3 are the paper's (Sect. 3.4); it states no rate, schedule or "
    "epochs: 1e-4, once times 0.2 at two fifths, as in the code that Lin et al. published for the "
    "same group's network, over 30 epochs."
)
_SMALL = Widths(scale=0.16, multiple=8)


def paper(name: str, change: str, config: Any, *, members: int = 3) -> Recipe:
    """Return the paper's training of a config; ``change`` says what the config is."""
    training = _UNSTATED if name == "paper" else "Trained as `paper`."
    return Recipe(
        name=name,
        about=f"{change}. {training}",
        config=config,
        inputs=INPUTS,
        optimiser=Optimiser(kind="adam", lr=1e-4),
        schedule=Schedule(kind="steps", at=(0.4,), factor=0.2),
        batch_size=32,
        epochs=30,
        members=members,
    )


def fast(config: Any) -> Recipe:
    """Return a training in large batches; one network."""
    return Recipe(
        name="fast",
        about="Ours: widths rounded to multiples of 8, batches of 512, one-cycle to 1e-3.",
        config=config,
        inputs=INPUTS,
        optimiser=Optimiser(kind="adam", lr=1e-3),
        schedule=Schedule(kind="one-cycle", warmup=0.2),
        batch_size=512,
        epochs=30,
    )


def small(config: Any) -> Recipe:
    """Return a training that a processor of two cores does in minutes on a few thousand objects."""
    return Recipe(
        name="small",
        about="Ours, for processors: a sixth of the widths, batches of 32, one-cycle to 2e-3; on "
        "datasets without E(B-V), zeros stand for it.",
        config=config,
        inputs=replace(INPUTS, optional=("ebv",)),
        optimiser=Optimiser(kind="adam", lr=2e-3),
        schedule=Schedule(kind="one-cycle", warmup=0.2),
        batch_size=32,
        epochs=10,
    )


def _stage(stage: Stage) -> Recipe:
    change = f"Two-band modalities of first order, {stage.replace('-', ' ')} fusion (Table C.1)"
    return paper(stage, change, MultimodalConfig(fusion=stage))


def _sized(size: int) -> Recipe:
    config = MultimodalConfig(modalities=ModalityConfig(size=size))
    change = f"Modalities of {size} band{'s' if size > 1 else ''}, first order (Table C.1)"
    return paper(f"{size}-band", change, config)


def _ordered(*orders: int) -> Recipe:
    config = MultimodalConfig(modalities=ModalityConfig(orders=orders))
    change = f"Two-band modalities of orders {', '.join(map(str, orders))} (Table C.1)"
    return paper("orders-" + "-".join(map(str, orders)), change, config)


_BASELINE = MultimodalConfig(modalities=ModalityConfig(size=None))
_BEST = "Two-band modalities of first order, early fusion: the paper's choice (Sect. 6)"
_DROPPING = ModalityConfig(singles=True, dropout=5, without="each")

MULTIMODAL: tuple[Recipe, ...] = (
    paper("paper", _BEST, MultimodalConfig()),
    paper("sdss", f"{_BEST}; five networks, as for SDSS", MultimodalConfig(), members=5),
    paper(
        "table-c1",
        f"{_BEST}; widths that fit Table C.1 best",
        MultimodalConfig(widths=TABLE_C1),
    ),
    fast(MultimodalConfig(widths=FAST)),
    small(MultimodalConfig(widths=_SMALL)),
    paper("baseline", "One modality of all bands (Table C.1)", _BASELINE),
    *(_stage(stage) for stage in PARALLEL),
    *(_sized(size) for size in (1, 3, 4, 5)),
    _ordered(1, 2),
    _ordered(1, 2, 3),
    _ordered(2, 3),
    paper(
        "cross-fusion",
        "Two-band modalities of orders 1 and 2, early cross-fusion (Sect. 5.2.1)",
        MultimodalConfig(modalities=ModalityConfig(orders=(1, 2)), merge="cross"),
    ),
    paper(
        "all-bands-too",
        f"{_BEST}, and a modality of all bands (Sect. 7.3)",
        MultimodalConfig(modalities=ModalityConfig(together=True)),
    ),
    paper(
        "modality-dropout",
        "Two-band and single-band modalities of which 0 to 5 are dropped in each step, scored "
        "also without each (Sect. 7.4)",
        MultimodalConfig(modalities=_DROPPING),
    ),
)

BASELINE: tuple[Recipe, ...] = (
    paper("paper", "One modality of all bands (Sect. 3.2)", _BASELINE),
    paper("sdss", "One modality of all bands; five networks, as for SDSS", _BASELINE, members=5),
    paper(
        "table-c1",
        "One modality of all bands; widths that fit Table C.1 best",
        replace(_BASELINE, widths=TABLE_C1),
    ),
    fast(replace(_BASELINE, widths=FAST)),
    small(replace(_BASELINE, widths=_SMALL)),
)

_ALONE = ModalityConfig(size=None)


def _plain(layers: int, chosen: ModalityConfig, name: str) -> Recipe:
    seen = "one modality of all bands" if chosen.size is None else "two-band modalities"
    change = f"{layers} convolutions, {seen} (Sect. 7.1); widths are ours"
    return paper(name, change, PlainConfig(layers=layers, modalities=chosen))


CNN: tuple[Recipe, ...] = (
    _plain(10, ModalityConfig(), "paper"),
    _plain(5, ModalityConfig(), "5-layers"),
    _plain(10, ModalityConfig(), "10-layers"),
    _plain(21, ModalityConfig(), "21-layers"),
    _plain(5, _ALONE, "5-layers-baseline"),
    _plain(10, _ALONE, "10-layers-baseline"),
    _plain(21, _ALONE, "21-layers-baseline"),
    fast(PlainConfig(widths=PlainWidths(parallel=48))),
    small(PlainConfig(widths=PlainWidths(scale=0.16))),
)
