from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from galaxyds.spec import DatasetSpec
from galaxyds.store.usage import survey
from tests.cli.shell import only_line, run_here
from tests.small_build import SPEC, make_build

VERSION = "1.2.0"
DAY = 86_400.0


def aged(path: Path, seconds: float) -> Path:
    """Make a path as old as stated."""
    for one in (*path.rglob("*"), path):
        os.utime(one, (time.time() - seconds,) * 2)
    return path


def workspace(home: Path, config: str, version: str = VERSION, *, stage="cutouts.partial") -> Path:
    work = home / ".work" / "tiny_sky" / config / version
    (work / stage).mkdir(parents=True)
    (work / stage / "shard").write_bytes(b"x" * 1000)
    (work / "lock").touch()
    return work


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A finished build with its record and an interrupted rerun, and an interrupted build."""
    monkeypatch.setattr("galaxyds.store.usage.get_spec", lambda _: SPEC)
    home = tmp_path / "home"
    make_build(home, 20)
    workspace(home, "extended", stage="query")
    (home / ".work/tiny_sky/extended" / VERSION / "write.partial").mkdir()
    workspace(home, "baseline", f"{VERSION}+simulated.limit5")
    return home


def items(home: Path) -> dict[str, tuple[str, bool]]:
    found = survey(home)
    return {str(i.path.relative_to(home)): (i.kind, i.removable) for i in found}


BUILD = f"tiny_sky/extended/{VERSION}"
RECORD = f".work/tiny_sky/extended/{VERSION}"
LEFT = f".work/tiny_sky/baseline/{VERSION}+simulated.limit5"


def test_everything_is_listed_as_what_it_is(capsys, home):
    assert items(home) == {
        BUILD: ("build", False),
        LEFT: ("leftover", True),
        RECORD: ("record", False),
        f"{RECORD}/write.partial": ("leftover", True),
    }
    told = json.loads(run_here(capsys, "cache", "list", "--root", home, "--json").out)
    size = {Path(row["path"]).name: row["bytes"] for row in told["items"]}
    du = sum(p.stat().st_size for p in (home / BUILD).rglob("*") if p.is_file())
    assert size[VERSION] in (du, 1000)
    shown = run_here(capsys, "cache", "--root", home).out
    assert "galaxyds build tiny-sky/baseline --archive simulated --limit 5 would take it" in shown


def test_clean_removes_leftovers_and_nothing_that_a_build_needs(capsys, home):
    before = {p: p.read_bytes() for p in (home / BUILD).rglob("*") if p.is_file()}
    done = run_here(capsys, "cache", "clean", "--yes", "--root", home)
    assert done.code == 0
    assert "Freed 1.0 kB" in done.out
    assert {p: p.read_bytes() for p in (home / BUILD).rglob("*") if p.is_file()} == before
    assert items(home) == {BUILD: ("build", False), RECORD: ("record", False)}
    assert not (home / ".work/tiny_sky/baseline").exists()
    assert "Nothing to remove" in run_here(capsys, "cache", "clean", "--root", home).out


def test_a_dry_run_and_a_missing_answer_remove_nothing(capsys, home, monkeypatch):
    before = items(home)
    assert (
        "Would free 1.0 kB" in run_here(capsys, "cache", "clean", "--dry-run", "--root", home).out
    )
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        done = run_here(capsys, "cache", "clean", "--root", home)
    assert "there is no terminal to ask: add --yes" in only_line(done)
    assert done.code == 2
    assert items(home) == before


@pytest.mark.parametrize(("answer", "left"), [("n", True), ("", True), ("y", False)])
def test_a_person_is_asked(home, answer, left):
    pytest.importorskip("pty", reason="needs a terminal")
    import pty

    main, other = pty.openpty()
    code = (
        "import galaxyds.store.usage as u\nfrom tests.small_build import SPEC\n"
        "u.get_spec = lambda _: SPEC\nfrom galaxyds_cli.cache import cache\ncache()\n"
    )
    command = [sys.executable, "-c", code, "clean", "--root", str(home)]
    os.write(main, f"{answer}\n".encode())
    done = subprocess.run(command, stdin=other, capture_output=True, text=True, check=False)
    os.close(main)
    os.close(other)
    assert "Remove these and free 1.0 kB?" in done.stdout
    assert (home / LEFT).exists() == left, done.stderr


@pytest.mark.parametrize("name", ["lock", "download.lock"])
def test_what_a_running_process_holds_is_left_alone(capsys, home, name):
    with FileLock(home / LEFT / name):
        # Another process: within one, filelock's locks know of each other.
        code = (
            "import sys\nfrom pathlib import Path\nimport galaxyds.store.usage as u\n"
            "from tests.small_build import SPEC\nu.get_spec = lambda _: SPEC\n"
            "print([i.kind for i in u.survey(Path(sys.argv[1])) if 'baseline' in i.of])\n"
        )
        out = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True,
                             text=True, check=True).stdout  # fmt: skip
        assert out == "['running']\n"
        run_here(capsys, "cache", "clean", "--yes", "--root", home)
        assert (home / LEFT / "cutouts.partial" / "shard").exists()


def test_a_named_build_goes_with_its_record_and_no_other(capsys, home):
    other = make_build(home, 20, config="baseline")
    done = run_here(capsys, "cache", "clean", "tiny-sky/extended", "--yes", "--root", home)
    assert done.code == 0
    assert not (home / BUILD).exists()
    assert not (home / RECORD).exists()
    assert (other / "manifest.json").exists()
    assert not list(home.rglob("*.tmp"))


def test_a_config_cut_from_the_same_download_keeps_the_record(home, monkeypatch):
    def family(self, name=None):
        return self.configs

    monkeypatch.setattr(DatasetSpec, "family", family)
    make_build(home, 20, config="baseline")
    kinds = [i.kind for i in survey(home, without=(home / BUILD,)) if i.path == home / RECORD]
    assert kinds == ["record"]


def test_temporary_names_go_when_nobody_can_be_writing_them(home):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = home / "tiny_sky" / "extended"

    def made(process: int, age: float) -> str:
        path = folder / f".1.2.0.{process}-{int(age):08x}.tmp"
        path.mkdir()
        (path / "images.hdf5").write_bytes(b"x")
        return str(aged(path, age).relative_to(home))

    dead_old, dead_new = made(gone.pid, 2 * 3600), made(gone.pid, 60)
    own_new, own_old = made(os.getpid(), 2 * 3600), made(os.getpid(), 2 * DAY)
    found = items(home)
    assert [found[path][1] for path in (dead_old, dead_new, own_new, own_old)] == [
        True, False, False, True,
    ]  # fmt: skip


def test_links_are_not_followed(capsys, home, tmp_path):
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_bytes(b"x" * 5000)
    (home / LEFT / "link").symlink_to(outside)
    done = run_here(capsys, "cache", "clean", "--yes", "--root", home)
    freed = re.search(r"Freed (.*)\.", done.out)
    assert freed
    assert freed[1] == "1.0 kB" or freed[1] == "1.1 kB"
    assert (outside / "file").exists()


def test_what_archives_sent_goes_only_when_asked(capsys, home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    maps = tmp_path / "cache" / "galaxyds" / "sfd"
    maps.mkdir(parents=True)
    (maps / "SFD_dust_4096_ngp.fits").write_bytes(b"x")
    assert "dust maps" in run_here(capsys, "cache", "--root", home).out
    run_here(capsys, "cache", "clean", "--yes", "--root", home)
    assert maps.exists()
    run_here(capsys, "cache", "clean", "--archives", "--yes", "--root", home)
    assert not maps.exists()


def test_an_empty_home(capsys, tmp_path):
    out = run_here(capsys, "cache", "--root", tmp_path / "none").out
    assert "Nothing lies in" in out
