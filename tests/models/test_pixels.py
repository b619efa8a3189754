"""Compression, standardising and the symmetries of a square, against formulas and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxyds_models.pixels import compress, standardise, turn, turn_by


@pytest.mark.parametrize("x", [0.0, 1e-6, -1e-6, 0.3, -0.3, 12.5, -99.0, 4e8])
def test_signed_square_root_is_the_formula_to_the_digits_of_float16(x):
    found = compress(torch.tensor([x]), "signed-sqrt").item()
    # The plain formula in 64 bits loses nothing that 16 bits could tell.
    expected = np.sign(x) * (np.sqrt(abs(np.float64(x)) + 1) - 1)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_missing_pixels_become_nothing_and_large_ones_are_clipped():
    found = compress(torch.tensor([float("nan"), 1e9, -1e9]), "none")
    assert found.tolist() == [0.0, 65504.0, -65504.0]
    assert compress(torch.tensor([510.0]), "divide-255").item() == 2.0


def test_standardising_leaves_bands_without_data_at_zero():
    pixels = torch.full((2, 2, 1, 1), 3.0).half()
    mask = torch.tensor([[True, False], [True, True]])
    found = standardise(pixels, torch.tensor([1.0, 2.0]), torch.tensor([2.0, 5.0]), mask)
    assert found.flatten().tolist() == [4.0, 0.0, 4.0, 5.0]


def test_the_eight_turns_are_those_of_numpy():
    image = np.arange(2 * 5 * 5, dtype="f4").reshape(1, 2, 5, 5)
    turned = turn_by(torch.from_numpy(image).repeat(8, 1, 1, 1), torch.arange(8)).numpy()
    expected = [
        np.rot90(flipped, k, (-2, -1))
        for flipped in (image[0], image[0, :, :, ::-1])
        for k in range(4)
    ]
    assert {x.tobytes() for x in turned} == {x.tobytes() for x in expected}
    assert len({x.tobytes() for x in turned}) == 8


def test_turns_are_drawn_evenly_and_from_the_generator():
    image = torch.arange(9.0).reshape(1, 1, 3, 3).repeat(4000, 1, 1, 1)
    first = turn(image, torch.Generator().manual_seed(1))
    assert torch.equal(first, turn(image, torch.Generator().manual_seed(1)))
    _, counts = torch.unique(first.flatten(1), dim=0, return_counts=True)
    assert len(counts) == 8
    assert counts.min() > 400  # 500 expected, deviation 21
