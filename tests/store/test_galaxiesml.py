"""The published layout: files made by plain h5py are read, our own are read in the authors' way."""

from __future__ import annotations

import errno

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from galaxyds.errors import DataIntegrityError, StorageError, UsageError
from galaxyds.spec import SPLITS, Column
from galaxyds.specs import get_spec
from galaxyds.store.galaxiesml import (
    PUBLISHED_COLUMNS,
    Difference,
    open_published,
    unwritten,
    write_published,
)
from galaxyds.store.galaxiesml import export as export_module
from galaxyds.store.hdf5 import safe_open

SHAPE = (5, 8, 8)
ROWS = 210
COLUMNS = (
    Column(name="object_id", dtype="int64", description="id"),
    Column(name="redshift", dtype="float32", description="redshift"),
    Column(name="ra", dtype="float64", unit="deg", description="RA"),
    Column(name="coord", dtype="string", description="position"),
    Column(name="specz_name", dtype="string", nullable=True, description="spectrum"),
    Column(name="specz_flag_homogeneous", dtype="bool", description="flag"),
    Column(name="g_cmodel_mag", dtype="float32", nullable=True, description="magnitude"),
    Column(name="y_isophotal_area", dtype="int32", nullable=True, sentinel=-1, description="area"),
)
NAMED = ("train", "validation", "test")
WORDS = ("training", "validation", "testing")
FILES = {s: f"5x8x8_{word}_with_morphology.hdf5" for s, word in zip(NAMED, WORDS, strict=True)}
NAMES = {"redshift": "specz_redshift"}
POSITIONS = ("x_coord", "y_coord", "x_coord_x", "x_coord_y", "y_coord_x", "y_coord_y")
CHUNKS = {
    "cutouts": (1, *SHAPE),
    "runs": (16, *SHAPE),
    "whole columns of pixels": (30, 1, 4, 4),
    "contiguous": None,
}


