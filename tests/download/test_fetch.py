"""Fetching from a loopback hub with the real client: the same bytes, or a named difference."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from galaxyds.download import fetch
from galaxyds.download.hub import open_hub
from galaxyds.errors import (
    ArchiveError,
    CredentialsError,
    DataIntegrityError,
    DatasetNotFoundError,
    MissingExtraError,
    StorageError,
    UsageError,
)
from galaxyds.publish.push import builds_to_push, plan_push, push
from galaxyds.refs import DatasetRef
from galaxyds.spec import ExtraSplit, Split
from galaxyds.store import read_manifest, sha256, verify
from tests.servers import Fault
from tests.servers.hub import Blob, Elsewhere
from tests.small_build import SPEC, make_build

ID = "galaxyds/tiny_sky"
TINY = DatasetRef("tiny-sky")
FOLDED = replace(
    SPEC,
    bands=(*SPEC.bands[:2], replace(SPEC.bands[2], optional=True)),
    split=Split(
        folds=5,
        source="Sect. 4",
        extra=(ExtraSplit(name="test_far", sql="redshift > 4.5", why="far", source="Sect. 5"),),
    ),
)


def publish(home, spec=SPEC):
    builds = builds_to_push(home, TINY, spec)
    push(plan_push(builds, spec, open_hub(ID, what="a test")))


def hashes(root):
    """Sha256 of every file that a user can see, by path."""
    files = (p for p in root.rglob("*") if p.is_file() and ".work" not in p.parts)
    return {p.relative_to(root).as_posix(): sha256(p) for p in files}


def shards(server):
    """Paths of the shards that were asked for, in order."""
    return [Path(path).name for path in server.sent("GET", ".parquet") if "catalog" not in path]


ALL = [f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")]


@pytest.fixture
def published(tmp_path, loopback_hub):
    """A full and real build on the hub; the folder it was built in."""
    make_build(tmp_path / "built")
    publish(tmp_path / "built")
    loopback_hub.requests.clear()
    return tmp_path / "built"


@pytest.mark.parametrize("spec", [SPEC, FOLDED], ids=["plain", "optional bands, further samples"])
def test_every_byte_is_the_builders(tmp_path, loopback_hub, spec):
    make_build(tmp_path / "built", spec=spec, rows=90)
    publish(tmp_path / "built", spec)
    done = fetch(TINY, spec, home=tmp_path / "here")
    assert not done.was_here
    assert hashes(tmp_path / "here") == hashes(tmp_path / "built")
    assert all(result.ok for result in verify(done.build.path, spec))
    # Nothing else is left: no second copy in the client's cache, none in the working folder.
    assert not (tmp_path / "hf-cache").exists()
    assert [p.name for p in (tmp_path / "here" / ".work").rglob("*") if p.is_file()] == [
        "download.lock"
    ]


def test_what_is_here_is_not_fetched(published, tmp_path, loopback_hub):
    fetch(TINY, SPEC, home=tmp_path / "here")
    again = fetch(TINY, SPEC, home=tmp_path / "here")
    assert (again.was_here, again.differs) == (True, False)
    assert sorted(shards(loopback_hub)) == ALL
    make_build(tmp_path / "own", seed=5)
    own = fetch(TINY, SPEC, home=tmp_path / "own")
    assert (own.was_here, own.differs) == (True, True)


def test_a_simulated_build_keeps_saying_so(tmp_path, loopback_hub):
    make_build(tmp_path / "built", simulated=True, limit=60)
    publish(tmp_path / "built")
    ref = DatasetRef("tiny-sky", None, "1.2.0+simulated.limit60")
    done = fetch(ref, SPEC, home=tmp_path / "here")
    assert done.revision.name == "v1.2.0+simulated.limit60"
    assert done.build.manifest.nature() == "simulated sky, limited to 60 objects"
    assert done.build.address.endswith(":1.2.0+simulated.limit60")


def spoiled(server, name, change):
    """Change a file on the hub; return what it was."""
    repo = server.repos[ID]
    files = repo.commits[repo.branches["main"]]
    path = next(path for path in files if path.endswith(name))
    old = files[path]
    files[path] = replace(old, data=change(old.data))
    return path, old


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("change", "expected", "got"),
    [(flipped, "sha256", "sha256"), (lambda d: d[:-9], "bytes", "bytes"),
     (lambda d: d + b"more", "bytes", "more")],
    ids=["flipped", "cut", "longer"],
)  # fmt: skip
def test_a_damaged_shard_is_refused_by_name(
    published, tmp_path, loopback_hub, change, expected, got
):
    path, right = spoiled(loopback_hub, "train-00000-of-00001.parquet", change)
    with pytest.raises(DataIntegrityError, match=path) as caught:
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert expected in caught.value.expected
    assert got in caught.value.got
    assert hashes(tmp_path / "here") == {}
    repo = loopback_hub.repos[ID]
    repo.commits[repo.branches["main"]][path] = right
    loopback_hub.requests.clear()
    fetch(TINY, SPEC, home=tmp_path / "here")
    # Files that came before it were kept, and it came again.
    assert shards(loopback_hub) == [
        "train-00000-of-00001.parquet",
        "validation-00000-of-00001.parquet",
    ]
    assert hashes(tmp_path / "here") == hashes(published)


def renamed(old, new):
    def change(manifest):
        manifest["files"][new] = manifest["files"].pop(old)

    return change


def set_to(key, value):
    def change(manifest):
        manifest[key] = value

    return change


SHARD = "hub/extended/train-00000-of-00001.parquet"
HOSTILE = {
    "parent": renamed(SHARD, "../../../../evil.parquet"),
    "parent inside": renamed(SHARD, "hub/extended/../../../evil.parquet"),
    "absolute": renamed(SHARD, "/tmp/evil.parquet"),
    "other ending": renamed(SHARD, "hub/extended/train-00000-of-00001.parquet.py"),
    "other name": renamed(SHARD, "hub/extended/evil.parquet"),
    "other config": renamed(SHARD, "hub/baseline/train-00000-of-00001.parquet"),
    "backslash": renamed(SHARD, "hub\\extended\\train-00000-of-00001.parquet"),
    "line end": renamed(SHARD, f"{SHARD}\n"),
    "control": renamed(SHARD, "hub/extended/\x1b[31m"),
    "manifest": renamed(SHARD, "manifest.json"),
    "no catalogue": lambda m: m["files"].pop("catalog.parquet"),
    "no images": lambda m: m["files"].pop("images.hdf5"),
    "size": lambda m: m["files"][SHARD].update(bytes=-1),
    "hash": lambda m: m["files"][SHARD].update(sha256="../../evil"),
    "dataset": set_to("name", "sdss-qso"),
    "config": set_to("config", "baseline"),
    "version": set_to("version", "../../1.0.0"),
    "format": set_to("format", 99),
    "shape": set_to("shape", [3, 8, 9]),
    "declaration": set_to("spec_digest", "0" * 64),
    "type": set_to("rows", "many"),
    "more rows than pixels": set_to("rows", 6_000_000),
    "more rows than the splits": set_to("rows", 59),
    "negative rows": set_to("rows", -60),
    "many files": lambda m: m["files"].update(
        {
            f"hub/extended/test-{k:05}-of-20001.parquet": {"bytes": 1, "sha256": "0" * 64}
            for k in range(20_001)
        }
    ),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_manifest_is_refused(published, tmp_path, loopback_hub, change):
    def apply(data):
        manifest = json.loads(data)
        change(manifest)
        return json.dumps(manifest).encode()

    spoiled(loopback_hub, "/manifest.json", apply)
    before = {p for p in tmp_path.rglob("*") if "hf" not in p.parts}
    with pytest.raises(DataIntegrityError, match=r"extended/manifest\.json") as caught:
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert caught.value.message.isprintable()
    assert shards(loopback_hub) == []
    assert {p for p in tmp_path.rglob("*") if "hf" not in p.parts} == before


def test_catalogue_and_shards_of_different_builds_do_not_fit(published, tmp_path, loopback_hub):
    """A manifest may be right about every hash of files that do not belong together."""
    other = make_build(tmp_path / "other", seed=3)
    repo = loopback_hub.repos[ID]
    files = repo.commits[repo.branches["main"]]
    catalogue = (other / "catalog.parquet").read_bytes()
    files["extended/catalog.parquet"] = Blob(catalogue, lfs=True)
    record = read_manifest(other / "manifest.json").files["catalog.parquet"]

    def apply(data):
        manifest = json.loads(data)
        manifest["files"]["catalog.parquet"] = {"bytes": record.bytes, "sha256": record.sha256}
        return json.dumps(manifest).encode()

    spoiled(loopback_hub, "/manifest.json", apply)
    with pytest.raises(
        DataIntegrityError, match=r"make no build, nothing is kept: .* does not hold the objects"
    ):
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert hashes(tmp_path / "here") == {}


def test_a_catalogue_of_equal_rows_is_told_with_its_place(published, tmp_path, loopback_hub):
    place = tmp_path / "catalog.parquet"
    known = pq.read_table(published / "tiny_sky/extended/1.2.0/catalog.parquet")
    pq.write_table(known.take([0] * len(known)), place)

    def apply(data):
        manifest = json.loads(data)
        record = {"bytes": place.stat().st_size, "sha256": sha256(place)}
        manifest["files"]["catalog.parquet"] = record
        return json.dumps(manifest).encode()

    spoiled(loopback_hub, "/catalog.parquet", lambda data: place.read_bytes())
    spoiled(loopback_hub, "/manifest.json", apply)
    with pytest.raises(DataIntegrityError, match=r"/datasets/galaxyds/tiny_sky at commit .* make"):
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert not any(p.suffix == ".parquet" for p in (tmp_path / "here").rglob("*"))


def test_other_bytes_of_the_same_pixels_are_told(published, tmp_path, loopback_hub):
    def apply(data):
        manifest = json.loads(data)
        manifest["files"]["images.hdf5"]["sha256"] = "ab" * 32
        return json.dumps(manifest).encode()

    spoiled(loopback_hub, "/manifest.json", apply)
    done = fetch(TINY, SPEC, home=tmp_path / "here")
    assert "has other bytes than the published file" in done.build.manifest.warnings[-1]
    mine, theirs = hashes(tmp_path / "here"), hashes(published)
    assert {name for name in mine if mine[name] != theirs[name]} == {
        "tiny_sky/extended/1.2.0/manifest.json"
    }
    assert all(result.ok for result in verify(done.build.path, SPEC))


def test_what_is_not_there_quotes_the_build_command(published, tmp_path, loopback_hub, monkeypatch):
    here = tmp_path / "here"
    for options, words in (
        ({"repo": "nobody/nothing"}, "no repository nobody/nothing"),
        ({"revision": "v9.9.9"}, "nothing to fetch at 'v9.9.9'"),
    ):
        with pytest.raises(DatasetNotFoundError, match=words) as caught:
            fetch(TINY, SPEC, home=here, **options)
        assert "galaxyds build tiny-sky," in caught.value.message
    with pytest.raises(DatasetNotFoundError, match=r"nothing to fetch at 'v1\.0\.0'"):
        fetch(DatasetRef("tiny-sky", None, "1.0.0"), SPEC, home=here)
    with pytest.raises(DatasetNotFoundError, match=r"it has extended; .*build tiny-sky/baseline,"):
        fetch(DatasetRef("tiny-sky", "baseline"), SPEC, home=here)
    with pytest.raises(UsageError, match="leave --revision out"):
        fetch(DatasetRef("tiny-sky", None, "1.2.0"), SPEC, home=here, revision="main")
    with pytest.raises(UsageError, match="owner/name"):
        fetch(TINY, SPEC, home=here, repo="../../etc")
    assert not here.exists()


def test_without_the_client_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'galaxyds\[hf\]'"):
        fetch(TINY, SPEC, home=tmp_path / "here")


def test_a_gated_repository_says_where_to_ask(published, tmp_path, loopback_hub, monkeypatch):
    loopback_hub.gated.add(ID)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(CredentialsError, match="gated, ask for access on its page"):
        fetch(TINY, SPEC, home=tmp_path / "here")


def test_a_hub_out_of_reach(tmp_path, loopback_hub, closed_url, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_url)
    words = r"Connection refused; check the network and HF_ENDPOINT.* or galaxyds build tiny-sky$"
    with pytest.raises(ArchiveError, match=words):
        fetch(TINY, SPEC, home=tmp_path / "here")


def test_a_tag_that_lies(published, tmp_path, loopback_hub):
    repo = loopback_hub.repos[ID]
    repo.tags["v1.0.0"] = repo.branches["main"]
    with pytest.raises(DataIntegrityError, match=r"has 1\.2\.0 under the tag v1\.0\.0"):
        fetch(DatasetRef("tiny-sky", None, "1.0.0"), SPEC, home=tmp_path / "here")


def test_a_full_disk_is_noticed_before_anything_comes(
    published, tmp_path, loopback_hub, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(StorageError, match="fetching tiny-sky/extended needs"):
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert shards(loopback_hub) == []


def test_the_token_stays_on_the_hub(published, tmp_path, loopback_hub, monkeypatch):
    """A hub may name other hosts: for chunks (Xet), for large files, for the next page."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    with Elsewhere(loopback_hub) as other:
        loopback_hub.elsewhere = other.url.replace("127.0.0.1", "localhost")
        fetch(TINY, SPEC, home=tmp_path / "here")
        assert len(other.requests) == 4  # the large files
        assert other.tokens() == []
    assert hashes(tmp_path / "here") == hashes(published)


