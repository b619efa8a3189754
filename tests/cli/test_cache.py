from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from galaxyds.refs import DatasetRef
from galaxyds.spec import DatasetSpec
from galaxyds.store.usage import named_builds, survey
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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_folders_of_others_are_neither_listed_nor_removed(capsys, home):
    before = items(home)
    for place, file in [
        (".work/backup/old/2019", "thesis.tex"),
        (".work/tiny_sky/extended/9.9.9", "notes.txt"),  # a name of ours without a mark
        (".work/tool/cache/latest", "lock"),  # a mark without a name of ours
        (".work/tiny_sky/extended/9.9.8", "query/other.json"),
    ]:
        (home / place / file).parent.mkdir(parents=True)
        (home / place / file).write_text("precious")
    (home / ".work/tiny_sky/extended/9.9.7").mkdir()  # made, but not yet locked
    others = {path: text for path, text in contents(home).items() if text == b"precious"}
    assert len(others) == 4
    assert items(home) == before
    run_here(capsys, "cache", "clean", "--yes", "--root", home)
    assert {path: Path(path).read_bytes() for path in others} == others
    assert (home / ".work/tiny_sky/extended/9.9.7").is_dir()


@pytest.mark.parametrize(
    "linked", [".work", ".work/other", ".work/other/main", ".work/other/main/1.0.0"]
)
def test_what_lies_behind_a_link_stays(capsys, tmp_path, linked):
    home, outside = tmp_path / "home", tmp_path / "outside"
    work = home / ".work" / "other" / "main" / "1.0.0"
    behind = outside / work.relative_to(home / linked)
    (behind / "query.partial").mkdir(parents=True)
    (behind / "query.partial" / "inputs.json").write_text("{}")
    (behind / "lock").touch()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    aged(behind, DAY)
    (outside / f".x.{gone.pid}-0123abcd.tmp").touch()
    aged(outside, DAY)
    (home / linked).parent.mkdir(parents=True, exist_ok=True)
    (home / linked).symlink_to(outside)
    assert (work / "lock").exists()
    before = contents(outside)
    done = run_here(capsys, "cache", "clean", "--yes", "--root", home)
    assert "Nothing to remove" in done.out
    assert contents(outside) == before


def test_temporary_files_of_others_stay(capsys, home):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [".cache.tmp", f".x.{gone.pid}-beef.tmp", f"x.{gone.pid}-0123abcd.tmp", ".a.1-b.tmp"]
    others = [home / "tiny_sky" / name for name in names]
    own = home / "tiny_sky" / f".x.{gone.pid}-0123abcd.tmp"
    for path in (*others, own):
        path.write_text("x")
        aged(path, DAY)
    run_here(capsys, "cache", "clean", "--yes", "--root", home)
    assert [path.exists() for path in others] == [True] * 4
    assert not own.exists()


def test_a_copy_of_a_build_is_not_the_build_that_is_named(capsys, home):
    copy = home / "tiny_sky" / "extended" / "my-precious-backup"
    shutil.copytree(home / BUILD, copy)
    before = contents(copy)
    assert named_builds(home, DatasetRef("tiny-sky")) == (home / BUILD,)
    done = run_here(capsys, "cache", "clean", "tiny-sky", "--yes", "--root", home)
    assert f"\n{home / BUILD}\n" in done.out  # what goes is named by its path
    assert not (home / BUILD).exists()
    assert contents(copy) == before
    done = run_here(capsys, "cache", "clean", "tiny-sky", "--yes", "--root", home)
    assert f"{copy} is a copy of tiny-sky" in only_line(done)
    assert contents(copy) == before


def test_a_named_build_behind_a_link_stays(capsys, home, tmp_path):
    (home / "tiny_sky" / "extended").rename(tmp_path / "disk")
    (home / "tiny_sky" / "extended").symlink_to(tmp_path / "disk")
    done = run_here(capsys, "cache", "clean", "tiny-sky", "--yes", "--root", home)
    assert "remove it by hand" in only_line(done)
    assert (tmp_path / "disk" / VERSION / "manifest.json").exists()


def test_a_lock_that_cannot_be_taken_makes_no_running_build(home):
    (home / LEFT / "build.log").touch()
    for place in (LEFT, RECORD):
        (home / place / "lock").unlink()
        (home / place / "lock").mkdir()  # which nobody opens, not even the superuser
    (home / RECORD / "build.log").touch()
    found = items(home)
    assert found[LEFT] == ("leftover", False)
    assert found[RECORD] == ("record", False)
    assert {i.note for i in survey(home) if i.kind == "leftover"} == {
        "its lock cannot be taken (Is a directory)"
    }


def test_a_folder_that_holds_only_its_lock_is_left_alone_for_a_minute(home):
    work = home / ".work" / "tiny_sky" / "baseline" / "1.1.0"
    work.mkdir(parents=True)
    (work / "lock").touch()
    assert items(home)[str(work.relative_to(home))] == ("leftover", False)
    aged(work, 120)
    assert items(home)[str(work.relative_to(home))] == ("leftover", True)


def test_archives_stay_while_somebody_uses_them(capsys, home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = tmp_path / "cache" / "galaxyds" / "cadc"
    kept.mkdir(parents=True)
    clean = ("cache", "clean", "--archives", "--yes", "--root", home)
    with FileLock(kept / "folder.lock"):
        assert f"kept: {kept} (a process is at work there)" in run_here(capsys, *clean).out
    workspace(home, "baseline", "1.1.0")
    with FileLock(home / ".work/tiny_sky/baseline/1.1.0/lock"):
        assert "a build is running" in run_here(capsys, *clean).out
    assert kept.exists()
    run_here(capsys, *clean)
    assert not kept.exists()


def test_options_before_the_verb_are_its_own(capsys, home, tmp_path, monkeypatch):
    other = tmp_path / "other"
    workspace(other, "baseline")
    monkeypatch.setenv("GALAXYDS_HOME", str(other))
    assert str(home) in run_here(capsys, "cache", "--root", home, "list").out
    run_here(capsys, "cache", "--root", home, "clean", "--yes")
    assert not (home / LEFT).exists()
    assert (other / ".work/tiny_sky/baseline" / VERSION).exists()
    listed = run_here(capsys, "cache", "list", "--json").out
    assert run_here(capsys, "cache", "--json").out == listed
    assert json.loads(listed)["home"] == str(other)
    done = run_here(capsys, "cache", "--json", "clean", "--yes")
    assert "galaxyds cache list --json" in only_line(done)
    assert done.code == 2


def test_an_empty_home(capsys, tmp_path):
    out = run_here(capsys, "cache", "--root", tmp_path / "none").out
    assert "Nothing lies in" in out
