"""Parameters against Table C.1 of paper 003; shapes of every recipe, without computing."""

from __future__ import annotations

import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Facts, count_parameters
from galaxyds_models.multimodal.config import (
    TABLE_C1,
    TABLE_C1_BINS,
    HeadConfig,
    ModalityConfig,
    MultimodalConfig,
    PlainConfig,
    Widths,
)
from galaxyds_models.redshift_grid import RedshiftGrid
from galaxyds_models.registry import get_entry

HSC = get_entry("multimodal").reference
SDSS = Facts(bands=tuple("ugriz"), size=64, redshift_range=(0.0, 0.4))
TABLE = {  # million trainable parameters, by the name of a recipe
    "baseline": 19.03,
    "extremely-early": 9.52,
    "very-early": 11.16,
    "early": 12.51,
    "middle": 15.22,
    "late": 17.94,
    "1-band": 8.80,
    "paper": 12.51,
    "3-band": 17.23,
    "4-band": 22.11,
    "5-band": 26.29,
    "orders-1-2": 17.37,
    "orders-1-2-3": 21.54,
    "orders-2-3": 15.98,
}
NAMES = ("multimodal", "multimodal-baseline", "multimodal-cnn")
RECIPES = [(name, recipe.name) for name in NAMES for recipe in get_entry(name).recipes]


def on_meta(name, config, facts):
    entry = get_entry(name)
    with torch.device("meta"):
        return entry.network(config, facts)


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize(
    ("preset", "widths", "within"), [("default", Widths(), 0.009), ("table_c1", TABLE_C1, 0.00501)]
)
def test_parameters_are_those_of_table_c1(row, preset, widths, within):
    found = get_entry("multimodal").recipe(row).config
    grid = RedshiftGrid(low=0, high=6, bins=TABLE_C1_BINS[preset])
    config = MultimodalConfig(
        modalities=found.modalities,
        fusion=found.fusion,
        widths=widths,
        head=HeadConfig(grid=grid),
    )
    millions = count_parameters(on_meta("multimodal", config, HSC)) / 1e6
    assert millions == pytest.approx(TABLE[row], abs=within)


@pytest.mark.parametrize(("name", "recipe"), RECIPES)
@pytest.mark.parametrize("facts", [SDSS, HSC], ids=["sdss", "hsc"])
def test_every_recipe_makes_a_network(name, recipe, facts):
    network = on_meta(name, get_entry(name).recipe(recipe).config, facts).train()
    image = torch.empty(2, len(facts.bands), 64, 64, device="meta")
    outputs = network({"image": image, "ebv": torch.empty(2, 1, device="meta")})
    assert outputs["logits"].shape == (2, {0.4: 180, 6.0: 1500}[facts.redshift_range[1]])
    assert outputs["redshift"].shape == (2,)


def test_images_halve_where_figure_1_says():
    network = on_meta("multimodal", MultimodalConfig(fusion="middle"), SDSS)
    seen = []
    parallel, common = network.branches[0], network.common
    for layer in [parallel.stem, *parallel.blocks, *common.blocks, *common.tail]:
        layer.register_forward_hook(lambda layer, given, x: seen.append(x.shape[-1]))
    image = torch.empty(1, 5, 64, 64, device="meta")
    latent = common(parallel(image, True), True)
    assert seen == [64, 32, 32, 32, 16, 16, 8, 8, 8, 6, 4, 2]
    assert latent.shape == (1, 96)


@pytest.mark.parametrize("layers", [5, 10, 21])
def test_plain_networks_have_so_many_convolutions(layers):
    network = on_meta("multimodal-cnn", PlainConfig(layers=layers), SDSS)
    parallel, common = network.branches[0], network.common
    assert 2 + len(parallel.blocks) + len(common.blocks) + len(common.tail) == layers


def test_images_of_another_size_are_taken():
    facts = Facts(bands=tuple("grizy"), size=127, redshift_range=(0, 4))
    network = on_meta("multimodal", MultimodalConfig(), facts)
    batch = {"image": torch.empty(2, 5, 127, 127), "ebv": torch.empty(2, 1)}
    outputs = network({key: x.to("meta") for key, x in batch.items()})
    assert outputs["logits"].shape == (2, 1000)


@pytest.mark.parametrize(
    ("name", "config", "facts", "message"),
    [
        ("multimodal", MultimodalConfig(), Facts(bands=tuple("ugr"), size=32), "needs 56"),
        ("multimodal", MultimodalConfig(), Facts(size=64), "needs images"),
        (
            "multimodal",
            MultimodalConfig(modalities=ModalityConfig(without="u_z")),
            SDSS,
            "no modality 'u_z': choose u_g",
        ),
        (
            "multimodal",
            MultimodalConfig(modalities=ModalityConfig(singles=True), merge="cross"),
            SDSS,
            "of 2 sizes",
        ),
        ("multimodal-cnn", PlainConfig(layers=4), SDSS, "4 layers"),
    ],
)
def test_what_cannot_be_made_is_refused(name, config, facts, message):
    with pytest.raises(UsageError, match=message):
        on_meta(name, config, facts)
