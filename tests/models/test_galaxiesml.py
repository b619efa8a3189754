"""GalaxiesML's networks of magnitudes and images against published counts and hand arithmetic."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Facts, count_parameters
from galaxyds_models.galaxiesml import (
    CnnConfig,
    HybridNetwork,
    NnConfig,
    PhotometryNetwork,
    tanaka_loss,
)
from galaxyds_models.registry import get_entry

NAMES = ("galaxiesml-nn", "galaxiesml-cnn", "galaxiesml-bnn")
FILTERS = ("g", "r", "i", "z", "y")


def parameters(name, recipe="paper", **facts):
    entry = get_entry(name)
    with torch.device("meta"):
        network = entry.network(entry.recipe(recipe).config, replace(entry.reference, **facts))
    return count_parameters(network)


def by_hand(size):
    """Parameters of the hybrid network, from the layer list of the released script."""
    total, before = 0, 5
    for channels in (32, 64, 128, 256, 256):
        total, before, size = total + 9 * before * channels + channels, channels, size // 2
    for channels in (512, 512):
        total, before = total + 9 * before * channels + channels, channels
    widths = (before * size * size, 512, 128, 32)
    magnitudes = (5, *[200] * 6)
    for chain in (widths, magnitudes):
        total += sum((a + 1) * b for a, b in pairwise(chain))
    return total + 32 + 200 + 1


def test_parameters_are_those_of_the_released_scripts():
    assert parameters("galaxiesml-cnn") == 7_151_073 == by_hand(127)
    assert parameters("galaxiesml-cnn", size=64) == by_hand(64)
    assert by_hand(64) == pytest.approx(5.84e6, rel=1e-3)
    assert parameters("galaxiesml-nn") == 122_006
    # Posterior mean and deviation and prior mean of each hidden weight; a plain layer at the end.
    assert parameters("galaxiesml-bnn") == 3 * (122_006 - 206) + 2 * 206


@pytest.mark.parametrize("size", [32, 64, 65, 127])
@pytest.mark.parametrize("bands", [3, 9])
def test_any_number_of_bands_filters_and_pixels_will_do(size, bands):
    facts = Facts(bands=("b",) * bands, size=size, filters=("f",) * (bands - 1))
    network = HybridNetwork(CnnConfig(stages=(2, 2, 2, 2, 2), top=(2,), dense=(2,)), facts)
    batch = {
        "image": torch.randn(3, bands, size, size),
        "magnitudes": torch.randn(3, bands - 1),
    }
    assert network(batch)["z"].shape == (3,)


def test_images_that_five_halvings_use_up_are_refused():
    facts = Facts(bands=FILTERS, size=31, filters=FILTERS)
    with pytest.raises(
        UsageError, match=r"31 pixels are too small for 5 stages.*32 pixels or more"
    ):
        HybridNetwork(CnnConfig(), facts)


def written_out(z_phot, z_spec, norm):
    divisor = {"none": 1.0, "phot": 1 + z_phot, "spec": 1 + z_spec}[norm]
    return 1 - 1 / (1 + ((z_phot - z_spec) / (0.15 * divisor)) ** 2)


@pytest.mark.parametrize("norm", ["none", "phot", "spec"])
def test_tanaka_loss_is_the_formula(norm):
    rng = np.random.default_rng(0)
    z_phot, z_spec = rng.uniform(0, 4, (2, 500))
    found = tanaka_loss(torch.tensor(z_phot), torch.tensor(z_spec), norm)
    np.testing.assert_allclose(found, written_out(z_phot, z_spec, norm), rtol=1e-5, atol=1e-7)


def test_tanaka_loss_is_one_half_at_the_outlier_limit_and_saturates_at_one():
    z_spec = torch.tensor([0.0, 1.0, 3.0])
    limit = z_spec + 0.15 * (1 + z_spec)
    torch.testing.assert_close(tanaka_loss(limit, z_spec, "spec"), torch.full((3,), 0.5))
    assert tanaka_loss(torch.tensor([1e6]), torch.tensor([1.0]), "spec").item() == 1
    assert tanaka_loss(torch.tensor([1.0]), torch.tensor([1.0]), "spec").item() == 0


def test_the_paper_s_norm_is_cheaper_upwards_and_calls_low_estimates_back():
    z_spec = torch.ones(1)
    upwards = tanaka_loss(torch.tensor([1e6]), z_spec, "phot")
    assert upwards.item() == pytest.approx(1 - 1 / (1 + 0.15**-2), rel=1e-4)  # 0.978
    for start in (-5.0, -1.0, -0.5):
        z_phot = torch.tensor([start], requires_grad=True)
        tanaka_loss(z_phot, z_spec, "phot").sum().backward()
        assert -1 < z_phot.grad.item() < 0  # a step downhill raises the estimate


@pytest.mark.parametrize(("norm", "published"), [("spec", 0.0904), ("phot", 0.0894)])
def test_tanaka_loss_of_published_predictions(survey_data, norm, published):
    table = np.loadtxt(survey_data / "photoz_training" / "GalaxiesML_pred_z.dat", skiprows=1)
    z_phot, z_spec = torch.tensor(table[:, 0]), torch.tensor(table[:, 1])
    assert tanaka_loss(z_phot, z_spec, norm).mean().item() == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(
    ("loss", "norm"), [("mae", "none"), ("mse", "none"), ("tanaka", "phot"), ("tanaka", "spec")]
)
def test_objective_is_the_loss_of_the_config(loss, norm):
    network = PhotometryNetwork(NnConfig(loss=loss, norm=norm), Facts(filters=FILTERS))
    z, redshift = torch.tensor([0.5, 1.0]), torch.tensor([0.25, 1.5])
    found = network.objective({"z": z}, {"redshift": redshift})["loss"].item()
    tanaka = written_out(z.numpy(), redshift.numpy(), norm).mean()
    expected = {"mae": 0.375, "mse": (0.0625 + 0.25) / 2, "tanaka": tanaka}[loss]
    assert found == pytest.approx(expected, rel=1e-5)


def test_magnitudes_keep_their_digits_under_autocast():
    torch.manual_seed(0)
    facts = Facts(bands=FILTERS, size=32, filters=FILTERS)
    network = HybridNetwork(CnnConfig(), facts)
    batch = {"image": torch.zeros(2, 5, 32, 32), "magnitudes": torch.full((2, 5), 22.0)}
    batch["magnitudes"][1] += 0.03  # bfloat16 knows 22 and 22.125
    full = network(batch)["z"]
    with torch.autocast("cpu", torch.bfloat16):
        half = network(batch)["z"]
    assert half.dtype == torch.float32
    assert (full[1] - full[0]).abs() > 1e-4
    torch.testing.assert_close(half[1] - half[0], full[1] - full[0], rtol=1e-2, atol=0)


def fall(network, batch, *, steps, rate):
    """Loss after some steps on one batch, in units of the loss before."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = network.objective(network(batch), batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses[-1] / losses[0]


