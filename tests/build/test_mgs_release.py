"""``build sdss-mgs --archive release``: from a loopback Girder to an opened dataset."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from galaxyds.archives import deepdip
from galaxyds.build.engine import Request
from galaxyds.build.plan import make_plan
from galaxyds.catalog import folds
from galaxyds.errors import ArchiveError, DataIntegrityError, ResumeConflictError, UsageError
from galaxyds.store.hdf5 import image_map, read_columns
from galaxyds_cli.main import app
from tests.servers.deepdip import DeepdipEmulator, file_id
from tests.servers.loopback import Fault
from tests.store import p19_sample
from tests.store.test_p19 import expected

NAME, ROWS = "sdss.npz", 2_000


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(deepdip, "INTERVAL", 0.0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """2,000 cutouts, deflated."""
    return p19_sample.write(tmp_path_factory.mktemp("p19") / NAME, ROWS)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """100 cutouts."""
    return p19_sample.write(tmp_path_factory.mktemp("small") / NAME, 100).read_bytes()


def build(home):
    arguments = ["build", "sdss-mgs", "--archive", "release", "--root", str(home)]
    return CliRunner().invoke(app, arguments)


def product(home):
    (folder,) = home.glob("sdss_mgs/main/*")
    return folder


def test_a_release_cut_on_the_way_becomes_the_dataset(archive, tmp_path, monkeypatch):
    home = tmp_path / "home"
    with DeepdipEmulator({NAME: archive.read_bytes()}) as server:
        monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", server.url)
        server.cut(NAME, 0.4)
        done = build(home)
        assert done.exit_code == 0, done.output
        ranges = [r.headers.get("range") for r in server.requests if "/file/" in r.path]
    assert ranges == [None, f"bytes={int(0.4 * archive.stat().st_size)}-"]
    with np.load(archive) as file:
        cube, rows = file["cube"], expected(file["labels"])
    folder = product(home)
    stored = read_columns(folder / "images.hdf5")
    np.testing.assert_array_equal(stored["object_id"], rows.objID)
    np.testing.assert_array_equal(stored["redshift"], rows.z.astype("f4"))
    images = image_map(folder / "images.hdf5")
    wanted = cube[rows.place.to_numpy()].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images, wanted)
    tested = np.stack([stored[f"split_{k}"] == 2 for k in range(5)], axis=1)
    np.testing.assert_array_equal(tested.sum(axis=1), 1)
    np.testing.assert_array_equal(tested.argmax(axis=1), folds(rows.specObjID.to_numpy(), 5))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == len(rows)
    assert manifest["version"] == "1.0.0+release"
    flow = [(step["rows_before"], step["rows_after"]) for step in manifest["cut_flow"]]
    assert flow[0][0] == ROWS
    assert flow[-1][1] - sum(manifest["duplicates"].values()) == len(rows)
    assert any("state no checksum" in line for line in manifest["warnings"])
    checked = CliRunner().invoke(app, ["verify", "sdss-mgs", "--root", str(home)])
    assert checked.exit_code == 0, checked.output


def test_a_file_of_ones_own_is_taken_and_left(archive, tmp_path, monkeypatch, closed_url):
    monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", closed_url)
    mine = tmp_path / "mine"
    mine.mkdir()
    table = np.asarray(p19_sample.labels(50))
    np.savez(
        mine / NAME,
        cube=p19_sample.pixels(0, 50),
        labels=table.astype([(n, object) for n in table.dtype.names]),
    )
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
    refused = build(tmp_path / "home")
    assert isinstance(refused.exception, DataIntegrityError)
    assert "set GALAXYDS_DEEPDIP_DIR to the folder of that file" in refused.exception.message
    np.save(mine / "sdss_labels.npy", table)
    done = build(tmp_path / "home")
    assert done.exit_code == 0, done.output
    assert (mine / NAME).is_file()
    rows = expected(table)
    folder = product(tmp_path / "home")
    images = image_map(folder / "images.hdf5")
    wanted = p19_sample.pixels(0, 50)[rows.place.to_numpy()].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images, wanted)
    assert "sdss.npz (a file of one's own" in (folder / "manifest.json").read_text()


def test_damage_is_found_before_anything_is_published(small, tmp_path, monkeypatch):
    body = bytearray(small)
    body[len(body) // 2] ^= 1
    with DeepdipEmulator({NAME: bytes(body)}) as server:
        monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", server.url)
        error = build(tmp_path / "home").exception
    assert isinstance(error, DataIntegrityError)
    assert "cube.npy in" in error.message
    assert not list((tmp_path / "home").rglob("images.hdf5"))


def test_a_login_page_stops_the_build_with_a_way_out(small, tmp_path, monkeypatch):
    with DeepdipEmulator({NAME: small}) as server:
        monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", server.url)
        server.fail(Fault("html", where=f"/file/{file_id(NAME)}"))
        error = build(tmp_path / "home").exception
    assert isinstance(error, ArchiveError)
    assert "web page instead of data" in error.message
    assert "set GALAXYDS_DEEPDIP_DIR" in error.message


def test_a_folder_of_ones_own_without_the_file_is_said_before_anything_is_asked(
    tmp_path, monkeypatch
):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "sdss (1).npz").write_bytes(b"PK")
    with DeepdipEmulator({NAME: b"PK"}) as server:
        monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", server.url)
        monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
        error = build(tmp_path / "home").exception
        assert server.requests == []
    assert isinstance(error, UsageError)
    assert f"GALAXYDS_DEEPDIP_DIR names {mine}, and there is no sdss.npz in it" in error.message


def test_a_plan_fetches_nothing_that_is_at_hand(small, tmp_path, monkeypatch, closed_url):
    monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", closed_url)
    request = Request(address="sdss-mgs", archive="release", root=tmp_path / "home")
    away = make_plan(request)
    assert away.fetch_bytes == 659_857 * 64 * 64 * 5 * 4
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
    with pytest.raises(UsageError, match=r"there is no sdss\.npz in it"):
        make_plan(request)
    (mine / NAME).write_bytes(small)
    there = make_plan(request)
    assert (there.fetch, there.fetch_bytes) == ("published files, from your own copy", 0)
    assert there.disk_bytes == away.disk_bytes - away.fetch_bytes


def test_after_a_wrong_address_the_right_one_is_taken(small, tmp_path, monkeypatch, closed_url):
    monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", closed_url)
    monkeypatch.setattr(deepdip, "_FIRST_ATTEMPTS", 1)
    assert isinstance(build(tmp_path / "home").exception, ArchiveError)
    with DeepdipEmulator({NAME: small}) as server:
        monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", server.url)
        done = build(tmp_path / "home")
    assert done.exit_code == 0, done.output


def test_labels_without_a_redshift_build_nothing(tmp_path, monkeypatch, closed_url):
    monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", closed_url)
    mine = tmp_path / "mine"
    mine.mkdir()
    table = np.asarray(p19_sample.labels(50))
    kept = [name for name in table.dtype.names if name != "z"]
    np.savez(mine / NAME, cube=p19_sample.pixels(0, 50), labels=table[kept])
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
    error = build(tmp_path / "home").exception
    assert isinstance(error, DataIntegrityError)
    assert "no label is the column redshift ('z'): there are specObjID, objID, ra" in error.message
    assert str(mine / NAME) in error.message
    assert not list((tmp_path / "home").rglob("images.hdf5"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is told by Linux only")
def test_a_whole_build_takes_the_memory_of_its_libraries_and_little_more(archive, tmp_path):
    """Resident memory of the process, mapped pages included; benchmarks/npz.py has the figures."""
    built = _peak(
        "from galaxyds.build.engine import Request, build\n"
        "build(Request(address='sdss-mgs', archive='release', root=sys.argv[1]))\n",
        tmp_path,
        GALAXYDS_DEEPDIP_DIR=str(archive.parent),
    )
    bare = _peak("import astropy.io.fits, duckdb, h5py, pandas, pyarrow.parquet\n", tmp_path)
    assert built - bare < 200e6


def _peak(code, folder, **variables):
    """Most bytes that a process has resident while it runs some code."""
    told = (
        "from pathlib import Path\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(status.partition('VmHWM:')[2].split()[0])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{told}", str(folder / "home")],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout) * 1024


def test_a_file_of_ones_own_that_changes_is_not_taken_for_the_old_one(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    p19_sample.write(mine / NAME, 60)
    np.save(mine / "sdss_labels.npy", np.asarray(p19_sample.labels(60)))
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
    assert build(tmp_path / "home").exit_code == 0
    assert "Already built" in build(tmp_path / "home").output
    table = np.asarray(p19_sample.labels(60)).copy()
    table["z"] /= 2
    np.save(mine / "sdss_labels.npy", table)
    refused = build(tmp_path / "home")
    assert isinstance(refused.exception, ResumeConflictError)
    assert "--from fetch" in refused.exception.message


def test_published_files_of_which_no_object_is_left_build_nothing(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    table = np.asarray(p19_sample.labels(60)).copy()
    table["dered_petro_r"] = 19
    np.savez(mine / NAME, cube=p19_sample.pixels(0, 60), labels=table, version=np.array(3))
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
    refused = build(tmp_path / "home")
    assert isinstance(refused.exception, UsageError)
    assert "no object of the published files of sdss-mgs is left" in refused.exception.message
    assert "dered_petro_r" in refused.exception.message
    assert not list((tmp_path / "home").glob("sdss_mgs/main/*"))
