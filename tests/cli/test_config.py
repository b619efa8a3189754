from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import galaxyds
from galaxyds import settings
from galaxyds.machine import configuration
from galaxyds.machine.config_file import edited_text
from tests.cli.shell import only_line, run_here

FILE = """# my settings
home = "/data/a # not a comment"  # the big disk
'zenodo_url' = "http://127.0.0.1:1"

[mine]
home = "another table's"
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "etc" / "config.toml"
    path.parent.mkdir()
    path.write_text(FILE)
    monkeypatch.setenv("GALAXYDS_CONFIG", str(path))
    return path


def test_the_list_of_settings_is_complete():
    # What the code reads, found in its text, is what is listed, or is an account, or the file.
    folder = Path(galaxyds.__file__).parent
    text = "".join(path.read_text() for path in folder.rglob("*.py"))
    read = set(re.findall(r"\bGALAXYDS_[A-Z_]*[A-Z]\b", text)) - {"GALAXYDS_CONFIG"}
    known = {setting.variable for setting in configuration.known_settings()}
    accounts = {
        settings.account_variable(service.archive, what)
        for service in configuration.services()
        for what in ("USER", "PASSWORD")
    }
    secrets = {setting.variable for setting in configuration.SECRETS}
    assert read == known | accounts | secrets


def test_every_default_is_a_possible_value():
    assert {row.problem for row in configuration.rows()} == {""}
    assert all(row.origin == "default" and row.value == row.default for row in configuration.rows())


def test_show_says_where_every_value_comes_from(capsys, file, monkeypatch):
    monkeypatch.setenv("GALAXYDS_SDSS_SAS_URL", "https://ada:canary-1@mirror/sas?token=canary-2")
    monkeypatch.setenv("GALAXYDS_HSC_USER", "ada")
    monkeypatch.setenv("GALAXYDS_HSC_PASSWORD", "canary-3")
    monkeypatch.setenv("GALAXYDS_SDSS_USER", "canary-4")
    monkeypatch.setenv("GALAXYDS_SERVE_TOKEN", "canary-5")
    shown = run_here(capsys, "config").out
    told = json.loads(run_here(capsys, "config", "show", "--json").out)
    rows = {row["key"]: row for row in told["settings"]}
    assert rows["home"]["value"] == "/data/a # not a comment"
    assert rows["home"]["origin"] == f"config file ({file})"
    assert rows["sdss_sas_url"]["origin"] == "environment (GALAXYDS_SDSS_SAS_URL)"
    assert rows["sdss_sas_url"]["value"] == "https://mirror/sas"
    assert rows["vizier_url"]["origin"] == "default"
    assert told["accounts"] == {
        "HSC": "present (environment)",
        "SDSS": "absent (GALAXYDS_SDSS_PASSWORD not set)",
    }
    assert told["secrets"] == {"GALAXYDS_SERVE_TOKEN": "present"}
    assert "canary" not in shown + json.dumps(told)


def test_unknown_keys_of_the_file_are_told(capsys, file):
    file.write_text('hoem = "/x"\n')
    assert "no setting 'hoem': did you mean home?" in run_here(capsys, "config").out


def test_set_keeps_other_keys_and_comments(capsys, file):
    done = run_here(capsys, "config", "set", "home", '/data/b "quoted" \\ é')
    assert done.code == 0
    changed = file.read_text()
    assert changed == FILE.replace(
        '"/data/a # not a comment"', r'"/data/b \"quoted\" \\ é"'
    )  # and nothing else
    assert settings.home() == Path('/data/b "quoted" \\ é')
    assert run_here(capsys, "config", "set", "GALAXYDS_CADC_CUTOUTS", "tiles").code == 0
    assert tomllib.loads(file.read_text())["cadc_cutouts"] == "tiles"
    assert tomllib.loads(file.read_text())["mine"] == {"home": "another table's"}
    assert run_here(capsys, "config", "unset", "cadc-cutouts").code == 0
    assert file.read_text() == changed


def test_set_makes_the_file_and_keeps_a_link_and_its_mode(capsys, tmp_path, monkeypatch):
    link, target = tmp_path / "config.toml", tmp_path / "dot" / "config.toml"
    monkeypatch.setenv("GALAXYDS_CONFIG", str(link))
    link.symlink_to(target)
    assert run_here(capsys, "config", "set", "home", "/a").code == 0
    target.chmod(0o600)
    assert run_here(capsys, "config", "set", "home", "/b").code == 0
    assert link.is_symlink()
    assert target.read_text() == 'home = "/b"\n'
    assert target.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in target.parent.iterdir()} == {"config.toml", ".config.toml.lock"}
    assert run_here(capsys, "config", "path").out == f"{link}\n"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hsc_password", "canary", "belongs to an account.*set GALAXYDS_HSC_USER and.*keyring set"),
        ("GALAXYDS_SDSS_USER", "canary", "set GALAXYDS_SDSS_USER and GALAXYDS_SDSS_PASSWORD"),
        ("hub_token", "canary", "belongs to an account"),
        ("hoem", "canary", "there is no setting 'hoem': did you mean home"),
        ("config", "canary", "GALAXYDS_CONFIG names the file itself"),
        ("cadc_cutouts", "soad", "did you mean soda"),
        ("vizier_url", "vizier.org", "must be an http"),
        ("vizier_url", "https://ada:canary@x", "accounts do not belong in a URL"),
        ("vizier_url", "http://h/?token=canary", "a query or fragment may hold a secret"),
        ("vizier_url", "http://[::1", "must be an http.*Invalid IPv6"),
        ("vizier_url", "http://", "must be an http"),
        ("vizier_url", "http://h:port/", "must be an http"),
        ("vizier_url", "", "vizier_url cannot be empty: galaxyds config unset vizier_url"),
        ("home", "", "home cannot be empty: galaxyds config unset home"),
        ("home", "  ", "cannot be empty"),
        ("home", "~nobody-here/x", "it can be no folder, could not determine home directory"),
        ("home", "x" * 300, "it can be no folder, file name too long"),
        ("home", "/dev/null", "it is a file, not a folder"),
        ("home", "a\nb", "one line of plain text"),
        ("home", __file__, "it is a file, not a folder"),
    ],
)
def test_what_cannot_be_set_is_refused(capsys, file, key, value, words):
    done = run_here(capsys, "config", "set", key, value)
    assert re.search(words, only_line(done))
    assert "canary" not in done.err
    assert done.code == 2
    assert file.read_text() == FILE


def test_a_value_of_several_lines_is_left_to_a_person(capsys, file):
    before = 'home = """/a\nzenodo_url = "no key"\n"""\n'
    file.write_text(before)
    for arguments in (("set", "home", "/b"), ("set", "zenodo_url", "http://x"), ("unset", "home")):
        done = run_here(capsys, "config", *arguments)
        assert "by hand" in only_line(done)
        assert file.read_text() == before


def test_a_file_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GALAXYDS_CONFIG", str(tmp_path / "file" / "config.toml"))
    done = run_here(capsys, "config", "set", "home", "/a")
    assert "name another file in GALAXYDS_CONFIG" in only_line(done)
    assert done.code == 8


@pytest.mark.parametrize("text", ["", "# only words", 'a = "1"', 'a = "1"\n[t]\nb = 1\n'])
def test_an_edit_and_its_opposite_leave_the_text(text):
    edited = edited_text(text, "new", "v")
    assert tomllib.loads(edited) == {**tomllib.loads(text), "new": "v"}
    assert edited_text(edited, "new", None).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("nothing", ['""', '"  "'])
def test_nothing_in_the_file_is_not_set(file, monkeypatch, tmp_path, nothing):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    file.write_text(f"home = {nothing}\n")
    assert settings.home() == tmp_path / "galaxyds"
    assert {row.origin for row in configuration.rows()} == {"default"}


def test_changes_at_once_lose_nothing(file):
    # Processes of their own: the lock is what is tried.
    code = (
        "import sys\nfrom galaxyds.machine.configuration import set_value\n"
        "for n in range(20):\n    set_value(sys.argv[1], f'http://{sys.argv[1]}.org/{n}')\n"
    )
    keys = ("vizier_url", "sdss_sas_url", "zenodo_url")
    running = [subprocess.Popen([sys.executable, "-c", code, key]) for key in keys]
    assert [process.wait() for process in running] == [0, 0, 0]
    found = tomllib.loads(file.read_text())
    assert {key: found[key] for key in keys} == {key: f"http://{key}.org/19" for key in keys}


def test_line_ends_of_windows_stay(capsys, file):
    before = FILE.replace("\n", "\r\n").encode()
    file.write_bytes(before)
    assert run_here(capsys, "config", "set", "cadc_cutouts", "tiles").code == 0
    assert run_here(capsys, "config", "set", "zenodo_url", "http://127.0.0.1:2").code == 0
    changed = file.read_bytes()
    assert changed.count(b"\n") == changed.count(b"\r\n") == before.count(b"\n") + 1
    assert changed.replace(b'cadc_cutouts = "tiles"\r\n', b"") == before.replace(
        b"'zenodo_url' = \"http://127.0.0.1:1\"", b'zenodo_url = "http://127.0.0.1:2"'
    )


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ('a = "1"\n\n# about t\n[t]\n', 'a = "1"\nnew = "v"\n\n# about t\n[t]\n'),
        ("# about t\n# and more\n[t]\n", 'new = "v"\n# about t\n# and more\n[t]\n'),
        ("# the file\n\n# about t\n[t]\n", '# the file\nnew = "v"\n\n# about t\n[t]\n'),
        ('a = "\u2028"\n[t]\n', 'a = "\u2028"\nnew = "v"\n[t]\n'),
    ],
)
def test_a_new_key_stands_above_the_comment_of_a_table(text, edited):
    assert edited_text(text, "new", "v") == edited
    assert edited_text(edited, "new", None) == text


def test_a_read_only_file_is_not_replaced(capsys, file):
    file.chmod(0o444)
    done = run_here(capsys, "config", "set", "home", "/b")
    assert f"cannot write {file} (it is read-only): correct its permissions" in only_line(done)
    assert done.code == 8
    assert file.read_text() == FILE


def test_json_before_a_verb(capsys, file):
    assert run_here(capsys, "config", "--json").out == (
        run_here(capsys, "config", "show", "--json").out
    )
    done = run_here(capsys, "config", "--json", "set", "home", "/b")
    assert "galaxyds config show --json" in only_line(done)
    assert file.read_text() == FILE


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_there_are_no_locks_it_is_written_all_the_same(capsys, file, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    assert run_here(capsys, "config", "set", "home", "/data/b").code == 0
    assert tomllib.loads(file.read_text())["home"] == "/data/b"
