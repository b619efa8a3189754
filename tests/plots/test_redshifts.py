"""Predicted against true redshift: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.errors import UsageError
from galaxyds.plots import plot_redshifts, save


def sample(rows=400, shift=0.02, seed=1):
    rng = np.random.default_rng(seed)
    spec = rng.uniform(0, 1.5, rows)
    return spec + (1 + spec) * (shift + rng.normal(0, 0.01, rows)), spec


def test_every_object_is_a_point_and_the_residuals_are_normalised():
    phot, spec = sample()
    above, below = plot_redshifts(phot, spec).axes
    assert np.allclose(above.collections[0].get_offsets(), np.stack([spec, phot], axis=1))
    drawn = np.asarray(below.collections[0].get_offsets())
    assert np.allclose(drawn, np.stack([spec, (phot - spec) / (1 + spec)], axis=1))


def test_the_running_median_finds_a_shift():
    _, below = plot_redshifts(*sample(shift=0.05)).axes
    median = next(line for line in below.lines if line.get_color() == "tab:orange")
    assert np.allclose(median.get_ydata(), 0.05, atol=0.006)


def test_many_objects_are_counted_in_cells_and_none_is_lost():
    phot, spec = sample(rows=5000)
    above = plot_redshifts(phot, spec).axes[0]
    assert above.collections[0].get_array().sum() == 5000


def test_rows_without_a_value_are_counted_aloud():
    phot, spec = sample()
    phot[:3], spec[5] = np.nan, np.inf
    above = plot_redshifts(phot, spec, scores={"sigma_mad": "0.01"}).axes[0]
    assert above.texts[0].get_text() == "sigma_mad 0.01\n4 objects without a value"


def test_one_object_is_drawn_too(tmp_path):
    save(plot_redshifts(np.array([0.3]), np.array([0.3])), tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("phot", [np.ones(3), np.full(2, np.nan), np.ones((2, 1))])
def test_what_cannot_be_drawn_is_refused(phot):
    with pytest.raises(UsageError, match="redshift"):
        plot_redshifts(phot, np.ones(2))
