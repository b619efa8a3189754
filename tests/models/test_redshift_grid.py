"""Point estimates of binned PDFs, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxyds_models.redshift_grid import RedshiftGrid

GRID = RedshiftGrid(low=0.0, high=0.4, bins=180)


def pdf_of(density):
    centres = (GRID.edges()[:-1] + GRID.edges()[1:]).numpy() / 2
    values = density(centres)
    return torch.from_numpy((values / values.sum()).astype("f4"))[None]


def test_a_flat_pdf_has_its_median_and_mean_in_the_middle():
    flat = torch.full((1, 180), 1 / 180)
    assert GRID.median(flat).item() == pytest.approx(0.2, abs=1e-6)
    assert GRID.mean(flat).item() == pytest.approx(0.2, abs=1e-6)


def test_the_median_of_an_exponential_is_its_scale_times_the_logarithm_of_two():
    pdf = pdf_of(lambda z: np.exp(-z / 0.02))
    assert GRID.median(pdf).item() == pytest.approx(0.02 * np.log(2), rel=2e-3)
    assert GRID.mean(pdf).item() == pytest.approx(0.02, rel=2e-2)
    assert GRID.mode(pdf).item() == pytest.approx(GRID.width / 2, abs=1e-7)


def test_all_in_one_bin_gives_the_middle_of_that_bin():
    pdf = torch.zeros(1, 180)
    pdf[0, 57] = 1
    middle = 57.5 * GRID.width
    for estimate in (GRID.median, GRID.mean, GRID.mode):
        assert estimate(pdf).item() == pytest.approx(middle, abs=1e-6)


def test_between_two_peaks_the_median_is_at_the_end_of_the_first():
    pdf = torch.zeros(1, 180)
    pdf[0, [10, 100]] = 0.5
    assert GRID.median(pdf).item() == pytest.approx(11 * GRID.width, abs=1e-6)


def test_classes_are_bins_and_those_outside_the_nearest():
    z = torch.tensor([-0.1, 0.0, 0.3999, 0.4, 2.0, 0.1])
    assert GRID.classes(z).tolist() == [0, 0, 179, 179, 179, 45]


def test_medians_stay_on_the_grid_for_any_pdf():
    pdf = torch.softmax(30 * torch.randn(500, 180, generator=torch.manual_seed(0)), -1)
    median = GRID.median(pdf)
    assert ((median >= 0) & (median <= 0.4)).all()
    below = (pdf.cumsum(-1) < 0.5).sum(-1)  # the bin in which half is reached
    assert torch.equal(((median - 1e-6) / GRID.width).floor().long().clamp_min(0), below)
