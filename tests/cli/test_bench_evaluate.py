"""``galaxyds bench evaluate``: predictions of a build and of a real table, start to end."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from galaxyds.errors import UsageError
from galaxyds_cli import bench_evaluate
from galaxyds_models.evaluate import Predictions, write_predictions
from galaxyds_models.results import read
from galaxyds_models.tables import open_table
from tests.cli.verb import output_of
from tests.small_build import SPEC, make_build

app = typer.Typer()
app.command()(bench_evaluate.evaluate)


def run(*arguments):
    return output_of(app, *arguments)


@pytest.fixture(autouse=True)
def _tiny_sky(monkeypatch):
    monkeypatch.setattr("galaxyds_models.objects.get_spec", lambda name: SPEC)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    make_build(home, 300)
    return home


def rows_of(home, split, division=0):
    """Ids and redshifts of a split, out of the catalogue."""
    (path,) = home.glob("*/*/*/catalog.parquet")
    frame = pq.read_table(path).to_pandas()
    chosen = frame[frame[f"split_{division}"] == ("train", "validation", "test").index(split)]
    return chosen["object_id"].to_numpy(), chosen["redshift"].to_numpy()


@pytest.fixture
def predicted(home, tmp_path):
    """A file of predictions of test, division 0, 0.1 too high, in another order."""
    return predict(home, tmp_path / "test.parquet", "test")


def predict(home, path, split, division=0, offset=0.1):
    ids, redshift = rows_of(home, split, division)
    order = np.random.default_rng(0).permutation(len(ids))
    found = Predictions(object_id=ids[order], z=(redshift + offset).astype("f4")[order],
                        patterns={"image": redshift[order]})  # fmt: skip
    write_predictions(path, found)
    return path


def test_scores_are_told_with_what_they_are_of(home, predicted):
    told = json.loads(run(predicted, "tiny-sky", "--root", home, "--resamples", 5, "--json"))
    ids, redshift = rows_of(home, "test")
    assert told["objects"] == len(ids)
    assert told["metrics"]["mae"]["value"] == pytest.approx(0.1, rel=1e-5)
    bias = (0.1 / (1 + redshift.astype("f8"))).mean()
    assert told["metrics"]["bias_mean"]["value"] == pytest.approx(bias, rel=1e-5)
    assert told["patterns"]["image"]["mae"]["value"] == 0
    assert (told["dataset"], told["version"]) == ("tiny-sky/extended", "1.2.0")


def test_the_table_for_people(home, predicted):
    out = run(predicted, "tiny-sky", "--root", home, "--resamples", 5)
    for words in ("sigma_mad", "From the pattern image", "tiny-sky/extended:1.2.0 (full), test of"):
        assert words in out


def test_predictions_of_another_split_or_division_are_recognised(home, predicted, tmp_path):
    count = len(rows_of(home, "train")[0])
    train = predict(home, tmp_path / "train.parquet", "train")
    with pytest.raises(UsageError, match=rf"{count} predicted ids belong to train"):
        run(train, "tiny-sky", "--root", home)
    with pytest.raises(UsageError, match="belong to train"):
        run(predicted, "tiny-sky", "--root", home, "--division", 1)
    assert "validation of division 2" in run(
        predict(home, tmp_path / "other.parquet", "validation", 2),
        "tiny-sky", "--root", home, "--split", "validation", "--fold", 2, "--resamples", 5,
    )  # fmt: skip


def test_a_row_is_appended_with_where_it_is_from(home, predicted, tmp_path):
    results = tmp_path / "results.jsonl"
    validation = predict(home, tmp_path / "validation.parquet", "validation", offset=0.2)
    arguments = (predicted, "tiny-sky", "--root", home, "--resamples", 5, "--results", results)
    with pytest.raises(UsageError, match="--results needs --model"):
        run(*arguments)
    more = ("--model", "mine", "--code", "here", "--validation", validation)
    for seed in (0, 1):
        out = run(*arguments, *more, "--seed", seed)
    assert "2 rows" in out
    rows = read(results)
    assert [(row.model, row.seed, row.pattern) for row in rows] == [
        ("mine", 0, ""), ("mine", 0, "image"), ("mine", 1, ""), ("mine", 1, "image"),
    ]  # fmt: skip
    assert rows[0].metrics["mae"].value == pytest.approx(0.1, rel=1e-5)
    assert rows[0].validation["mae"] == pytest.approx(0.2, rel=1e-5)
    assert rows[0].command.startswith("galaxyds bench evaluate test.parquet tiny-sky --split test")
    assert str(tmp_path) not in rows[0].command


def test_a_real_table_is_scored_by_its_name(survey_data, tmp_path):
    table = survey_data / "sdss_tables" / "sdss_dr17_star_classification_first20000.csv"
    objects = open_table("sdss-dr17-quasars", table, "test", division=3)
    path = tmp_path / "p.parquet"
    write_predictions(
        path, Predictions(object_id=objects.object_id, z=np.full(len(objects), 1.9, "f4"))
    )
    told = json.loads(run(path, "sdss-dr17-quasars", "--table", table, "--division", 3,
                          "--resamples", 5, "--json"))  # fmt: skip
    dz = (1.9 - objects.redshift) / (1 + objects.redshift)
    assert told["objects"] == len(objects)
    assert told["metrics"]["within_10"]["value"] == pytest.approx((np.abs(dz) < 0.1).mean())


def test_help_has_an_example():
    assert "Example: " in CliRunner().invoke(app, ["--help"]).output