def test_what_was_planted_in_a_left_folder_is_removed(published, tmp_path, loopback_hub):
    outside, work = tmp_path / "outside", tmp_path / "here/.work/tiny_sky/extended/1.2.0"
    kept = outside / "catalog.parquet"
    kept.parent.mkdir()
    kept.write_bytes(b"mine")
    build = work / "download.abcd1234/build"
    (build / "hub/extended/train-00000-of-00001.parquet").mkdir(parents=True)
    (build / "hub/README.md").symlink_to(kept)
    (build / "catalog.parquet").symlink_to(kept)
    (build.parent / "came").symlink_to(outside)
    (work / "download.0a").symlink_to(outside)
    fetch(TINY, SPEC, home=tmp_path / "here")
    assert hashes(tmp_path / "here") == hashes(published)
    assert {p.name: p.read_bytes() for p in outside.iterdir()} == {"catalog.parquet": b"mine"}


def test_a_linked_folder_is_not_written_through(published, tmp_path, loopback_hub):
    outside, work = tmp_path / "outside", tmp_path / "here/.work/tiny_sky/extended/1.2.0"
    outside.mkdir()
    (work / "download.abcd1234").mkdir(parents=True)
    (work / "download.abcd1234/build").symlink_to(outside)
    fetch(TINY, SPEC, home=tmp_path / "here")
    assert hashes(tmp_path / "here") == hashes(published)
    assert list(outside.iterdir()) == []


