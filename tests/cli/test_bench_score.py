"""``galaxyds bench score``: golden values of a published file, and tables that are not right."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import typer

from galaxyds.errors import DataIntegrityError, UsageError
from galaxyds_cli import bench_score
from tests.cli.verb import output_of

app = typer.Typer()
app.command()(bench_score.score)


def run(*arguments):
    return output_of(app, *arguments)


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    true = rng.uniform(0.1, 3, 100)
    return pd.DataFrame({"z_spec": true, "z_phot": true + rng.normal(0, 0.05, 100)})


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".fits":
        from astropy.table import Table

        Table.from_pandas(frame).write(path)
    else:
        separator = {".csv": ",", ".tsv": "\t", ".dat": " "}[path.suffix]
        frame.to_csv(path, index=False, sep=separator)
    return path


def test_the_published_file_has_its_golden_values(survey_data):
    """28,640 galaxies of GalaxiesML by a published model; numbers known to the digits given."""
    path = survey_data / "photoz_training" / "GalaxiesML_pred_z.dat"
    told = json.loads(run(path, "--true", "spect_z_test", "--pred", "photo_z_test",
                          "--resamples", 40, "--json"))  # fmt: skip
    assert (told["objects"], told["dropped"]) == (28_640, 0)
    golden = {
        "sigma_mad": (0.0239, 4), "outliers_above_15": (0.0645, 4), "bias_mean": (0.0124, 4),
        "bias_median": (0.0013, 4), "hsc_loss_spec": (0.0904, 4), "hsc_loss_phot": (0.0894, 4),
        "hsc_loss_none": (0.1421, 4), "mse": (0.0627, 3), "rmse": (0.130, 3),
    }  # fmt: skip
    for name, (value, digits) in golden.items():
        found = told["metrics"][name]
        assert round(found["value"], digits) == pytest.approx(round(value, digits)), name
        assert found["low"] < found["value"] < found["high"], name


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".dat", ".parquet", ".fits"])
def test_all_kinds_of_tables_give_the_same(tmp_path, frame, suffix):
    path = write(frame, tmp_path / f"table{suffix}")
    told = json.loads(run(path, "--true", "z_spec", "--pred", "z_phot", "--resamples", 5, "--json"))
    dz = (frame["z_phot"] - frame["z_spec"]) / (1 + frame["z_spec"])
    assert told["metrics"]["rmse"]["value"] == pytest.approx(np.sqrt((dz**2).mean()), rel=1e-9)


def test_the_table_shows_values_intervals_and_definitions(tmp_path, frame):
    out = run(write(frame, tmp_path / "t.csv"), "--true", "z_spec", "--pred", "z_phot")
    for words in ("sigma_mad", "1.4826 median|dz - median(dz)|", " to ", "100 rows"):
        assert words in out


@pytest.mark.parametrize(
    ("true", "pred", "words"),
    [
        ("z_spek", "z_phot", r"no column z_spek \(did you mean z_spec\?\); it has: z_spec, z_phot"),
        ("spec", "phot", "no column phot, spec"),
    ],
)
def test_the_nearest_column_is_offered(tmp_path, frame, true, pred, words):
    with pytest.raises(UsageError, match=words):
        run(write(frame, tmp_path / "t.csv"), "--true", true, "--pred", pred)


def test_missing_values_are_counted_and_left_out_on_request(tmp_path, frame):
    frame.loc[[3, 50], "z_phot"] = np.nan
    frame.loc[[50, 70], "z_spec"] = np.inf
    path = write(frame, tmp_path / "t.csv")
    columns = ("--true", "z_spec", "--pred", "z_phot")
    with pytest.raises(
        UsageError, match=r"3 of 100 rows lack a redshift above -1 \(row 4 first\).*--drop-mis"
    ):
        run(path, *columns)
    told = json.loads(run(path, *columns, "--drop-missing", "--resamples", 5, "--json"))
    assert (told["objects"], told["dropped"]) == (97, 3)
    frame["z_phot"] = np.nan
    with pytest.raises(UsageError, match="none of 100 rows"):
        run(write(frame, path), *columns, "--drop-missing")


def test_text_in_a_number_column_is_named_with_its_row(tmp_path, frame):
    frame = frame.astype(object)
    frame.loc[41, "z_phot"] = "0.5?"
    with pytest.raises(UsageError, match=r"column z_phot holds '0\.5\?' on row 42"):
        run(write(frame, tmp_path / "t.csv"), "--true", "z_spec", "--pred", "z_phot")


def test_sentinels_among_true_redshifts_are_refused(tmp_path, frame):
    frame.loc[:4, "z_spec"] = -99.0
    with pytest.raises(UsageError, match="5 of 100"):
        run(write(frame, tmp_path / "t.csv"), "--true", "z_spec", "--pred", "z_phot")


def test_other_files_are_refused(tmp_path):
    page = tmp_path / "t.csv"
    page.write_text("<!DOCTYPE html>")
    with pytest.raises(DataIntegrityError, match="web page"):
        run(page, "--true", "a", "--pred", "b")
    with pytest.raises(UsageError, match="cannot read"):
        run(tmp_path / "absent.csv", "--true", "a", "--pred", "b")


def test_codes_for_missing_predictions_are_no_redshifts(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("z_spec,z_phot\n" + "0.5,0.51\n" * 20 + "0.5,-99\n")
    with pytest.raises(UsageError, match=r"1 of 21 rows lack a redshift above -1 \(row 21 first\)"):
        run(path, "--true", "z_spec", "--pred", "z_phot")
