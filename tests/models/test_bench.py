"""A benchmark from the build to the results file: every model, kept, resumed, evaluated again."""

from __future__ import annotations

import dataclasses
import json
import shlex

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from galaxyds import metrics
from galaxyds.datasets import DATASETS
from galaxyds.errors import DataIntegrityError, ResumeConflictError, StorageError, UsageError
from galaxyds_cli.main import app
from galaxyds_models.bench import Request, run
from galaxyds_models.evaluate import score
from galaxyds_models.hardware import Hardware
from galaxyds_models.objects import open_objects
from galaxyds_models.predictions import Predictions, read_predictions, write_predictions
from galaxyds_models.provenance import command_line
from galaxyds_models.recipe import Inputs, Preset, adjusted
from galaxyds_models.registry import get_entry, names, parameters
from galaxyds_models.results import read

CPU = Hardware(device=torch.device("cpu"))
FEW = Preset(name="smoke", about="for tests", epochs=1, train=16, evaluate=8, batch_size=8)


def request_of(root, output, model="galaxiesml-nn", recipe=None, **changes) -> Request:
    entry = get_entry(model)
    return Request(
        entry=entry,
        recipe=entry.recipe(recipe),
        preset=FEW,
        dataset="cfhtls-wide",
        root=root,
        output=output,
        hardware=CPU,
        resamples=20,
        **changes,
    )


def cheapest(model):
    """Name of the recipe with the fewest parameters that the build has everything for."""
    entry = get_entry(model)
    fitting = [r for r in entry.recipes if "extinctions" not in r.inputs.photometry]
    return min(fitting, key=lambda r: parameters(entry, r) or 0).name


@pytest.mark.parametrize("model", names())
def test_every_model_runs_from_the_build_to_the_results(cfhtls_root, tmp_path, model):
    request = request_of(cfhtls_root, tmp_path, model, cheapest(model))
    results = [result for result, _ in run(request)]
    assert read(request.results) == results
    main = results[0]
    assert (main.model, main.objects, main.train_objects) == (model, 8, 16)
    assert main.simulated
    assert main.dataset == "cfhtls-wide/main"
    assert main.metrics["sigma_mad"].low <= main.metrics["sigma_mad"].value
    assert main.validation["sigma_mad"] is not None
    assert (main.parameters > 0) == (get_entry(model).network is not None)


def test_predictions_can_be_scored_again_to_the_same_numbers(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path, "multimodal", cheapest("multimodal"))
    ((result, _),) = run(request)
    (path,) = tmp_path.rglob("predictions.parquet")
    test = open_objects("cfhtls-wide", "test", root=cfhtls_root, limit=8, pixels=False)
    again = score(read_predictions(path), test, resamples=20)
    assert again.metrics == result.metrics
    assert "crps" in result.metrics


def test_a_finished_run_is_kept_and_another_is_refused(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path, seeds=(3, 4))
    assert [status for _, status in run(request)] == ["run", "run"]
    more = dataclasses.replace(request, seeds=(3, 4, 5))
    assert [status for _, status in run(more)] == ["kept", "kept", "run"]
    assert [result.seed for result in read(request.results)] == [3, 4, 5]
    changed = dataclasses.replace(request.recipe, batch_size=4)
    with pytest.raises(ResumeConflictError, match="another recipe, build"):
        run(dataclasses.replace(request, recipe=changed))


def test_seeds_differ_and_repeat(cfhtls_root, tmp_path):
    def scatter(output, seeds):
        request = request_of(cfhtls_root, tmp_path / output, seeds=seeds)
        return {r.seed: r.metrics["rmse"].value for r, _ in run(request)}

    together = scatter("a", (0, 1))
    assert together[0] != together[1]
    assert scatter("b", (1,)) == {1: together[1]}


def test_members_are_averaged(cfhtls_root, tmp_path):
    def answers(members, output):
        request = request_of(cfhtls_root, tmp_path / output, "multimodal", cheapest("multimodal"))
        preset = dataclasses.replace(FEW, members=members)
        recipe = dataclasses.replace(request.recipe, members=members)
        ((result, _),) = run(dataclasses.replace(request, recipe=recipe, preset=preset))
        assert result.members == members
        (path,) = (tmp_path / output).rglob("predictions.parquet")
        return read_predictions(path).pdf

    alone, both = answers(1, "one"), answers(2, "two")
    # The first member is the one that is trained alone: the other one follows, and is a PDF.
    other = 2 * both - alone
    assert np.abs(other - alone).max() > 1e-6
    assert other.min() > -1e-6
    np.testing.assert_allclose(other.sum(1), 1, atol=1e-4)


def test_what_a_kill_left_out_of_the_results_file_is_appended(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path)
    expected = [result for result, _ in run(request)]
    request.results.unlink()  # as after a kill between the record and the line
    assert [status for _, status in run(request)] == ["kept"]
    assert read(request.results) == expected
    run(request)
    assert read(request.results) == expected


def test_a_damaged_record_is_named(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path)
    run(request)
    (path,) = tmp_path.rglob("result.json")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataIntegrityError, match="no record of a finished run"):
        run(request)


