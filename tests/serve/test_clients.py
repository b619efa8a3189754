"""The real clients, in clean processes: what they get equals the HDF5 file of the build."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.serve.running import LABELLED, ROWS, client

ONLINE = """
import json, sys
import numpy as np
from datasets import load_dataset
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download

told, arrays = {}, {}

def keep(name, data):
    arrays[name + "/id"] = np.array(data["object_id"])
    arrays[name + "/image"] = np.array(data["image"], dtype="f4")

sky = "galaxyds/tiny_sky"
whole = load_dataset(sky).with_format("numpy")
told["splits"] = {k: len(v) for k, v in whole.items()}
for split, data in whole.items():
    keep(split, data[:])
keep("config", load_dataset(sky, "baseline", split="train").with_format("numpy")[:])
keep("tag", load_dataset(sky, revision="v1.2.0", split="test").with_format("numpy")[:])
keep("label", load_dataset(sky, revision=sys.argv[2], split="test").with_format("numpy")[:])
keep("two", load_dataset("galaxyds/tiny_two", split="train").with_format("numpy")[:])
keep("tenth", load_dataset(sky, split="train[:10%]").with_format("numpy")[:])
stream = load_dataset(sky, split="train", streaming=True).with_format("numpy")
keep("stream", next(stream.iter(16)))

