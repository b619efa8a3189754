from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from galaxyds.errors import DataIntegrityError, StorageError, UsageError
from galaxyds_models.results import Interval, append, as_builtins, histograms, read, read_all
from tests.models.result_rows import make_figures, make_result

_WRITER = """
import sys
from pathlib import Path
from galaxyds_models.results import append
from tests.models.result_rows import make_figures, make_result
base = int(sys.argv[2])
for number in range(15):
    append(Path(sys.argv[1]), make_result(base + number, **make_figures()))
"""


def strict(line: str):
    def refuse(word: str):
        raise ValueError(f"{word} is no JSON")

    return json.loads(line, parse_constant=refuse)


def test_what_is_appended_reads_back_equal(tmp_path):
    path = tmp_path / "deep" / "results.jsonl"
    rows = [make_result(0), make_result(1, **make_figures())]
    for row in rows:
        append(path, row)
    assert read(path) == rows
    assert [strict(line)["seed"] for line in path.read_text().splitlines()] == [0, 1]


def test_numbers_that_are_not_finite_become_null(tmp_path):
    path = tmp_path / "r.jsonl"
    broken = Interval(value=float("nan"), low=float("-inf"), high=float("inf"))
    append(path, make_result(metrics={"sigma_mad": broken}, validation={"loss": float("nan")}))
    told = strict(path.read_text())
    assert told["metrics"]["sigma_mad"] == {"value": None, "low": None, "high": None}
    assert told["validation"] == {"loss": None}
    assert read(path)[0].metrics["sigma_mad"] == Interval(value=None)
    assert strict(json.dumps(as_builtins(read(path)[0]))) == told


@pytest.mark.parametrize("changes", [{"wall_seconds": float("nan")}, {"objects": "many"}])
def test_a_field_that_would_not_read_back_is_refused(tmp_path, changes):
    with pytest.raises(UsageError, match=next(iter(changes))):
        append(tmp_path / "r.jsonl", make_result(**changes))
    assert not (tmp_path / "r.jsonl").exists()


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    path = tmp_path / "r.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(base)], env=environment)
        for base in (0, 100, 200)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    seeds = [strict(line)["seed"] for line in path.read_text().splitlines()]
    assert sorted(seeds) == sorted(base + k for base in (0, 100, 200) for k in range(15))
    assert [seed for seed in seeds if seed < 100] == list(range(15))


def test_a_torn_line_is_set_aside_by_the_next_append(tmp_path, caplog):
    path = tmp_path / "r.jsonl"
    append(path, make_result(0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    with caplog.at_level(logging.WARNING, logger="galaxyds.results"):
        assert [row.seed for row in read(path)] == [0]
        assert path.read_bytes() == whole + whole[:100]  # reading changes nothing
        append(path, make_result(1))
    assert [row.seed for row in read(path)] == [0, 1]
    assert (tmp_path / "r.jsonl.torn").read_bytes() == whole[:100] + b"\n"
    assert "line 2 is incomplete" in caplog.text
    assert "moved to r.jsonl.torn" in caplog.text


def test_a_line_torn_longer_than_a_piece_is_found_whole(tmp_path):
    path = tmp_path / "r.jsonl"
    torn = b'{"model": "' + b"x" * 200_000
    path.write_bytes(torn)
    append(path, make_result(3))
    assert [row.seed for row in read(path)] == [3]
    assert (tmp_path / "r.jsonl.torn").read_bytes() == torn + b"\n"


def test_a_whole_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "r.jsonl"
    append(path, make_result(0))
    path.write_bytes(path.read_bytes()[:-1])
    assert [row.seed for row in read(path)] == [0]
    append(path, make_result(1))
    assert [row.seed for row in read(path)] == [0, 1]
    assert not (tmp_path / "r.jsonl.torn").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda row: row | {"surprise": 1}, "surprise"),
        (lambda row: row | {"seed": 1.5}, "seed"),
        (lambda row: row | {"schema": 2}, "schema 2"),
        (lambda row: {k: v for k, v in row.items() if k != "validation"}, "validation"),
        (lambda row: [row], "array"),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, spoil, words):
    path = tmp_path / "r.jsonl"
    append(path, make_result(0))
    good = path.read_text()
    path.write_text(good + "\n" + json.dumps(spoil(json.loads(good))) + "\n")
    with pytest.raises(DataIntegrityError, match=r"r\.jsonl, line 3: .*" + words) as caught:
        read(path)
    assert caught.value.line == 3


def test_a_file_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*absent\.jsonl"):
        read(tmp_path / "absent.jsonl")


def test_a_full_disk_takes_the_part_of_a_line_back(tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    append(path, make_result(0))
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:50]))
    with pytest.raises(StorageError, match="disk full"):
        append(path, make_result(1))
    monkeypatch.undo()
    assert path.read_bytes() == before


def test_a_folder_in_place_of_the_file_is_a_storage_error(tmp_path):
    (tmp_path / "r.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*r\.jsonl"):
        append(tmp_path / "r.jsonl", make_result())


def test_a_line_in_two_files_counts_once(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    append(paths[0], make_result(0))
    append(paths[1], make_result(0))
    append(paths[1], make_result(1))
    assert [row.seed for row in read_all(paths)] == [0, 1]


def test_histograms_count_every_object():
    random = np.random.default_rng(1)
    true = random.uniform(0.01, 0.4, 2000)
    predicted = true + 0.01 * (1 + true) * random.standard_t(2, 2000)
    predicted[:3] = np.nan
    found = histograms(predicted, true, random.uniform(size=2000), cells=20)
    inside = sum(sum(row) for row in found.density.counts)
    assert inside + found.density.outside == 2000
    residuals = found.residuals
    assert sum(residuals.counts) + residuals.below + residuals.above == 1997
    assert found.pit is not None
    assert sum(found.pit.counts) == 2000
    assert found.density.edges[0] <= true.min()
    assert found.density.edges[-1] >= true.max()


def test_a_density_has_predictions_in_rows_and_truth_in_columns():
    true = np.array([0.0, 0.9, 0.9, 1.0])
    found = histograms(np.array([0.05, 0.4, 0.4, 1.0]), true, cells=2).density
    assert found.counts == [[1, 2], [0, 1]]


def test_histograms_of_one_value_do_not_fail():
    found = histograms([0.1, 0.1], [0.1, 0.1])
    assert found.density.counts == [[2]]
    assert sum(found.residuals.counts) == 2


@pytest.mark.parametrize(("predicted", "true"), [([1.0], [1.0, 2.0]), ([np.nan], [1.0])])
def test_histograms_of_nothing_are_refused(predicted, true):
    with pytest.raises(UsageError):
        histograms(predicted, true)
