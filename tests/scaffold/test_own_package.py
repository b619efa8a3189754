"""A dataset of one's own, from ``galaxyds new`` to its passing tests, each step a clean process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from galaxyds.specs import get_spec
from galaxyds.store.layout import read_manifest
from galaxyds.testing import DatasetContract
from tests.scaffold.packages import environment, fill_in, run
from tests.small_build import SPEC, make_build

LIMIT = 15
PASTE = "from galaxyds.testing.contract import golden_lines; from galaxyds.specs import get_spec; "


class Steps:
    """A user in a folder with an environment of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, environment(folder / "venv")
        self.package = folder / "lone-set"

    def do(self, *arguments, fails=0):
        variables = {"GALAXYDS_HOME": str(self.folder / "data"), "OMP_NUM_THREADS": "1"}
        done = run(self.python, *arguments, cwd=self.folder, **variables)
        assert done.returncode == fails, done.stdout + done.stderr
        return done.stdout

    def verb(self, *arguments, **options):
        return self.do("-m", "galaxyds_cli.main", *arguments, **options)

    def tests(self, *arguments, **options):
        return self.do("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, self.package,
                       **options)  # fmt: skip


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    pytest.importorskip("galsim")
    pytest.importorskip("setuptools", minversion="70.1")  # builds without a network
    steps = Steps(tmp_path_factory.mktemp("own"))
    scaffold = "from galaxyds.scaffold import *; from pathlib import Path; "
    steps.do("-c", f"{scaffold}write_package(plan_package('lone-set'), Path('.'))")
    steps.do("-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index",
             "--editable", steps.package)  # fmt: skip
    return steps


def test_from_nothing_to_a_package_whose_tests_pass(steps):
    out = steps.tests("-k", "fill_in", fails=1)
    assert "fill in these places of the spec of lone-set: title, summary, configs[0]" in out
    fill_in(steps.package / "lone_set.py")

    assert "Distant quasars" in steps.verb("list")
    assert "123,456" in steps.verb("info", "lone-set")
    planned = steps.verb("plan", "lone-set", "--archive", "simulated")
    assert "11 cuts at the archive" in planned
    built = steps.verb("build", "lone-set", "--archive", "simulated", "--limit", LIMIT, "--jobs", 1)
    assert "redshift >= 2" in built
    assert "checks passed" in steps.verb("verify", "lone-set")
    steps.verb("preview", "lone-set", "-o", "sheet.png")
    assert (steps.folder / "sheet.png").stat().st_size > 10_000

    code = (
        "import galaxyds, json; from galaxyds.build.pages import page_of\n"
        f"{PASTE}\nfrom galaxyds.datasets import LoneSet\n"
        "data = galaxyds.load('lone-set/main', 'all'); assert type(data) is LoneSet\n"
        "print(json.dumps([len(data), min(float(s['redshift']) for s in data),\n"
        "    page_of(get_spec('lone-set')), golden_lines(data.build, data.spec)]))"
    )
    rows, lowest, page, lines = json.loads(steps.do("-c", code))
    assert rows >= LIMIT
    assert lowest >= 2
    assert "AND a.z >= 2" in page

    test = steps.package / "tests" / "test_lone_set.py"
    head, _, _ = test.read_text().partition("    golden_integers")
    test.write_text(f"{head.replace('limit=60', f'limit={LIMIT}')}{lines}\n")
    assert "11 passed" in steps.tests()


def test_golden_values_are_told_the_first_time_and_when_they_change(tmp_path, monkeypatch):
    path = make_build(tmp_path)
    built = SimpleNamespace(path=path, manifest=read_manifest(path / "manifest.json"))
    monkeypatch.setattr("galaxyds.testing.contract.get_spec", lambda name: SPEC)

    class Tiny(DatasetContract):
        name = "tiny-sky"

    with pytest.raises(AssertionError, match="there are none yet") as first:
        Tiny().test_the_content_is_that_of_last_time(built)
    scope: dict[str, object] = {}
    lines = str(first.value).partition("Tiny:\n")[2].replace(": ClassVar", "")
    exec("class Pasted:\n" + lines, scope)
    Tiny.golden_integers = scope["Pasted"].golden_integers
    with pytest.raises(AssertionError, match="the pixels have none yet"):
        Tiny().test_the_content_is_that_of_last_time(built)
    Tiny.golden_pixels = scope["Pasted"].golden_pixels
    Tiny().test_the_content_is_that_of_last_time(built)
    Tiny.golden_integers = "0" * 64
    with pytest.raises(AssertionError, match="give it a new version"):
        Tiny().test_the_content_is_that_of_last_time(built)


def test_this_environment_is_untouched(steps):
    assert "lone_set" not in sys.modules
    with pytest.raises(Exception, match="there is no dataset 'lone-set'"):
        get_spec("lone-set")
