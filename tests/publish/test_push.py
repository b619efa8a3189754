"""Pushing to a loopback hub with the real client: what is sent, refused and resumed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from galaxyds.download.hub import open_hub
from galaxyds.errors import ArchiveError, CredentialsError, DataIntegrityError, UsageError
from galaxyds.publish.push import OTHER, builds_to_push, check_plan, plan_push, push
from galaxyds.refs import DatasetRef
from tests.servers import Fault
from tests.servers.hub import Elsewhere
from tests.small_build import SPEC, images, make_build, table

ID = "galaxyds/tiny_sky"
NEWER = replace(SPEC, version="1.3.0", release_notes={"1.3.0": "Second."})


def planned(home, *, version=None, spec=SPEC, **options):
    hub = open_hub(ID, what="a test")
    builds = builds_to_push(home, DatasetRef(spec.name, None, version), spec)
    return plan_push(builds, spec, hub, **options)


def pushed(home, *, partial=False, **options):
    plan = planned(home, **options)
    check_plan(plan, partial=partial)
    return push(plan)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Both configs of the small dataset, built."""
    root = tmp_path_factory.mktemp("both")
    make_build(root)
    make_build(root, rows=40, config="baseline")
    return root


@pytest.fixture
def home(both, tmp_path):
    """A copy of them that a test may change."""
    return shutil.copytree(both, tmp_path / "home")


def on_disk(home, version="1.2.0"):
    """What the repository must hold, from the layout as it is documented."""
    files = {}
    for config in ("extended", "baseline"):
        build = home / "tiny_sky" / config / version
        for path in build.rglob("*.*"):
            if path.name != "images.hdf5":
                files[f"{config}/{path.name}"] = path.read_bytes()
    return files


def test_a_push_is_one_commit_and_one_tag(home, loopback_hub):
    sent = pushed(home)
    repo = loopback_hub.repos[ID]
    assert repo.branches == {"main": sent.commit}
    assert repo.tags == {"v1.2.0": sent.commit}
    assert sorted(repo.messages.values()) == ["initial commit", "tiny-sky 1.2.0"]
    files = dict(repo.commits[sent.commit])
    card = files.pop("README.md").data.decode()
    assert "extended" in card
    assert "baseline" in card
    del files[".gitattributes"]
    files.pop("croissant.json", None)
    assert {path: blob.data for path, blob in files.items()} == on_disk(home)
    assert all(blob.lfs == path.endswith(".parquet") for path, blob in files.items())
    assert not any("images.hdf5" in r.path for r in loopback_hub.requests)


def test_pushed_again_nothing_is_sent(home, loopback_hub):
    first = pushed(home)
    before = len(loopback_hub.requests)
    again = pushed(home)
    assert (again.commit, again.files, again.bytes) == (first.commit, 0, 0)
    assert {r.method for r in loopback_hub.requests[before:]} == {"GET"}


def test_a_rehearsal_needs_neither_hub_nor_token(home, loopback_hub, monkeypatch, closed_url):
    monkeypatch.delenv("HF_TOKEN")
    plan = planned(home)
    assert set(plan.states().values()) == {"new"}
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_url)
    plan = planned(home, offline_ok=True)
    assert "Connection refused" in plan.state.problem
    assert plan.tag == "v1.2.0"
    check_plan(plan, partial=False)
    with pytest.raises(ArchiveError, match="Connection refused"):
        planned(home)
    assert {r.method for r in loopback_hub.requests} == {"GET"}


def test_a_version_is_never_changed(home, loopback_hub):
    commit = pushed(home).commit
    make_build(home, seed=1, replace=True)
    with pytest.raises(UsageError, match="raise the version of tiny-sky") as caught:
        pushed(home)
    # Same texts, other numbers: manifest, catalogue and three shards.
    assert {f"extended/{name}" for name in ("catalog.parquet", "manifest.json")} <= set(
        caught.value.differing
    )
    assert not any(path.startswith("baseline/") for path in caught.value.differing)
    assert loopback_hub.repos[ID].branches == {"main": commit}


def test_main_moves_to_a_newer_version_only(home, loopback_hub):
    old = pushed(home).commit
    for config in ("extended", "baseline"):
        make_build(home, spec=NEWER, config=config)
    new = pushed(home, spec=NEWER).commit
    repo = loopback_hub.repos[ID]
    assert repo.branches == {"main": new}
    make_build(home, simulated=True)
    other = pushed(home, version="1.2.0+simulated", partial=True, spec=SPEC).commit
    assert repo.branches == {"main": new, OTHER: other}
    assert repo.tags == {"v1.2.0": old, "v1.3.0": new, "v1.2.0+simulated": other}
    # Only the simulated build: what main has of the config that it lacks is not in its commit.
    assert {path.split("/")[0] for path in repo.commits[other]} >= {"extended", "README.md"}
    assert not any(path.startswith("baseline/") for path in repo.commits[other])
    assert b"simulated" in repo.commits[other]["README.md"].data


