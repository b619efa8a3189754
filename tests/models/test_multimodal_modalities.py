"""Modalities against Table C.2 of paper 003 (its OCR corrected), and the choice of a grid."""

from __future__ import annotations

import pytest

from galaxyds.errors import UsageError
from galaxyds_models.multimodal.heads import choose_grid
from galaxyds_models.multimodal.modalities import by_size, modalities, name_of, positions

BANDS = tuple("ugrizyjhk")
TABLE_C2 = {
    (2, 1): "u_g g_r r_i i_z z_y y_j j_h h_k",
    (2, 2): "u_r g_i r_z i_y z_j y_h j_k",
    (2, 3): "u_i g_z r_y i_j z_h y_k",
    (3, 1): "u_g_r g_r_i r_i_z i_z_y z_y_j y_j_h j_h_k",
    (3, 2): "u_r_z g_i_y r_z_j i_y_h z_j_k",
    (3, 3): "u_i_j g_z_h r_y_k",
    (4, 1): "u_g_r_i g_r_i_z r_i_z_y i_z_y_j z_y_j_h y_j_h_k",
    (4, 2): "u_r_z_j g_i_y_h r_z_j_k",
}


def named(*args, **options):
    return [name_of(modality) for modality in modalities(*args, **options)]


@pytest.mark.parametrize(("size", "order"), TABLE_C2)
def test_modalities_are_those_of_the_table(size, order):
    assert named(BANDS, size, orders=(order,)) == TABLE_C2[size, order].split()


def test_orders_are_combined_in_turn():
    table = TABLE_C2[2, 2].split() + TABLE_C2[2, 3].split()
    assert named(BANDS, 2, orders=(2, 3)) == table


def test_single_bands_and_all_bands_are_added():
    assert named("ugr", 2, singles=True, together=True) == ["u_g", "g_r", "u", "g", "r", "u_g_r"]


def test_no_size_is_all_bands_once():
    assert named("ugriz", None, together=True) == ["u_g_r_i_z"]


def test_single_bands_are_the_same_in_every_order():
    assert named("ugr", 1, orders=(1, 2)) == ["u", "g", "r"]


def test_too_few_bands_are_refused():
    with pytest.raises(UsageError, match="no modality of 3 bands and order 3 in u, g, r"):
        modalities("ugr", 3, orders=(3,))


def test_positions_are_channels():
    assert positions(modalities("gri", 2), "gri") == ((0, 1), (1, 2))


def test_groups_have_one_size_each():
    chosen = modalities("ugr", 2, singles=True)
    assert [[len(m) for m in group] for group in by_size(chosen)] == [[2, 2], [1, 1, 1]]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [(0.3, (0.4, 180)), (0.4, (0.4, 180)), (0.41, (4, 1000)), (4, (4, 1000)), (5, (6, 1500))],
)
def test_the_grid_follows_the_redshifts(highest, expected):
    grid = choose_grid((0.0, highest))
    assert (grid.high, grid.bins) == expected