def test_what_lies_in_the_way_is_named_before_anything_comes(published, tmp_path, loopback_hub):
    target = tmp_path / "here/tiny_sky/extended/1.2.0"
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"1\.2\.0 is there and is no build.*move it away"):
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert shards(loopback_hub) == []


def test_a_file_that_cannot_be_written_is_named(published, tmp_path, loopback_hub, recwarn):
    """The system refuses to let a file grow, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"came/extended/.*\.parquet.*ulimit -f") as caught:
            fetch(TINY, SPEC, home=tmp_path / "here")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == 8
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=["ENOLCK", "EOPNOTSUPP"])
def test_where_locks_fail_it_goes_on(published, tmp_path, loopback_hub, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    fetch(TINY, SPEC, home=tmp_path / "here")
    assert hashes(tmp_path / "here") == hashes(published)


def test_a_password_in_the_address_is_not_shown(tmp_path, loopback_hub, closed_url, monkeypatch):
    address = closed_url.replace("http://", "http://somebody:SECRETPW@")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    with pytest.raises(ArchiveError, match=r"http://127\.0\.0\.1:\d+/datasets") as caught:
        fetch(TINY, SPEC, home=tmp_path / "here")
    assert "SECRETPW" not in caught.value.message + repr(caught.value.values)
    assert "somebody" not in caught.value.message


def test_a_cut_connection_goes_on_by_itself(published, tmp_path, loopback_hub):
    loopback_hub.fail(Fault("cut", where="resolve", after=0), Fault("cut", where="train", after=99))
    fetch(TINY, SPEC, home=tmp_path / "here")
    assert hashes(tmp_path / "here") == hashes(published)


PROCESS = """
import sys, time
from pathlib import Path
if sys.argv[2] == "no locks":
    import filelock
    class Nothing:
        def __init__(self, *path, **options): pass
        def acquire(self, timeout=0): pass
        def release(self): pass
    filelock.FileLock = Nothing
