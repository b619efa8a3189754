"""Publishing: the order of durable operations, and what a reader sees when something fails."""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from galaxyds.errors import StorageError
from galaxyds.store.files import (
    is_temporary,
    publish_bytes,
    publishing,
    publishing_directory,
    require_space,
    sha256,
)


@pytest.fixture
def operations(monkeypatch):
    """Durable operations in the order in which they happen, with the paths they touch."""
    seen = []

    def spy(name, function):
        def recorded(*arguments):
            first = arguments[0]
            path = Path(f"/proc/self/fd/{first}").resolve() if isinstance(first, int) else first
            seen.append((name, *(Path(a).name for a in (path, *arguments[1:]))))
            return function(*arguments)

        monkeypatch.setattr(os, name, recorded)

    for name in ("fsync", "replace", "rename"):
        spy(name, getattr(os, name))
    return seen


def test_a_file_is_synced_before_and_its_folder_after_the_rename(tmp_path, operations):
    publish_bytes(tmp_path / "a.json", b"{}")
    (first, temporary), (second, source, target), third = operations
    assert (first, second) == ("fsync", "replace")
    assert temporary == source
    assert is_temporary(Path(temporary))
    assert target == "a.json"
    assert third == ("fsync", tmp_path.name)


def test_every_file_of_a_folder_is_synced_before_the_rename(tmp_path, operations):
    with publishing_directory(tmp_path / "build") as folder:
        (folder / "hub").mkdir()
        (folder / "hub" / "one").write_bytes(b"1")
        (folder / "two").write_bytes(b"2")
    names = [operation[:2] for operation in operations]
    rename = names.index(("rename", folder.name))
    assert {("fsync", n) for n in ("one", "two", "hub", folder.name)} == set(names[:rename])
    assert names[rename + 1 :] == [("fsync", tmp_path.name)]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    publish_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), publishing(path) as temporary:
        temporary.write_bytes(b"half" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_no_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), publishing_directory(tmp_path / "b") as folder:
        (folder / "x").write_bytes(b"half" + bytes([(folder / "x").write_bytes(b"1") // 0]))
    assert list(tmp_path.iterdir()) == []


def test_published_bytes_are_replaced_never_written_to(tmp_path):
    path = tmp_path / "build"
    with publishing_directory(path) as folder:
        (folder / "x").write_bytes(b"old")
    with (path / "x").open("rb") as stream:
        view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    with publishing_directory(path, replace=True) as folder:
        (folder / "x").write_bytes(b"new")
    assert (path / "x").read_bytes() == b"new"
    assert view[:] == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_folder_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "build").mkdir()
    with (
        pytest.raises(StorageError, match="exists"),
        publishing_directory(tmp_path / "build"),
    ):
        pytest.fail("the block must not run")


def test_of_two_writers_one_wins_whole(tmp_path):
    slow = publishing_directory(tmp_path / "b")
    (slow.__enter__() / "x").write_bytes(b"slow")
    with publishing_directory(tmp_path / "b") as fast:
        (fast / "x").write_bytes(b"fast")
    with pytest.raises(StorageError):
        slow.__exit__(None, None, None)
    assert (tmp_path / "b" / "x").read_bytes() == b"fast"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_full_disk_is_named(tmp_path):
    disk_full = pytest.raises(StorageError, match="disk full while writing")
    with disk_full as caught, publishing(tmp_path / "a"):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.path == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_only_a_name_that_is_passed_over(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from galaxyds.store.files import publishing_directory\n"
        "with publishing_directory(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'manifest.json').write_text('{}')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "1.0.0")], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert is_temporary(left)


@pytest.mark.parametrize("name", [".x.tmp", "x.1-0123abcd.tmp", ".x.1-0123.tmp", ".x.1-0123abcd"])
def test_names_of_other_programs_are_not_temporary(name):
    assert not is_temporary(Path(name))


def test_sha256_of_more_than_one_piece(tmp_path):
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "x").write_bytes(data)
    assert sha256(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_sha256_of_nothing_is_an_error_of_ours(tmp_path):
    with pytest.raises(StorageError, match="cannot read"):
        sha256(tmp_path / "absent")


def test_space_is_checked_for_a_folder_that_does_not_exist_yet(tmp_path):
    require_space(tmp_path / "a" / "b", 1, what="a build")
    with pytest.raises(StorageError, match="a build needs") as caught:
        require_space(tmp_path / "a" / "b", 1 << 62, what="a build")
    assert caught.value.free < caught.value.needed
