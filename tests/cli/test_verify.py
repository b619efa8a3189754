"""``galaxyds verify``: one damaged file is one cause and one next command."""

from __future__ import annotations

import os

import pytest
from typer.testing import CliRunner

from galaxyds.errors import DataIntegrityError
from galaxyds.store.verify import verify
from galaxyds_cli.main import app
from tests.small_build import SPEC, make_build


@pytest.fixture
def truncated(tmp_path, monkeypatch):
    """A small build with half a catalogue; its root and its folder."""
    monkeypatch.setattr("galaxyds.specs.get_spec", lambda name: SPEC)
    folder = make_build(tmp_path, spec=SPEC)
    catalog = folder / "catalog.parquet"
    os.truncate(catalog, catalog.stat().st_size // 2)
    return tmp_path, folder


def test_a_truncated_catalogue_is_one_failure_with_one_command(truncated):
    root, folder = truncated
    failed = [result for result in verify(folder, SPEC) if not result.ok]
    unreadable = [result for result in failed if result.check != "size"]
    assert len(unreadable) > 3
    done = CliRunner().invoke(app, ["verify", "tiny-sky/extended", "--root", str(root)])
    assert done.exit_code == DataIntegrityError.exit_code
    # One row for the size and one for all that could not read it, however they are folded.
    assert done.output.count("FAILED") == 2
    assert done.output.count("Parquet magic bytes") == 1
    words = done.output.replace(",", " ").split()
    assert all(word in words for result in unreadable for word in result.check.split())
    told = [line for line in done.output.splitlines() if line.startswith("Next: ")]
    assert told == [f"Next: {failed[0].advice}"]
    assert {result.advice for result in failed} == {failed[0].advice}


def test_checks_that_passed_keep_their_own_rows(truncated):
    root, folder = truncated
    results = list(verify(folder, SPEC))
    done = CliRunner().invoke(app, ["verify", "tiny-sky/extended", "--root", str(root), "--all"])
    passed = sum(result.ok for result in results)
    assert sum(" ok " in line for line in done.output.splitlines()) == passed
    assert f"{passed} of {len(results)} checks passed" in done.output