@pytest.mark.parametrize("norm", ["none", "phot", "spec"])
def test_the_network_of_magnitudes_learns_one_batch_by_heart(norm):
    torch.manual_seed(1)
    network = PhotometryNetwork(NnConfig(norm=norm), Facts(filters=FILTERS))
    batch = {"magnitudes": torch.rand(32, 5), "redshift": torch.rand(32)}
    assert fall(network, batch, steps=250, rate=3e-3) < 0.1


@pytest.mark.parametrize("norm", ["none", "phot", "spec"])
def test_the_hybrid_network_learns_one_batch_by_heart(norm):
    torch.manual_seed(2)
    facts = Facts(bands=FILTERS, size=32, filters=FILTERS)
    narrow = CnnConfig(stages=(8, 16, 16, 32, 32), top=(32, 32), dense=(32, 32), photometry=(8, 8))
    network = HybridNetwork(replace(narrow, norm=norm), facts)
    batch = {"image": torch.randn(16, 5, 32, 32), "magnitudes": torch.zeros(16, 5)}
    batch["redshift"] = torch.rand(16)  # only pixels tell the objects apart
    assert fall(network, batch, steps=160, rate=3e-3) < 0.1


def test_forward_is_one_graph():
    facts = Facts(bands=FILTERS, size=32, filters=FILTERS)
    network = HybridNetwork(CnnConfig(stages=(2, 2, 2, 2, 2), top=(2,), dense=(2,)), facts)
    batch = {"image": torch.randn(2, 5, 32, 32), "magnitudes": torch.randn(2, 5)}
    traced = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(traced(batch)["z"], network(batch)["z"])


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_named_once_and_begin_with_the_paper_s(name):
    recipes = get_entry(name).recipes
    assert recipes[0].name == "paper"
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    assert all(recipe.keep == "best" and recipe.about.endswith(".") for recipe in recipes)


def test_recipes_hold_the_numbers_of_paper_and_scripts():
    cnn, nn = get_entry("galaxiesml-cnn").recipe(), get_entry("galaxiesml-nn").recipe()
    assert (cnn.optimiser.lr, cnn.batch_size, cnn.epochs, cnn.config.norm) == (
        1e-4,
        256,
        200,
        "phot",
    )
    assert (nn.optimiser.lr, nn.batch_size, nn.epochs, nn.patience) == (5e-4, 100, 1000, 10)
    assert get_entry("galaxiesml-cnn").recipe("released").config.norm == "none"
    assert get_entry("galaxiesml-nn").recipe("released").config.norm == "phot"
    assert {get_entry(name).recipe("spec").config.norm for name in NAMES[:2]} == {"spec"}
