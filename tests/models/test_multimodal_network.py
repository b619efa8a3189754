"""The multimodal network: routes, what a modality sees, dropout, losses, learning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from galaxyds_models.estimator import Facts
from galaxyds_models.multimodal.cnn import build_plain
from galaxyds_models.multimodal.config import (
    BlockWidths,
    HeadConfig,
    ModalityConfig,
    MultimodalConfig,
    PlainConfig,
    PlainWidths,
    Widths,
)
from galaxyds_models.multimodal.heads import pdf_estimates, residual_loss
from galaxyds_models.multimodal.inception import InceptionBank
from galaxyds_models.multimodal.layers import ConvBank, Stem, prelu, same_pool
from galaxyds_models.multimodal.model import build
from galaxyds_models.redshift_grid import RedshiftGrid

BANDS = tuple("ugri")
FACTS = Facts(bands=BANDS, size=64, redshift_range=(0.0, 0.4))
NARROW = Widths(scale=0.06)


def make(seed=0, **options):
    torch.manual_seed(seed)
    return build(MultimodalConfig(**{"widths": NARROW, "route": "loop"} | options), FACTS)


def batch(n=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {
        "image": torch.randn(n, len(BANDS), 64, 64, generator=generator),
        "ebv": torch.rand(n, 1, generator=generator),
        "redshift": torch.rand(n, generator=generator) * 0.4,
    }


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "options",
    [
        {"modalities": ModalityConfig(singles=True, together=True), "fusion": "middle"},
        {"modalities": ModalityConfig(orders=(1, 2)), "merge": "cross"},
        {"modalities": ModalityConfig(size=None)},
        {"fusion": "extremely-early"},
    ],
)
def test_both_routes_give_the_same_answers_and_gradients(options, layout):
    loop, grouped = make(**options), make(**options, route="grouped")
    grouped.load_state_dict(loop.state_dict())
    given, found = batch(), []
    for network in (loop, grouped):
        network.to(memory_format=layout)
        image = given["image"].contiguous(memory_format=layout)
        outputs = network({**given, "image": image})
        network.objective(outputs, given)["loss"].backward()
        found.append({name: p.grad for name, p in network.named_parameters()} | outputs)
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, rtol=1e-3, atol=2e-5, msg=name)


def test_plain_networks_run_both_ways():
    torch.manual_seed(0)
    config = PlainConfig(layers=10, widths=PlainWidths(scale=0.06), route="grouped")
    network = build_plain(config, FACTS).eval()
    grouped = network(batch())["logits"]
    network.route = "loop"
    torch.testing.assert_close(grouped, network(batch())["logits"], rtol=1e-4, atol=1e-5)


def tf_same_average(x):
    """TensorFlow's 2x2 average pool of stride 1, SAME, pixel by pixel."""
    out = np.empty_like(x)
    for row in range(x.shape[-2]):
        for column in range(x.shape[-1]):
            window = x[..., row : row + 2, column : column + 2]
            out[..., row, column] = window.mean((-2, -1))
    return out


def test_the_pool_averages_only_pixels_of_the_image():
    x = torch.randn(2, 3, 5, 6)
    np.testing.assert_allclose(same_pool(x).numpy(), tf_same_average(x.numpy()), atol=1e-6)


