"""``galaxyds preview``: a picture, also where there is little to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer

from galaxyds.errors import UsageError
from galaxyds_cli.preview import preview
from tests.cli.verb import output_of
from tests.small_build import SPEC, make_build

APP = typer.Typer()
APP.command()(preview)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setattr("galaxyds.specs.get_spec", lambda name: SPEC)
    monkeypatch.chdir(tmp_path)


def test_fewer_objects_than_asked_for_are_all_drawn(tmp_path):
    make_build(tmp_path / "home", rows=6)
    assert (
        output_of(APP, "tiny-sky", "--root", tmp_path / "home", "-n", 40)
        == f"{Path.cwd() / 'tiny_sky.png'}\n"
    )
    assert (tmp_path / "tiny_sky.png").read_bytes().startswith(b"\x89PNG")


def test_without_objects_there_is_nothing_to_draw(tmp_path, monkeypatch):
    empty = np.empty((0, *SPEC.image_shape()), "f4")
    monkeypatch.setattr("tests.small_build.images", lambda *_: empty)
    make_build(tmp_path / "home", rows=0)
    with pytest.raises(UsageError, match="no objects: there is nothing to draw"):
        output_of(APP, "tiny-sky", "--root", tmp_path / "home")
    assert not (tmp_path / "tiny_sky.png").exists()