def values(rows=ROWS, seed=3):
    """Pixels and columns, under published names, in ascending order of ids; and their split."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 2, (rows, *SHAPE)).astype("f4")
    pixels[0, 0, 0, 0] = np.nan
    magnitude = rng.uniform(18, 25, rows).astype("f4")
    magnitude[4] = np.nan
    columns = {
        "object_id": 36_407_046_198_803_509 + np.cumsum(rng.integers(1, 9, rows)),
        "specz_redshift": rng.uniform(0.01, 4, rows).astype("f4"),
        "ra": rng.uniform(0, 360, rows),
        "coord": np.array([f"({k}.5, 0.25, -1)".encode() for k in range(rows)]).reshape(-1, 1),
        "specz_name": np.array([f"SDSS_{k % 50}-é".encode() if k else b"" for k in range(rows)]
                               ).reshape(-1, 1),
        "specz_flag_homogeneous": rng.random(rows) < 0.5,
        "g_cmodel_mag": magnitude,
        "y_isophotal_area": np.where(np.arange(rows) == 7, -1, rng.integers(1, 900, rows)
                                     ).astype("i4"),
    }  # fmt: skip
    return pixels, columns, rng.choice(3, rows, p=(0.6, 0.25, 0.15)).astype("i1")


def publish(folder, *, chunks="cutouts", order=None, edit=None, seed=3, **options):
    """Write the three files with h5py alone; return their paths by split."""
    pixels, columns, splits = values(seed=seed)
    folder.mkdir(exist_ok=True)
    paths = {}
    for code, (split, word) in enumerate(zip(NAMED, WORDS, strict=True)):
        rows = np.flatnonzero(splits == code)
        rows = rows if order is None else order(rows)
        paths[split] = folder / f"5x8x8_{word}_with_morphology.hdf5"
        with h5py.File(paths[split], "w") as file:
            file.create_dataset("image", data=pixels[rows], chunks=CHUNKS[chunks], **options)
            for name, column in columns.items():
                file[name] = column[rows]
            if edit is not None:
                edit(file, split)
    return paths


def read(paths, columns=COLUMNS, **options):
    return open_published(paths, columns, shape=SHAPE, names=NAMES, **options)


def pixels_of(published, size=256):
    return np.concatenate(list(published.blocks(size)))


def test_the_names_are_the_published_ones():
    assert len(PUBLISHED_COLUMNS) == len(set(PUBLISHED_COLUMNS)) == 88
    for name in ("object_id", "specz_redshift", "y_central_image_pop_15px_rad", "x_coord_y"):
        assert name in PUBLISHED_COLUMNS
    files = get_spec("hsc-galaxiesml").files
    assert sum(count for _, _, count in files.splits) == 286_401
    assert files.files(127)["test"] == "5x127x127_testing_with_morphology.hdf5"
    assert dict(files.names) == NAMES


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("size", [1, 7, 256])
def test_files_of_the_published_layout_are_one_table_in_order(tmp_path, chunks, size):
    pixels, columns, splits = values()
    published = read(publish(tmp_path, chunks=chunks))
    table = published.table
    assert table.column_names == [c.name for c in COLUMNS] + ["split_0"]
    assert table["split_0"].type == pa.int8()
    np.testing.assert_array_equal(table["split_0"].to_numpy(), splits)
    np.testing.assert_array_equal(table["object_id"].to_numpy(), columns["object_id"])
    np.testing.assert_array_equal(table["redshift"].to_numpy(), columns["specz_redshift"])
    assert table["coord"].to_pylist() == [t[0].decode() for t in columns["coord"]]
    assert table["specz_name"][1].as_py() == "SDSS_1-é"
    nulls = {name: table[name].null_count for name in table.column_names if table[name].null_count}
    assert nulls == {"specz_name": 1, "g_cmodel_mag": 1, "y_isophotal_area": 1}
    assert published.differences == ()
    blocks = list(published.blocks(size))
    assert all(block.dtype == np.dtype("<f4") and len(block) <= size for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), pixels)


def test_a_file_goes_through_safe_open(tmp_path):
    paths = publish(tmp_path, chunks="whole columns of pixels")
    with safe_open(paths["train"]) as file:
        assert file["image"].chunks == (30, 1, 4, 4)


def _external_link(file, outside):
    file["ra_too"] = h5py.ExternalLink(str(outside), "secret")


def _linked_image(file, outside):
    del file["image"]
    file["image"] = h5py.ExternalLink(str(outside), "secret")


def _virtual(file, outside):
    rows = len(file["ra"])
    layout = h5py.VirtualLayout(shape=(rows, *SHAPE), dtype="f4")
    layout[:] = h5py.VirtualSource(str(outside), "secret", shape=(rows, *SHAPE))
    del file["image"]
    file.create_virtual_dataset("image", layout)


@pytest.mark.parametrize("attack", [_external_link, _linked_image, _virtual])
def test_a_file_that_reaches_out_is_refused(tmp_path, attack):
    outside = tmp_path / "outside.hdf5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.zeros((ROWS, *SHAPE), "f4")

    def edit(file, split):
        if split == "validation":
            attack(file, outside)

    paths = publish(tmp_path, edit=edit)
    with pytest.raises(DataIntegrityError) as caught:
        read(paths)
    assert caught.value.file == str(paths["validation"])
    words = "a virtual dataset" if attack is _virtual else "a soft or external link"
    assert f"is refused: {words}" in caught.value.message


def _replace(name, change):
    def edit(file, split):
        if split == "test":
            data = change(file[name][()])
            del file[name]
            if data is not None:
                file[name] = data

    return edit


def _hollow(file, split):
    del file["image"]
    file.create_dataset("image", (len(file["ra"]), *SHAPE), "f4", chunks=(1, *SHAPE))
    file["image"][0] = 1


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_replace("image", lambda x: None), "there is no image"),
        (_replace("image", lambda x: x[:, :4]), r"image has shape \(\d+, 4, 8, 8\), expected"),
        (
            _replace("image", lambda x: np.nan_to_num(x).astype("i4")),
            "image is int32, expected float32",
        ),
        (_replace("image", lambda x: x[1:]), r"coord has shape \(\d+, 1\), image has \d+ rows"),
        (_replace("ra", lambda x: x[1:]), r"ra has shape \(\d+,\), image has \d+ rows"),
        (_replace("ra", lambda x: x.reshape(1, -1)), r"ra has shape \(1, \d+\)"),
        (_replace("coord", lambda x: x.astype("S5000")), "coord has texts of 5000 bytes"),
        (_replace("object_id", lambda x: None), "there is no object_id"),
        (_replace("object_id", lambda x: x.astype("f8")), "float64: its last digits are lost"),
        (_hollow, "image was not written to its end"),
        (lambda file, split: file.create_group("more"), "more is a group"),
    ],
)
def test_files_of_another_layout_are_refused(tmp_path, edit, words):
    with pytest.raises(DataIntegrityError, match=words) as caught:
        read(publish(tmp_path, edit=edit))
    assert "check that it is a file of GalaxiesML, then fetch it again" in caught.value.message


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    paths = publish(tmp_path)
    with pytest.raises(DataIntegrityError, match=r"is there twice, in .*testing.* and .*training"):
        read({**paths, "test": publish(tmp_path / "b", seed=3)["train"].rename(
            tmp_path / "5x8x8_testing_too.hdf5")})  # fmt: skip
    with pytest.raises(UsageError, match="no published file for test: name all three"):
        read({k: v for k, v in paths.items() if k != "test"})
    with pytest.raises(DataIntegrityError, match="is refused"):
        read({**paths, "test": tmp_path / "absent.hdf5"})


def test_rows_in_another_order_are_sorted_and_said(tmp_path):
    pixels, columns, _ = values()
    shuffle = np.random.default_rng(1).permutation
    for chunks in CHUNKS:
        published = read(publish(tmp_path / chunks, chunks=chunks, order=shuffle))
        np.testing.assert_array_equal(published.table["ra"].to_numpy(), columns["ra"])
        np.testing.assert_array_equal(pixels_of(published, 64), pixels)
        assert {d.what.split(" ")[0] for d in published.differences} == {"order"}


def test_every_difference_is_said(tmp_path):
    def edit(file, split):
        area = file["y_isophotal_area"][()]
        del file["g_cmodel_mag"], file["y_isophotal_area"]
        file["extra_µ"] = area
        file["y_isophotal_area"] = np.where(area > 890, 0.5, area)  # no integer
        if split == "train":
            redshift = file["specz_redshift"][()]
            redshift[:2] = np.nan, 7.5
            file["specz_redshift"][...] = redshift
        if split == "test":
            del file["coord"]
            ra = file["ra"][()]
            del file["ra"]
            file["ra"] = ra.astype("f4")
            image = file["image"][()]
            del file["image"]
            file["image"] = image.astype("f8")

    paths = publish(tmp_path, edit=edit)
    pixels, columns, splits = values()
    counts = {"train": 1, "validation": int((splits == 1).sum()), "test": 40_914}
    published = read(paths, counts=counts, ranges={"redshift": (0.01, 4.0), "absent": (0, 1)})
    told = {d.what: (d.expected, d.got) for d in published.differences}
    rows = {split: f"{int((splits == code).sum()):,}" for code, split in enumerate(NAMED)}
    unfit = int((columns["y_isophotal_area"] > 890).sum())
    assert unfit > 0
    redshift = published.table["redshift"].to_numpy()
    assert told == {
        "rows of 5x8x8_training_with_morphology.hdf5": ("1", rows["train"]),
        "rows of 5x8x8_testing_with_morphology.hdf5": ("40,914", rows["test"]),
        "dtype of image in 5x8x8_testing_with_morphology.hdf5": ("float32", "float64"),
        "column extra_µ": ("none", "int32"),
        "column g_cmodel_mag": ("float32", "no such column"),
        "column coord": ("string", "none in 5x8x8_testing_with_morphology.hdf5"),
        "dtype of ra": ("float64", "float32 or float64"),
        "dtype of y_isophotal_area": ("int32", "float64"),
        "values of y_isophotal_area that are no int32": ("0", f"{unfit}, taken as missing"),
        "NaN in specz_redshift": ("0", "1"),
        "values of specz_redshift": (
            "0.01 to 4", f"2 outside, {np.nanmin(redshift):g} to 7.5"
        ),
    }  # fmt: skip
    assert all(isinstance(d, Difference) for d in published.differences)
    assert published.table["g_cmodel_mag"].null_count == ROWS
    assert published.table["y_isophotal_area"].null_count == unfit + 1
    np.testing.assert_array_equal(pixels_of(published), pixels)


def test_columns_of_ours_are_missed_quietly_and_published_ones_aloud(tmp_path):
    """What the published layout has and what it has not is taken from the real spec."""
    stored = get_spec("hsc-galaxiesml").stored_columns()
    own = {c.name for c in stored} - {"redshift", "split_0"} - set(PUBLISHED_COLUMNS)
    assert {"split_1", "tract", "raw_rows", "pad_columns", "cutout_flags", "cutout_x"} <= own

    def edit(file, split):
        for name in POSITIONS:  # published, and in no build: no difference either
            file[name] = file["ra"][()]

    published = read(publish(tmp_path, edit=edit), stored)
    missed = {d.what.split()[1] for d in published.differences if d.got == "no such column"}
    assert missed == set(PUBLISHED_COLUMNS) - set(POSITIONS) - set(values()[1])
    assert not {d.what for d in published.differences} & {f"column {p}" for p in POSITIONS}
    assert all(published.table[name].null_count == ROWS for name in own)


def test_a_column_that_only_some_files_have_is_told(tmp_path):
    def edit(file, split):
        if split != "test":
            file["tract"] = np.zeros(len(file["ra"]), "i4")

    tract = Column(name="tract", dtype="int32", nullable=True, sentinel=-1, description="tract")
    told = read(publish(tmp_path, edit=edit), (*COLUMNS, tract)).differences
    assert [(d.what, d.got) for d in told] == [("column tract", f"none in {FILES['test']}")]


def test_no_counts_are_expected_unless_they_are_given(tmp_path):
    paths = publish(tmp_path)
    assert read(paths).differences == ()
    assert [d.expected for d in read(paths, counts={"train": 204_573}).differences] == ["204,573"]


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("int32", np.array([1.0, 2.5, np.nan, 1e30], "f8"), [1, None, None, None]),
        ("int32", np.array([2**31, 5, -(2**31)], "i8"), [None, 5, -(2**31)]),
        ("int64", np.array([2**63, 7], "u8"), [None, 7]),
        ("bool", np.array([0, 1, 2], "i1"), [False, True, None]),
        ("float32", np.array([b"1.5", b"x"]), [None, None]),
        ("string", np.array([1.5, 2.5]), [None, None]),
        ("string", np.array([b"\xff", b"a"]), ["�", "a"]),
        ("uint64", np.array([-1, 4], "i4"), [None, 4]),
    ],
)
def test_values_that_do_not_fit_a_dtype_are_missing(tmp_path, dtype, given, expected):
    rows = len(given)
    paths = {}
    for split in SPLITS:
        paths[split] = tmp_path / split
        kept = rows if split == "train" else 0
        with h5py.File(paths[split], "w") as file:
            file["image"] = np.zeros((kept, *SHAPE), "f4")
            file["object_id"] = np.arange(kept)
            file["ra"] = given[:kept]
    published = read(paths, (Column(name="ra", dtype=dtype, description="any"),))
    assert published.table["ra"].to_pylist() == expected
    assert pixels_of(published).shape == (rows, *SHAPE)


# --- writing -------------------------------------------------------------------------------


def ours(rows=ROWS):
    """Pixels and columns as a build has them, and some that are not published."""
    pixels, columns, splits = values(rows)
    told = {"redshift" if k == "specz_redshift" else k: v for k, v in columns.items()}
    for name in ("coord", "specz_name"):
        told[name] = np.array([text[0].decode() for text in told[name]], dtype=object)
    told = {**told, "cutout_flags": np.zeros(rows, "i4"), "split_0": splits}
    return pixels, told, splits


def export(folder, **options):
    pixels, columns, splits = ours()
    return write_published(
        folder, images=pixels, columns=columns, splits=splits, file_names=FILES, names=NAMES,
        **options,
    )  # fmt: skip


def test_what_is_written_is_read_back(tmp_path):
    pixels, columns, splits = ours()
    seen = []
    written = export(tmp_path / "new", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(ROWS, ROWS)]
    assert [path.name for path in written] == [
        f"5x8x8_{word}_with_morphology.{kind}" for word in WORDS for kind in ("hdf5", "csv")
    ]
    assert sorted(written) == sorted(p for p in (tmp_path / "new").iterdir())
    published = read(dict(zip(NAMED, written[::2], strict=True)))
    assert published.differences == ()
    np.testing.assert_array_equal(pixels_of(published), pixels)
    table = published.table
    np.testing.assert_array_equal(table["split_0"].to_numpy(), splits)
    for name in ("object_id", "redshift", "ra", "specz_flag_homogeneous"):
        np.testing.assert_array_equal(table[name].to_numpy(), columns[name])
    assert table["specz_name"].to_pylist() == [None, *columns["specz_name"][1:]]


def test_the_keys_and_shapes_are_the_published_ones(tmp_path):
    _, columns, splits = ours()
    training = export(tmp_path)[0]
    count = int((splits == 0).sum())
    with h5py.File(training) as file:
        assert set(file) == {"image", *(n for n in PUBLISHED_COLUMNS if n in columns),
                             "specz_redshift"}  # fmt: skip
        assert file["image"].chunks == (1, *SHAPE)
        assert file["image"].dtype == np.dtype("<f4")
        assert file["coord"].shape == file["specz_name"].shape == (count, 1)
        assert file["specz_name"].dtype.kind == "S"
        assert file["ra"].shape == (count,)
        assert np.all(np.diff(file["object_id"][()]) > 0)


class AuthorsLoader:
    """As the authors' examples read: rows by a sorted array of indices, columns by name."""

    def __init__(self, path, columns):
        self.path, self.columns = path, columns

    def batch(self, indices):
        indices = np.sort(indices)
        with h5py.File(self.path, "r") as f:
            image = f["image"][indices]
            redshift = f["specz_redshift"][...][indices]
            features = np.stack([f[name][...][indices] for name in self.columns], axis=1)
            return image, features, redshift, f["object_id"][indices]


