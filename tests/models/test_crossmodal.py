"""The quasar model as a whole: what it sees, what it minimises, that it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds_models.crossmodal.config import CrossModalConfig, ImageConfig, Weights
from galaxyds_models.crossmodal.model import GENERATED_IMAGE, GENERATED_PHOTOMETRY, build
from galaxyds_models.estimator import Facts, count_parameters
from galaxyds_models.registry import get_entry

ENTRY = get_entry("crossmodal")
TINY = ImageConfig(layers=(1, 1), width=4)
SCALED = ("magnitudes", "errors", "colors")


def _facts(filters="ugriz"):
    return replace(ENTRY.reference, filters=tuple(filters), bands=tuple(filters))


def _batch(objects=16, filters=5, seed=0):
    """Noise; half of the survey's 64 pixels, for speed."""
    generator = torch.Generator().manual_seed(seed)
    batch = {
        "image": torch.randn(objects, filters, 32, 32, generator=generator),
        "magnitudes": torch.randn(objects, filters, generator=generator),
        "errors": torch.randn(objects, filters, generator=generator),
        "extinctions": torch.rand(objects, filters, generator=generator),
        "redshift": 1 + 4 * torch.rand(objects, generator=generator),
    }
    return batch | {"colors": batch["magnitudes"].diff(dim=-1)}


def _tiny(name, *, features=32, **changes):
    config = ENTRY.recipe(name).config
    image = replace(config.image, layers=TINY.layers, width=TINY.width)
    return replace(config, image=image, features=features, **changes)


def _network(name, filters="ugriz", **changes):
    torch.manual_seed(0)
    return build(_tiny(name, **changes), _facts(filters))


def _only(batch, inputs):
    """What the engine would give: the redshift and what the recipe asks for."""
    keys = {"redshift", *inputs.photometry} | ({"image"} if inputs.image else set())
    return {key: value for key, value in batch.items() if key in keys}


def _descend(parameters, rate):
    torch.optim.SGD(parameters, lr=abs(rate), maximize=rate < 0).step()


RECIPES = [recipe.name for recipe in ENTRY.recipes]
BOTH = ["paper", "released", "small"]


def test_paper_has_the_resnet_of_512_features_and_released_that_of_256():
    with torch.device("meta"):
        for name, wanted in {"paper": 43_555_520, "released": 43_030_976}.items():
            network = ENTRY.network(ENTRY.recipe(name).config, ENTRY.reference)
            assert count_parameters(network.image.resnet) == wanted


def test_parts_of_the_paper_have_the_parameters_of_their_widths():
    with torch.device("meta"):
        network = build(ENTRY.recipe("paper").config, ENTRY.reference)

    def linear(*widths):
        return sum((a + 1) * b for a, b in pairwise(widths))

    attention = 2 * 25 + linear(10, 64, 10)
    parts = {
        network.photometry: 2 * attention + linear(14, 128, 256, 512),
        network.image.perceptron: linear(512, 512, 512),
        network.image_generator: 2 * 512 + linear(512, 1024, 512),
        network.photometry_generator: 2 * 512 + linear(512, 1024, 2048, 512),
        network.image_discriminator: 2 * (512 + 128 + 32) + linear(512, 128, 32, 2),
        network.head: 2 * (1024 + 256 + 64 + 32) + linear(1024, 256, 64, 32, 1),
        network.extinction: 2 * (512 + 128) + linear(512, 128, 5),
    }
    for part, wanted in parts.items():
        assert count_parameters(part) == wanted


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_asks_for_what_its_network_uses_and_nothing_else(name):
    network, inputs = _network(name), ENTRY.recipe(name).inputs
    batch = _only(_batch(), inputs)
    network.objective(network(batch), batch)["loss"].backward()
    unused = [key for key, value in network.named_parameters() if value.grad is None]
    assert not unused
    for key in batch:
        less = {other: value for other, value in batch.items() if other != key}
        with pytest.raises(KeyError, match=key):
            network.objective(network(less), less)


@pytest.mark.parametrize("name", BOTH)
def test_each_pattern_sees_only_what_it_says(name):
    network, batch, other = _network(name), _batch(), _batch(seed=1)
    with torch.no_grad():
        for _ in range(30):  # batch normalisation has to see features first
            network(batch)
        network.eval()
        first = network.estimates(network(batch))
        image = network.estimates(network(batch | {"image": other["image"]}))
        photometry = network.estimates(network(batch | {key: other[key] for key in SCALED}))
    torch.testing.assert_close(image[GENERATED_IMAGE], first[GENERATED_IMAGE])
    torch.testing.assert_close(photometry[GENERATED_PHOTOMETRY], first[GENERATED_PHOTOMETRY])
    for changed, keys in (
        (image, ("z", GENERATED_PHOTOMETRY)),
        (photometry, ("z", GENERATED_IMAGE)),
    ):
        for key in keys:
            assert (changed[key] - first[key]).abs().max() > 1e-3


