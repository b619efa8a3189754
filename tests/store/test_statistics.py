"""Statistics of the bands: what is no data counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.store.statistics import band_statistics


def test_padding_of_bands_without_data_is_no_data():
    rng = np.random.default_rng(1)
    images = rng.normal(5, 2, (300, 3, 4, 4)).astype(np.float32)
    lacking = np.arange(300) % 10 < 7
    images[lacking, 1] = 0
    mask = np.where(lacking, 0b101, 0b111).astype(np.int16)
    found = band_statistics(images, ("u", "J", "H"), mask=mask)["J"]
    assert found.mean == pytest.approx(float(images[~lacking, 1].mean(dtype=np.float64)))
    assert found.std == pytest.approx(float(images[~lacking, 1].std(dtype=np.float64)))
    assert found.nan_fraction == pytest.approx(0.7)
    assert found.zero_fraction == 0
