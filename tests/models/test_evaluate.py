"""Anyone's predictions: the file format, the join by id, and scores held to closed forms."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from galaxyds.errors import DataIntegrityError, StorageError, UsageError
from galaxyds_models.evaluate import (
    Origin,
    Predictions,
    as_results,
    join,
    read_predictions,
    score,
    write_predictions,
)
from galaxyds_models.objects import Objects
from galaxyds_models.predictions import EDGES_KEY
from galaxyds_models.results import append, read

FIRST = 1237645876861272065  # beyond 2**53: a float names another object


def make_objects(n=200, seed=0):
    """Objects of a test split, with ids that floats cannot hold."""
    rng = np.random.default_rng(seed)
    ids = FIRST + 2 * rng.permutation(4 * n)
    return Objects(
        address="tiny-sky/extended",
        version="1.2.0",
        manifest="0" * 64,
        simulated=False,
        nature="full",
        split="test",
        division=1,
        object_id=ids[:n],
        redshift=rng.uniform(1, 5, n).astype("f4"),
        filters=(),
        magnitudes=np.empty((n, 0), "f4"),
        rows=np.arange(n),
        redshift_range=(1.0, 5.0),
        elsewhere={"train": ids[n : 3 * n], "validation": ids[3 * n :]},
    )


@pytest.fixture
def objects():
    return make_objects()


def guesses(objects, seed=1, **more):
    rng = np.random.default_rng(seed)
    z = (objects.redshift + rng.normal(0, 0.1, len(objects))).astype("f4")
    return Predictions(object_id=objects.object_id, z=z, **more)


def triangles(objects, bins=40):
    """PDFs around the truth, on [0, 6]."""
    edges = np.linspace(0, 6, bins + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    pdf = np.maximum(0.8 - np.abs(centres - objects.redshift[:, None]), 1e-6)
    return (pdf / pdf.sum(1, keepdims=True)).astype("f4"), edges


def write_columns(path, metadata=None, **columns):
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata or {}), path)
    return path


def test_what_is_written_is_read(tmp_path, objects):
    pdf, edges = triangles(objects)
    sigma = np.full(len(objects), 0.1, "f4")
    wrote = guesses(
        objects, sigma=sigma, pdf=pdf, edges=edges, patterns={"image": objects.redshift}
    )
    path = tmp_path / "new" / "predictions.parquet"
    write_predictions(path, wrote)
    found = read_predictions(path)
    for name in ("object_id", "z", "sigma", "pdf", "edges"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wrote, name))
    np.testing.assert_array_equal(found.patterns["image"], objects.redshift)
    assert [p.name for p in path.parent.iterdir()] == ["predictions.parquet"]


def test_a_file_of_pandas_is_read(tmp_path, objects):
    """What others write: float64, plain lists, int32 or unsigned ids, further columns."""
    import pandas as pd

    pdf, edges = triangles(objects)
    path = tmp_path / "theirs.parquet"
    frame = pd.DataFrame(
        {
            "object_id": objects.object_id.astype("u8"),
            "z": objects.redshift.astype("f8"),
            "pdf": pdf.astype("f8").tolist(),
            "comment": "x",
        }
    )
    table = pa.Table.from_pandas(frame)
    pq.write_table(
        table.replace_schema_metadata({EDGES_KEY: msgspec.json.encode(edges.tolist())}), path
    )
    found = read_predictions(path)
    assert found.object_id.dtype == np.int64
    np.testing.assert_array_equal(found.object_id, objects.object_id)
    np.testing.assert_array_equal(found.pdf, pdf)


def test_float_ids_are_refused_with_the_reason(tmp_path, objects):
    ids = objects.object_id.astype(np.float64)
    assert (ids.astype(np.int64) != objects.object_id).any()
    path = write_columns(tmp_path / "p.parquet", object_id=ids, z=objects.redshift)
    with pytest.raises(UsageError, match=r"object_id is double, which has 15 digits.*as int64"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"z": [1.0]}, r"no column 'object_id' \(it has: z\)"),
        ({"object_id": [1], "redshift": [1.0]}, "no column 'z'"),
        ({"object_id": ["1"], "z": [1.0]}, "object_id is string, not int64"),
        ({"object_id": pa.array([1, None]), "z": [1.0, 2.0]}, "1 rows have no object_id"),
        ({"object_id": pa.array([2**63], "u8"), "z": [1.0]}, "does not fit int64"),
        ({"object_id": [1, 2, 3], "z": [1.0, np.nan, np.inf]}, r"2 of 3 values of z .*rows 2, 3"),
        ({"object_id": [1, 2], "z": pa.array([1.0, None])}, "1 of 2 values of z are NaN"),
        ({"object_id": [1, 2], "z": ["a", "b"]}, "column z is string, not a number"),
        ({"object_id": [5, 7, 5, 5], "z": [1.0] * 4}, r"1 object ids occur more than once \(5\)"),
        ({"object_id": [1], "z": [1.0], "sigma": [0.0]}, "1 values of sigma are not above 0"),
        ({"object_id": [1], "z": [1.0], "z.image": [np.nan]}, "1 of 1 values of z.image"),
        ({"object_id": [1], "z": [1.0], "pdf": [[0.5, 0.5]]}, "no galaxyds.edges"),
        ({"object_id": [1, 2], "z": [1.0, 2.0], "pdf": [[1.0], [0.5, 0.5]]}, "no common length"),
        ({"object_id": [1], "z": [1.0], "pdf": [1.0]}, "column pdf is double"),
        ({"object_id": pa.array([], "i8"), "z": pa.array([], "f4")}, "there are no predictions"),
    ],
)
def test_files_that_cannot_be_scored_say_why(tmp_path, columns, words):
    with pytest.raises(UsageError, match=words):
        read_predictions(write_columns(tmp_path / "p.parquet", **columns))


@pytest.mark.parametrize(
    ("pdf", "edges", "words"),
    [
        ([[0.5, 0.5]], b"[0, 1]", "n bins need"),
        ([[0.5, 0.5]], b"[0, 2, 1]", "do not rise"),
        ([[0.5, 0.5]], b"[0, null, 1]", "no JSON list"),
        ([[5.0, 5.0]], b"[0, 1, 2]", r"1 of 1 PDFs are no probabilities \(rows 1: sum 10\)"),
        ([[1.5, -0.5]], b"[0, 1, 2]", "are no probabilities"),
    ],
)
def test_pdfs_that_are_none_say_why(tmp_path, pdf, edges, words):
    path = write_columns(
        tmp_path / "p.parquet", {EDGES_KEY: edges}, object_id=[1], z=[1.0], pdf=pdf
    )
    with pytest.raises(UsageError, match=words):
        read_predictions(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html><body>404</body></html>", "is a web page"),
        (b"object_id,z\n1,2\n", "no readable Parquet file"),
        (b"PAR1 and then nothing PAR1", "no readable Parquet file"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    path = tmp_path / "p.parquet"
    path.write_bytes(content)
    with pytest.raises(DataIntegrityError, match=words):
        read_predictions(path)


def test_a_flipped_bit_is_noticed(tmp_path, objects):
    path = tmp_path / "p.parquet"
    write_predictions(path, guesses(objects))
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataIntegrityError):
        read_predictions(path)


def test_what_would_be_refused_is_not_written(tmp_path, objects):
    bad = replace(guesses(objects), z=np.full(len(objects), np.nan, "f4"))
    with pytest.raises(UsageError, match="NaN"):
        write_predictions(tmp_path / "p.parquet", bad)
    assert not list(tmp_path.iterdir())
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        write_predictions(tmp_path / "folder", guesses(objects))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_order_of_predictions_does_not_matter(objects):
    ordered = guesses(objects)
    shuffled = ordered.take(np.random.default_rng(3).permutation(len(objects)))
    joined = join(shuffled, objects)
    np.testing.assert_array_equal(joined.object_id, objects.object_id)
    np.testing.assert_array_equal(joined.z, ordered.z)
    assert (
        score(shuffled, objects, resamples=20).metrics
        == score(ordered, objects, resamples=20).metrics
    )


def test_missing_predictions_are_counted_and_named(objects):
    some = guesses(objects).take(np.arange(3, len(objects)))
    first = ", ".join(str(i) for i in objects.object_id[:3])
    with pytest.raises(UsageError, match=rf"no prediction for 3 of 200 objects \({first}\)"):
        join(some, objects)


def test_ids_of_other_splits_are_called_by_their_name(objects):
    ids = np.concatenate([objects.object_id, objects.elsewhere["train"][:120], [3, 5]])
    strangers = Predictions(object_id=ids, z=np.ones(len(ids), "f4"))
    with pytest.raises(UsageError) as caught:
        join(strangers, objects)
    message = str(caught.value)
    assert "tiny-sky/extended, test of division 1" in message
    assert "120 predicted ids belong to train" in message
    assert "2 predicted ids are no objects of this dataset (3, 5)" in message
    assert "rounded" not in message


def test_ids_that_went_through_a_float_are_recognised(objects):
    ids = np.unique(objects.object_id.astype(np.float64).astype(np.int64))
    rounded = Predictions(object_id=ids, z=np.ones(len(ids), "f4"))
    with pytest.raises(UsageError, match="a float has rounded"):
        join(rounded, objects)


def test_scores_are_those_of_numpy(objects):
    predictions = guesses(objects, patterns={"image": objects.redshift})
    found = score(predictions, objects, resamples=200)
    true = objects.redshift.astype("f8")
    dz = (predictions.z - true) / (1 + true)
    mad = np.median(np.abs(dz - np.median(dz)))
    assert found.metrics["sigma_mad"].value == pytest.approx(1.4826 * mad, rel=1e-9)
    assert found.metrics["rmse"].value == pytest.approx(np.sqrt((dz**2).mean()), rel=1e-9)
    rmse = found.metrics["rmse"]
    # The deviation of an RMS of n Gaussian numbers is RMS / sqrt(2 n).
    assert rmse.low < rmse.value < rmse.high
    assert rmse.high - rmse.low == pytest.approx(4 * rmse.value / np.sqrt(400), rel=0.4)
    assert found.patterns["image"].metrics["rmse"].value == 0
    assert found.objects == 200
    assert "crps" not in found.metrics
    assert found.pit is None


def test_bins_hold_every_object_once_and_their_own_scores(objects):
    predictions = guesses(objects)
    found = score(predictions, objects, resamples=2)
    assert len(found.bins) == 10
    assert sum(row.count for row in found.bins) == len(objects)
    true = objects.redshift.astype("f8")
    row = found.bins[4]
    inside = (true >= row.low) & (true < row.high)
    dz = (predictions.z - true)[inside] / (1 + true[inside])
    assert row.count == inside.sum()
    assert row.metrics["bias_mean"] == pytest.approx(dz.mean(), rel=1e-9)


def test_without_resamples_there_are_no_intervals(objects):
    found = score(guesses(objects), objects, resamples=0)
    whole = score(guesses(objects), objects, resamples=10)
    assert all(each.low is each.high is None for each in found.metrics.values())
    assert {k: v.value for k, v in found.metrics.items()} == {
        k: v.value for k, v in whole.metrics.items()
    }


def test_a_sigma_is_scored_as_a_gaussian_and_agrees_with_its_histogram(objects):
    sigma = np.full(len(objects), 0.1, "f4")
    gaussian = guesses(objects, sigma=sigma)
    edges = np.linspace(-1, 8, 3001)
    pdf = np.diff(stats.norm.cdf(edges, gaussian.z[:, None].astype("f8"), 0.1), axis=1).astype("f4")
    binned = replace(gaussian, sigma=None, pdf=pdf, edges=edges)
    first, second = (score(p, objects, resamples=2) for p in (gaussian, binned))
    for name, tolerance in (("crps", 1e-3), ("nll", 2e-3), ("coverage_68", 0.011)):
        a, b = first.metrics[name].value, second.metrics[name].value
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance / 10), name
    pit = stats.norm.cdf((objects.redshift - gaussian.z) / 0.1)
    assert first.pit.ks == pytest.approx(stats.kstest(pit, "uniform").statistic, abs=1e-4)
    assert sum(first.figures.pit.counts) == len(objects)


def test_objects_without_a_range_are_scored_without_bins():
    objects = make_objects(30)
    same = replace(objects, redshift=np.full(30, 2.0, "f4"))
    assert score(guesses(same), same, resamples=2).bins == []
    few = objects.take(np.arange(3))
    assert score(guesses(few), few, resamples=2).bins == []


def test_scores_become_lines_of_a_results_file(tmp_path, objects):
    scored = score(guesses(objects, patterns={"image": objects.redshift}), objects, resamples=5)
    chosen = score(guesses(objects, patterns={"image": objects.redshift}), objects, resamples=0)
    origin = Origin(model="mine", seed=3, code="here", command="galaxyds ...", predictions="1" * 64)
    path = tmp_path / "results.jsonl"
    for result in as_results(scored, objects, origin, validation=chosen):
        append(path, result)
    main, image = read(path)
    assert (main.model, main.seed, main.pattern, main.split, main.division) == (
        "mine", 3, "", "test", 1,
    )  # fmt: skip
    assert image.pattern == "image"
    assert image.validation["rmse"] == 0
    assert main.metrics == scored.metrics
    assert (main.dataset, main.manifest, main.objects) == ("tiny-sky/extended", "0" * 64, 200)
