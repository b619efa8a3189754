"""``croissant.json``: valid for mlcroissant, which reads the records of the HDF5 through it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import mlcroissant
import numpy as np
import pytest

from galaxyds.publish.croissant import CONFORMS_TO, croissant, render_croissant
from galaxyds.publish.exports import FORMATS, Options, open_source, write_export
from galaxyds.store import BuildDirectory, FileRecord, read_columns, read_manifest
from tests.small_build import SPEC, images, make_build, manifest


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A simulated, limited build."""
    path = make_build(tmp_path_factory.mktemp("home"), simulated=True, limit=60)
    return BuildDirectory(path=path, manifest=read_manifest(path / "manifest.json"))


@pytest.fixture(scope="module")
def folder(build, tmp_path_factory):
    """Its repository with ``croissant.json``."""
    target = tmp_path_factory.mktemp("out") / "repository"
    write_export(
        FORMATS["croissant"],
        open_source(build, SPEC),
        target,
        options=Options(),
        progress=lambda done, total: None,
    )
    return target


def entries(document, key, kind):
    return {one["@id"]: one for one in document[key] if one["@type"] == kind}


def test_mlcroissant_validates_it_without_a_warning(folder):
    command = [sys.executable, "-m", "mlcroissant.scripts.validate", "--jsonld", "croissant.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Done." in done.stderr
    assert "warning" not in done.stderr.lower()


@pytest.mark.parametrize("split", [None, "train", "validation", "test"])
def test_its_records_are_those_of_the_build(folder, build, split):
    columns, pixels = read_columns(build.images), images(60)
    rows = {int(one): row for row, one in enumerate(columns["object_id"])}
    names = ("train", "validation", "test")
    data = mlcroissant.Dataset(folder / "croissant.json")
    filters = {"filters": {"extended/split": split}} if split else {}
    seen = []
    for record in data.records("extended", **filters):
        row = rows[record["extended/object_id"]]
        seen.append(row)
        image = np.array(record["extended/image"], dtype="f4")
        assert image.tobytes() == pixels[row].tobytes()
        assert record["extended/split"].decode() == names[columns["split_0"][row]]
        for name, values in columns.items():
            value = record[f"extended/{name}"]
            value = value.decode() if isinstance(value, bytes) else value
            assert value == values[row] or (value is None and values[row] != values[row]), name
    wanted = columns["split_0"] == names.index(split) if split else np.ones(60, bool)
    np.testing.assert_array_equal(np.sort(seen), np.flatnonzero(wanted))


def test_hashes_and_sizes_are_those_of_the_files(folder):
    document = json.loads((folder / "croissant.json").read_text())
    objects = entries(document, "distribution", "cr:FileObject")
    shards = {f"extended/{s}-00000-of-00001.parquet" for s in ("train", "validation", "test")}
    assert set(objects) == shards | {"extended/catalog.parquet", "extended/manifest.json"}
    for path, told in objects.items():
        data = (folder / path).read_bytes()
        assert told["contentUrl"] == path
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        assert told["contentSize"] == f"{len(data)} B"


def test_it_says_what_the_data_are_and_where_they_come_from(folder):
    text = (folder / "croissant.json").read_text()
    document = json.loads(text)
    assert document["conformsTo"] == CONFORMS_TO
    assert document["version"] == "1.2.0+simulated.limit60"
    assert document["license"] == "https://example.org"
    assert document["citeAs"] == "@misc{n}"
    assert "Nothing here was observed. 50 times more quasars" in document["description"]
    (activity,) = document["prov:wasGeneratedBy"]
    assert activity["prov:used"][1]["prov:value"] == "SELECT a FROM b WHERE a < 1 | 2"
    removed = {one["name"]: one["value"] for one in activity["additionalProperty"]}
    assert removed == {"cut bright": 30, "repeats, repeat spectra": 3, "dropped, no frame": 1}
    (origin,) = document["prov:wasDerivedFrom"]
    assert origin["prov:atLocation"] == "https://example.org"
    fields = {
        f["@id"]: f for f in entries(document, "recordSet", "cr:RecordSet")["extended"]["field"]
    }
    assert fields["extended/image"]["arrayShape"] == "3,8,8"
    assert fields["extended/image"]["unitText"] == "nanomaggy"
    assert fields["extended/mag_g"]["unitText"] == "mag"
    assert fields["extended/warning"]["description"] == "mask; missing: -9999"
    assert fields["extended/spec_id"]["dataType"] == "cr:UInt64"


def test_configs_stand_side_by_side(tmp_path):
    record = FileRecord(bytes=5, sha256="0" * 64)
    files = {f"{c}/train-00000-of-00001.parquet": record for c in ("extended", "baseline")}
    files["README.md"] = record
    manifests = [manifest(config="extended"), manifest(config="baseline", limit=9)]
    text = render_croissant(SPEC, manifests, files, url="https://example.org/tiny")
    (tmp_path / "croissant.json").write_text(text)
    data = mlcroissant.Dataset(tmp_path / "croissant.json")
    assert {one.id for one in data.metadata.record_sets} == {"splits", "extended", "baseline"}
    assert data.metadata.url == "https://example.org/tiny"
    # Versions differ by their local labels: the number that both share is left.
    assert data.metadata.version == "1.2.0"
    assert {one.id for one in data.metadata.file_objects} == set(files) - {"README.md"}
    assert {tuple(one.includes) for one in data.metadata.file_sets} == {
        ("extended/train-*.parquet",),
        ("baseline/train-*.parquet",),
    }
    assert text == render_croissant(SPEC, manifests, dict(reversed(files.items())),
                                    url="https://example.org/tiny")  # fmt: skip


def test_a_servers_text_cannot_end_a_script_element():
    import msgspec

    hostile = msgspec.structs.replace(manifest(), queries=("</script><script>alert(1)",))
    text = render_croissant(SPEC, [hostile], {})
    assert "</script" not in text
    assert json.loads(text) == json.loads(json.dumps(croissant(SPEC, [hostile], {})))
