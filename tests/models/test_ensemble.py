"""Several networks as one: averages of PDFs and mixtures of Gaussians, by closed forms."""

from __future__ import annotations

import pytest
import torch

from galaxyds_models.ensemble import combine
from galaxyds_models.redshift_grid import RedshiftGrid


def test_pdfs_are_averaged_before_the_median_is_taken():
    grid = RedshiftGrid(low=0, high=1, bins=10)
    first, second = torch.zeros(1, 10), torch.zeros(1, 10)
    first[0, 1] = 1
    second[0, 7], second[0, 8] = 0.4, 0.6
    members = [
        {"z": grid.median(p), "pdf": p, "z_mean": grid.mean(p), "z_mode": grid.mode(p)}
        for p in (first, second)
    ]
    combined = combine(members, grid.edges())
    assert combined["pdf"].sum().item() == pytest.approx(1)
    assert combined["z"].item() == pytest.approx(0.2, abs=1e-6)  # half of it is below
    assert combined["z_mean"].item() == pytest.approx((0.15 + 0.4 * 0.75 + 0.6 * 0.85) / 2)
    assert combined["z_mode"].item() == pytest.approx(0.15)
    averaged = (members[0]["z"] + members[1]["z"]) / 2
    assert abs(combined["z"].item() - averaged.item()) > 0.2


def test_sigma_is_that_of_the_mixture():
    members = [
        {"z": torch.tensor([1.0]), "sigma": torch.tensor([0.1])},
        {"z": torch.tensor([2.0]), "sigma": torch.tensor([0.2])},
    ]
    samples = torch.cat([m["z"] + m["sigma"] * torch.randn(200_000) for m in members])
    combined = combine(members, None)
    assert combined["z"].item() == pytest.approx(1.5)
    assert combined["sigma"].item() == pytest.approx(samples.std().item(), rel=0.01)


def test_one_member_is_left_as_it_is():
    alone = {"z": torch.tensor([0.3]), "z.generated-image": torch.tensor([0.4])}
    assert combine([alone], None) is alone


def test_the_mean_is_taken_where_the_model_says_so():
    grid = RedshiftGrid(low=0, high=1, bins=10)
    members = [
        {"z": torch.tensor([z]), "pdf": torch.eye(10)[[k]]} for z, k in ((0.05, 0), (0.95, 9))
    ]
    third = {"z": torch.tensor([0.05]), "pdf": torch.eye(10)[[0]]}
    combined = combine([*members, third], grid.edges(), point="mean")
    assert combined["z"].item() == pytest.approx((0.05 + 0.95 + 0.05) / 3, abs=1e-6)
    assert combine([*members, third], grid.edges())["z"].item() == pytest.approx(0.075, abs=1e-6)
