"""Mistakes of the first hour: one line that names the thing, the cause and the next step."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from galaxyds.errors import UsageError
from galaxyds.loaders import GalaxyDataset
from tests.cli.shell import only_line, run_here, run_without
from tests.servers import HSCEmulator
from tests.small_build import SPEC, make_build

NOT_BUILT = r"sdss-qso/extended is not built in .*: run galaxyds build sdss-qso, or .*--root"
MISTAKES = [
    # verbs and options
    ("biuld sdss-qso", 2, r"no verb 'biuld': did you mean build\? all verbs: galaxyds -h"),
    ("bench rnu", 2, r"bench has no verb 'rnu': did you mean run\? all verbs: galaxyds bench -h"),
    ("cache cleen", 2, r"cache has no verb 'cleen': did you mean clean\?"),
    ("config stow", 2, r"config has no verb 'stow': did you mean show\?"),
    ("build sdss-qso --arhive simulated", 2, r"no option --arhive: did you mean --archive\?"),
    ("--verbse list", 2, r"there is no option --verbse: did you mean --verbose\?"),
    ("build", 2, r"build needs NAME: for example galaxyds build .*; more: galaxyds build -h"),
    ("build sdss-qso --limit ten", 2, r"'--limit': no.* (number|integer).*; see galaxyds build -h"),
    ("build sdss-qso sdss-mgs", 2, r"build: .*unexpected.*sdss-mgs.*; see galaxyds build -h"),
    # names
    ("info sdss-qsoo", 3, r"there is no dataset 'sdss-qsoo': did you mean sdss-qso\?"),
    ("build hsc-depp --root {root}", 3, r"did you mean hsc-deep\?"),
    ("info sdss-qso/extendd", 2, r"no config 'extendd': did you mean extended\? it has: extended"),
    ("build sdss-qso:1.0.1 --root {root}", 2, r"sdss-qso 1\.0\.1 .*builds 1\.0\.0; write sdss-qso"),
    ("info sdss-qso --json --page", 2, r"--page writes Markdown, not JSON: leave out"),
    ("info sdss-qso:2.0.0", 2, r"no version 2\.0\.0: it is at 1\.0\.0; leave the version out"),
    ("info SDSS/QSO/x", 2, r"no dataset address: write name\[/config\]\[:version\]"),
    ("build sdss-qso --archive simulatd", 2, r"no archive 'simulatd': did you mean simulated\?"),
    ("build sdss-qso --align rr", 2, r"cannot align to 'rr': one of none, u, g, r, i, z"),
    ("build sdss-qso --archive simulated --from cutuots --root {root}", 2,
     r"no stage 'cutuots': did you mean cutouts\? one of query, cut"),
    ("build sdss-qso --preset tinny", 2, r"no preset 'tinny': did you mean tiny\?"),
    ("cite sdss-qso --format bibtx", 2, r"no format 'bibtx': did you mean bibtex\?"),
    ("config set sdss_sas_rul http://x", 2, r"no setting 'sdss_sas_rul': did you mean sdss_sas_u"),
    # not built
    ("path sdss-qso --root {root}", 3, NOT_BUILT),
    ("verify sdss-qso --root {root}", 3, NOT_BUILT),
    ("preview sdss-qso --root {root}", 3, NOT_BUILT),
    ("verify sdss-qso:2.0.0 --root {root}", 3, r"this galaxyds builds 1\.0\.0, with galaxyds bu"),
    ("path sdss-qso:1.0.0+simulated.limit100 --root {root}", 3,
     r"run galaxyds build sdss-qso --archive simulated --limit 100, or"),
    ("cache clean sdss-qso --root {root} --yes", 3, r"nothing is removed: galaxyds cache shows"),
    # no account
    ("build hsc-galaxiesml --root {root}", 4,
     r"HSC-SSP account: register at https://\S+, then set GALAXYDS_HSC_USER and GALAXYDS_HSC_PASS"),
    # no folder
    ("new lone-set -o /proc/1/nowhere", 8, r"(write|permission to write) /proc/1/n.*another --out"),
    ("list --root {file}", 2, r"data home .*file is a file, not a folder \(--root\): name a fold"),
    ("build sdss-qso --preset tiny --root {file}/in", 8,
     r"cannot write .*, /.*file is a file, not a folder: choose another --root or set GALAXYDS_HO"),
    ("build sdss-qso --preset tiny --root /proc/1/nowhere", 8,
     r"(cannot write|no permission to write) /proc/1/nowhere.*: .*choose another --root"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "words"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_one_line_with_its_exit_code(capsys, tmp_path, line, code, words):
    (tmp_path / "file").write_text("")
    done = run_here(capsys, *line.format(root=tmp_path / "data", file=tmp_path / "file").split())
    assert re.search(words, only_line(done)), done.err
    assert done.code == code
    assert done.out == ""


def test_a_home_that_is_a_file_is_named_with_its_setting(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GALAXYDS_HOME", str(tmp_path / "file"))
    done = run_here(capsys, "path", "sdss-qso")
    assert "file, not a folder (environment (GALAXYDS_HOME)): name a folder" in only_line(done)
    assert done.code == 2


@pytest.mark.parametrize("content", [b"home = ", b'home = "\xff"', b'home = "/a"\nhome = "/b"\n'])
def test_a_broken_configuration_file_is_named(capsys, tmp_path, monkeypatch, content):
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    monkeypatch.setenv("GALAXYDS_CONFIG", str(file))
    done = run_here(capsys, "list")
    assert f"{file} is not valid TOML" in only_line(done)
    assert "correct it, for example home = " in done.err
    assert done.code == 2


def test_nobody_at_the_archives_address(capsys, tmp_path, monkeypatch, closed_url):
    monkeypatch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", closed_url)
    monkeypatch.setattr("galaxyds.archives.calls.Policy.pause", lambda *_: 0.0)
    done = run_here(capsys, "-q", "build", "sdss-qso", "--limit", "1", "--root", tmp_path)
    assert re.search(
        rf"SkyServer failed 4 times at {closed_url}.*: Connection refused; check the network and "
        r"GALAXYDS_SDSS_SKYSERVER_URL, then run the same command again \(galaxyds doctor",
        only_line(done),
    )
    assert done.code == 5


def test_a_wrong_password(capsys, tmp_path, monkeypatch):
    with HSCEmulator() as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GALAXYDS_HSC_PASSWORD", "canary-wrong")
        done = run_here(capsys, "build", "hsc-galaxiesml", "--limit", "1", "--root", tmp_path)
    line = only_line(done)
    assert re.search(r"refuses the account \(HTTP 401\): .*; register at .*then set GALAXYDS", line)
    assert "canary" not in line
    assert done.code == 4


def test_no_room_for_a_file(tmp_path):
    # A limit on the size of files stops the superuser too.
    done = subprocess.run(
        [sys.executable, "-m", "galaxyds_cli.main", "new", "lone-set", "-o", str(tmp_path)],
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )  # fmt: skip
    assert done.returncode == 8
    assert re.fullmatch(
        rf"galaxyds: cannot write {tmp_path}/lone-set, a file grew beyond the limit .*: raise it "
        r"\(ulimit -f unlimited\) and run the same command again to resume\n",
        done.stderr,
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "line", "extra"),
    [
        ("galsim", "build sdss-qso --archive simulated --limit 1", "sky"),
        ("torch", "build hsc-galaxiesml --archive simulated --limit 1", "torch"),
        ("dustmaps", "build cfhtls-wide", "dust"),
        ("torch", "bench list", "torch"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, line, extra):
    monkeypatch.setenv("GALAXYDS_HOME", str(tmp_path))
    done = run_without(package, *line.split())
    told = only_line(done)
    assert package in told
    assert f"pip install 'galaxyds[{extra}]'" in told
    assert done.code == 2


def test_loading_and_drawing_name_their_extras(tmp_path):
    code = (
        "import sys\nfrom galaxyds import load, plots\n"
        "from galaxyds.errors import MissingExtraError\n"
        "for call in (lambda: load('sdss-qso', 'train', root=sys.argv[1]),\n"
        "             lambda: plots.contact_sheet([], bands=(), labels=(), title='')):\n"
        "    try:\n        call()\n    except MissingExtraError as error:\n        print(error)\n"
    )
    done = run_without("torch,matplotlib", tmp_path, code=code)
    loading, drawing = done.out.splitlines()
    assert "needs torch, which is not installed: pip install 'galaxyds[torch]'" in loading
    assert "needs matplotlib, which is not installed: pip install 'galaxyds[plots]'" in drawing


class TinySky(GalaxyDataset):
    @classmethod
    def declaration(cls):
        return SPEC


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "trian"}, r"no split 'trian': did you mean train\? choose train, validation"),
        ({"split": "train", "bands": "ugx"}, r"has the bands u, g, r in this config, not 'ugx'"),
        ({"split": "train", "columns": ["redshfit"]}, r"no column redshfit: did you mean redshift"),
        ({"split": "train", "division": 9}, r"has divisions 0 to 2, not 9"),
        ({"split": "train", "config": "extendd"}, r"'extendd': did you mean extended\?"),
    ],
)
def test_opening_a_build_offers_what_is_near(small_home, options, words):
    with pytest.raises(UsageError, match=words):
        TinySky(root=small_home, **options)


@pytest.fixture(scope="module")
def small_home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("home")
    make_build(home, 20)
    return home
