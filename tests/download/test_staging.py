"""Whose folder a fetch may take over."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from galaxyds.download.staging import staging
from galaxyds.errors import StorageError

HOST = "".join(c if c.isalnum() or c == "_" else "-" for c in socket.gethostname())


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left(work, name, *, age=0.0):
    folder = work / name
    folder.mkdir(parents=True)
    (folder / "kept").write_text(name)
    when = time.time() - age
    for path in (folder / "kept", folder):
        os.utime(path, (when, when))
    return folder


def taken(work):
    with staging(work) as folder:
        return [path.read_text() for path in folder.iterdir()]


def test_what_failed_is_kept_for_the_next(tmp_path):
    with pytest.raises(KeyError), staging(tmp_path) as folder:  # noqa: PT012
        (folder / "kept").write_text("half")
        raise KeyError
    assert taken(tmp_path) == ["half"]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_process_is_left_alone(tmp_path):
    folder = left(tmp_path, f"download.{HOST}.{os.getppid()}.0a")
    assert taken(tmp_path) == []
    assert folder.exists()


def test_that_of_a_dead_one_is_taken_over(tmp_path):
    left(tmp_path, f"download.{HOST}.{dead_process()}.0a")
    assert taken(tmp_path) != []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_the_number_of_a_living_process_alone_is_not_enough(tmp_path):
    """In containers the same numbers come again: when it began decides."""
    left(tmp_path, f"download.{HOST}.{os.getppid()}-1.0a")
    assert taken(tmp_path) != []
    began = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19]
    folder = left(tmp_path, f"download.{HOST}.{os.getppid()}-{began}.0a")
    assert taken(tmp_path) == []
    assert folder.exists()


def test_that_of_another_machine_only_if_it_is_old(tmp_path):
    left(tmp_path, "download.elsewhere.1.0a")
    assert taken(tmp_path) == []
    left(tmp_path, "download.elsewhere.1.0b", age=7200)
    assert taken(tmp_path) == ["download.elsewhere.1.0b"]


def test_the_newest_is_taken_and_older_ones_go(tmp_path):
    left(tmp_path, "download.0a", age=50)
    left(tmp_path, "download.0b", age=10)
    left(tmp_path, "download.0c", age=90)
    assert taken(tmp_path) == ["download.0b"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_of_storage(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError), staging(tmp_path / "file"):
        pass
