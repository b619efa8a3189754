"""Manifests: what is read back, and what is refused."""

from __future__ import annotations

import json

import msgspec
import pytest

from galaxyds.errors import DataIntegrityError
from galaxyds.store.manifest import Selection, local_version, read_manifest, write_manifest
from tests.small_build import manifest


def test_what_is_written_is_read(tmp_path):
    written = manifest(simulated=True, limit=60)
    write_manifest(tmp_path / "manifest.json", written)
    assert read_manifest(tmp_path / "manifest.json") == written


def test_the_file_is_plain_json_in_a_fixed_order(tmp_path):
    for name in ("a", "b"):
        write_manifest(tmp_path / name, manifest())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    plain = json.loads((tmp_path / "a").read_text())
    assert list(plain)[:3] == ["name", "config", "version"]
    assert plain["cut_flow"][0]["removed"] == 30


def _changed(**values):
    return {**json.loads(msgspec.json.encode(manifest())), **values}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"name": "x"}',
        b"[" * 100_000,
        json.dumps(_changed(rows="many")).encode(),
        json.dumps(_changed(rows=1e300)).encode(),
        json.dumps(_changed(version="1.0/../..")).encode(),
        json.dumps(_changed(name="../etc")).encode(),
        json.dumps(_changed(format=99)).encode(),
        json.dumps(_changed(selection={"kind": "some"})).encode(),
        json.dumps(_changed()).replace('"rows": 0', '"rows": ' + "9" * 5000).encode(),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(DataIntegrityError) as caught:
        read_manifest(path)
    assert caught.value.file == str(path)
    assert "\n" not in caught.value.message


def test_a_missing_manifest_is_refused(tmp_path):
    with pytest.raises(DataIntegrityError, match="No such file"):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("simulated", "selection", "expected"),
    [
        (False, Selection(), "1.0.0"),
        (True, Selection(), "1.0.0+simulated"),
        (True, Selection(kind="limit", limit=2000), "1.0.0+simulated.limit2000"),
        (
            False,
            Selection(kind="objects", objects="a.csv", objects_sha256="1a2b3c4d5e"),
            "1.0.0+objects.1a2b3c4d",
        ),
    ],
)
def test_local_versions_never_collide_with_the_real_one(simulated, selection, expected):
    assert local_version("1.0.0", simulated=simulated, selection=selection) == expected


def test_dropped_objects_are_counted_by_reason():
    assert manifest().dropped_by_reason() == {"no frame": 1}
