from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from galaxyds.errors import StorageError, UsageError
from galaxyds_cli.bench_check import check
from galaxyds_cli.leaderboard import leaderboard
from galaxyds_models.results import append
from tests.models.result_rows import make_entry, make_result

app = typer.Typer()
app.command("leaderboard")(leaderboard)
app.command("check")(check)


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results.jsonl"
    for row in [*make_entry(), *make_entry(model="knn")[:2]]:
        append(path, row)
    return path


def test_the_page_is_written_and_its_place_told(results, tmp_path):
    done = run("leaderboard", results, "--output", tmp_path / "public")
    assert done.output.strip() == f"{tmp_path / 'public/index.html'}: 5 results of 2 models"
    assert "not an entry: seeds" in (tmp_path / "public/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "17 results of 2 models: 3 shown, 14 of preset smoke left out (--all shows them)"),
        (("--all",), "17 results of 2 models"),
    ],
)
def test_rows_that_are_not_shown_are_told(options, told, tmp_path):
    path = tmp_path / "results.jsonl"
    for row in [*make_entry(), *(make_result(s, model="knn", preset="smoke") for s in range(14))]:
        append(path, row)
    done = run("leaderboard", path, "--output", tmp_path / "public", *options)
    assert done.output.strip() == f"{tmp_path / 'public/index.html'}: {told}"


def test_markdown_goes_to_standard_output_and_to_a_file(results, tmp_path):
    done = run("leaderboard", results, "--markdown", "--output", tmp_path / "public")
    assert done.output == (tmp_path / "public/leaderboard.md").read_text(encoding="utf-8")
    assert "| 1 | **multimodal**" in done.output


def test_without_results_there_are_published_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "published numbers only" in run("leaderboard").output
    assert (tmp_path / "leaderboard/index.html").exists()


def test_a_named_file_that_is_absent_is_an_error(tmp_path):
    assert isinstance(run("leaderboard", tmp_path / "no.jsonl").exception, StorageError)


def test_check_names_what_to_do_and_fails(results):
    done = run("check", results)
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_code == 2
    assert "1 of 2 groups are no entries" in str(done.exception)
    assert "NOT AN ENTRY" in done.output
    assert "2 of 3 seeds" in done.output


def test_check_passes_entries(tmp_path):
    path = tmp_path / "good.jsonl"
    for row in make_entry():
        append(path, row)
    done = run("check", path)
    assert (done.exit_code, done.exception) == (0, None)
    told = json.loads(run("check", path, "--json").output)
    assert {finding["passed"] for finding in told} == {True}


def test_check_of_an_empty_file_fails(tmp_path):
    (tmp_path / "none.jsonl").touch()
    assert isinstance(run("check", tmp_path / "none.jsonl").exception, UsageError)
