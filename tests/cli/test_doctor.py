from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from importlib import metadata

import pytest

from galaxyds import health, versions
from galaxyds.reach import endpoints, reach
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
    monkeypatch.setattr(health, "_TRY_LOCK", health._TRY_LOCK.replace("argv[1]", "argv[1] + '2'"))
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
    code = "from galaxyds.versions import show_versions\nshow_versions()\n"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = dict(line.split(None, 1) for line in out.stdout.splitlines())
    assert lines["python"] == ".".join(map(str, sys.version_info[:3]))
    assert lines["numpy"].strip() == metadata.version("numpy")
