"""Repositories: which builds a revision has, and names that survive the way there and back."""

from __future__ import annotations

import hashlib
import shutil

import pytest
import yaml

from galaxyds.download.names import build_file, repository_path
from galaxyds.publish import repository
from galaxyds.publish.repository import repositories
from galaxyds.specs import get_spec
from galaxyds.store.layout import list_builds
from tests.small_build import SPEC, make_build


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    known = {SPEC.name: SPEC}
    monkeypatch.setattr(repository, "get_spec", lambda name: known.get(name) or get_spec(name))


def test_main_takes_of_every_config_the_build_that_a_loader_takes(tmp_path):
    make_build(tmp_path, config="extended")
    make_build(tmp_path, config="extended", simulated=True, limit=90, rows=70)
    make_build(tmp_path, config="baseline", simulated=True, limit=90, rows=70)
    found = repositories(tmp_path)["tiny_sky"]
    assert [(b.manifest.config, b.manifest.version) for b in found.main.builds] == [
        ("extended", "1.2.0"),
        ("baseline", "1.2.0+simulated.limit90"),
    ]
    assert list(found.versions) == ["v1.2.0", "v1.2.0+simulated.limit90"]
    simulated = found.versions["v1.2.0+simulated.limit90"]
    assert [b.manifest.config for b in simulated.builds] == ["extended", "baseline"]
    assert found.main.notice == "baseline: simulated sky, limited to 90 objects, 70 objects"


def test_revisions_are_found_by_branch_tag_version_and_commit(tmp_path):
    make_build(tmp_path)
    found = repositories(tmp_path)["tiny_sky"]
    names = ("main", "v1.2.0", "1.2.0", found.main.commit, found.main.commit[:9])
    assert {found.find(name).commit for name in names} == {found.main.commit}
    assert [found.find(name) for name in ("", "v9", found.main.commit[:3], "0" * 40)] == [None] * 4


def test_sizes_and_hashes_are_those_of_the_files(tmp_path):
    make_build(tmp_path)
    for path, file in repositories(tmp_path)["tiny_sky"].main.files.items():
        data = file.data if file.path is None else file.path.read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256), path


def test_the_commit_follows_the_contents_only(tmp_path):
    make_build(tmp_path / "a")
    make_build(tmp_path / "b")
    make_build(tmp_path / "c", seed=1)
    one, same, other = (repositories(tmp_path / k)["tiny_sky"].main.commit for k in "abc")
    assert one == same != other


def test_one_card_has_every_config_and_says_which_is_simulated(tmp_path):
    make_build(tmp_path, config="extended")
    make_build(tmp_path, config="baseline", simulated=True)
    card = repositories(tmp_path)["tiny_sky"].main.files["README.md"].data.decode()
    head = yaml.safe_load(card.split("---\n")[1])
    assert [(c["config_name"], c.get("default")) for c in head["configs"]] == [
        ("extended", True), ("baseline", None),
    ]  # fmt: skip
    assert [i["config_name"] for i in head["dataset_info"]] == ["extended", "baseline"]
    assert "**This is not the full dataset of config `baseline`.**" in card
    assert card.count("## Columns") == 1
    assert card.count("## Cut flow, config ") == 2


def test_unknown_datasets_and_broken_manifests_are_left_out_with_a_warning(tmp_path, caplog):
    make_build(tmp_path)
    broken = make_build(tmp_path, config="baseline")
    (broken / "manifest.json").write_text("{")
    strange = tmp_path / "strange_sky" / "extended"
    make_build(tmp_path / "other")
    strange.mkdir(parents=True)
    (tmp_path / "other" / "tiny_sky" / "extended" / "1.2.0").rename(strange / "1.2.0")
    manifest = strange / "1.2.0" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("tiny-sky", "strange-sky"))
    assert list(repositories(tmp_path)) == ["tiny_sky"]
    assert "strange-sky" in caplog.text
    assert str(broken) in caplog.text


@pytest.mark.parametrize("copy", ["0.bak", "1.2.0.bak"])
def test_of_a_copied_build_the_one_in_its_place_is_taken_and_the_other_named(
    tmp_path, caplog, copy
):
    build = make_build(tmp_path)
    make_build(tmp_path, config="baseline")
    alone = repositories(tmp_path)
    shutil.copytree(build, build.parent / copy)
    found = repositories(tmp_path)
    assert found == alone
    assert found["tiny_sky"].versions["v1.2.0"].builds[0].path == build
    assert caplog.text.count("is left out") == 1
    assert (
        f"{build.parent / copy} is left out: {build} is tiny-sky/extended:1.2.0 too" in caplog.text
    )
    shutil.rmtree(build)
    moved = repositories(tmp_path)["tiny_sky"]  # without the other a renamed folder is a build
    assert [b.path.name for b in moved.main.builds] == [copy, "1.2.0"]


def test_a_snapshot_is_taken_over_only_with_its_manifest_byte_by_byte(tmp_path):
    manifest = make_build(tmp_path) / "manifest.json"
    make_build(tmp_path, config="baseline", simulated=True)
    one = repositories(tmp_path)["tiny_sky"]
    again = repositories(tmp_path, earlier={"tiny_sky": one})["tiny_sky"]
    assert all(again.versions[tag] is one.versions[tag] for tag in one.versions)
    assert again.main is one.main
    manifest.write_text(manifest.read_text() + " ")  # the same manifest in other bytes
    later = repositories(tmp_path, earlier={"tiny_sky": one})["tiny_sky"]
    assert later == repositories(tmp_path)["tiny_sky"]
    assert later.versions["v1.2.0"] != one.versions["v1.2.0"]
    assert later.versions["v1.2.0+simulated"] is one.versions["v1.2.0+simulated"]


def test_names_survive_the_way_there_and_back(tmp_path):
    make_build(tmp_path)
    (build,) = list_builds(tmp_path)
    for file in (*build.manifest.files, "manifest.json"):
        path = repository_path("extended", file)
        assert (path is None) == (file == "images.hdf5")
        assert path is None or build_file("extended", path) == file


@pytest.mark.parametrize(
    "file",
    ["../x", "/etc/passwd", "hub/../x", "hub/extended/../../x", "hub/baseline/a.parquet", "x",
     "hub/extended//a.parquet", "./manifest.json", "hub/extended/a/b", ""],
)  # fmt: skip
def test_a_name_that_is_not_of_the_layout_has_no_place_in_a_repository(file):
    assert repository_path("extended", file) is None


@pytest.mark.parametrize("path", ["README.md", "croissant.json", "baseline/manifest.json",
                                  "extended/../x", "extended/a/b", "extended",
                                  "extended/.."])  # fmt: skip
def test_a_path_that_belongs_to_no_build_has_no_file(path):
    assert build_file("extended", path) is None
