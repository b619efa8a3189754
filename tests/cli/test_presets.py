from __future__ import annotations

from pathlib import Path

import pytest

from galaxyds.errors import UsageError
from galaxyds.specs import OWN
from galaxyds_cli.options import PRESETS, Chosen, refuse_lists, with_preset
from tests.cli.shell import only_line, run_here


def test_a_preset_stands_for_its_options():
    assert with_preset("tiny", None, None) == Chosen("simulated", 100)
    assert with_preset("tiny", "simulated", 100) == Chosen("simulated", 100)
    assert with_preset(None, None, None) == Chosen("remote", None)
    assert with_preset(None, "release", 5) == Chosen("release", 5)


@pytest.mark.parametrize(
    ("archive", "limit", "words"),
    [
        ("remote", None, "--preset tiny means --archive simulated, not remote"),
        (None, 5, "--preset tiny means --limit 100, not 5"),
    ],
)
def test_options_that_contradict_a_preset_are_refused(archive, limit, words):
    with pytest.raises(UsageError, match=words):
        with_preset("tiny", archive, limit)


def test_a_preset_takes_no_files():
    with pytest.raises(UsageError, match="takes no files"):
        refuse_lists("tiny", None, Path("list.csv"))
    refuse_lists(None, Path("list.csv"))


@pytest.mark.parametrize("verb", ["build", "plan"])
def test_both_verbs_hold_the_preset_to_its_word(capsys, tmp_path, verb):
    done = run_here(capsys, verb, "sdss-qso", "--preset", "tiny", "--limit", 7, "--root", tmp_path)
    assert "--preset tiny means --limit 100, not 7" in only_line(done)
    assert done.code == 2
    assert not list(tmp_path.iterdir())


def test_a_tiny_build_is_the_one_of_its_options(capsys, tmp_path):
    # It ends where its folder, whose name tells its options, cannot be made.
    (tmp_path / "file").touch()
    line = ["build", "cfhtls-wide", "--root", tmp_path / "file" / "in"]
    tiny = run_here(capsys, *line, "--preset", "tiny")
    meant = PRESETS["tiny"]
    same = run_here(capsys, *line, "--archive", meant.archive, "--limit", meant.limit)
    assert tiny == same
    assert f"/1.0.0+simulated.limit{meant.limit}" in only_line(tiny)
    assert run_here(capsys, *line, "--archive", meant.archive, "--limit", 7) != tiny


def test_an_unknown_preset_offers_the_known_ones(capsys):
    done = run_here(capsys, "build", OWN[0], "--preset", "tinny")
    assert only_line(done) == "there is no preset 'tinny': did you mean tiny? one of tiny"
    assert done.code == 2
