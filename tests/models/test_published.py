"""Published numbers, as the papers' tables print them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from galaxyds.metrics import METRICS, PDF_METRICS
from galaxyds.specs import get_spec
from galaxyds_models.published import datasets, published
from galaxyds_models.registry import get_entry, names


def cells(dataset: str, label: str, split: str = "test") -> dict[str, float | None]:
    found = [n for n in published(dataset) if (n.label, n.split) == (label, split)]
    return {number.metric: number.value for number in found}


# Paper 003, Table 2: sigma [1e-3], eta [%], bias [1e-3].
@pytest.mark.parametrize(
    ("label", "sigma", "outliers", "bias"),
    [
        ("Pasquet et al. 2019", 9.08, 0.31, 0.04),
        ("Dey et al. 2021", 8.98, 0.19, 0.07),
        ("Hayat et al. 2021", 8.25, 0.21, 0.1),
        ("Treyer et al. 2023", 8.00, 0.18, -0.31),
        ("Ait-Ouahmed et al. 2023, multimodal", 7.85, 0.16, 0.31),
    ],
)
def test_main_sample_is_table_2_of_the_multimodal_paper(label, sigma, outliers, bias):
    found = cells("sdss-mgs/main", label)
    assert found["sigma_mad"] == pytest.approx(sigma / 1000)
    assert found["outliers_05"] == pytest.approx(outliers / 100)
    assert found["bias_mean"] == pytest.approx(bias / 1000)


# Paper 000, Table 1: % with |dz| < .1, .2, .3, .4, RMSE.
@pytest.mark.parametrize(
    ("address", "printed"),
    [
        ("baseline: Hong et al. 2023, photometry", "80.41 92.60 96.06 98.23 0.1332"),
        (
            "baseline: Hong et al. 2023, photometry and generated spectrum",
            "84.45 93.59 96.43 98.35 0.1235",
        ),
        ("baseline: Zhang et al. 2023, photometry and image", "82.05 94.62 97.88 98.96 0.1010"),
        (
            "baseline: Zhang et al. 2023, generated photometry and image",
            "82.14 94.52 97.88 98.96 0.1011",
        ),
        ("extended: Zhang et al. 2023, photometry and image", "86.36 96.30 98.67 99.21 0.0865"),
        (
            "extended: Zhang et al. 2023, photometry and generated image",
            "73.48 94.60 98.63 99.17 0.1035",
        ),
    ],
)
def test_quasars_are_table_1_of_the_crossmodal_paper(address, printed):
    config, label = address.split(": ")
    found = cells(f"sdss-qso/{config}", label)
    shares = [100 * found[f"within_{percent}"] for percent in (10, 20, 30, 40)]
    assert [*shares, found["rmse"]] == pytest.approx([float(text) for text in printed.split()])


@pytest.mark.parametrize(("config", "rmse"), [("baseline", 0.1031), ("extended", 0.0861)])
def test_the_abstract_of_the_crossmodal_paper_has_other_numbers(config, rmse):
    assert cells(f"sdss-qso/{config}", "Zhang et al. 2023, abstract") == {"rmse": rmse}
    table = [n for n in published(f"sdss-qso/{config}") if n.metric == "rmse" and n.note]
    assert any(f"{rmse:.4f}" in number.note for number in table)


# Paper 002, Table 2: loss, bias, scatter, outlier fraction, MSE.
@pytest.mark.parametrize(
    ("model", "printed"),
    [
        ("CNN", (0.0577, 0.000100, 0.0167, 0.0377, 0.0615)),
        ("NN", (0.106, 0.00110, 0.0315, 0.0688, 0.133)),
    ],
)
def test_galaxiesml_is_table_2_of_its_paper(model, printed):
    found = cells("hsc-galaxiesml/127", f"Do et al. 2024, {model}")
    names = ("hsc_loss_phot", "bias_mean", "sigma_mad", "outliers_above_15", "mse")
    assert [found[name] for name in names] == pytest.approx(list(printed))
    assert found["sigma_mad_unnormalised"] is None


def test_the_scatter_of_galaxiesml_carries_its_errata():
    notes = {n.label: n.note for n in published("hsc-galaxiesml/127") if n.metric == "sigma_mad"}
    assert "(1+z_spec)" in notes["Do et al. 2024, NN"]
    assert "stray minus" in notes["Do et al. 2024, CNN"]


def test_numbers_of_another_split_are_not_comparable():
    apart = {n.label for n in published() if not n.comparable}
    assert {label.split()[0] for label in apart} == {"LSTM-MDNz", "MMAE"}
    found = cells("hsc-galaxiesml/127", "LSTM-MDNz 2026, photometry")
    assert (found["sigma_mad"], found["outliers_above_15"]) == (0.0239, 0.0645)


@pytest.mark.parametrize("dataset", ["cfhtls-wide/main", "hsc-deep/6band", "hsc-deep/9band"])
def test_tables_that_are_pictures_leave_their_cells_empty_with_the_reason(dataset):
    rows = published(dataset)
    assert rows
    assert all(row.value is None and "picture" in row.why_unknown for row in rows)


def test_a_gap_has_a_reason_and_a_number_has_digits():
    for row in published():
        assert (row.value is None) == bool(row.why_unknown)
        assert (row.value is None) == (row.digits == 0)
        assert row.source


def test_digits_are_those_of_the_source():
    digits = {(n.label, n.metric): n.digits for n in published()}
    assert digits["Zhang et al. 2023, generated photometry and image", "rmse"] == 4
    assert digits["Pasquet et al. 2019", "bias_mean"] == 1
    assert digits["Treyer et al. 2023", "sigma_mad"] == 3
    assert digits["LSTM-MDNz 2026, photometry", "rmse"] == 3


def test_the_network_without_images_has_its_numbers_for_both_sizes():
    whole, middle = (published(f"hsc-galaxiesml/{size}") for size in ("127", "64"))
    without = [n for n in whole if n.model == "galaxiesml-nn"]
    assert [replace(number, dataset="hsc-galaxiesml/64") for number in without] == list(middle)
    assert all(number.comparable for number in middle)
    assert get_entry("galaxiesml-nn").recipe("paper").inputs.image is None


def test_numbers_name_recipes_that_exist():
    named = {(row.model, row.recipes) for row in published() if row.model}
    assert len(named) == len({model for model, _ in named}) == 7
    for model, recipes in named:
        assert set(recipes) <= {recipe.name for recipe in get_entry(model).recipes}
        assert "paper" in recipes
    assert not any(row.recipes for row in published() if not row.model)


def test_every_name_exists():
    for row in published():
        assert row.metric in METRICS or row.metric in PDF_METRICS
        assert row.model in ("", *names())
    for address in datasets():
        name, config = address.split("/")
        spec = get_spec(name)
        assert config in [each.name for each in spec.configs]
        extra = [each.name for each in spec.split.extra]
        assert {n.split for n in published(address)} <= {"test", *extra}