def test_a_recipe_that_needs_what_the_dataset_has_not_is_refused(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path)
    recipe = dataclasses.replace(request.recipe, inputs=Inputs(photometry=("extinctions",)))
    with pytest.raises(UsageError, match="cfhtls-wide/main has no extinctions"):
        run(dataclasses.replace(request, recipe=recipe))


def test_a_real_table_without_images_is_refused_by_an_image_model(survey_data, tmp_path):
    path = survey_data / "sdss_tables" / "sdss_dr17_star_classification_first20000.csv"
    request = request_of(None, tmp_path, "multimodal")
    request = dataclasses.replace(request, dataset="sdss-dr17-quasars", table=path)
    with pytest.raises(UsageError, match="has no images and no ebv"):
        run(request)


@pytest.mark.parametrize("changes", [{}, {"epochs": 3}, {"epochs": 3, "members": 2}])
def test_the_command_in_a_result_makes_it_again(cfhtls_root, tmp_path, changes, monkeypatch):
    request = request_of(cfhtls_root, tmp_path)
    recipe = adjusted(request.recipe, **changes)
    words = shlex.split(command_line(dataclasses.replace(request, recipe=recipe), recipe, 7, 2))
    asked = []
    monkeypatch.setattr("galaxyds_models.bench.run", lambda made, **_: asked.append(made) or [])
    CliRunner().invoke(app, words[1:], catch_exceptions=False)
    (made,) = asked
    assert made.recipe == recipe
    assert (made.seeds, made.divisions, made.preset.name) == ((7,), (2,), "smoke")
    assert made.hardware.precision == request.hardware.precision


def test_what_was_learnt_of_the_training_split_is_written_down(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path)
    run(request)
    (path,) = tmp_path.rglob("preparation.json")
    scale = json.loads(path.read_text())["scales"]["magnitudes"]
    train = open_objects("cfhtls-wide", "train", root=cfhtls_root, limit=16, pixels=False)
    np.testing.assert_allclose(scale["offset"], np.nanmin(train.magnitudes, 0), rtol=1e-6)


def test_compare_averages_seeds_and_finds_the_better_model(cfhtls_root, tmp_path):
    test = open_objects("cfhtls-wide", "test", root=cfhtls_root, pixels=False)
    rng = np.random.default_rng(0)

    def written(name, noise):
        z = (test.redshift + rng.normal(0, noise, len(test)) * (1 + test.redshift)).astype("f4")
        order = rng.permutation(len(test))
        predictions = Predictions(object_id=test.object_id[order], z=z[order])
        write_predictions(tmp_path / name, predictions)
        return z

    bad = [written(f"a{k}", 0.08) for k in range(2)]
    good = written("b", 0.01)
    words = ["bench", "compare", "cfhtls-wide", "--root", cfhtls_root, "--metric", "rmse", "--json",
             "-a", tmp_path / "a0", "-a", tmp_path / "a1", "-b", tmp_path / "b",
             "--resamples", 500]  # fmt: skip
    answer = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    (found,) = json.loads(answer.stdout)
    mean = (bad[0].astype("f8") + bad[1]) / 2
    assert found["a"] == pytest.approx(metrics.rmse(mean, test.redshift), rel=1e-6)
    assert found["b"] == pytest.approx(metrics.rmse(good, test.redshift), rel=1e-6)
    assert found["gain"] == pytest.approx(1 - found["b"] / found["a"], rel=1e-6)
    assert found["p_value"] < 0.05


def test_objects_are_written_for_models_that_are_trained_elsewhere(cfhtls_root, tmp_path):
    target = tmp_path / "train.parquet"
    words = ["bench", "objects", "cfhtls-wide", "--root", cfhtls_root, "-o", target]
    shown = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).stdout
    table = pd.read_parquet(target)
    train = DATASETS["cfhtls-wide"]("train", root=cfhtls_root, columns=["redshift", "mag_g", "ebv"])
    catalogue = train.catalog()
    assert table["object_id"].tolist() == catalogue["object_id"].tolist()
    np.testing.assert_array_equal(table["mag_g"], catalogue["mag_g"].astype("f4"))
    np.testing.assert_array_equal(table["ebv"], catalogue["ebv"].astype("f4"))
    assert f"{len(catalogue):,} objects of cfhtls-wide/main" in shown


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(tmp_path):
    (tmp_path / "file").write_text("")
    request = request_of(tmp_path / "no builds here", tmp_path / "file" / "runs")
    with pytest.raises(StorageError, match="cannot write"):
        run(request)


def test_recipes_that_fit_are_named(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path)
    recipe = dataclasses.replace(request.recipe, inputs=Inputs(photometry=("extinctions",)))
    entry = dataclasses.replace(request.entry, recipes=(recipe,))
    request = dataclasses.replace(request, entry=entry, recipe=recipe)
    with pytest.raises(UsageError, match="no recipe of galaxiesml-nn does without"):
        run(request)


def test_zeros_in_the_place_of_what_is_missing_are_said(cfhtls_root, tmp_path):
    request = request_of(cfhtls_root, tmp_path)
    inputs = Inputs(photometry=("magnitudes", "extinctions"), optional=("extinctions",))
    told = []
    recipe = dataclasses.replace(request.recipe, inputs=inputs)
    run(dataclasses.replace(request, recipe=recipe), say=told.append)
    assert told == ["cfhtls-wide/main has no extinctions: zeros stand for them"]