def test_a_loader_in_the_authors_style_reads_it(tmp_path):
    pixels, columns, splits = ours()
    loader = AuthorsLoader(export(tmp_path)[0], ["g_cmodel_mag", "ra"])
    chosen = np.random.default_rng(0).choice(int((splits == 0).sum()), 40, replace=False)
    image, features, redshift, ids = loader.batch(chosen)
    rows = np.searchsorted(columns["object_id"], ids)
    assert set(splits[rows]) == {0}
    np.testing.assert_array_equal(image, pixels[rows])
    np.testing.assert_array_equal(redshift, columns["redshift"][rows])
    np.testing.assert_array_equal(features[:, 1], columns["ra"][rows])


def test_the_csv_holds_the_same_rows(tmp_path):
    written = export(tmp_path)
    for hdf5, csv in zip(written[::2], written[1::2], strict=True):
        frame = pd.read_csv(csv, keep_default_na=False, na_values={"g_cmodel_mag": [""]})
        with h5py.File(hdf5) as file:
            assert set(frame) == set(file) - {"image"}
            np.testing.assert_array_equal(frame["object_id"], file["object_id"][()])
            for name in ("specz_redshift", "g_cmodel_mag"):
                np.testing.assert_array_equal(frame[name].astype("f4"), file[name][()])
            np.testing.assert_array_equal(frame["ra"], file["ra"][()])
            assert frame["specz_flag_homogeneous"].tolist() == file[
                "specz_flag_homogeneous"][()].tolist()  # fmt: skip
            assert frame["coord"].tolist() == [t.decode() for t in file["coord"][:, 0]]


