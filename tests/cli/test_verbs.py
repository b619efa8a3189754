from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from galaxyds_cli.main import app
from galaxyds_cli.progress import TerminalReporter

VERBS = tuple(command.name for command in app.registered_commands)


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "galaxyds_cli.main", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_all_verbs_are_there():
    out = CliRunner().invoke(app, ["--help"]).output
    assert all(f" {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Example: " in result.output


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nsys.argv = ['galaxyds', '--help']\nimport galaxyds_cli.main as m\n"
        "try:\n    m.run()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'astropy', 'pandas', 'numpy', 'pyarrow', 'duckdb', 'requests', 'h5py'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in out.stdout


def test_list_names_the_datasets_and_what_to_try(tmp_path):
    out = CliRunner().invoke(app, ["list", "--root", str(tmp_path)]).output
    assert "sdss-qso" in out
    assert "465,292" in out
    assert "galaxyds build sdss-qso --preset tiny" in out
    told = json.loads(CliRunner().invoke(app, ["list", "--json", "--root", str(tmp_path)]).output)
    assert told["datasets"][0]["configs"]["baseline"] == 415_930


def test_info_shows_cuts_with_reasons_and_the_errata():
    out = CliRunner().invoke(app, ["info", "sdss-qso/baseline", "--columns"]).output
    for words in ("sn_median_u < 10", "Appendix A", "psf_dered_r", "Licence"):
        assert words in out
    told = json.loads(CliRunner().invoke(app, ["info", "sdss-qso", "--json"]).output)
    assert [c["name"] for c in told["configs"]] == ["extended", "baseline"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("info", "sdss-qsoo"), 3, "did you mean sdss-qso"),
        (("info", "sdss-qso/other"), 2, "it has: extended, baseline"),
        (("info", "SDSS QSO"), 2, "is no dataset address"),
        (("path", "sdss-qso"), 3, "galaxyds build sdss-qso"),
        (("verify", "sdss-qso"), 3, "galaxyds build sdss-qso"),
        (("build", "sdss-qso", "--archive", "release"), 2, "its authors published no files"),
        (("build", "sdss-qso", "--archive", "nowhere"), 2, "there is no archive 'nowhere'"),
        (("build", "sdss-qso:9.9.9", "--archive", "simulated"), 2, "this galaxyds builds 1.0.0"),
        (("build", "sdss-qso", "--align", "q"), 2, "cannot align to 'q'"),
        (("build", "sdss-qso", "--align", "g"), 2, "defined on the r-band grid"),
        (("build", "sdss-qso", "--objects", "absent.csv"), 2, "cannot read the object list"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_exit_code(tmp_path, arguments, code, words):
    done = (
        shell(*arguments, "--root", str(tmp_path)) if arguments[0] != "info" else shell(*arguments)
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_silences_progress(quiet):
    stream = io.StringIO()
    with TerminalReporter(stream, period=0, quiet=quiet) as reporter:
        reporter.stage("export", "started")
        reporter.progress(1, 2, "objects")
        reporter.stage("export", "done", "2 objects")
    assert (stream.getvalue() == "") == quiet
