"""Result rows for tests."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from galaxyds_models.results import Bin, Interval, Result, histograms

MANIFEST = hashlib.sha256(b"manifest").hexdigest()


def make_result(seed: int = 0, **changes: Any) -> Result:
    """A row that, with two other seeds, is an entry."""
    values: dict[str, Any] = {
        "model": "multimodal",
        "recipe": "paper",
        "preset": "default",
        "dataset": "sdss-mgs/main",
        "version": "1.0.0",
        "manifest": MANIFEST,
        "split": "test",
        "division": 0,
        "simulated": False,
        "nature": "full",
        "seed": seed,
        "members": 1,
        "objects": 1000,
        "train_objects": 4000,
        "metrics": {
            "sigma_mad": Interval(value=0.008 + 0.0002 * seed, low=0.0076, high=0.0086),
            "outliers_05": Interval(value=0.002, low=0.0015, high=0.0025),
            "bias_mean": Interval(value=-0.0003, low=-0.0005, high=-0.0001),
        },
        "validation": {"sigma_mad": 0.0081, "loss": 3.25},
        "parameters": 9_000_000,
        "hardware": "one processor",
        "software": "torch 2, numpy 2, galaxyds 0",
        "wall_seconds": 12.5,
        "images_per_second": 321.0,
        "code": "https://example.org/code",
        "command": f"galaxyds bench run multimodal sdss-mgs --seed {seed}",
        "created": "2026-01-31T12:00:00+00:00",
    }
    return Result(**{**values, **changes})


def make_entry(**changes: Any) -> list[Result]:
    """Three seeds."""
    return [make_result(seed, **changes) for seed in range(3)]


def make_figures() -> dict[str, Any]:
    """Histograms and bins of drawn redshifts."""
    random = np.random.default_rng(5)
    true = random.uniform(0, 0.4, 500)
    bins = [
        Bin(low=low, high=low + 0.1, count=9, metrics={"sigma_mad": 0.01 + low, "bias_mean": -low})
        for low in (0.0, 0.1, 0.2)
    ]
    predicted = true + 0.01 * random.normal(size=500)
    return {"figures": histograms(predicted, true, random.uniform(size=500)), "bins": bins}