from galaxyds.download import fetch
from galaxyds.refs import DatasetRef
from tests.small_build import SPEC
done = fetch(DatasetRef("tiny-sky"), SPEC, home=Path(sys.argv[1]))
print(done.was_here, done.build.manifest.rows)
"""


def start(server, home, locks="locks"):
    keep = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment = {**keep, "HF_ENDPOINT": server.url, "HF_HOME": str(home.parent / "hf"),
                   "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(home), locks],
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outputs(processes):
    """What they printed; every one must have ended well."""
    told = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), told
    return [out.split() for out, _ in told]


def test_eight_processes_at_once_fetch_once(published, tmp_path, loopback_hub):
    told = outputs([start(loopback_hub, tmp_path / "here") for _ in range(8)])
    assert sorted(told) == [["False", "60"]] + [["True", "60"]] * 7
    assert sorted(shards(loopback_hub)) == ALL
    assert hashes(tmp_path / "here") == hashes(published)


def test_where_locks_do_nothing_a_rename_decides(published, tmp_path, loopback_hub):
    outputs([start(loopback_hub, tmp_path / "here", "no locks") for _ in range(3)])
    assert hashes(tmp_path / "here") == hashes(published)
    assert not any(p.is_file() for p in (tmp_path / "here" / ".work").rglob("*"))


def test_killed_in_the_middle_it_goes_on(published, tmp_path, loopback_hub):
    loopback_hub.fail(Fault("hold", where="/train-"))
    process = start(loopback_hub, tmp_path / "here")
    assert loopback_hub.waiting.wait(60)
    process.kill()
    process.communicate()
    assert hashes(tmp_path / "here") == {}
    first = shards(loopback_hub)
    outputs([start(loopback_hub, tmp_path / "here")])
    assert hashes(tmp_path / "here") == hashes(published)
    assert first == ALL[:2]
    assert sorted(shards(loopback_hub)) == sorted([*ALL, ALL[1]])
