"""The parts of the quasar model against closed forms, numpy, and numerical integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from scipy.stats import norm

from galaxyds_models.crossmodal.adversarial import (
    Discriminator,
    modality_loss,
    reverse_gradient,
)
from galaxyds_models.crossmodal.contrast import contrastive_loss
from galaxyds_models.crossmodal.mixture import Mixture
from galaxyds_models.crossmodal.photometry import BandAttention, gamma
from galaxyds_models.crossmodal.resnet import ResNet
from galaxyds_models.estimator import count_parameters


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("outputs", "parameters"), [(512, 43_555_520), (256, 43_030_976)])
def test_resnet_101_has_the_parameters_of_the_papers(outputs, parameters):
    with torch.device("meta"):
        assert count_parameters(ResNet(5, outputs)) == parameters


def test_resnet_101_halves_the_image_five_times():
    with torch.device("meta"):
        network = ResNet(5, 512)
        stem = network.stem(torch.empty(1, 5, 64, 64))
        assert stem.shape == (1, 64, 16, 16)
        assert network.blocks(stem).shape == (1, 2048, 2, 2)


def test_resnet_starts_with_he_initialisation_by_fan_out():
    weight = ResNet(5, 8, layers=(1,), width=64).stem[0].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 49)), rel=0.03)


def test_gamma_is_equation_1():
    x, w0, w1 = _random(7, 5, 2), _random(5, 5, seed=1), _random(5, 5, seed=2)
    wanted = np.einsum("ij,bjm,bkm,lk,lp,bpq->biq", w0, x, x, w0, w1, x)
    np.testing.assert_allclose(gamma(x, w0, w1), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("damped", "power"), [(False, 3), (True, 1)])
def test_attention_grows_as_its_docstring_says(damped, power):
    layer = BandAttention(5, 2, hidden=4, slope=0.2, damped=damped)
    seen = []
    layer.perceptron.register_forward_pre_hook(lambda _, entering: seen.append(entering[0]))
    x = 100 * _random(3, 5, 2)
    layer(x)
    layer(10 * x)
    ratio = seen[1] / seen[0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 10.0**power), rtol=1e-2, atol=0)


@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_reversal_is_the_identity_whose_gradient_is_minus_the_finite_difference(strength):
    x = _random(6).double().requires_grad_()

    def of(values):
        return (values**3).sum()

    there = reverse_gradient(x, strength)
    assert torch.equal(there, x)
    of(there).backward()
    step = 1e-5
    for i in range(6):
        shift = torch.zeros(6, dtype=torch.float64)
        shift[i] = step
        slope = (of(x + shift) - of(x - shift)).item() / (2 * step)
        assert x.grad[i].item() == pytest.approx(-strength * slope, rel=1e-6, abs=1e-9)


def test_one_step_is_better_for_the_discriminator_and_worse_for_it_by_the_features():
    torch.manual_seed(0)
    judge = Discriminator(16, norm="none", slope=0.2)
    real, generated = (_random(64, 16, seed=s).requires_grad_() for s in (3, 4))
    before = modality_loss(judge(real, generated))
    before.backward()
    rate = 0.05
    with torch.no_grad():
        stepped = [x - rate * 64 * x.grad for x in (real, generated)]
        assert modality_loss(judge(*stepped)) > before + 1e-4
        torch.optim.SGD(judge.parameters(), lr=rate).step()
        assert modality_loss(judge(real, generated)) < before - 1e-4


def test_modality_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 0.0]])
    real = (math.log(2) + math.log1p(math.exp(-2))) / 2
    generated = (math.log1p(math.exp(-1)) + math.log(2)) / 2
    assert modality_loss(logits).item() == pytest.approx(real + generated, rel=1e-6)
    assert modality_loss(torch.zeros(8, 2)).item() == pytest.approx(2 * math.log(2))


def _mixture():
    weight = torch.tensor([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.4, 0.3, 0.3]])
    mean = torch.tensor([[1.2, 2.0, 3.5], [2.0, 2.1, 4.0], [1.0, 3.0, 5.0]])
    sigma = torch.tensor([[0.1, 0.3, 0.5], [0.05, 0.2, 0.1], [0.02, 0.4, 0.8]])
    return Mixture(weight, mean, sigma)


def _cdf(mixture, grid):
    weight, mean, sigma = (part.double().numpy()[..., None] for part in mixture)
    return (weight * norm.cdf((grid - mean) / sigma)).sum(1) / weight.sum(1)


def test_crps_of_a_mixture_is_the_integral():
    mixture, redshift = _mixture(), torch.tensor([1.7, 2.05, 4.2])
    wanted = []
    for i, z in enumerate(redshift.tolist()):
        below, above = np.linspace(-4, z, 50_001), np.linspace(z, 11, 50_001)
        lower, upper = _cdf(mixture, below)[i], 1 - _cdf(mixture, above)[i]
        wanted.append(trapezoid(lower**2, below) + trapezoid(upper**2, above))
    np.testing.assert_allclose(mixture.crps(redshift), wanted, rtol=1e-4)


def test_probabilities_of_bins_are_differences_of_the_cdf():
    mixture, edges = _mixture(), torch.linspace(1, 5, 41)
    pdf = mixture.probabilities(edges).numpy()
    np.testing.assert_allclose(pdf.sum(-1), 1, rtol=1e-6)
    inside = np.diff(_cdf(mixture, edges.numpy()), axis=-1)
    np.testing.assert_allclose(pdf[:, 1:-1], inside[:, 1:-1], atol=1e-6)


def test_moments_of_a_mixture_are_those_of_its_draws():
    mixture = _mixture()
    rng = np.random.default_rng(0)
    for i, (weight, mean, sigma) in enumerate(zip(*mixture, strict=True)):
        part = rng.choice(3, 200_000, p=weight.double().numpy() / weight.double().sum().item())
        draws = rng.normal(mean.numpy()[part], sigma.numpy()[part])
        assert mixture.expectation()[i].item() == pytest.approx(draws.mean(), abs=0.02)
        assert mixture.deviation()[i].item() == pytest.approx(draws.std(), rel=0.02)


def test_outputs_of_a_network_make_a_mixture():
    mixture = Mixture.of(50 * _random(20, 15))
    torch.testing.assert_close(mixture.weight.sum(-1), torch.ones(20))
    assert mixture.sigma.min() > 0
    assert mixture.mean.shape == (20, 5)


def _contrast_by_hand(first, second, classes, temperature, within):
    def attraction(a, b, alone):
        total = 0.0
        for i in range(len(a)):
            others = [j for j in range(len(b)) if not (alone and i == j)]
            cosine = {j: a[i] @ b[j] / temperature for j in others}
            scale = np.log(sum(np.exp(value) for value in cosine.values()))
            positive = [scale - cosine[j] for j in others if classes[i] == classes[j]]
            total += np.mean(positive) if positive else 0.0
        return total / len(a)

    first, second = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second))
    across = attraction(first, second, False) + attraction(second, first, False)
    return across + within * (attraction(first, first, True) + attraction(second, second, True))


def test_contrastive_loss_by_hand():
    first, second, classes = _random(6, 4), _random(6, 4, seed=1), torch.tensor([0, 0, 1, 1, 1, 2])
    loss = contrastive_loss(first, second, classes, temperature=0.21, within=0.13)
    wanted = _contrast_by_hand(first.numpy(), second.numpy(), classes.numpy(), 0.21, 0.13)
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
