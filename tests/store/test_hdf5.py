"""HDF5: the layout on disk, and files that reach out or declare more than they hold."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from galaxyds.errors import DataIntegrityError
from galaxyds.store.columns import stored_table
from galaxyds.store.hdf5 import (
    Placed,
    image_map,
    let_go,
    read_columns,
    safe_open,
    write_hdf5,
)
from tests.small_build import SPEC, images, table


def write(path, rows=20, blocks=None):
    pixels = images(rows)
    write_hdf5(
        path,
        spec=SPEC,
        config="extended",
        table=stored_table(table(rows), SPEC),
        blocks=iter([pixels[:7], pixels[7:]] if blocks is None else blocks),
        attributes={"version": "1.2.0"},
    )
    return pixels


@pytest.fixture
def good(tmp_path):
    write(tmp_path / "images.hdf5")
    return tmp_path / "images.hdf5"


def test_pixels_lie_in_one_piece_on_a_page(tmp_path):
    pixels = write(tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5") as file:
        image = file["image"]
        offset = image.id.get_offset()
        assert image.chunks is None
        assert image.compression is None
        assert image.attrs["bands"] == "u,g,r"
    assert offset % 4096 == 0
    raw = np.fromfile(tmp_path / "x.hdf5", dtype="<f4", offset=offset, count=pixels.size)
    np.testing.assert_array_equal(raw.reshape(pixels.shape), pixels)


def test_any_reader_gets_the_columns_and_the_rule_for_missing_values(good):
    source = table(20)
    with h5py.File(good) as file:
        assert file["object_id"][()].tolist() == source["object_id"].to_pylist()
        assert file["spec_id"].dtype == np.uint64
        assert file["good"].dtype == bool
        assert file["kind"].asstr()[:3].tolist() == ["GALAXY", "QSO", "QSO"]
        assert file["kind"].attrs["description"] == "class, é"
        assert np.isnan(file["mag_g"][2])
        assert file["warning"][2] == -9999 == file["warning"].attrs["missing"]
        assert file["ra"].attrs["unit"] == "deg"
        assert "row_r" not in file


def test_the_same_values_give_the_same_bytes_in_another_process_and_second(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from tests.store.test_hdf5 import write\n"
        "time.sleep(1.1); write(Path(sys.argv[1]))"
    )
    write(tmp_path / "a.hdf5")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.hdf5")], check=True)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_cutouts_in_another_order_give_the_same_bytes(tmp_path):
    pixels = write(tmp_path / "a.hdf5")
    places = np.random.default_rng(2).permutation(20)
    places[5:9] = np.sort(places[5:9])
    blocks = [Placed(part, pixels[part]) for part in (places[:3], places[3:3], places[3:])]
    write(tmp_path / "b.hdf5", blocks=blocks)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()
    twice = np.array([*range(19), 0])
    with pytest.raises(DataIntegrityError, match="20 cutouts for 20 rows"):
        write(tmp_path / "c.hdf5", blocks=[Placed(twice, pixels[twice])])


def test_pages_that_were_let_go_are_read_again(tmp_path):
    pixels = write(tmp_path / "x.hdf5")
    mapped = image_map(tmp_path / "x.hdf5")
    let_go(mapped)
    np.testing.assert_array_equal(mapped, pixels)
    let_go(pixels)


def test_the_map_equals_the_pixels_and_refuses_writes(tmp_path):
    pixels = write(tmp_path / "x.hdf5")
    mapped = image_map(tmp_path / "x.hdf5")
    np.testing.assert_array_equal(mapped, pixels)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 0


def test_columns_come_back_as_numpy(good):
    columns = read_columns(good, ("kind", "redshift"))
    assert list(columns) == ["kind", "redshift"]
    np.testing.assert_array_equal(columns["redshift"], table(20)["redshift"].to_numpy())
    with pytest.raises(DataIntegrityError, match="no such column"):
        read_columns(good, ("absent",))


@pytest.mark.parametrize(
    "blocks",
    [
        [images(19)],
        [images(20), images(1)[:, :, :, :]],
        [images(20)[:, :2]],
        [images(20)[:, :, :7]],
        [],
    ],
)
def test_cutouts_that_do_not_fit_the_table_are_refused(tmp_path, blocks):
    with pytest.raises(DataIntegrityError):
        write(tmp_path / "x.hdf5", blocks=blocks)


def test_an_integer_without_sentinel_cannot_be_missing(tmp_path):
    broken = table(5)
    index = broken.schema.get_field_index("run")
    values = broken["run"].to_pylist()
    import pyarrow as pa

    broken = broken.set_column(index, "run", pa.array([None, *values[1:]], pa.int32()))
    with pytest.raises(DataIntegrityError, match="run has missing values"):
        write_hdf5(
            tmp_path / "x.hdf5",
            spec=SPEC,
            config="extended",
            table=stored_table(broken, SPEC),
            blocks=iter([images(5)]),
            attributes={},
        )


# --- files from elsewhere -------------------------------------------------------------------


def _soft(file, outside):
    file["alias"] = h5py.SoftLink("/image")


def _external_link(file, outside):
    file["image2"] = h5py.ExternalLink(str(outside), "secret")


def _external_storage(file, outside):
    file.create_dataset("raw", (8,), "u1", external=[(str(outside) + ".bin", 0, 8)])


def _virtual(file, outside):
    layout = h5py.VirtualLayout(shape=(4,), dtype="i4")
    layout[:] = h5py.VirtualSource(str(outside), "secret", shape=(4,))
    file.create_virtual_dataset("virtual", layout)


def _bomb(file, outside):
    file.create_dataset("bomb", (1 << 33,), "f4", chunks=(1 << 20,), compression="gzip")


def _chunk_bomb(file, outside):
    data = file.create_dataset(
        "bomb", (1,), "u1", maxshape=(None,), chunks=(1 << 28,), compression="gzip"
    )
    data[0] = 1


def _hollow(file, outside):
    # Contiguous, declared, never written: HDF5 reads it as zeros.
    file.create_dataset("hollow", (1 << 30,), "f4")


def _variable(file, outside):
    file.create_dataset("text", data=["a", "b"], dtype=h5py.string_dtype())


def _reference(file, outside):
    file.create_dataset("reference", data=file["image"].ref, dtype=h5py.ref_dtype)


def _compound(file, outside):
    file.create_dataset("compound", data=np.zeros(2, dtype=[("a", "i4")]))


def _twice(file, outside):
    file["again"] = file["image"]


def _loop(file, outside):
    group = file.create_group("group")
    group["loop"] = file["/group"]


def _deep(file, outside):
    file.create_group("/".join("abcdefghijkl"))


def _named_type(file, outside):
    file["kind2"] = np.dtype("f4")


@pytest.mark.parametrize(
    "attack",
    [
        _soft,
        _external_link,
        _external_storage,
        _virtual,
        _bomb,
        _chunk_bomb,
        _hollow,
        _variable,
        _reference,
        _compound,
        _twice,
        _loop,
        _deep,
        _named_type,
    ],
)
def test_files_that_reach_out_or_swell_are_refused(good, tmp_path, attack):
    outside = tmp_path / "outside.hdf5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.arange(4, dtype="i4")
    (tmp_path / "outside.hdf5.bin").write_bytes(b"password")
    with safe_open(good) as file:
        assert "image" in file
    with h5py.File(good, "r+") as file:
        attack(file, outside)
    with h5py.File(good) as file:  # h5py itself opens it without a word
        if attack is _external_link:
            assert file["image2"][()].tolist() == [0, 1, 2, 3]
        if attack is _external_storage:
            assert file["raw"][()].tobytes() == b"password"
        if attack is _virtual:
            assert file["virtual"][()].tolist() == [0, 1, 2, 3]
    with pytest.raises(DataIntegrityError) as caught, safe_open(good):
        pytest.fail("the block must not run")
    assert caught.value.file == str(good)
    assert "\n" not in caught.value.message
    with pytest.raises(DataIntegrityError):
        image_map(good)


def test_a_file_cut_anywhere_is_refused(good):
    whole = good.read_bytes()
    for kept in (0, 1, 100, 1000, 4096, len(whole) // 2, len(whole) - 1):
        good.write_bytes(whole[:kept])
        with pytest.raises(DataIntegrityError):
            image_map(good)


def test_a_flipped_byte_never_ends_in_anything_but_our_error(good):
    whole = bytearray(good.read_bytes())
    for position in np.random.default_rng(0).integers(0, 8192, 150):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        good.write_bytes(broken)
        try:
            with safe_open(good) as file:
                names = list(file)
            assert names
        except DataIntegrityError:
            continue


def test_big_endian_or_chunked_pixels_are_not_mapped(tmp_path):
    for name, options in {"big": {"dtype": ">f4"}, "chunked": {"chunks": (1, 3, 8, 8)}}.items():
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("image", data=images(4), **options)
        with pytest.raises(DataIntegrityError, match="not contiguous little-endian"):
            image_map(tmp_path / name)