def test_the_loss_of_equation_8_by_hand():
    weights = Weights.balanced(alpha=0.2, beta=0.3)
    network, batch = _network("paper", weights=weights), _batch()
    outputs = network(batch)
    parts = network.objective(outputs, batch)
    redshift = (outputs["z"][:, 0] - batch["redshift"]).square().mean()
    extinction = (outputs["extinctions"] - batch["extinctions"]).square().mean()
    adversarial = 0.0
    for key in ("photometry-logits", "image-logits"):
        log = outputs[key].softmax(-1).log()
        adversarial = adversarial - log[:16, 1].mean() - log[16:, 0].mean()
    wanted = 0.2 * adversarial + 0.3 * extinction + 0.5 * redshift
    torch.testing.assert_close(parts["loss"], wanted)
    network.eval()
    assert torch.equal(network.objective(outputs, batch)["loss"], parts["redshift"])


def test_weights_of_equation_8_cannot_be_negative():
    with pytest.raises(UsageError, match=r"alpha = 0\.7"):
        Weights.balanced(alpha=0.7, beta=0.4)


def test_the_adversarial_loss_pushes_generators_and_discriminators_apart():
    weights = Weights(redshift=0.0, adversarial=1.0)
    network, batch = _network("paper", weights=weights, norm="none"), _batch()
    before = network.objective(network(batch), batch)["adversarial"]
    before.backward()

    def after(part):
        moved = [p for name, p in network.named_parameters() if name.startswith(part)]
        _descend(moved, 0.02)
        with torch.no_grad():
            loss = network.objective(network(batch), batch)["adversarial"].item()
        _descend(moved, -0.02)
        return loss

    for judge in ("photometry_discriminator", "image_discriminator"):
        assert after(judge) < before.item()
    for player in ("photometry_generator", "image_generator", "photometry.", "image."):
        assert after(player) > before.item()


@pytest.mark.parametrize("name", ["paper", "released", "photometry", "small-image"])
def test_it_overfits_one_batch(name):
    recipe = ENTRY.recipe(name)
    network = _network(name, features=128)  # released narrows to a sixteenth of both
    batch = _only(_batch(8), recipe.inputs)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)

    def step():
        losses = network.objective(network(batch), batch)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        return losses.get("redshift", losses["loss"]).item()

    losses = [step() for _ in range(120)]
    assert min(losses[-5:]) < 0.1 * losses[0]


@pytest.mark.parametrize("name", RECIPES)
def test_six_filters(name):
    network, batch = _network(name, "ugrizy").eval(), _batch(4, 6)
    estimates = network.estimates(network(_only(batch, ENTRY.recipe(name).inputs)))
    assert estimates["z"].shape == (4,)


@pytest.mark.parametrize("name", RECIPES)
def test_bfloat16_gives_numbers_in_float32(name):
    network, batch = _network(name), _only(_batch(), ENTRY.recipe(name).inputs)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(batch)
    losses = network.objective(outputs, batch)
    losses["loss"].backward()
    for value in (*losses.values(), *network.estimates(outputs).values()):
        assert value.dtype == torch.float32
        assert value.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_it_is_one_graph_for_the_compiler_with_the_same_gradients():
    config = _tiny("paper")
    network = build(replace(config, image=replace(config.image, layers=(1,))), _facts())
    batch = _batch()

    def gradients(forward):
        network.zero_grad()
        network.objective(forward(batch), batch)["loss"].backward()
        return [p.grad.clone() for p in network.parameters()]

    eager = gradients(network)
    compiled = gradients(torch.compile(network, backend="aot_eager", fullgraph=True))
    for one, other in zip(eager, compiled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_an_outlier_of_photometry_stays_finite():
    network, batch = _network("photometry").eval(), _batch()
    batch["errors"][0] = 1e4
    assert network.estimates(network(batch))["z"].isfinite().all()


def test_the_released_recipe_gives_a_pdf():
    network, batch = _network("released").eval(), _batch()
    estimates = network.estimates(network(batch))
    edges = network.edges()
    assert edges[0] == 1
    assert edges[-1] == 5
    assert estimates["pdf"].shape == (16, len(edges) - 1)
    torch.testing.assert_close(estimates["pdf"].sum(-1), torch.ones(16))
    assert _network("paper").edges() is None


def test_the_redshift_starts_within_its_range():
    network = _network("photometry").eval()
    z = network.estimates(network(_batch()))["z"]
    assert math.isclose(z.mean().item(), 3, abs_tol=0.5)


def test_default_facts_without_images_make_a_photometric_network():
    facts = Facts(filters=tuple("grizy"), redshift_range=(0.0, 4.0))
    network = build(CrossModalConfig(modalities=("photometry",), weights=Weights()), facts)
    assert count_parameters(network) > 0