def test_a_block_is_four_branches_side_by_side():
    torch.manual_seed(0)
    bank = InceptionBank(2, 5, BlockWidths(reduce=3, kernels=4, direct=2))
    x = torch.randn(2, 10, 8, 8)
    second = x[:, 5:]

    def one(layer, given, rows, padding):
        kernel, bias = layer.weight[rows], layer.bias[rows]
        return functional.conv2d(given, kernel, bias, padding=padding).relu()

    a, b, c = (one(bank.reduce, second, slice(11 + 3 * i, 14 + 3 * i), 0) for i in range(3))
    direct = one(bank.reduce, second, slice(20, 22), 0)
    five = one(bank.five, a, slice(4, 8), 2)
    three = one(bank.three, b, slice(4, 8), 1)
    pooled = torch.from_numpy(tf_same_average(c.detach().numpy()))
    expected = torch.cat([five, three, pooled, direct], 1)
    torch.testing.assert_close(bank(x)[:, bank.outputs :], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(bank(second, 1), expected, rtol=1e-4, atol=1e-5)


def test_first_weights_are_those_of_separate_layers():
    torch.manual_seed(0)
    bank = ConvBank(3, 20, (10, 40), kernel=3)
    for branch in range(3):
        weight = bank.of(bank.weight.detach(), branch)
        for piece in (weight[:10], weight[10:]):
            bound = math.sqrt(6 / (9 * 20 + 9 * len(piece)))  # Glorot & Bengio 2010, Eq. 16
            assert 0.99 * bound < piece.abs().max() <= bound
            assert piece.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert (bank.bias == 0.1).all()


def test_prelu_is_torchs():
    x, slope = torch.randn(2, 4, 3, 3), torch.rand(4)
    torch.testing.assert_close(prelu(x, slope), functional.prelu(x, slope))


def test_the_stem_is_prelu_then_tanh():
    torch.manual_seed(0)
    stem = Stem(((2, 0),), 3, conv1=4, conv2=5)
    stem.slope.data.fill_(0.3)
    image = torch.randn(1, 3, 9, 9)
    first = functional.conv2d(image[:, [2, 0]], stem.first.weight, stem.first.bias, padding=2)
    first = torch.where(first > 0, first, 0.3 * first)
    second = functional.conv2d(first, stem.second.weight, stem.second.bias, padding=1)
    torch.testing.assert_close(stem(image), second.tanh(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("route", ["loop", "grouped"])
def test_a_modality_sees_only_its_bands(route):
    network = make(modalities=ModalityConfig(orders=(1, 2), singles=True), route=route)
    image = batch(1)["image"].requires_grad_()
    features = network.extract(image)
    for index, modality in enumerate(network.modalities):
        total = features[:, network.owner == index].sum()
        (gradient,) = torch.autograd.grad(total, image, retain_graph=True)
        seen = {band for band, g in zip(BANDS, gradient[0], strict=True) if g.abs().sum() > 0}
        assert seen == set(modality)


def test_extinction_matters():
    network, given = make(), batch()
    other = network({**given, "ebv": given["ebv"] + 1})
    assert not torch.allclose(network(given)["logits"], other["logits"])


def test_without_a_modality_its_pixels_do_not_matter():
    network = make(modalities=ModalityConfig(size=1, without="r")).eval()
    given = batch()
    other = {**given, "image": given["image"].clone()}
    other["image"][:, 2] = 7.0
    one, two = network(given), network(other)
    torch.testing.assert_close(one["logits.r"], two["logits.r"])
    assert not torch.allclose(one["logits"], two["logits"])
    features = network.extract(given["image"])
    features[:, network.owner == 2] = 0
    expected = network.read(features, given["ebv"])["logits"]
    torch.testing.assert_close(one["logits.r"], expected)
    z = network.grid.median(expected.softmax(-1))
    torch.testing.assert_close(network.estimates(one)["z.without-r"], z)


def test_each_modality_can_be_left_out_in_turn():
    network = make(modalities=ModalityConfig(without="each")).eval()
    found = network.estimates(network(batch()))
    assert {f"z.without-{name}" for name in ("u_g", "g_r", "r_i")} < set(found)


def test_zero_to_five_modalities_are_dropped_in_training():
    network = make(modalities=ModalityConfig(singles=True, dropout=5)).train()
    features = torch.ones(1, len(network.owner), 1, 1)
    dropped, per_modality = np.zeros(7), np.zeros(7)
    for seed in range(600):
        torch.manual_seed(seed)
        kept = network.drop_some(features)[0, :, 0, 0]
        gone = [(kept[network.owner == index] == 0).all().item() for index in range(7)]
        assert kept.sum() == sum((network.owner == i).sum() for i in range(7) if not gone[i])
        dropped[sum(gone)] += 1
        per_modality += gone
    assert dropped[6] == 0
    np.testing.assert_allclose(dropped[:6], 100, atol=40)  # four deviations
    np.testing.assert_allclose(per_modality, 600 * 2.5 / 7, atol=50)


def test_dropout_depends_on_the_seed_alone():
    network, given = make(modalities=ModalityConfig(singles=True, dropout=5)), batch()
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append(network(given)["logits"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_graph_has_no_break():
    network = make(modalities=ModalityConfig(dropout=2), route="grouped")
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    given = batch(2)
    torch.manual_seed(0)
    expected = network(given)["logits"]
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(given)["logits"], expected)


def test_loss_is_cross_entropy_plus_absolute_residual():
    network, given = make(), batch(5)
    outputs = network(given)
    logits, predicted = (outputs[key].detach().double().numpy() for key in ("logits", "redshift"))
    z = given["redshift"].double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    bins = (z / (0.4 / 180)).astype(int)
    expected = np.mean(-np.log(p[range(5), bins]) + np.abs(predicted - z))  # paper 003, Eq. 1
    assert network.objective(outputs, given)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_residuals_are_those_of_appendix_a():
    predicted, z = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 3.0])
    assert residual_loss(predicted, z, "mae").item() == 1.5
    assert residual_loss(predicted, z, "rmse").item() == pytest.approx(math.sqrt(2.5))
    assert residual_loss(predicted, z, "nmae").item() == pytest.approx(0.375)


def test_a_perfect_regression_has_a_gradient():
    predicted = torch.ones(2, requires_grad=True)
    residual_loss(predicted, torch.ones(2), "rmse").backward()
    assert torch.isfinite(predicted.grad).all()


def test_a_regression_has_no_pdf():
    network = make(head=HeadConfig(targets="regression", residual="nmae"))
    outputs = network(batch())
    assert network.edges() is None
    assert set(network.estimates(outputs)) == {"z"}
    assert set(network.objective(outputs, batch())) == {"loss", "nmae"}


def test_a_classification_has_no_residual():
    network = make(head=HeadConfig(targets="classification"))
    assert set(network.objective(network(batch()), batch())) == {"loss", "cross_entropy"}


def test_estimates_of_a_known_pdf():
    grid = RedshiftGrid(low=0.0, high=2.0, bins=200)
    centres = torch.linspace(0.005, 1.995, 200, dtype=torch.float64)
    found = pdf_estimates(centres.log()[None], grid)  # p(z) = z / 2
    assert found["pdf"].sum().item() == pytest.approx(1, abs=1e-6)
    assert found["z_median"].item() == pytest.approx(math.sqrt(2), abs=1e-4)
    assert found["z_mean"].item() == pytest.approx(4 / 3, abs=1e-4)
    assert found["z_mode"].item() == pytest.approx(1.995)


def test_autocast_leaves_heads_in_32_bits():
    network, given = make(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = network(given)
    assert {x.dtype for x in outputs.values()} == {torch.float32}
    exact = network(given)
    torch.testing.assert_close(outputs["logits"], exact["logits"], rtol=0.1, atol=0.05)


def test_it_learns_one_batch_by_heart():
    network, given = make(widths=Widths(scale=0.1)), batch(2)
    given["image"] = given["image"][:, :, :56, :56] + 3 * torch.randn(2, 4, 1, 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(120):
        loss = network.objective(network(given), given)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if losses[-1] < 0.1 * losses[0]:  # two objects that look alike would stay at log 2
            return
    pytest.fail(f"the loss went from {losses[0]:.2f} to {losses[-1]:.2f}")
