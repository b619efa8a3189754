"""``build hsc-galaxiesml --archive release``: from a loopback Zenodo to an opened dataset."""

from __future__ import annotations

import io
import json
import shlex

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from galaxyds.archives import zenodo
from galaxyds.datasets import HSCGalaxiesML
from galaxyds.errors import DataIntegrityError
from galaxyds.store.galaxiesml import PUBLISHED_COLUMNS, open_published
from galaxyds.store.hdf5 import image_map, read_columns
from galaxyds_cli.main import app
from tests.servers.zenodo import ZenodoEmulator

ROWS, SIZE = 60, 64
WORDS = {"train": "training", "validation": "validation", "test": "testing"}
NAMES = {split: f"5x64x64_{word}_with_morphology.hdf5" for split, word in WORDS.items()}
TRAINING = NAMES["train"]


def _column(name, rng):
    """Values that the paper's cuts let through; types as pandas would have written them."""
    if name in ("coord", "specz_name"):
        return np.array([f"{name} {k}".encode() for k in range(ROWS)]).reshape(-1, 1)
    if name == "specz_flag_homogeneous":
        return np.ones(ROWS, bool)
    if name in ("skymap_id",) or "pop" in name:
        return rng.integers(1, 9, ROWS)
    low, high = {"specz_redshift": (0.02, 3.9), "specz_redshift_err": (1e-4, 4e-3)}.get(
        name, (18, 25) if "mag" in name else (0.1, 0.9)
    )
    return rng.uniform(low, high, ROWS).astype("f4")


@pytest.fixture(scope="module")
def sample():
    """Pixels, columns and splits of the whole sample, in the order of ids."""
    rng = np.random.default_rng(12)
    pixels = rng.normal(0, 1, (ROWS, 5, SIZE, SIZE)).astype("f4")
    columns = {name: _column(name, rng) for name in PUBLISHED_COLUMNS}
    columns["object_id"] = 36_407_046_198_803_509 + np.cumsum(rng.integers(1, 99, ROWS))
    return pixels, columns, rng.choice(3, ROWS, p=(0.6, 0.2, 0.2)).astype("i1")


def published(sample, edit=None):
    """The three files as h5py writes them when it is not told how: in chunks of a few pixels."""
    pixels, columns, splits = sample
    files = {}
    for code, name in enumerate(NAMES.values()):
        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            file.create_dataset("image", data=pixels[splits == code], chunks=True)
            for key, values in columns.items():
                file[key] = values[splits == code]
            if edit is not None:
                edit(file)
        files[name] = stream.getvalue()
    return files


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(zenodo, "INTERVAL", 0.0)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def build(home):
    return run("build", "hsc-galaxiesml/64", "--archive", "release", "--root", home)


@pytest.mark.parametrize("shape", ["listed", "migrated"])
def test_a_release_cut_at_40_percent_becomes_the_dataset(sample, tmp_path, monkeypatch, shape):
    pixels, columns, splits = sample
    files = published(sample)
    with ZenodoEmulator(files, shape=shape) as server:
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", server.url)
        server.cut(TRAINING, 0.4)
        done = build(tmp_path / "home")
        assert done.exit_code == 0, done.output
        ranges = [r.headers.get("range") for r in server.requests if TRAINING in r.path]
    assert ranges == [None, f"bytes={int(0.4 * len(files[TRAINING]))}-"]
    folder = next((tmp_path / "home").glob("hsc_galaxiesml/64/*/images.hdf5"))
    np.testing.assert_array_equal(image_map(folder), pixels)
    stored = read_columns(folder)
    np.testing.assert_array_equal(stored["object_id"], columns["object_id"])
    np.testing.assert_array_equal(stored["redshift"], columns["specz_redshift"])
    np.testing.assert_array_equal(stored["split_0"], splits)
    np.testing.assert_array_equal(stored["y_sersic_index"], columns["y_sersic_index"])
    with h5py.File(folder) as file:  # chunks no longer
        assert file["image"].chunks is None
    dataset = HSCGalaxiesML("validation", config="64", root=tmp_path / "home")
    assert len(dataset) == int((splits == 1).sum())
    checked = run("verify", "hsc-galaxiesml/64", "--root", tmp_path / "home", "--all")
    assert checked.exit_code == 0, checked.output
    assert "204573" in checked.output  # the published count, beside the rows of this small record


