from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from importlib import metadata

import pytest

from galaxyds.machine import health, versions
from galaxyds.machine.reach import endpoints, reach
from tests.cli.shell import run_here, run_without
from tests.servers.loopback import LoopbackServer, Reply


class Odd(LoopbackServer):
    """Answers what its path asks for."""

    def handle(self, request):
        status = int(request.path.strip("/") or 200)
        return Reply(b"x" * 100_000, status)


def checks_of(done) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(done.out)["checks"]}


def test_a_sound_machine_ends_with_0_and_nothing_is_left_behind(capsys, tmp_path):
    done = run_here(capsys, "doctor", "--offline", "--json", "--root", tmp_path / "not" / "yet")
    checks = checks_of(done)
    assert done.code == 0
    assert json.loads(done.out)["ok"]
    assert checks["numpy"]["told"] == metadata.version("numpy")
    assert [checks[name]["state"] for name in ("writable", "file locks", "replacing")] == ["ok"] * 3
    assert "archives" not in {row["area"] for row in checks.values()}
    assert not list(tmp_path.iterdir())


def test_accounts_are_present_or_absent_and_never_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GALAXYDS_HSC_USER", "canary-1")
    monkeypatch.setenv("GALAXYDS_HSC_PASSWORD", "canary-2")
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "canary-3")
    done = run_here(capsys, "doctor", "--offline", "--json", "--root", tmp_path)
    checks = checks_of(done)
    assert checks["HSC"]["told"] == "present (environment)"
    assert checks["SDSS"]["told"] == "GALAXYDS_SDSS_PASSWORD is not set"
    assert "canary" not in done.out + done.err


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("home = ", 2, "not valid TOML"),
        ('cadc_cutouts = "soad"', 2, "did you mean soda"),
        ("sfd_dir = 3", 2, "must be a text in quotes"),
        ('hoem = "/x"', 0, "did you mean home"),
    ],
)
def test_the_configuration_file_is_looked_at(capsys, tmp_path, monkeypatch, content, code, words):
    (tmp_path / "config.toml").write_text(content)
    monkeypatch.setenv("GALAXYDS_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("GALAXYDS_HOME", str(tmp_path))
    done = run_here(capsys, "doctor", "--offline")
    assert done.code == code, done.out
    assert words in " ".join(done.out.split())
    assert "Next: " in done.out


def test_a_home_that_cannot_be_written_has_the_code_of_storage(capsys):
    done = run_here(capsys, "doctor", "--offline", "--json", "--root", "/proc/1/home")
    assert checks_of(done)["writable"]["state"] == "BROKEN"
    assert checks_of(done)["writable"]["advice"]
    assert done.code == 8


def test_a_lock_that_keeps_nobody_out_is_noticed(tmp_path, monkeypatch):
    assert health.check_locks(tmp_path).state == "ok"
    # The other process tries another file, which is what a file system without locks looks like.
    asked = health._is_kept_out
    monkeypatch.setattr(health, "_is_kept_out", lambda lock: asked(lock.with_name("another")))
    found = health.check_locks(tmp_path)
    assert found.state == "note"
    assert "one build of a dataset at a time" in found.advice


def test_without_torch_nothing_is_broken(tmp_path):
    done = run_without("torch", "doctor", "--offline", "--json", "--root", tmp_path)
    gpu = {row["name"]: row for row in json.loads(done.out)["checks"]}["GPU"]
    assert done.code == 0
    assert gpu["state"] == "absent"
    assert gpu["advice"] == "pip install 'galaxyds[torch]'"


def test_archives_are_reached_refused_or_silent(closed_url):
    with Odd() as server, socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        found = reach(
            {"long": server.url, "login": f"{server.url}/401", "none": f"{server.url}/404",
             "down": f"{server.url}/503", "closed": closed_url, "mute": mute},
            deadline=2.0,
        )  # fmt: skip
        waited = time.monotonic() - begun
    told = {one.name: (one.is_there, one.told) for one in found}
    assert told["long"] == (True, "HTTP 200")
    assert told["login"] == (True, "HTTP 401")
    assert told["none"] == (True, "HTTP 404")
    assert told["down"] == (False, "HTTP 503")
    assert told["closed"] == (False, "Connection refused")
    assert told["mute"] == (False, "no answer in 2 s")
    assert waited < 60  # bounded, though one of them never answers


def test_every_address_that_is_set_is_asked_and_no_archive_is_vital(
    capsys, tmp_path, monkeypatch, closed_url
):
    monkeypatch.setenv("HF_ENDPOINT", closed_url)
    for name in endpoints():
        monkeypatch.setenv(f"GALAXYDS_{name.upper()}", closed_url)
    done = run_here(capsys, "doctor", "--root", tmp_path)
    assert done.code == 0
    told = re.findall(r"not reached: Connection refused", " ".join(done.out.split()))
    assert len(told) == len(endpoints())
    assert "check the network" in done.out


def test_packages_come_from_the_metadata_with_their_extras(monkeypatch):
    found = {one.name: one for one in versions.packages()}
    assert found["numpy"].is_required
    assert found["torch"].extras[0] == "torch"
    assert "pytest" not in found
    monkeypatch.setattr(metadata, "version", lambda _: "0.9")
    old = {one.name: one for one in versions.packages()}["numpy"]
    assert old.is_too_old
    assert old.install == f"pip install --upgrade 'numpy>={old.least}'"


def test_an_old_required_package_is_broken(monkeypatch):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.9" if name == "h5py" else real(name))
    (row,) = (check for check in health.check_packages() if check.name == "h5py")
    assert (row.state, row.code) == ("BROKEN", 2)
    assert row.told.startswith("0.9, older than")


def test_show_versions_names_everything():
    code = "from galaxyds.machine.versions import show_versions\nshow_versions()\n"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = dict(line.split(None, 1) for line in out.stdout.splitlines())
    assert lines["python"] == ".".join(map(str, sys.version_info[:3]))
    assert lines["numpy"].strip() == metadata.version("numpy")


REQUIRED = "h5py,filelock,requests,duckdb,numpy,pyarrow,rich,platformdirs,astropy,sqlglot,urllib3"


@pytest.mark.parametrize("packages", ["astropy,sqlglot", REQUIRED])
def test_a_required_package_that_is_gone_is_named_and_nothing_else_fails(tmp_path, packages):
    # Their metadata are there: only the import tells.
    done = run_without(packages, "doctor", "--offline", "--root", tmp_path)
    names = packages.split(",")
    told = dict(re.findall(r"^ +(\S+) +(ok|BROKEN|absent|note) ", done.out, re.MULTILINE))
    assert [told[name] for name in names] == ["BROKEN"] * len(names)
    assert told["msgspec"] == "ok"
    for name in names:
        assert f"Next: {name}: pip install --force-reinstall '{name}'" in done.out
    assert "Traceback" not in done.err
    assert done.code == 2


def test_other_verbs_name_a_required_package(tmp_path):
    done = run_without("duckdb", "list", "--root", tmp_path)
    assert re.search(r"galaxyds list needs duckdb.*pip install 'duckdb>=[\d.]+'", done.err)
    assert len(done.err.splitlines()) == 1
    assert done.code == 2


@pytest.mark.parametrize(
    ("home", "words", "code"),
    [
        ("~nobody-here/x", "can be no folder, could not determine home directory", 2),
        ("/dev/null", "/dev/null is a file, not a folder", 2),
        ("/dev/null/x", "/dev/null is a file, not a folder", 8),
        ("/tmp/" + "x" * 300, "can be no folder, file name too long", 2),
    ],
)
def test_a_home_that_can_be_none_is_a_row(capsys, monkeypatch, home, words, code):
    monkeypatch.setenv("GALAXYDS_HOME", home)
    done = run_here(capsys, "doctor", "--offline", "--json")
    rows = [row for row in json.loads(done.out)["checks"] if row["area"] == "data home"]
    assert [row["state"] for row in rows] == ["BROKEN"]
    assert words in rows[0]["told"]
    assert rows[0]["advice"].startswith("name a")
    assert done.code == code
    if code == 2:
        listed = run_here(capsys, "list")
        assert words in listed.err
        assert listed.code == 2


def test_an_address_that_cannot_be_read_is_a_row(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GALAXYDS_ZENODO_URL", "http://canary@[::1")
    done = run_here(capsys, "doctor", "--offline", "--json", "--root", tmp_path)
    row = checks_of(done)["zenodo_url"]
    assert (row["state"], row["code"]) == ("BROKEN", 2)
    assert "Invalid IPv6 URL" in row["told"]
    assert "canary" not in done.out


def test_advice_is_split_where_it_begins(capsys):
    done = run_here(capsys, "doctor", "--offline", "--json", "--root", "/proc/a: b")
    row = checks_of(done)["writable"]
    assert row["told"].startswith("cannot write /proc/a: b (") or "permission" in row["told"]
    assert row["advice"] == "choose another --root or set GALAXYDS_HOME"


def test_a_check_that_fails_is_a_row_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: 1 // 0)
    checks = list(health.examine(tmp_path, offline=True))
    (row,) = (check for check in checks if check.state == "BROKEN")
    assert (row.area, row.name, row.code) == ("data home", "check", 1)
    assert "ZeroDivisionError" in row.told
    assert checks[-1].name == "GPU"


def test_every_package_is_found_under_its_module():
    # Only installed ones; a name that is guessed wrong would be told as broken.
    there = [one for one in versions.packages() if one.version]
    assert {one.name: versions.import_problem(one) for one in there} == {
        one.name: "" for one in there
    }