api = HfApi()
refs = api.list_repo_refs(sky, repo_type="dataset")
told["branches"], told["tags"] = [b.name for b in refs.branches], [t.name for t in refs.tags]
info = api.dataset_info(sky, revision="v1.2.0", files_metadata=True)
told["sha"] = [info.sha, [t.target_commit for t in refs.tags if t.name == "v1.2.0"][0]]
told["lfs"] = {s.rfilename: [s.size, s.lfs.sha256] for s in info.siblings}
told["datasets"] = [d.id for d in api.list_datasets(author="galaxyds")]
told["searched"] = [d.id for d in api.list_datasets(search="two")]
told["card"] = hf_hub_download(sky, "README.md", repo_type="dataset")
snapshot_download(sky, repo_type="dataset")
checked = api.verify_repo_checksums(sky, repo_type="dataset")
told["checked"] = [checked.checked_count, len(checked.mismatches), len(checked.missing_paths)]
files = HfFileSystem()
told["glob"] = sorted(files.glob(f"datasets/{sky}/*/catalog.parquet"))
told["root"] = files.info(f"datasets/{sky}", expand_info=True)["last_commit"].title
np.savez(sys.argv[1], **arrays)
print("TOLD" + json.dumps(told))
"""
OFFLINE = """
from datasets import load_dataset
print("IDS", sum(load_dataset("galaxyds/tiny_two", split="train")["object_id"]))
"""
RESUMED = """
import sys
from huggingface_hub import constants, hf_hub_download
constants.DOWNLOAD_CHUNK_SIZE = 100_000  # 10 MB: a shard of the tests would be one piece
print("PATH", hf_hub_download("galaxyds/tiny_sky", sys.argv[1], repo_type="dataset"))
"""
SHARD = "extended/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("client")


@pytest.fixture(scope="module")
def online(hub, home):
    """All that one client process was told and loaded."""
    out = home / "out.npz"
    said = client(ONLINE, home, hub.url, str(out), f"v{LABELLED}",
                  HF_HUB_DISABLE_IMPLICIT_TOKEN="1")  # fmt: skip
    with np.load(out, allow_pickle=False) as arrays:
        return json.loads(said.partition("TOLD")[2].splitlines()[0]), dict(arrays)


def of_hdf5(root, name, ids):
    """Images of a build by object id, from its HDF5 file."""
    with h5py.File(root / name / "images.hdf5") as file:
        rows = np.searchsorted(file["object_id"][:], ids)
        assert np.array_equal(file["object_id"][:][rows], ids)
        return file["image"][:][rows]


@pytest.mark.parametrize(
    ("loaded", "build"),
    [
        ("train", "tiny_sky/extended/1.2.0"),
        ("validation", "tiny_sky/extended/1.2.0"),
        ("test", "tiny_sky/extended/1.2.0"),
        ("tag", "tiny_sky/extended/1.2.0"),
        ("tenth", "tiny_sky/extended/1.2.0"),
        ("stream", "tiny_sky/extended/1.2.0"),
        ("config", "tiny_sky/baseline/1.2.0"),
        ("label", f"tiny_sky/extended/{LABELLED}"),
        ("two", "tiny_two/extended/1.2.0"),
    ],
)
def test_what_is_loaded_is_what_was_built(online, root, loaded, build):
    _, arrays = online
    expected = of_hdf5(root, build, arrays[f"{loaded}/id"])
    assert np.array_equal(arrays[f"{loaded}/image"], expected, equal_nan=True)


def test_splits_and_slices_have_their_sizes(online):
    told, arrays = online
    assert sum(told["splits"].values()) == ROWS
    assert len(arrays["tenth/id"]) == round(told["splits"]["train"] / 10)
    assert len(arrays["stream/id"]) == 16
    assert np.array_equal(arrays["test/id"], arrays["tag/id"])


def test_the_client_is_told_of_revisions_files_and_hashes(online, root):
    told, _ = online
    assert told["branches"] == ["main"]
    assert {"v1.2.0", f"v{LABELLED}"} <= set(told["tags"])
    assert told["sha"][0] == told["sha"][1]
    data = (root / "tiny_sky/extended/1.2.0/catalog.parquet").read_bytes()
    assert told["lfs"]["extended/catalog.parquet"] == [len(data), hashlib.sha256(data).hexdigest()]
    assert told["datasets"] == ["galaxyds/tiny_sky", "galaxyds/tiny_two"]
    assert told["searched"] == ["galaxyds/tiny_two"]
    assert told["checked"] == [len(told["lfs"]), 0, 0]
    assert [path.split("/")[3] for path in told["glob"]] == ["baseline", "extended"]
    assert told["root"] == "1.2.0"


def test_what_was_loaded_once_loads_without_the_server(online, home, closed_url):
    out = client(OFFLINE, home, closed_url, HF_HUB_OFFLINE="1")
    assert f"IDS {sum(online[1]['two/id'].tolist())}\n" in out


@contextmanager
def cutting(port, after):
    """A proxy that cuts the first answer longer than ``after`` bytes; gives port and requests."""
    requests, cut = [], []

    def pump(source, target):
        passed = 0
        while piece := source.recv(4096):
            passed += len(piece)
            target.sendall(piece)
            if passed > after and not cut:
                cut.append(passed)
                break

    def serve(near):
        with near, closing(socket.create_connection(("127.0.0.1", port))) as far:

            def back():
                while piece := near.recv(65536):
                    requests.append(piece.decode())
                    far.sendall(piece)

            threading.Thread(target=quiet, args=(back,), daemon=True).start()
            quiet(pump, far, near)
            near.shutdown(socket.SHUT_RDWR)

    def quiet(act, *arguments):
        with suppress(OSError):
            act(*arguments)

    def accept():
        while True:
            near, _ = listener.accept()
            threading.Thread(target=quiet, args=(serve, near), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=quiet, args=(accept,), daemon=True).start()
        yield listener.getsockname()[1], requests
        assert cut, "nothing was cut"


def test_a_download_that_is_cut_goes_on_where_it_was(hub, root, tmp_path):
    expected = root / "tiny_sky/extended/1.2.0/hub" / SHARD
    half = expected.stat().st_size // 2
    with cutting(hub.port, half) as (port, requests):
        out = client(RESUMED, tmp_path, f"http://127.0.0.1:{port}", SHARD)
    path = Path(out.partition("PATH ")[2].splitlines()[0])
    assert path.read_bytes() == expected.read_bytes()
    ranges = [line for text in requests for line in text.splitlines() if "range:" in line.lower()]
    assert len(ranges) == 1
    assert 0 < int(ranges[0].partition("bytes=")[2].rstrip("-")) <= half
