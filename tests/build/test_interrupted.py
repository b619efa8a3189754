"""A build that is killed, runs out of disk or meets a dead worker, and is run again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galaxyds.build import Request, build
from galaxyds.build.workspace import Workspace
from galaxyds.errors import DataIntegrityError, ResumeConflictError, StorageError, UsageError
from galaxyds.specs import get_spec
from galaxyds.store import read_manifest

pytest.importorskip("galsim")
LIMIT = 100  # three tiles


def command(root: Path, jobs: int) -> list[str]:
    return [
        sys.executable, "-m", "galaxyds_cli.main", "build", "sdss-qso", "--archive", "simulated",
        "--limit", str(LIMIT), "--root", str(root), "--jobs", str(jobs),
    ]  # fmt: skip


def files(root: Path) -> dict[str, str]:
    (manifest,) = root.glob("sdss_qso/*/*/manifest.json")
    return {name: record.sha256 for name, record in read_manifest(manifest).files.items()}


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> dict[str, str]:
    """Hashes of a build that nothing disturbed."""
    root = tmp_path_factory.mktemp("calm")
    build(Request(address="sdss-qso", archive="simulated", limit=LIMIT, root=root, jobs=1))
    return files(root)


def test_two_workers_that_are_killed_at_random_leave_the_same_bytes(calm, tmp_path):
    chooser = random.Random(7)
    killed = 0
    for _ in range(5):
        process = subprocess.Popen(
            command(tmp_path, 2),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + chooser.uniform(2.0, 8.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    done = subprocess.run(command(tmp_path, 2), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert killed >= 1
    assert files(tmp_path) == calm
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("*.partial"))


def test_workers_do_not_outlive_a_killed_build(tmp_path):
    psutil = pytest.importorskip("psutil")
    process = subprocess.Popen(
        command(tmp_path, 2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + 120
    workers = []
    while len(workers) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)  # two workers, and what keeps count of their semaphores
        workers = parent.children(recursive=True)
    assert len(workers) >= 3
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_a_published_build_that_lost_a_file_is_not_called_built(tmp_path):
    request = Request(address="sdss-qso", archive="simulated", limit=10, root=tmp_path, jobs=1)
    path = build(request).path
    (path / "images.hdf5").unlink()
    with pytest.raises(DataIntegrityError, match=r"images\.hdf5 is damaged.*--from cutouts"):
        build(request)
    assert (
        build(request, start="cutouts").manifest.files
        == read_manifest(path / "manifest.json").files
    )
    (path / "manifest.json").write_text("{")
    with pytest.raises(DataIntegrityError, match=r"manifest cannot be read.*--from cutouts"):
        build(request)


def test_any_executor_will_do(calm, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        request = Request(address="sdss-qso", archive="simulated", limit=LIMIT, root=tmp_path)
        build(request, executor=pool)
    assert files(tmp_path) == calm


def test_a_second_run_skips_everything_and_from_reruns(tmp_path):
    request = Request(address="sdss-qso", archive="simulated", limit=10, root=tmp_path, jobs=1)
    first = build(request)
    assert first.skipped == ()
    again = build(request)
    assert again.skipped == get_spec("sdss-qso").stages
    with pytest.raises(UsageError, match="use --from cutouts"):
        build(request, start="write")
    rerun = build(request, start="split")
    assert rerun.skipped == ("query", "cut", "deduplicate")
    assert rerun.manifest.files == first.manifest.files


def test_a_build_whose_dataset_was_removed_is_made_again(tmp_path):
    import shutil

    request = Request(address="sdss-qso", archive="simulated", limit=10, root=tmp_path, jobs=1)
    first = build(request)
    shutil.rmtree(first.path)
    assert build(request).manifest.files == first.manifest.files


def test_other_inputs_are_refused_with_what_differs(tmp_path):
    request = Request(address="sdss-qso", archive="simulated", limit=10, root=tmp_path, jobs=1)
    build(request)
    other = Request(
        address="sdss-qso", archive="simulated", limit=10, root=tmp_path, jobs=1, pushdown=False
    )
    with pytest.raises(ResumeConflictError, match=r"sql: was .*add --from query to rerun query"):
        build(other)


def test_a_full_disk_is_one_line_and_the_resumed_build_ends_right(calm, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    request = Request(address="sdss-qso", archive="simulated", limit=LIMIT, root=small, jobs=1)
    try:
        with pytest.raises(StorageError, match="disk full while writing") as caught:
            build(request)
        assert "\n" not in str(caught.value)
        subprocess.run(["mount", "-o", "remount,size=400m", str(small)], check=True)
        build(request)
        assert files(small) == calm
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_worker_that_dies_is_one_line(tmp_path):
    process = subprocess.Popen(
        command(tmp_path, 2), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    psutil = pytest.importorskip("psutil")
    shards = Workspace(tmp_path / ".work" / "sdss_qso" / "extended", ()).directory
    deadline = time.monotonic() + 120
    victim = None
    while victim is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        for child in psutil.Process(process.pid).children(recursive=True):
            # A worker takes processor time; what keeps count of semaphores does not.
            if list(shards.rglob("frames/*")) and sum(child.cpu_times()[:2]) > 1.0:
                victim = child
    assert victim is not None, "no worker was seen at work"
    victim.kill()
    _, error = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "a worker process died" in error.splitlines()[-1]
    assert "Traceback" not in error
