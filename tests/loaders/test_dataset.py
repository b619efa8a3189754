"""The torch dataset: what a sample is, and that nothing reaches or outlives the file."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import h5py
import msgspec
import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils.data import DataLoader

from galaxyds.errors import DataIntegrityError, DatasetNotFoundError, UsageError
from galaxyds.loaders import GalaxyDataset, Samples, collate
from galaxyds.refs import DatasetRef
from galaxyds.spec import ExtraSplit, Split
from galaxyds.store import find_build, verify
from galaxyds.store.manifest import read_manifest, write_manifest
from tests.small_build import SPEC, images, make_build, table

COLUMNS = ["redshift", "spec_id", "kind", "warning", "good", "mag_g"]


class TinySky(GalaxyDataset):
    @classmethod
    def declaration(cls):
        return SPEC


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    make_build(home, 60)
    return home


@pytest.fixture
def train(home):
    return TinySky("train", root=home, columns=COLUMNS)


def rows_of(split, division=0):
    return np.flatnonzero(table(60)[f"split_{division}"].to_numpy() == split)


def test_a_sample_has_the_stated_keys_shapes_and_dtypes(train):
    sample = train[0]
    assert list(sample) == ["image", "object_id", *COLUMNS]
    assert sample["image"].shape == (3, 8, 8)
    dtypes = {name: value.dtype for name, value in sample.items() if name != "kind"}
    assert dtypes == {
        "image": torch.float32,
        "object_id": torch.int64,
        "redshift": torch.float32,
        "spec_id": torch.uint64,
        "warning": torch.int32,
        "good": torch.bool,
        "mag_g": torch.float32,
    }
    assert sample["kind"] == "GALAXY"


@pytest.mark.parametrize("division", [0, 1, 2])
@pytest.mark.parametrize(("code", "split"), [(0, "train"), (1, "validation"), (2, "test")])
def test_samples_equal_what_was_built(home, code, split, division):
    dataset = TinySky(split, root=home, division=division)
    rows, source, pixels = rows_of(code, division), table(60), images(60)
    assert len(dataset) == len(rows)
    for sample, row in zip(dataset, rows, strict=True):
        np.testing.assert_array_equal(sample["image"].numpy(), pixels[row])
        assert sample["object_id"].item() == source["object_id"][row].as_py()
        assert sample["redshift"].item() == source["redshift"][row].as_py()


def test_all_is_every_object_in_order(home):
    dataset = TinySky("all", root=home)
    ids = [int(sample["object_id"]) for sample in dataset]
    assert ids == table(60)["object_id"].to_pylist()


def test_missing_values_are_nan_and_the_sentinel(home):
    sample = TinySky("all", root=home, columns=COLUMNS)[2]
    assert torch.isnan(sample["mag_g"])
    assert sample["warning"] == -9999


@pytest.mark.parametrize("bands", ["r", "ru", ["g", "u", "r"], ("u", "g", "r")])
def test_bands_come_in_the_order_asked_for(home, bands):
    dataset = TinySky("train", root=home, bands=bands)
    index = ["ugr".index(band) for band in bands]
    expected = images(60)[rows_of(0)][:, index]
    assert dataset.image_shape == expected.shape[1:]
    np.testing.assert_array_equal(dataset[1]["image"].numpy(), expected[1])
    batch = dataset.batch(np.array([5, 0, 5]))["image"].numpy()
    np.testing.assert_array_equal(batch, expected[[5, 0, 5]])


def test_batched_and_single_reading_agree(train):
    order = [3, 0, 39, -1, 3]
    samples = train.__getitems__(order)
    assert isinstance(samples, Samples)
    assert len(samples) == 5
    for sample, index in zip(samples, order, strict=True):
        for key, value in train[index].items():
            if isinstance(value, str):
                assert sample[key] == value
            else:
                assert sample[key].dtype == value.dtype
                np.testing.assert_array_equal(sample[key].numpy(), value.numpy())


def test_collate_returns_the_gathered_batch_without_a_copy(train):
    samples = train.__getitems__([1, 2])
    batch = collate(samples)
    assert batch["image"].data_ptr() == samples[0]["image"].data_ptr()
    assert batch["kind"] == [train[1]["kind"], train[2]["kind"]]
    plain = collate([train[1], train[2]])
    torch.testing.assert_close(plain["image"], batch["image"], rtol=0, atol=0, equal_nan=True)
    assert plain["redshift"].dtype == batch["redshift"].dtype == torch.float32


def test_writing_to_samples_reaches_neither_file_nor_dataset(home):
    path = home / "tiny_sky" / "extended" / "1.2.0" / "images.hdf5"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for bands in (None, "gr"):
        dataset = TinySky("train", root=home, bands=bands)
        for sample in (dataset[0], dataset.__getitems__([0])[0]):
            sample["image"].fill_(7)
            sample["redshift"].fill_(7)
            sample["object_id"].zero_()
        assert dataset[0]["redshift"] != 7
        assert dataset[0]["object_id"] != 0
        assert not (dataset[0]["image"] == 7).any()
        assert not (dataset.batch(np.array([0]))["image"] == 7).any()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("options", [{"collate_fn": collate}, {}])
def test_dataloader_workers_give_the_same_batches(home, context, options):
    dataset = TinySky("train", root=home, columns=["redshift", "kind"])
    loader = DataLoader(
        dataset, 16, num_workers=2, multiprocessing_context=context, timeout=120, **options
    )
    batches = list(loader)
    expected = images(60)[rows_of(0)]
    np.testing.assert_array_equal(torch.cat([b["image"] for b in batches]).numpy(), expected)
    kinds = [kind for batch in batches for kind in batch["kind"]]
    assert kinds == [table(60)["kind"][row].as_py() for row in rows_of(0)]


def test_pickling_carries_no_pixels(home):
    dataset = TinySky("train", root=home)
    data = pickle.dumps(dataset)
    assert len(data) < 40_000
    again = pickle.loads(data)  # our own bytes, from the line above
    np.testing.assert_array_equal(again[3]["image"].numpy(), dataset[3]["image"].numpy())


def test_a_worker_notices_that_the_build_was_replaced(tmp_path):
    make_build(tmp_path, 60)
    dataset = TinySky("train", root=tmp_path)
    first = dataset[0]["image"].clone()
    data = pickle.dumps(dataset)
    make_build(tmp_path, 60, replace=True, seed=1)
    torch.testing.assert_close(dataset[0]["image"], first, equal_nan=True)  # still the old bytes
    with pytest.raises(DataIntegrityError, match="was replaced while it was in use"):
        pickle.loads(data)[0]


def test_a_transform_sees_each_sample(home):
    def transform(sample):
        return {"x": sample["image"][:1] * 2, "id": sample["object_id"]}

    dataset = TinySky("train", root=home, transform=transform)
    plain = TinySky("train", root=home)
    assert set(dataset[0]) == {"x", "id"}
    batch = collate(dataset.__getitems__([4, 5]))
    expected = torch.stack([plain[4]["image"][:1], plain[5]["image"][:1]]) * 2
    torch.testing.assert_close(batch["x"], expected, equal_nan=True)


def test_indices_follow_the_protocol_of_sequences(train):
    with pytest.raises(IndexError):
        train[len(train)]
    with pytest.raises(IndexError):
        train[-len(train) - 1]
    for wrong in ([0, len(train)], [-len(train) - 1]):
        with pytest.raises(IndexError):
            train.__getitems__(wrong)
    for index in (np.int64(3), torch.tensor(3)):
        assert train[index]["object_id"] == train[3]["object_id"]
    with pytest.raises(TypeError):
        train[1.5]
    assert len(train.__getitems__([])) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "training"}, "choose train, validation, test or all"),
        ({"split": "train", "division": 3}, "divisions 0 to 2, not 3"),
        ({"split": "train", "fold": 1}, "no folds"),
        ({"split": "train", "bands": "uz"}, "has the bands u, g, r"),
        ({"split": "train", "bands": ""}, "has the bands u, g, r"),
        ({"split": "train", "columns": ["redshfit"]}, "redshfit: did you mean redshift"),
        ({"split": "train", "columns": "redshift"}, "must be a list"),
        (
            {"split": "train", "columns": ["row_r"]},
            "no column row_r: see galaxyds info tiny-sky --columns",
        ),
        ({"split": "train", "config": "extnded"}, "extended, baseline"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(home, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        TinySky(root=home, **options)
    assert "\n" not in caught.value.message


def test_what_is_not_built_quotes_the_command(tmp_path, loopback_hub):
    with pytest.raises(DatasetNotFoundError, match="run galaxyds build tiny-sky"):
        TinySky("train", root=tmp_path)
    with pytest.raises(DatasetNotFoundError, match=r"no repository galaxyds/tiny_sky.*galaxyds bu"):
        TinySky("train", root=tmp_path, download=True)


def test_the_home_is_found_by_the_environment(home, monkeypatch):
    monkeypatch.setenv("GALAXYDS_HOME", str(home))
    assert len(TinySky("train")) == 40


def test_length_is_held_to_the_manifest(tmp_path):
    path = make_build(tmp_path, 60) / "manifest.json"
    stated = read_manifest(path)
    splits = {**stated.splits, "0": {"train": 41, "validation": 9, "test": 11}}
    write_manifest(path, msgspec.structs.replace(stated, splits=splits))
    with pytest.raises(DataIntegrityError, match="expected 41 objects in train"):
        TinySky("train", root=tmp_path)
    write_manifest(path, msgspec.structs.replace(stated, shape=(3, 8, 8), rows=61))
    with pytest.raises(DataIntegrityError, match="61"):
        TinySky("all", root=tmp_path)


def test_a_file_that_reaches_out_is_not_opened(tmp_path):
    build = make_build(tmp_path, 60)
    with h5py.File(build / "images.hdf5", "r+") as file:
        file["alias"] = h5py.SoftLink("/image")
    with pytest.raises(DataIntegrityError, match="soft or external link"):
        TinySky("train", root=tmp_path)


def test_catalog_in_three_forms(train):
    arrow = train.catalog("arrow")
    assert isinstance(arrow, pa.Table)
    source = table(60).take(pa.array(rows_of(0)))
    for name in arrow.column_names:
        assert arrow[name].to_pylist() == source[name].to_pylist()
    frame = train.catalog()
    assert frame["object_id"].tolist() == source["object_id"].to_pylist()
    assert str(frame["warning"].dtype) == "Int32"
    assert str(frame["run"].dtype) == "int32"
    assert frame["warning"].isna().sum() == source["warning"].null_count
    with pytest.raises(UsageError, match="pandas, arrow, astropy"):
        train.catalog("polars")


def test_the_astropy_form_has_units_and_masks(train):
    from astropy import units

    quantities = train.catalog("astropy")
    source = table(60).take(pa.array(rows_of(0)))
    assert quantities["ra"].unit == units.deg
    assert quantities["mag_g"].unit == units.mag
    missing = source["mag_g"].is_null().to_numpy()
    np.testing.assert_array_equal(quantities["mag_g"].mask, missing)
    np.testing.assert_array_equal(quantities["warning"].mask, missing)
    assert quantities["object_id"].tolist() == source["object_id"].to_pylist()
    assert quantities["ra"].info.description == "RA"


def test_the_repr_tells_what_it_is(home, tmp_path):
    shown = repr(TinySky("test", root=home, bands="gr"))
    assert shown.splitlines()[0] == "TinySky: 11 of 60 objects"
    assert "tiny-sky/extended:1.2.0" in shown
    assert "(2, 8, 8) float32, bands g, r" in shown
    make_build(tmp_path, 60, simulated=True)
    assert "(simulated sky)" in repr(TinySky("test", root=tmp_path))


def test_a_plot_draws_each_band_and_says_simulated(tmp_path):
    make_build(tmp_path, 60, simulated=True)
    dataset = TinySky("all", root=tmp_path)
    figure = dataset.plot(0)
    assert [axis.get_title() for axis in figure.axes] == ["u", "g", "r"]
    assert "simulated" in figure.get_suptitle()
    assert f"z = {dataset[0]['redshift']:.4f}" in figure.get_suptitle()
    shown = figure.axes[0].images[0].get_array()
    order = np.argsort(images(60)[0, 0].ravel())
    assert (np.diff(shown.ravel()[order]) >= 0).all()
    figure.savefig(tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 1000


FOLDED = replace(
    SPEC,
    bands=(*SPEC.bands[:2], replace(SPEC.bands[2], optional=True)),
    split=Split(
        folds=5,
        source="Sect. 4",
        extra=(ExtraSplit(name="test_far", sql="redshift > 4.5", why="far", source="Sect. 5"),),
    ),
)


class FoldedSky(GalaxyDataset):
    @classmethod
    def declaration(cls):
        return FOLDED


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    home = tmp_path_factory.mktemp("folded")
    make_build(home, 60, FOLDED)
    return home


def test_a_fold_is_a_division_and_every_object_is_tested_once(folded):
    tested = [FoldedSky("test", root=folded, fold=k) for k in range(5)]
    far = FoldedSky("test_far", root=folded, fold=3, columns=["redshift"])
    ids = [int(s["object_id"]) for dataset in (*tested, far) for s in dataset]
    assert len(ids) == len(set(ids)) == 60
    assert len(far) > 0
    assert all(s["redshift"] > 4.5 for s in far)
    assert "fold 3 of 5" in repr(far)
    same = FoldedSky("test", root=folded, division=2)
    assert [int(s["object_id"]) for s in same] == [int(s["object_id"]) for s in tested[2]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fold": 5}, "has folds 0 to 4, not 5"),
        ({"fold": 1, "division": 2}, "contradict each other"),
        ({"fold": "1"}, "fold='1' is no whole number"),
        ({"fold": 1.0}, "fold=1.0 is no whole number"),
        ({"division": "a"}, "division='a' is no whole number"),
    ],
)
def test_folds_that_there_are_not_are_refused(folded, options, words):
    with pytest.raises(UsageError, match=words):
        FoldedSky("train", root=folded, **options)


def test_the_band_mask_follows_the_bands_that_were_asked_for(folded):
    every = FoldedSky("all", root=folded)
    swapped = FoldedSky("all", root=folded, bands="ru")
    for index in range(len(every)):
        has_r = index % 3 != 0
        assert every[index]["band_mask"].tolist() == [True, True, has_r]
        assert swapped[index]["band_mask"].tolist() == [has_r, True]
        assert bool((every[index]["image"][2] == 0).all()) == (not has_r)
    own = FoldedSky("all", root=folded, columns=["redshift"])
    assert own[0]["band_mask"].tolist() == [True, True, False]
    batch = swapped.batch(np.arange(4))
    assert batch["band_mask"].shape == (4, 2)
    assert batch["band_mask"].dtype == torch.bool


def test_a_build_with_folds_and_masks_verifies(folded):
    results = list(verify(find_build(folded, DatasetRef("tiny-sky"), FOLDED).path, FOLDED))
    assert [result for result in results if not result.ok] == []
    assert any("split_4 equals the hash" in result.check for result in results)


LONG = replace(FOLDED, bands=(*FOLDED.bands[:2], replace(FOLDED.bands[2], name="Ks")))


class LongSky(GalaxyDataset):
    @classmethod
    def declaration(cls):
        return LONG


@pytest.mark.parametrize(
    ("text", "bands"),
    [("Ks", ("Ks",)), ("gKs", ("g", "Ks")), ("Ksu", ("Ks", "u")), ("g, Ks", ("g", "Ks"))],
)
def test_bands_with_long_names_may_be_text(tmp_path, text, bands):
    make_build(tmp_path, 10, LONG)
    assert LongSky("all", root=tmp_path, bands=text).bands == bands
    with pytest.raises(UsageError, match="has the bands u, g, Ks in this config, not 'K'"):
        LongSky("all", root=tmp_path, bands="K")