def test_an_exported_release_equals_the_published_files(sample, tmp_path, monkeypatch):
    with ZenodoEmulator(published(sample)) as server:
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", server.url)
        assert build(tmp_path / "home").exit_code == 0
    done = run("export", "hsc-galaxiesml/64", "--format", "galaxiesml",
               "--root", tmp_path / "home", "-o", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    pixels, columns, splits = sample
    for code, name in enumerate(NAMES.values()):
        with h5py.File(tmp_path / name) as file:
            np.testing.assert_array_equal(file["image"][()], pixels[splits == code])
            absent = set(columns) - set(file)
            for key in set(columns) - absent:
                np.testing.assert_array_equal(file[key][()], columns[key][splits == code])
            assert absent == {name for name in columns if name.startswith(("x_coord", "y_coord"))}
            assert set(file) - set(columns) == {"image"}
    again = open_published({s: tmp_path / n for s, n in NAMES.items()}, (), shape=(5, 64, 64))
    np.testing.assert_array_equal(np.concatenate(list(again.blocks())), pixels)


def test_a_wrong_md5_stops_the_build_and_names_the_file(sample, tmp_path, monkeypatch):
    wrong = {TRAINING: {"checksum": "md5:" + "0" * 32}}
    with ZenodoEmulator(published(sample), changed=wrong) as server:
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", server.url)
        error = build(tmp_path / "home").exception
    assert isinstance(error, DataIntegrityError)
    assert f"{TRAINING} from the archive has md5 " in error.message
    assert f"expected {'0' * 32}" in error.message
    assert not list((tmp_path / "home").rglob(TRAINING))


def test_a_published_file_with_an_external_link_is_refused(sample, tmp_path, monkeypatch):
    outside = tmp_path / "outside.hdf5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.arange(3)

    def edit(file):
        file["more"] = h5py.ExternalLink(str(outside), "secret")

    with ZenodoEmulator(published(sample, edit)) as server:
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", server.url)
        error = build(tmp_path / "home").exception
    assert isinstance(error, DataIntegrityError)
    assert "more is refused: a soft or external link" in error.message
    assert not list((tmp_path / "home").rglob("images.hdf5"))


def both_sizes(sample):
    """The six files of a record: 127 pixels, and their middle as the authors may have cut it."""
    pixels, columns, splits = sample
    rng = np.random.default_rng(3)
    large = rng.normal(0, 1, (ROWS, 5, 127, 127)).astype("f4")
    large[..., 31:95, 31:95] = pixels
    renamed = published((large, columns, splits))
    return {n.replace("64x64", "127x127"): f for n, f in renamed.items()} | published(sample)


def test_both_sizes_are_built_and_found_again_under_either_name(sample, tmp_path, monkeypatch):
    home = tmp_path / "home"
    common = ("--archive", "release", "--root", home)
    with ZenodoEmulator(both_sizes(sample)) as server:
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", server.url)
        first = run("build", "hsc-galaxiesml", *common)
        assert first.exit_code == 0, first.output
        assert (
            "hsc-galaxiesml/127:1.0.0+release and hsc-galaxiesml/64:1.0.0+release" in first.output
        )
        asked = len(server.requests)
        for address in ("hsc-galaxiesml/64", "hsc-galaxiesml/127", "hsc-galaxiesml"):
            again = run("build", address, *common)
            assert again.exit_code == 0, again.output
            assert "Already built" in again.output
        assert len(server.requests) == asked
    assert run("verify", "hsc-galaxiesml", "--root", home).exit_code == 0


def test_the_command_that_verify_advises_mends_a_release(sample, tmp_path, monkeypatch):
    home = tmp_path / "home"
    with ZenodoEmulator(published(sample)) as server:
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", server.url)
        assert build(home).exit_code == 0
        (images,) = home.glob("hsc_galaxiesml/64/*/images.hdf5")
        damaged = bytearray(images.read_bytes())
        damaged[-1000] ^= 1
        images.write_bytes(damaged)
        checked = run("verify", "hsc-galaxiesml/64", "--root", home, "--json")
        assert checked.exit_code == DataIntegrityError.exit_code
        report = json.loads(checked.stdout[checked.stdout.index("{") :])
        (advice,) = {check["advice"] for check in report["checks"] if not check["ok"]}
        mended = run(*shlex.split(advice.removeprefix("run galaxyds ")))
        assert mended.exit_code == 0, mended.output
    assert run("verify", "hsc-galaxiesml/64", "--root", home).exit_code == 0
