import contextlib
import gzip

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxyds.archives.redshift_files import read_table
from galaxyds.errors import DataIntegrityError


def test_the_real_files_against_pandas_and_astropy(survey_data):
    folder = survey_data / "specz_surveys"
    vvds = read_table(
        folder / "vvds_wide_veryreliable.csv", names={"zflags", "alpha", "mag_auto_u"}
    )
    frame = pd.read_csv(folder / "vvds_wide_veryreliable.csv")
    assert vvds.column_names == [
        "ds_spectra.ALPHA", "ds_spectra.ZFLAGS", "ds_cfh12k.MAG_AUTO_U",
    ]  # fmt: skip
    for name in vvds.column_names:
        np.testing.assert_array_equal(
            vvds.column(name).to_numpy().astype(float), frame[name].to_numpy(float)
        )
    path = folder / "cesam_zcosbrightspec_catalog_1580263543.txt"
    zcosmos, values = read_table(path), np.loadtxt(path, comments="#")
    assert zcosmos.column_names == ["id", "zspec", "zflag", "zphotz", "ra", "dec", "mag_sel"]
    for name, column in zip(zcosmos.column_names, values.T, strict=True):
        np.testing.assert_array_equal(zcosmos.column(name).to_numpy().astype(float), column)
    combined = read_table(folder / "combined_catalog.fits")
    told = Table.read(folder / "combined_catalog.fits")
    assert combined.column_names == told.colnames
    for name in told.colnames[:-1]:
        np.testing.assert_array_equal(combined.column(name).to_numpy(), told[name])
    assert combined.column("source").to_pylist() == list(told["source"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "ra,dec,z\n1,2,0.5\n3,4,-99.9\n"),
        ("a.csv", "\ufeffra,dec,z\r\n1,2,0.5\r\n3,4,-99.9\r\n"),
        ("a.csv", '#Table1\n"ra","dec","z"\n1,2,0.5\n3,4,-99.9\n'),
        ("a.csv", "# made today\n# by hand\n#ra,dec,z\n1,2,0.5\n3,4,-99.9"),
        ("a.tsv", "ra\tdec\tz\n1\t2\t0.5\n3\t4\t-99.9\n"),
        ("a.txt", "#ra dec z\n1 2 0.5\n3   4 -99.9\n"),
        ("a.dat", "# ra   dec z \n#\n\n  1 2 0.5\n3 4 -99.9\n"),
        ("a.cat", "ra dec z\n1 2 0.5\n3 4 -99.9\n"),
    ],
)
def test_dialects_of_text(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    assert read_table(tmp_path / name).to_pydict() == {
        "ra": ["1", "3"], "dec": ["2", "4"], "z": ["0.5", "-99.9"],
    }  # fmt: skip
    some = read_table(tmp_path / name, names={"z", "unknown"})
    assert some.to_pydict() == {"z": ["0.5", "-99.9"]}


@pytest.mark.parametrize("note", ["# note one two", "# based on Smith"])
def test_a_note_names_no_columns(tmp_path, note):
    (tmp_path / "a.txt").write_text(f"{note}\n150.1 2.2 0.5\n")
    with pytest.raises(DataIntegrityError, match=r"names of the columns.*write their names above"):
        read_table(tmp_path / "a.txt", names={"ra", "dec", "z"})
    (tmp_path / "a.txt").write_text(f"# ra dec z\n{note}\n150.1 2.2 0.5\n")
    found = read_table(tmp_path / "a.txt", names={"ra", "dec", "z"})
    assert found.to_pydict() == {"ra": ["150.1"], "dec": ["2.2"], "z": ["0.5"]}
    (tmp_path / "a.txt").write_text(f"{note}\nra dec z\n150.1 2.2 0.5\n")
    assert read_table(tmp_path / "a.txt", names={"z"}).to_pydict() == {"z": ["0.5"]}


def test_empty_cells_and_words_stay_what_they_are(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("ra,flag,id\n,NA,1237654948378312859\n1,B,nan\n")
    assert read_table(path).to_pydict() == {
        "ra": ["", "1"], "flag": ["NA", "B"], "id": ["1237654948378312859", "nan"],
    }  # fmt: skip


def test_a_table_without_rows_has_columns(tmp_path):
    (tmp_path / "a.txt").write_text("# ra dec z\n")
    (tmp_path / "a.csv").write_text("ra,dec,z\n")
    for name in ("a.txt", "a.csv"):
        assert read_table(tmp_path / name).num_rows == 0
        assert read_table(tmp_path / name).column_names == ["ra", "dec", "z"]


def test_fits_columns_of_every_kind(tmp_path):
    path = tmp_path / "a.fits"
    n = 5
    table = Table(
        {
            "RA": np.linspace(10, 20, n), "Z": np.linspace(0, 1, n, dtype=np.float32),
            "Q": np.arange(n, dtype=np.int16), "BEST": np.arange(n) % 2 == 0,
            "CLASS": ["GALAXY", "STAR", "", "QSO", "GALAXY"],
            "MAG": np.ones((n, 3)), "U": np.arange(n, dtype=np.uint16) + 40000,
        },
        masked=True,
    )  # fmt: skip
    table["Q"].mask[3] = True
    table["Q"].fill_value = -1
    fits.HDUList([fits.PrimaryHDU(np.zeros((3, 3))), fits.table_to_hdu(table)]).writeto(path)
    read = read_table(path)
    assert read.column_names == ["RA", "Z", "Q", "BEST", "CLASS", "U"]  # vectors are left out
    np.testing.assert_array_equal(read.column("RA").to_numpy(), table["RA"])
    assert read.column("Z").to_numpy().dtype == np.float32
    assert read.column("Q").to_pylist() == [0, 1, 2, None, 4]
    assert read.column("BEST").to_pylist() == [True, False, True, False, True]
    assert read.column("CLASS").to_pylist() == ["GALAXY", "STAR", "", "QSO", "GALAXY"]
    assert read.column("U").to_pylist() == [40000, 40001, 40002, 40003, 40004]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", r"a\.csv: expected a FITS, CSV or text table, got an empty file"),
        ("a.csv", b"<html>login</html>", "the server answered with a page"),
        ("a.fits", gzip.compress(b"SIMPLE  =", mtime=0), "got a gzip stream; unpack it"),
        ("a.csv", b"ra,dec,z\n1,2,0.5\n1,2\n", "Expected 3 columns, got 2"),
        ("a.csv", b"ra,dec,z\n1,2,0.5\n1,2,3,4\n", "Expected 3 columns, got 4"),
        ("a.txt", b"# ra dec z\n 1  2 0.5\n1 2\n", "Expected 3 columns, got 2"),
        ("a.txt", b"1 2 0.5\n3 4 0.6\n", "names of the columns.*write their names above"),
        ("a.txt", b"# ra dec\n1 2 0.5\n", "names of the columns"),
        ("a.csv", b"z,z\n1,2\n", "names of the columns"),
        ("a.txt", b"ra dec z\n\0\0\0", "unpack or convert it"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataIntegrityError, match=words) as told:
        read_table(tmp_path / name)
    assert str(told.value).startswith(f"{name}: ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataIntegrityError, match=r"^a\.csv: expected a readable file"):
        read_table(tmp_path / "a.csv")


def test_a_fits_image_and_a_cut_table_are_named(tmp_path):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "image.fits")
    with pytest.raises(DataIntegrityError, match=r"image.fits: expected a binary table"):
        read_table(tmp_path / "image.fits")
    Table({"ra": np.arange(10_000.0)}).write(tmp_path / "cut.fits")
    content = (tmp_path / "cut.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(content[:20_000])
    with pytest.raises(DataIntegrityError, match=r"cut.fits: expected \d+ bytes"):
        read_table(tmp_path / "cut.fits")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a.fits"
    Table({"ra": np.arange(3.0), "q": np.arange(3), "c": ["a", "b", "c"]}).write(path)
    return path


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_a_damaged_header_gives_a_table_or_one_of_our_errors(sound, data):
    content = bytearray(sound.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, 2 * 2880 - 1))
        content[place] = data.draw(st.integers(32, 126))
    path = sound.with_name("damaged.fits")
    path.write_bytes(content)
    with contextlib.suppress(DataIntegrityError):
        assert read_table(path).num_rows <= 10
