"""The network of Pasquet et al. 2019 against its released code's numbers."""

from __future__ import annotations

import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Facts, count_parameters
from galaxyds_models.pasquet import Inception, Pasquet, PasquetConfig
from galaxyds_models.redshift_grid import RedshiftGrid
from galaxyds_models.registry import get_entry

ENTRY = get_entry("pasquet")


def make(seed=0):
    torch.manual_seed(seed)
    return Pasquet(PasquetConfig(scale=0.08), ENTRY.reference)


def batch(n=4):
    generator = torch.Generator().manual_seed(1)
    return {
        "image": torch.randn(n, 5, 64, 64, generator=generator),
        "ebv": torch.rand(n, 1, generator=generator),
        "redshift": torch.rand(n, generator=generator) * 0.4,
    }


def test_parameters_are_those_of_the_released_code():
    with torch.device("meta"):
        network = ENTRY.network(ENTRY.recipe().config, ENTRY.reference)
    assert count_parameters(network) == 27_596_372
    assert network.hidden1.in_features == 22_273


@pytest.mark.parametrize(
    ("inputs", "reduce", "kernels", "five", "outputs"),
    [(64, 48, 64, True, 240), (240, 64, 92, True, 340), (476, 92, 128, False, 348)],
)
def test_blocks_have_the_published_channels(inputs, reduce, kernels, five, outputs):
    with torch.device("meta"):
        block = Inception(inputs, reduce, kernels, five=five)
        x = block(torch.empty(1, inputs, 16, 16))
    assert x.shape == (1, outputs, 16, 16)
    assert block.outputs == outputs


def test_the_answer_is_the_mean_over_bin_centres():
    network = make()
    found = network.estimates(network(batch()))
    centres = torch.arange(180) * (0.4 / 180) + 0.2 / 180
    torch.testing.assert_close(found["z"], found["pdf"] @ centres)
    torch.testing.assert_close(found["pdf"].sum(-1), torch.ones(4))


def test_a_certain_pdf_is_estimated_without_offset():
    network = make()
    logits = torch.full((1, 180), -100.0)
    logits[0, 45] = 100
    z = network.estimates({"logits": logits})["z"].item()
    assert z == pytest.approx(45.5 * 0.4 / 180, abs=1e-6)


def test_extinction_matters():
    network, given = make(), batch()
    other = network({**given, "ebv": given["ebv"] + 1})
    assert not torch.allclose(network(given)["logits"], other["logits"])


@pytest.mark.parametrize("size", [48, 127])
def test_images_of_another_size_are_taken(size):
    facts = Facts(bands=tuple("grizy"), size=size, redshift_range=(0, 4))
    with torch.device("meta"):
        network = Pasquet(PasquetConfig(), facts)
        given = {"image": torch.empty(2, 5, size, size), "ebv": torch.empty(2, 1)}
        assert network(given)["logits"].shape == (2, 1000)


def test_a_grid_can_be_given():
    grid = RedshiftGrid(low=0, high=1, bins=50)
    network = Pasquet(PasquetConfig(scale=0.05, grid=grid), ENTRY.reference)
    assert network.edges().shape == (51,)


def test_no_images_are_refused():
    with pytest.raises(UsageError, match="needs images"):
        Pasquet(PasquetConfig(), Facts())


def test_it_learns_one_batch_by_heart():
    network, given = make(), batch(8)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        loss = network.objective(network(given), given)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
