"""The hub folder: what `datasets` makes of it, in a clean process without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from galaxyds.publish import hub
from galaxyds.publish.hub import hub_features, nested_list
from galaxyds.store.verify import verify
from tests.small_build import SPEC, images, make_build, table

READ = """
import json, sys
import numpy as np
from datasets import load_dataset

out = {"splits": {}}
found = load_dataset(sys.argv[1], *sys.argv[3:4])
arrays = {}
for name, data in found.items():
    data = data.with_format("torch")
    out["splits"][name] = len(data)
    if not len(data):
        continue
    whole = data[:]
    first = data[0]
    out["image"] = [str(first["image"].dtype), list(first["image"].shape)]
    out["dtypes"] = {k: str(v.dtype) for k, v in first.items() if hasattr(v, "dtype")}
    out["version"] = str(data.info.version)
    out["features"] = {k: repr(v) for k, v in data.features.items()}
    arrays[f"{name}/image"] = whole["image"].numpy()
    arrays[f"{name}/object_id"] = whole["object_id"].numpy()
    arrays[f"{name}/mag_g"] = whole["mag_g"].numpy()
    arrays[f"{name}/warning"] = whole["warning"].numpy()
    stream = load_dataset(sys.argv[1], split=name, streaming=True).with_format("torch")
    rows = list(stream)
    arrays[f"{name}/stream"] = np.stack([row["image"].numpy() for row in rows])
    arrays[f"{name}/stream_id"] = np.array([int(row["object_id"]) for row in rows])
np.savez(sys.argv[2], **arrays)
print(json.dumps(out))
"""


def read_with_datasets(folder, tmp_path, *config):
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("HF_")},
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hf-home"),
    }
    (tmp_path / "elsewhere").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder), str(tmp_path / "out.npz"), *config],
        env=environment,
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        return json.loads(done.stdout.splitlines()[-1]), dict(arrays)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    build = make_build(folder, 60)
    return build, *read_with_datasets(build / "hub", folder, "extended")


def test_load_dataset_gives_torch_images_equal_to_what_was_built(read):
    _, told, arrays = read
    assert told["image"] == ["torch.float32", [3, 8, 8]]
    assert told["splits"] == {"train": 40, "validation": 9, "test": 11}
    source, pixels = table(60), images(60)
    ids = source["object_id"].to_numpy()
    seen = []
    for split in told["splits"]:
        rows = np.searchsorted(ids, arrays[f"{split}/object_id"])
        np.testing.assert_array_equal(arrays[f"{split}/image"], pixels[rows])
        seen.append(arrays[f"{split}/object_id"])
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), ids)


def test_streaming_gives_the_same(read):
    _, told, arrays = read
    for split in told["splits"]:
        np.testing.assert_array_equal(arrays[f"{split}/stream"], arrays[f"{split}/image"])
        np.testing.assert_array_equal(arrays[f"{split}/stream_id"], arrays[f"{split}/object_id"])


def test_missing_values_are_nan_and_the_sentinel(read):
    _, _, arrays = read
    source = table(60)
    ids = source["object_id"].to_numpy()
    missing = ids[source["mag_g"].is_null().to_numpy()]
    gone = np.isin(arrays["train/object_id"], missing)
    assert gone.any()
    np.testing.assert_array_equal(np.isnan(arrays["train/mag_g"]), gone)
    np.testing.assert_array_equal(arrays["train/warning"] == -9999, gone)


def test_features_and_version_come_from_the_card(read):
    _, told, _ = read
    assert told["version"] == "1.2.0"
    assert list(told["features"]) == list(hub_features(SPEC))
    assert told["features"]["image"] == "Array3D(shape=(3, 8, 8), dtype='float32')"
    assert told["features"]["spec_id"] == "Value('uint64')"


def test_a_split_without_objects_is_left_out(tmp_path):
    build = make_build(tmp_path, 2)
    told, _ = read_with_datasets(build / "hub", tmp_path)
    assert told["splits"] == {"train": 2}
    assert [result for result in verify(build, SPEC) if not result.ok] == []


def test_several_shards_hold_the_rows_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_SHARD_BYTES", 10 * 3 * 64 * 4)
    monkeypatch.setattr(hub, "_GROUP_BYTES", 4 * 3 * 64 * 4)
    build = make_build(tmp_path, 60)
    shards = sorted((build / "hub" / "extended").glob("train-*.parquet"))
    assert [p.name for p in shards] == [f"train-{k:05d}-of-00004.parquet" for k in range(4)]
    groups = [pq.read_metadata(p).row_group(0).num_rows for p in shards]
    assert groups == [4] * 4
    told, arrays = read_with_datasets(build / "hub", tmp_path)
    assert told["splits"]["train"] == 40
    assert (np.diff(arrays["train/object_id"]) > 0).all()


def test_pages_carry_checksums_and_pixels_no_dictionary(read):
    build, *_ = read
    metadata = pq.read_metadata(build / "hub" / "extended" / "train-00000-of-00001.parquet")
    pixels = metadata.row_group(0).column(metadata.num_columns - 1)
    assert pixels.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in pixels.encodings
    assert not pixels.has_dictionary_page


def test_no_python_file_is_shipped(read):
    build, *_ = read
    assert not list((build / "hub").rglob("*.py"))


def test_nested_lists_hold_the_pixels_in_order():
    pixels = images(3)
    assert nested_list(pixels).to_pylist()[2] == pixels[2].tolist()
    assert len(nested_list(pixels[:0])) == 0
