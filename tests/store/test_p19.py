"""The layout of P19 against numpy and pandas, and archives that are damaged or mean harm."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from galaxyds.errors import DataIntegrityError
from galaxyds.specs import get_spec
from galaxyds.store.npz import open_npz
from galaxyds.store.p19 import check_published, open_published
from tests.store import p19_sample

ROWS, SHAPE = 400, (5, 64, 64)
SPEC = get_spec("sdss-mgs")
CONFIG = SPEC.configs[0]
NAMES = dict(SPEC.files.names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("p19")


@pytest.fixture(scope="module", params=["deflated", "stored"])
def archive(request, folder):
    path = folder / request.param / "sdss.npz"
    path.parent.mkdir()
    return p19_sample.write(path, ROWS, deflated=request.param == "deflated")


def opened(path, config=CONFIG):
    return open_published(path, SPEC, config, names=NAMES)


def expected(table: np.ndarray) -> pd.DataFrame:
    """The rows that belong to the sample, by pandas and astropy."""
    rows = pd.DataFrame({name: table[name] for name in table.dtype.names})
    faint = (rows.dered_petro_r <= 0) | (rows.dered_petro_r > 17.8)
    rows = rows[~faint & (rows.z > 0) & (rows.z <= 0.4)]
    high = SkyCoord(rows.ra, rows.dec, unit="deg").galactic.b.deg > 0
    stripe = rows.dec.between(-1.25, 1.25) & ((rows.ra >= 300) | (rows.ra <= 60))
    rows = rows[high | stripe].assign(bad=lambda r: r.zErr <= 0)
    best = rows.reset_index(names="place").sort_values(["bad", "zErr", "specObjID"])
    best = best.drop_duplicates("objID")
    places, kept = SkyCoord(best.ra, best.dec, unit="deg"), []
    for n in range(len(best)):
        if not kept or (places[n].separation(places[kept]) > 1 * units.arcsec).all():
            kept.append(n)
    return best.iloc[kept].sort_values("objID")


def test_the_table_is_what_pandas_selects(archive):
    published = opened(archive)
    with np.load(archive) as file:
        wanted = expected(file["labels"])
    table = published.table.to_pandas()
    assert 100 < len(table) < ROWS - 100
    np.testing.assert_array_equal(table.object_id, wanted.objID)
    np.testing.assert_array_equal(table.spec_object_id, wanted.specObjID)
    np.testing.assert_array_equal(table.redshift, wanted.z.astype("f4"))
    np.testing.assert_array_equal(table.ebv, wanted.EBV.astype("f4"))
    np.testing.assert_array_equal(table.dered_petro_u, wanted.dered_petro_u)
    np.testing.assert_array_equal(table.petro_mag_err_z, wanted.petroMagErr_z.astype("f4"))
    np.testing.assert_array_equal(table.ra, wanted.ra)
    np.testing.assert_array_equal(np.flatnonzero(published.place >= 0), np.sort(wanted.place))
    assert table.model_mag_r.isna().all()
    assert table.primtarget.isna().all()
    flow = {step.name: step for step in published.cut_flow}
    assert list(flow)[-2:] == ["published-magnitude-limit", "published-redshift-range"]
    assert flow["published-magnitude-limit"].removed > 0  # -9999 less an extinction
    assert flow["redshift-high"].before == flow["redshift-low"].after
    left = [one.left for one in published.repeats]
    assert left[-1] == len(table)
    assert [one.name for one in published.repeats] == ["repeat-spectra", "same-position"]
    assert all(one.removed > 0 for one in published.repeats)


def test_pixels_come_to_the_rows_of_their_labels_bands_first(archive):
    published = opened(archive)
    found = np.full((published.table.num_rows, *SHAPE), np.nan, "f4")
    for block in published.blocks():
        found[block.rows] = block.pixels
    with np.load(archive) as file:
        cube = file["cube"]
        wanted = expected(file["labels"]).place.to_numpy()
    np.testing.assert_array_equal(found, cube[wanted].transpose(0, 3, 1, 2))


def test_a_cut_at_0_4_tests_the_published_digits(archive):
    """0.4 stays, the next double does not, although both are one float32."""
    bare = replace(CONFIG, cuts=())
    kept = opened(archive, bare).place[:3] >= 0
    magnitudes = p19_sample.labels(ROWS).dered_petro_r[:3]
    assert np.float32(0.4) == np.float32(np.nextafter(0.4, 1))
    assert not kept[1:].any()
    assert kept[0] == (0 < magnitudes[0] <= 17.8)


def test_what_differs_from_the_declaration_is_said(archive):
    told = {one.what: one.got for one in opened(archive).differences}
    assert told["cutouts in sdss.npz"] == "400"
    assert told["cut unmasked"] == "no label for inside_mask"
    assert told["column primtarget"] == "no such label"
    assert "column run" not in told
    table = opened(archive).table.to_pandas()
    assert set(table.run) == {(1_237_648_720_142_401_611 >> 32) & 0xFFFF}


def relabelled(path, table, **cube):
    """A small archive of these labels."""
    pixels = cube.pop("pixels", np.zeros((len(table), 64, 64, 5), "f4"))
    np.savez(path, cube=pixels, labels=table, **cube)
    return path


def without(table, *names):
    kept = [name for name in table.dtype.names if name not in names]
    return np.lib.recfunctions.repack_fields(table[kept])


def test_what_identifies_an_object_is_chosen_by_what_is_there(folder):
    table = np.asarray(p19_sample.labels(40))
    bare = replace(CONFIG, cuts=())
    loose = replace(SPEC, duplicates=())

    def ids(name, table):
        path = relabelled(folder / f"{name}.npz", table)
        found = open_published(path, loose, bare, names=NAMES)
        told = {one.what: one.got for one in found.differences}
        return found.table.to_pandas(), told.get("object_id")

    rows, told = ids("spec", without(table, "objID"))
    assert set(rows.object_id) <= set(table["specObjID"].astype("i8"))
    assert told == "specObjID"
    text = np.lib.recfunctions.append_fields(
        without(table, "objID"), "bestObjID", table["objID"].astype("S20"), usemask=False
    )
    rows, told = ids("text", text)
    assert set(rows.object_id) <= set(table["objID"])
    rounded = np.lib.recfunctions.append_fields(
        without(table, "objID", "specObjID"), "objID", table["objID"].astype("f8"), usemask=False
    )
    rows, told = ids("rounded", rounded)
    assert told == "no id: the row in the file stands in"
    assert set(rows.object_id) <= set(range(40))
    np.testing.assert_array_equal(rows.spec_object_id, rows.object_id)  # so that folds differ


@pytest.mark.parametrize(("label", "column"), [("z", "redshift"), ("ra", "ra"), ("EBV", "ebv")])
def test_labels_without_what_a_dataset_is_made_of_are_refused_and_named(folder, label, column):
    table = np.asarray(p19_sample.labels(40))
    path = relabelled(folder / f"without_{label}.npz", without(table, label))
    words = rf"no label is the column {column} \('{label}'\): there are specObjID, objID, "
    for look in (opened, lambda path: check_published(path, SPEC, names=NAMES)):
        with pytest.raises(DataIntegrityError, match=words):
            look(path)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("z", "label 'z' holds texts, no numbers for the column redshift"),
        ("EBV", "no value of the column ebv is a number"),
    ],
)
def test_texts_instead_of_numbers_are_refused(folder, label, words):
    table = np.asarray(p19_sample.labels(100))
    texts = np.lib.recfunctions.append_fields(
        without(table, label), label, table[label].astype("S8"), usemask=False
    )
    with pytest.raises(DataIntegrityError, match=words):
        opened(relabelled(folder / f"texts_{label}.npz", texts))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "npy"])
def test_labels_that_are_a_pickle_are_refused_until_a_table_lies_beside(folder, suffix):
    table = np.asarray(p19_sample.labels(40))
    path = folder / f"pickled_{suffix}.npz"
    relabelled(path, table.astype([(n, object) for n in table.dtype.names]))
    with pytest.raises(DataIntegrityError, match="Python objects: a pickle") as caught:
        check_published(path, SPEC, bring="set X")
    assert "\n" not in caught.value.message
    assert f"to_parquet('pickled_{suffix}_labels.parquet')" in caught.value.message
    assert ", set X, and run the same command again" in caught.value.message
    beside = path.with_name(f"{path.stem}_labels.{suffix}")
    frame = pd.DataFrame(table.tolist(), columns=table.dtype.names)
    if suffix == "parquet":
        frame.to_parquet(beside)
    elif suffix == "csv":
        frame.assign(**{"class": "GALAXY"}).to_csv(beside, index=False)
    else:
        np.save(beside, table)
    check_published(path, SPEC)
    plain = opened(relabelled(folder / "plain.npz", table)).table
    assert opened(path).table.equals(plain)


def test_tables_of_another_length_are_refused(folder):
    path = relabelled(folder / "short.npz", p19_sample.labels(40))
    np.save(folder / "short_labels.npy", np.asarray(p19_sample.labels(39 + 2)))
    with pytest.raises(DataIntegrityError, match="41 rows of labels for 40 cutouts"):
        opened(path)


# archives that are damaged or mean harm ------------------------------------------------------


def test_a_flipped_bit_in_the_pixels_is_found(archive, tmp_path):
    damaged = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as file:
        info = file.getinfo("cube.npy")
    damaged[info.header_offset + info.compress_size // 2] ^= 1
    path = tmp_path / "sdss.npz"
    path.write_bytes(damaged)
    check_published(path, SPEC)
    with pytest.raises(DataIntegrityError, match=r"cube.npy in .*sdss.npz is refused") as caught:
        list(opened(path).blocks())
    assert caught.value.file == str(path)


def refusal(path):
    with pytest.raises(DataIntegrityError) as caught:
        check_published(path, SPEC, names=NAMES)
    assert "\n" not in caught.value.message
    return caught.value


def test_refusals_name_the_users_own_file_and_not_the_link_to_it(tmp_path):
    mine, link = tmp_path / "mine" / "sdss.npz", tmp_path / "fetch.partial" / "sdss.npz"
    for path in (mine, link):
        path.parent.mkdir()
    link.symlink_to(mine)
    table = np.asarray(p19_sample.labels(10))

    def own():
        error = refusal(link)
        assert str(mine) in error.message
        assert "fetch.partial" not in error.message
        assert error.file == str(mine)
        return error.message

    for content in (b"", b"<html>", b"PK\x03\x04 cut"):
        mine.write_bytes(content)
        told = own()
        assert "put a whole copy in its place and add --from fetch to take that one" in told
        assert "get it again" not in told
    relabelled(mine, table, pixels=np.zeros((10, 5, 64, 64), "f4"))
    assert "it has shape (10, 5, 64, 64), expected (n, 64, 64, 5), bands last" in own()
    relabelled(mine, without(table, "z"))
    own()
    relabelled(mine, table.astype([(n, object) for n in table.dtype.names]))
    own()
    beside = mine.with_name("sdss_labels.csv")
    beside.write_text("z\n1\n")
    link.with_name(beside.name).symlink_to(beside)
    assert "1 rows of labels for 10 cutouts" in own()


def test_a_fetched_file_is_fetched_again(tmp_path):
    (tmp_path / "sdss.npz").write_bytes(b"PK\x03\x04 cut")
    told = refusal(tmp_path / "sdss.npz").message
    assert "add --from fetch to get it again" in told
    assert "your" not in told


def test_a_file_that_is_cut_short_and_a_web_page_are_named(archive, tmp_path):
    path = tmp_path / "sdss.npz"
    path.write_bytes(archive.read_bytes()[:-5000])
    with pytest.raises(DataIntegrityError, match=r"sdss.npz is refused: it is cut short"):
        check_published(path, SPEC)
    path.write_bytes(b"\n<!DOCTYPE html><html>Sign in</html>")
    with pytest.raises(DataIntegrityError, match="a web page, not an archive"):
        check_published(path, SPEC)
    path.write_bytes(b"")
    with pytest.raises(DataIntegrityError, match="no zip archive"):
        check_published(path, SPEC)


def member(path, name, data, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(name, data)
    return path


def npy_bytes(shape, data=b"", descr="'<f4'", order="False"):
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (npy_bytes("(3, 4)", bytes(40)), "accounts for 176 bytes, the directory for 168"),
        (npy_bytes(f"({2**62}, {2**62})", bytes(40)), "the directory for 168"),
        (npy_bytes("(-1, 4)", bytes(40)), "declares the shape"),
        (npy_bytes("()", bytes(4)), "has no rows"),
        (npy_bytes("(2, 0)"), "has no rows"),
        (npy_bytes("(" * 9000 + ")" * 9000), "header cannot be read"),
        (npy_bytes("(2,)", bytes(8), descr="'|Z9'"), "header cannot be read"),
        (npy_bytes("(2,)", bytes(8), descr="__import__('os')"), "header cannot be read"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31), "header declares 2147483648 bytes"),
        (b"\x93NUMPY\x09\x00" + bytes(99), "format 1.0 or 2.0"),
        (b"GIF89a", "format 1.0 or 2.0"),
    ],
)
def test_headers_that_mean_harm_are_refused(tmp_path, data, cause):
    path = member(tmp_path / "a.npz", "cube.npy", data)
    with open_npz(path) as arrays, pytest.raises(DataIntegrityError, match=cause):
        arrays["cube"]


def test_fortran_order_and_other_compressions_are_refused(tmp_path):
    path = member(tmp_path / "a.npz", "a.npy", npy_bytes("(1, 2)", bytes(8), order="True"))
    with open_npz(path) as arrays, pytest.raises(DataIntegrityError, match="Fortran order"):
        list(arrays["a"].blocks(1))
    member(path, "a.npy", npy_bytes("(1, 2)", bytes(8)), zipfile.ZIP_BZIP2)
    with open_npz(path) as arrays, pytest.raises(DataIntegrityError, match="than deflated"):
        arrays["a"]


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path):
    size = 64 << 20
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.npy", "w") as out:
        out.write(npy_bytes(f"({size},)", descr="'|u1'"))
        for _ in range(64):
            out.write(bytes(1 << 20))
    assert path.stat().st_size < 100_000
    told = r"\d+ bytes declared, \d+ stored"
    with open_npz(path) as arrays, pytest.raises(DataIntegrityError, match=told):
        arrays["a"]


def test_a_member_that_inflates_to_more_than_it_declares_is_refused(tmp_path):
    right = npy_bytes("(4, 2)", np.arange(8, dtype="f4").tobytes())
    path = member(tmp_path / "a.npz", "a.npy", right + bytes(4000))
    raw = bytearray(path.read_bytes())
    place = raw.rfind(b"PK\x01\x02")
    raw[place + 24 : place + 28] = struct.pack("<I", len(right))  # what the directory declares
    path.write_bytes(raw)
    with pytest.raises(DataIntegrityError, match="Bad CRC-32"), open_npz(path) as arrays:
        list(arrays["a"].blocks(3))


def test_a_directory_of_many_members_is_not_read(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for k in range(20_000):
            file.writestr(f"{k:040d}", b"")
    (tmp_path / "a.npz").write_bytes(stream.getvalue())
    with (
        pytest.raises(DataIntegrityError, match="its directory declares"),
        open_npz(tmp_path / "a.npz"),
    ):
        pass


def test_memory_does_not_grow_with_the_archive(tmp_path):
    def peak(rows):
        path = p19_sample.write(tmp_path / f"{rows}.npz", rows, deflated=False)
        published = opened(path)
        tracemalloc.start()
        total = sum(len(block.rows) for block in published.blocks())
        assert total == published.table.num_rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        path.unlink()
        return most

    small, large = peak(300), peak(1_200)
    assert large < 1.1 * small
    assert large < 50e6