def test_files_of_others_stay_and_stale_shards_go(home, loopback_hub):
    pushed(home)
    repo = loopback_hub.repos[ID]
    files = dict(repo.commits[repo.branches["main"]])
    stale = "extended/train-00001-of-00002.parquet"
    files |= {"notes.txt": files["README.md"], stale: files["extended/catalog.parquet"]}
    repo.commit(files, "main", "by hand")
    for config in ("extended", "baseline"):
        make_build(home, spec=NEWER, config=config)
    now = repo.commits[pushed(home, spec=NEWER).commit]
    assert "notes.txt" in now
    assert stale not in now


def test_a_config_on_main_does_not_vanish(home, loopback_hub):
    commit = pushed(home).commit
    make_build(home, spec=NEWER)
    with pytest.raises(UsageError, match="run galaxyds build tiny-sky/baseline first"):
        pushed(home, spec=NEWER)
    assert loopback_hub.repos[ID].branches == {"main": commit}
    with pytest.raises(UsageError, match=r"write tiny-sky:1\.2\.0"):
        builds_to_push(home, DatasetRef("tiny-sky", "extended", "1.2.0"), SPEC)


def test_a_copied_folder_is_not_pushed_beside_its_original(home, caplog):
    build = home / "tiny_sky" / "extended" / "1.2.0"
    shutil.copytree(build, build.with_name("1.1.9-backup"))
    chosen = builds_to_push(home, DatasetRef(SPEC.name), SPEC)
    assert [one.manifest.config for one in chosen] == ["extended", "baseline"]
    assert chosen[0].path == build
    assert "1.1.9-backup is left out" in caplog.text


def test_a_partial_build_needs_a_word(tmp_path, loopback_hub):
    make_build(tmp_path, simulated=True, limit=60)
    with pytest.raises(UsageError, match=r"simulated sky, limited to 60.*--partial") as caught:
        pushed(tmp_path)
    assert caught.value.exit_code == 2
    assert loopback_hub.repos == {}
    pushed(tmp_path, partial=True)
    assert list(loopback_hub.repos[ID].tags) == ["v1.2.0+simulated.limit60"]


