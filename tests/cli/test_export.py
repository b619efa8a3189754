"""``galaxyds export``: a build on disk becomes the published files, or another format."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from galaxyds.errors import StorageError, UsageError
from galaxyds.spec import PublishedFiles
from galaxyds_cli.main import app
from tests.small_build import SPEC, images, make_build, table

NAMED = dataclasses.replace(
    SPEC,
    name="hsc-galaxiesml",
    files=PublishedFiles(
        service="zenodo",
        record="1",
        layout="galaxiesml",
        pattern="3x{size}x{size}_{split}_with_morphology.hdf5",
        splits=(("train", "training", 1), ("validation", "validation", 1), ("test", "testing", 1)),
        names=(("redshift", "specz_redshift"),),
        source="tests",
    ),
)


def run(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A small build whose declaration bears the dataset's name."""
    monkeypatch.setattr("galaxyds.specs.get_spec", lambda name: NAMED)
    make_build(tmp_path / "home", spec=NAMED)
    return tmp_path / "home"


def test_a_build_becomes_the_published_files(built, tmp_path):
    out = tmp_path / "out"
    done = run("hsc-galaxiesml", "--format", "galaxiesml", "--root", built, "-o", out)
    assert done.exit_code == 0, done.output
    source, pixels = table(60, NAMED), images(60, NAMED)
    codes, total = source["split_0"].to_numpy(), 0
    for code, word in enumerate(("training", "validation", "testing")):
        rows = np.flatnonzero(codes == code)
        with h5py.File(out / f"3x8x8_{word}_with_morphology.hdf5") as file:
            np.testing.assert_array_equal(file["image"][()], pixels[rows])
            for ours, theirs in {"object_id": "object_id", "redshift": "specz_redshift"}.items():
                np.testing.assert_array_equal(file[theirs][()], source[ours].to_numpy()[rows])
            assert set(file) == {"image", "object_id", "specz_redshift", "ra"}
        lines = done.output.splitlines()
        told = next(line.split() for line in lines if f"{word}_with_morphology.hdf5" in line)
        assert told[1] == str(len(rows))
        total += len(rows)
    assert total == 60
    assert "6 files, 60 objects" in done.output
    assert "hsc-galaxiesml/extended:1.2.0" in done.output
    # The small build has 3 of the 88 columns.
    assert "Without 85 of the published columns, which the build does not have: dec," in done.output
    size = next((built / "hsc_galaxiesml").rglob("images.hdf5")).stat().st_size
    assert f"writing about {size / 1e3:.1f} kB to {out}" in done.stderr


def test_without_a_folder_a_new_one_is_made(built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("hsc-galaxiesml", "--format", "galaxiesml", "--root", built)
    assert done.exit_code == 0, done.output
    assert {p.name for p in tmp_path.iterdir()} == {"home", "hsc_galaxiesml_extended_galaxiesml"}
    made = tmp_path / "hsc_galaxiesml_extended_galaxiesml"
    assert f"to {made}\n" in done.stderr
    assert len(list(made.iterdir())) == 6


def test_a_full_disk_is_noticed_before_anything_is_written(built, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    done = run("hsc-galaxiesml", "--format", "galaxiesml", "--root", built, "-o", tmp_path / "o")
    assert isinstance(done.exception, StorageError)
    assert "free some space or choose another --output" in done.exception.message
    assert not (tmp_path / "o").exists()


def test_what_stands_in_for_the_full_dataset_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr("galaxyds.specs.get_spec", lambda name: NAMED)
    make_build(tmp_path, spec=NAMED, limit=60)
    done = run("hsc-galaxiesml", "--format", "galaxiesml", "--root", tmp_path, "-o", tmp_path / "o")
    assert done.exit_code == 0, done.output
    assert done.output.count("limited to 60 objects") == 1


def test_a_second_export_does_not_overwrite(built, tmp_path):
    arguments = ("hsc-galaxiesml", "--format", "galaxiesml", "--root", built, "-o", tmp_path / "o")
    assert run(*arguments).exit_code == 0
    error = run(*arguments).exception
    assert isinstance(error, StorageError)
    assert "choose another folder with --output or remove it" in error.message


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (
            "galaxiesml",
            "its authors did not publish it so; formats of sdss-qso: webdataset, zarr, hats",
        ),
        ("csv", "there is no such format; formats of sdss-qso: webdataset, zarr, hats"),
        ("zar", "there is no such format (did you mean zarr?)"),
        ("web-dataset", "there is no such format (did you mean webdataset?)"),
    ],
)
def test_a_format_that_a_dataset_has_not(tmp_path, layout, words):
    error = run("sdss-qso", "--format", layout, "--root", tmp_path).exception
    assert isinstance(error, UsageError)
    assert words in error.message
    assert list(tmp_path.iterdir()) == []


def test_the_formats_of_a_dataset_are_named(built):
    error = run("hsc-galaxiesml", "--format", "fits", "--root", built).exception
    assert isinstance(error, UsageError)
    assert "there is no such format; formats of hsc-galaxiesml: galaxiesml" in error.message
    error = run("hsc-galaxiesml", "--format", "galaxyml", "--root", built).exception
    assert "there is no such format (did you mean galaxiesml?)" in error.message


@pytest.mark.parametrize("form", ["webdataset", "zarr", "croissant"])
def test_a_build_becomes_another_format(built, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    done = run("hsc-galaxiesml", "--format", form, "--root", built)
    assert done.exit_code == 0, done.output
    made = tmp_path / f"hsc_galaxiesml_extended_{form}"
    files = [path for path in made.rglob("*") if path.is_file()]
    assert f"{made}: {len(files)} files, 60 objects" in done.output
    assert f"to {made}\n" in done.stderr
    assert {p.name for p in tmp_path.iterdir()} == {"home", made.name}


@pytest.mark.parametrize("form", ["zarr", "galaxiesml"])
def test_sigterm_leaves_nothing_half_written(built, tmp_path, monkeypatch, form):
    def end(*_, **__):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL  # else the tests end here
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("galaxyds.publish.exports.zarr._write_images", end)
    monkeypatch.setattr("galaxyds.store.galaxiesml.export._write_csv", end)
    before = signal.getsignal(signal.SIGTERM)
    done = run("hsc-galaxiesml", "--format", form, "--root", built, "-o", tmp_path / "o")
    assert done.exit_code == 128 + signal.SIGTERM
    assert [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")] == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_killed_export_of_published_files_left_is_removed(built, tmp_path):
    left = tmp_path / "o" / f".3x8x8_training_with_morphology.csv.{os.getpid()}-0123abcd.tmp"
    left.parent.mkdir()
    left.write_bytes(b"0")
    done = run("hsc-galaxiesml", "--format", "galaxiesml", "--root", built, "-o", left.parent)
    assert done.exit_code == 0, done.output
    assert not left.exists()


def test_space_is_asked_for_before_a_format_is_written(built, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    done = run("hsc-galaxiesml", "--format", "zarr", "--root", built, "-o", tmp_path / "o")
    assert isinstance(done.exception, StorageError)
    assert "choose another --output" in done.exception.message
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [("--images", "--images is for --format hats"), ("--fold=1", "--division is for --format web")],
)
def test_an_option_of_another_format_is_refused(built, tmp_path, option, words):
    done = run("hsc-galaxiesml", "--format", "zarr", option, "--root", built, "-o", tmp_path / "o")
    assert isinstance(done.exception, UsageError)
    assert words in done.exception.message
    assert not (tmp_path / "o").exists()
