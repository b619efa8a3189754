"""``galaxyds show``: writes one file, and never fails for want of a browser."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from galaxyds.errors import DatasetNotFoundError, MissingExtraError, StorageError
from galaxyds_cli.show import show
from tests.cli.verb import output_of
from tests.small_build import SPEC, make_build

APP = typer.Typer()
APP.command()(show)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A small build; its root, which is also the working folder."""
    monkeypatch.setattr("galaxyds.specs.get_spec", lambda name: SPEC)
    monkeypatch.chdir(tmp_path)
    make_build(tmp_path / "home", rows=6)
    return tmp_path / "home"


def test_a_report_is_written_here_and_named(home):
    said = output_of(APP, "tiny-sky", "--root", home)
    assert said.strip() == str(Path.cwd() / "tiny_sky_extended_1.2.0.html")
    assert (home.parent / said.strip()).read_text().startswith("<!doctype html>")


def test_a_browser_is_started_with_the_file(home, monkeypatch):
    """The user's own browser: here a program that writes down what it was given."""
    script, note = home.parent / "browser.sh", home.parent / "asked"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > "{note}"\n')
    script.chmod(0o755)
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    target = home.parent / "a b.html"
    output_of(APP, "tiny-sky", "--root", home, "--output", target, "--open")
    assert note.read_text() == target.as_uri()


def test_no_browser_is_no_failure(home, monkeypatch):
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setenv("BROWSER", "/nowhere/browser %s")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("DISPLAY", raising=False)
    done = CliRunner().invoke(APP, ["tiny-sky", "--root", str(home), "--open"])
    assert done.exit_code == 0
    assert "no browser could be started: open tiny_sky_extended_1.2.0.html" in done.output


def test_a_mistake_is_told(home, monkeypatch):
    with pytest.raises(DatasetNotFoundError, match="galaxyds build tiny-sky"):
        output_of(APP, "tiny-sky", "--root", home / "other")
    (home.parent / "file").write_text("")
    with pytest.raises(StorageError, match=r"choose another --output$"):
        output_of(APP, "tiny-sky", "--root", home, "-o", home.parent / "file" / "a.html")


@pytest.mark.parametrize("package", ["matplotlib.figure", "jinja2"])
def test_a_missing_package_names_the_extra(home, monkeypatch, package):
    from galaxyds.report import page

    page._environment.cache_clear()
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"galaxyds\[plots\]"):
        output_of(APP, "tiny-sky", "--root", home)
    assert not list(home.parent.glob("*.html"))