def test_a_damaged_build_is_not_sent(home, loopback_hub):
    shard = next((home / "tiny_sky").rglob("test-*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DataIntegrityError, match=shard.name):
        pushed(home)
    assert loopback_hub.requests == []


def test_without_a_token_nothing_is_sent(home, loopback_hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(CredentialsError, match=r"settings/tokens and set HF_TOKEN"):
        pushed(home)
    assert loopback_hub.repos == {}


def test_a_refused_token_is_not_repeated(home, loopback_hub, monkeypatch):
    canary = "hf_anotherCanaryAnotherCanary"
    monkeypatch.setenv("HF_TOKEN", canary)
    with pytest.raises(CredentialsError, match="the hub answers 401") as caught:
        pushed(home)
    assert canary not in repr(caught.value.values) + str(caught.value)
    # A hub may say the token itself: then it is blanked out.
    loopback_hub.fail(Fault("refuse", where="/api/datasets", status=403, body=canary.encode()))
    with pytest.raises(CredentialsError, match=r"403 \(\*\*\*\)"):
        pushed(home)


def test_what_the_hub_says_is_shown(home, loopback_hub):
    loopback_hub.fail(Fault("refuse", where="/repos/create", status=402, body=b"pay\x1b[31m me"))
    with pytest.raises(ArchiveError, match=r"answers 402 \(pay \[31m me\)") as caught:
        pushed(home)
    assert caught.value.status == 402
    assert "\n" not in caught.value.message


def test_a_cut_upload_goes_on_where_it_was(home, loopback_hub):
    names = [f"extended/{s}-00000-of-00001.parquet" for s in ("test", "train", "validation")]
    shas = [planned(home).snapshot.files[name].sha256 for name in names]
    loopback_hub.fail(Fault("refuse", where=f"/lfs/{shas[1]}", status=400, body=b"cut"))
    with pytest.raises(ArchiveError, match=f"sending {names[1]}"):
        pushed(home)
    assert list(loopback_hub.repos[ID].messages.values()) == ["initial commit"]
    pushed(home)
    uploads = [r.path.split("/")[2] for r in loopback_hub.requests if r.method == "PUT"]
    assert [uploads.count(sha) for sha in shas] == [1, 2, 1]
    assert "v1.2.0" in loopback_hub.repos[ID].tags


def test_a_push_cut_before_its_tag_makes_no_second_commit(home, loopback_hub):
    loopback_hub.fail(Fault("refuse", where="/tag/", status=500, body=b"down"))
    with pytest.raises(ArchiveError, match=r"setting the tag v1\.2\.0"):
        pushed(home)
    repo = loopback_hub.repos[ID]
    head = repo.branches["main"]
    assert pushed(home).commit == head
    assert repo.tags == {"v1.2.0": head}
    assert len(repo.commits) == 2


class At:
    """Does something at a step of a push, once."""

    def __init__(self, name, state, action):
        self.step, self.action = (name, state), action

    def stage(self, name, state, detail=""):
        if (name, state) == self.step:
            self.step = None
            self.action()

    def progress(self, done, total, unit):
        pass


@pytest.fixture
def others(home, tmp_path):
    """The same version, built again with other numbers."""
    root = shutil.copytree(home, tmp_path / "others")
    make_build(root, seed=1, replace=True)
    return root


def test_of_two_pushes_of_a_version_the_first_stands(home, others, loopback_hub):
    late, early = planned(home), planned(others)
    commit = push(early).commit
    with pytest.raises(UsageError, match="a version is never changed"):
        push(late)
    repo = loopback_hub.repos[ID]
    assert (repo.branches, repo.tags) == ({"main": commit}, {"v1.2.0": commit})


def test_a_push_in_the_middle_of_another_stands(home, others, loopback_hub):
    late, early = planned(home), planned(others)
    with pytest.raises(ArchiveError, match="the hub answers 412"):
        push(late, watcher=At("upload", "done", lambda: push(early)))
    repo = loopback_hub.repos[ID]
    assert repo.branches["main"] == repo.tags["v1.2.0"]
    with pytest.raises(UsageError, match="a version is never changed"):
        pushed(home)


@pytest.mark.parametrize("same", [True, False], ids=["same contents", "other contents"])
def test_a_tag_that_is_there_meanwhile_is_compared(home, loopback_hub, monkeypatch, same):
    plan = planned(home)
    real, repos = plan.hub.api.create_tag, loopback_hub.repos

    def later(*arguments, **options):
        repo = repos[ID]
        first = next(iter(repo.commits))
        repo.tags["v1.2.0"] = repo.branches["main"] if same else first
        return real(*arguments, **options)

    monkeypatch.setattr(plan.hub.api, "create_tag", later)
    if same:
        assert push(plan).commit == repos[ID].branches["main"]
        return
    with pytest.raises(UsageError, match="a version is never changed"):
        push(plan)


def test_what_was_checked_is_what_is_published(home, loopback_hub):
    """A small file that changes between its check and the commit."""
    card = home / "tiny_sky/extended/1.2.0/hub/README.md"
    was = card.read_bytes()
    sent = push(planned(home), watcher=At("upload", "done", lambda: card.write_bytes(b"evil")))
    assert loopback_hub.repos[ID].commits[sent.commit]["extended/README.md"].data == was
    for config in ("extended", "baseline"):
        build = make_build(home, spec=NEWER, config=config)
    change = At("upload", "started", lambda: (build / "hub/README.md").write_bytes(b"evil"))
    plan = planned(home, spec=NEWER)
    with pytest.raises(DataIntegrityError, match=r"README\.md changed while it was sent"):
        push(plan, watcher=change)


def test_the_token_stays_on_the_hub(home, loopback_hub, caplog):
    """Pages of a listing, and where an upload is confirmed, may be named at another host."""
    loopback_hub.page = 2
    with Elsewhere(loopback_hub) as other:
        loopback_hub.elsewhere = other.url.replace("127.0.0.1", "localhost")
        pushed(home)
        assert "/lfs/verify" in [request.path for request in other.requests]
        assert other.tokens() == []
        assert pushed(home).files == 0  # the listing is complete
    assert "the hub wants the token to be sent to localhost" in caplog.text


def test_nonsense_in_the_middle_of_a_push(home, loopback_hub):
    for where, body in (("/preupload/", b"[]"), ("/info/lfs", b"5"), ("/commit/", b"[]")):
        loopback_hub.fail(Fault("body", where=where, body=body))
        with pytest.raises(ArchiveError, match="check the network"):
            pushed(home)


READ = """
import sys, numpy as np
from datasets import load_dataset
found = load_dataset("galaxyds/tiny_sky", "extended", revision="v1.2.0").with_format("numpy")
np.savez(sys.argv[1], **{f"{split}/{name}": data[:][name]
                         for split, data in found.items() for name in ("image", "object_id")})
"""


def test_what_was_pushed_loads_without_our_code(home, loopback_hub, tmp_path):
    pytest.importorskip("datasets")
    pushed(home)
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTHON"))}
    environment = {**keep, "HF_ENDPOINT": loopback_hub.url, "HF_HOME": str(tmp_path / "hf"),
                   "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}  # fmt: skip
    out = tmp_path / "out.npz"
    subprocess.run([sys.executable, "-c", READ, str(out)], check=True, env=environment,
                   cwd=tmp_path, capture_output=True, timeout=120)  # fmt: skip
    read = np.load(out)
    ids = np.concatenate([read[f"{s}/object_id"] for s in ("train", "validation", "test")])
    pixels = np.concatenate([read[f"{s}/image"] for s in ("train", "validation", "test")])
    order = np.argsort(ids)
    np.testing.assert_array_equal(ids[order], table(60)["object_id"].to_numpy())
    np.testing.assert_array_equal(pixels[order], images(60))


def test_the_commit_says_what_it_is(home, loopback_hub):
    pushed(home)
    commit = next(r for r in loopback_hub.requests if "/commit/" in r.path)
    header = json.loads(commit.body.splitlines()[0])["value"]
    assert header["summary"] == "tiny-sky 1.2.0"
    assert header["description"].splitlines()[:2] == [
        "extended: 60 objects, full",
        "baseline: 40 objects, full",
    ]