def test_equal_values_give_equal_bytes(tmp_path, monkeypatch):
    first = export(tmp_path / "a")
    monkeypatch.setattr(export_module, "_BLOCK", 17)
    second = export(tmp_path / "b")
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_split_without_rows(tmp_path):
    pixels, columns, splits = ours()
    written = write_published(
        tmp_path, images=pixels, columns=columns, splits=np.zeros_like(splits), file_names=FILES,
        names=NAMES,
    )  # fmt: skip
    published = read(dict(zip(NAMED, written[::2], strict=True)))
    np.testing.assert_array_equal(pixels_of(published), pixels)


def test_published_files_are_not_overwritten(tmp_path):
    before = [path.read_bytes() for path in export(tmp_path)]
    with pytest.raises(StorageError, match=r"5x8x8_training.*choose another folder with --output"):
        export(tmp_path)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [
        before[i] for i in (5, 4, 1, 0, 3, 2)
    ]


def test_all_files_appear_or_none(tmp_path, monkeypatch):
    def full(path, columns):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export_module, "_write_csv", full)
    with pytest.raises(StorageError, match="disk full while writing"):
        export(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": np.zeros((ROWS, 8, 8), "f4")}, r"are not \(n, bands, rows, columns\)"),
        ({"file_names": {"train": "a", "test": "b"}}, "no file name for validation"),
        ({"splits": np.zeros(3, "i1")}, "not as many rows in split"),
        ({"splits": np.full(ROWS, 3, "i1")}, "not all among 0 to 2"),
        ({"columns": {"ra": np.zeros(ROWS)}}, "object_id is missing"),
        ({"columns": {"object_id": np.zeros(ROWS, "i8")}}, "not unique and increasing"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, words):
    pixels, columns, splits = ours()
    given = {"images": pixels, "columns": columns, "splits": splits,
             "file_names": FILES, **change}  # fmt: skip
    with pytest.raises(UsageError, match=words):
        write_published(tmp_path, **given)
    assert list(tmp_path.iterdir()) == []


def test_the_columns_that_an_export_lacks_are_named():
    """Every stored column of the real spec is there, under its own name."""
    spec = get_spec("hsc-galaxiesml")
    assert unwritten((c.name for c in spec.stored_columns()), dict(spec.files.names)) == POSITIONS
    assert unwritten(PUBLISHED_COLUMNS) == ()
    assert "specz_redshift" in unwritten(["redshift"])
