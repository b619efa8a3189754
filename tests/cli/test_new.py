"""``galaxyds new``: what it writes, and what it refuses in one line."""

from __future__ import annotations

import ast
import importlib.util
import tomllib

import pytest
import typer

from galaxyds.errors import DatasetNotFoundError, StorageError, UsageError
from galaxyds.specs import OWN, get_spec
from galaxyds.testing import unfilled
from galaxyds_cli.new import new
from tests.cli.verb import output_of

APP = typer.Typer()
APP.command()(new)


def test_it_says_what_it_wrote_and_what_comes_next(tmp_path):
    out = output_of(APP, "lone-set", "-o", tmp_path)
    folder = tmp_path / "lone-set"
    written = {str(path.relative_to(tmp_path)) for path in folder.rglob("*") if path.is_file()}
    assert written == {
        "lone-set/README.md",
        "lone-set/pyproject.toml",
        "lone-set/lone_set.py",
        "lone-set/tests/test_lone_set.py",
    }
    assert all(str(tmp_path / path) in out for path in written)
    assert f"pip install -e {folder}" in out
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["galaxyds.specs"] == {"lone-set": "lone_set:SPEC"}
    assert "$" not in "".join((tmp_path / path).read_text() for path in written)
    ast.parse((folder / "tests" / "test_lone_set.py").read_text())


@pytest.mark.parametrize("like", [*OWN, "sdss-qso/baseline", "hsc-deep/9band"])
def test_a_spec_derives_from_any_dataset_and_owes_its_texts(tmp_path, like):
    output_of(APP, "lone_set", "--like", like, "-o", tmp_path)
    place = importlib.util.spec_from_file_location("made", tmp_path / "lone-set" / "lone_set.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    name, _, config = like.partition("/")
    parent = get_spec(name)
    assert module.SPEC.columns == parent.columns
    assert module.SPEC.config().cuts[:-1] == parent.config(config or None).cuts
    assert module.SPEC.of("main").bands == parent.of(parent.config(config or None).name).bands
    left = unfilled(module.SPEC)
    assert {"title", "summary", "paper", "configs[0].published[0].count"} <= set(left)
    assert f"configs[0].cuts[{len(module.CUTS) - 1}].why" in left
    assert unfilled(parent) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sdss-qso", "--like sdss-qso"),
        ("sdss_qso", "one of galaxyds' own"),
        ("SDSS_QSO", "'SDSS_QSO' is no name of a dataset"),
        ("Lone Set", "is no name of a dataset"),
        ("9", "is no name of a dataset"),
        ("../demo", "is no name of a dataset"),
        ("numpy", "Python module 'numpy' already"),
        ("class", "a word of the language Python"),
        ("setup", "Python, pip or pytest"),
        ("conftest", "Python, pip or pytest"),
        ("a" * 300, "300 characters, a name at most 60"),
        ("a\u202eb", r"a\\u202eb"),
        ("", "is no name of a dataset"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_the_one_that_is_offered_is_taken(
    tmp_path, name, message
):
    with pytest.raises(UsageError, match=message) as refused:
        output_of(APP, name, "-o", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(str(refused.value)) < 300
    offered = str(refused.value).rpartition("for example ")[2]
    output_of(APP, offered, "-o", tmp_path)
    assert (tmp_path / offered).is_dir()


@pytest.mark.parametrize(
    ("name", "offered"), [("Lone Set", "lone-set"), ("../lone", "lone"), ("numpy", "my-numpy"),
                          ("SDSS_QSO", "my-sdss-qso"), ("9", "my-9")],
)  # fmt: skip
def test_the_nearest_name_is_offered(tmp_path, name, offered):
    with pytest.raises(UsageError, match=f"for example {offered}$"):
        output_of(APP, name, "-o", tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("a" * 300, "file"):
        with pytest.raises(StorageError, match=r"choose another --output$"):
            output_of(APP, "lone-set", "-o", tmp_path / folder)


def test_what_is_there_is_left_alone(tmp_path):
    (tmp_path / "lone-set").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        output_of(APP, "lone-set", "-o", tmp_path)
    assert list((tmp_path / "lone-set").iterdir()) == []


def test_a_parent_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="did you mean sdss-qso"):
        output_of(APP, "lone-set", "--like", "sdss-qsa", "-o", tmp_path)
    with pytest.raises(UsageError, match="derive from hsc-galaxiesml/127"):
        output_of(APP, "lone-set", "--like", "hsc-galaxiesml/64", "-o", tmp_path)
