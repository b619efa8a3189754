"""SDSS frames: real files against astropy, and every wrong file by its message."""

from __future__ import annotations

import bz2
import gzip
import io
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from galaxyds.archives import bounded, sdss_frames
from galaxyds.archives.sdss_frames import read_frame
from galaxyds.errors import DataIntegrityError

REAL = "sdss_field_94-1-12/frame-{}-000094-1-0012.fits.bz2"
ROWS, COLUMNS = 30, 40


def hdus(pixels: np.ndarray | None = None) -> fits.HDUList:
    """The four HDUs of a small frame, written by astropy."""
    if pixels is None:
        pixels = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
    primary = fits.PrimaryHDU(pixels)
    cards = {"FILTER": "r", "NMGY": 0.005, "BUNIT": "nanomaggy"}
    cards |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 20.0, "CRPIX2": 15.0}
    cards |= {"CRVAL1": 150.0, "CRVAL2": 2.0, "CD1_2": 1.1e-4, "CD2_1": 1.1e-4}
    primary.header.update(cards)
    sky = fits.BinTableHDU.from_columns(
        [
            fits.Column("ALLSKY", "12E", dim="(4, 3)", array=np.ones((1, 3, 4))),
            fits.Column("XINTERP", f"{COLUMNS}E", array=np.ones((1, COLUMNS))),
            fits.Column("YINTERP", f"{ROWS}E", array=np.ones((1, ROWS))),
        ]
    )
    run = fits.BinTableHDU.from_columns([fits.Column("RUN", "J", array=[94])])
    return fits.HDUList([primary, fits.ImageHDU(np.ones(COLUMNS, np.float32)), sky, run])


def as_bytes(frame: fits.HDUList) -> bytes:
    out = io.BytesIO()
    frame.writeto(out)
    return out.getvalue()


def stored(folder: Path, data: bytes, name: str = "frame-r-000094-1-0012.fits.bz2") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("band", ["u", "r"])
def test_a_real_frame_is_what_astropy_reads(survey_data, band, threads):
    path = survey_data / REAL.format(band)
    frame = read_frame(path, band, threads=threads)
    with (
        warnings.catch_warnings(),
        fits.open(io.BytesIO(bz2.decompress(path.read_bytes()))) as theirs,
    ):
        warnings.simplefilter("ignore", FITSFixedWarning)  # RADECSYS, a date of two digits
        np.testing.assert_array_equal(frame.pixels, theirs[0].data)
        wcs = WCS(theirs[0].header)
    assert frame.band == band
    assert frame.pixels.shape == (1489, 2048)
    assert frame.pixels.dtype == np.dtype("float32")
    assert frame.pixels.dtype.isnative
    assert frame.pixels.flags.c_contiguous
    corners = np.array([[0, 0], [2047, 0], [0, 1488], [2047, 1488], [1000.3, 700.7]])
    sky = wcs.all_pix2world(corners, 0)
    np.testing.assert_allclose(frame.wcs.wcs_pix2world(corners, 0), sky, atol=1e-11)


def test_a_plain_fits_file_and_a_trimmed_one_are_read(survey_data, tmp_path):
    path = survey_data / "sdss_trimmed_1000-1-100" / "frame-r-001000-1-0100.fits.bz2"
    compressed = read_frame(path, "r")
    plain = stored(tmp_path, bz2.decompress(path.read_bytes()), "frame.fits")
    np.testing.assert_array_equal(read_frame(plain, "r").pixels, compressed.pixels)
    assert compressed.pixels.shape == (100, 100)


def test_a_pc_matrix_means_the_same_as_a_cd_matrix(tmp_path):
    frame = hdus()
    header = frame[0].header
    del header["CD1_2"], header["CD2_1"]
    header.update({"CDELT1": 1.1e-4, "CDELT2": 2.2e-4, "PC1_1": 0.0, "PC1_2": 1.0})
    header.update({"PC2_1": 0.5, "PC2_2": 0.0})
    path = stored(tmp_path, as_bytes(frame))
    points = np.array([[0.0, 0.0], [39.0, 29.0]])
    expected = WCS(header).all_pix2world(points, 0)
    np.testing.assert_allclose(read_frame(path, "r").wcs.wcs_pix2world(points, 0), expected)


def test_a_frame_is_decompressed_exactly_once(survey_data, monkeypatch):
    import rapidgzip

    opened = []
    decoder = rapidgzip.IndexedBzip2File

    def fast(source, parallelization):
        opened.append("rapidgzip")
        return decoder(source, parallelization=parallelization)

    class Careful:
        def __init__(self):
            opened.append("bz2")

    monkeypatch.setattr(rapidgzip, "IndexedBzip2File", fast)
    monkeypatch.setattr(bounded.bz2, "BZ2Decompressor", Careful)
    read_frame(survey_data / REAL.format("g"), "g")
    assert opened == ["rapidgzip"]


def edited(change) -> bytes:
    frame = hdus()
    change(frame)
    return as_bytes(frame)


def without(*indices: int) -> bytes:
    frame = hdus()
    return as_bytes(fits.HDUList([hdu for k, hdu in enumerate(frame) if k not in indices]))


def renamed_sky(frame: fits.HDUList) -> None:
    frame[2].columns["XINTERP"].name = "OTHER"


def card(**values):
    return lambda frame: frame[0].header.update(values)


def uncarded(name: str):
    return lambda frame: frame[0].header.remove(name)


GOOD = as_bytes(hdus())
NAN = np.full((ROWS, COLUMNS), np.nan, np.float32)
WRONG = {
    "cut stream": (bz2.compress(GOOD)[:-20], "cut"),
    "cut content": (bz2.compress(GOOD[:-2880]), "cut"),
    "cut plain file": (GOOD[:-100], "cut"),
    "html": (b"<html><body>404</body></html>", "HTML"),
    "html in bzip2": (bz2.compress(b"<html><body>404</body></html>"), "HTML"),
    "empty": (b"", "empty file"),
    "empty in bzip2": (bz2.compress(b""), "empty file"),
    "other band": (edited(card(FILTER="g")), "expected band r, got FILTER 'g'"),
    "no band": (edited(uncarded("FILTER")), "FILTER None"),
    "no calibration": (edited(uncarded("NMGY")), "no NMGY card"),
    "other unit": (edited(card(BUNIT="DNs")), "nanomaggies"),
    "one HDU": (without(1, 2, 3), "four HDUs"),
    "no astrometry": (without(3), "four HDUs"),
    "no calibvec": (without(1), "four HDUs"),
    "short calibvec": (
        edited(lambda f: setattr(f[1], "data", np.ones(7, np.float32))),
        "40 float32 calibrations",
    ),
    "other sky": (edited(renamed_sky), "XINTERP"),
    "cube": (edited(lambda f: setattr(f[0], "data", np.ones((2, 3, 40), "f4"))), "two-dimensional"),
    "double": (edited(lambda f: setattr(f[0], "data", np.ones((3, 40), "f8"))), "two-dimensional"),
    "no pixels": (edited(lambda f: setattr(f[0], "data", None)), "two-dimensional"),
    "projection": (edited(card(CTYPE1="RA---SIN", CTYPE2="DEC--SIN")), "RA---TAN"),
    "no projection": (edited(uncarded("CTYPE1")), "RA---TAN"),
    "singular": (edited(card(CD1_2=0.0)), "invertible"),
    "no CRVAL": (edited(uncarded("CRVAL2")), "CRVAL2"),
    "text in CRPIX": (edited(card(CRPIX1="middle")), "CRPIX1"),
    "all NaN": (as_bytes(hdus(NAN)), "finite pixels"),
    "scaled": (
        GOOD.replace(b"NMGY    =", b"BZERO   =", 1),
        "unscaled pixel values",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_with_one_line(tmp_path, name):
    data, words = WRONG[name]
    path = stored(tmp_path, data)
    with pytest.raises(DataIntegrityError, match=words) as caught:
        read_frame(path, "r")
    assert caught.value.file == str(path)
    assert path.name in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_small_frame_itself_is_read(tmp_path):
    frame = read_frame(stored(tmp_path, bz2.compress(GOOD)), "r")
    np.testing.assert_array_equal(frame.pixels.ravel(), np.arange(ROWS * COLUMNS))


def test_one_finite_pixel_between_the_samples_is_enough(tmp_path):
    pixels = NAN.copy()
    pixels[3, 5] = 1.0
    frame = read_frame(stored(tmp_path, as_bytes(hdus(pixels))), "r")
    assert np.nansum(frame.pixels) == 1.0


@pytest.mark.parametrize("form", ["gzip", "plain", "bzip2"])
def test_an_old_fpc_image_is_recognised(survey_data, tmp_path, form):
    path = survey_data / "sdss_fpC_5754-3-280" / "fpC-005754-r3-0280.fit.gz"
    if form != "gzip":
        raw = gzip.decompress(path.read_bytes())
        path = stored(tmp_path, raw if form == "plain" else bz2.compress(raw, 1), "fpC.fit")
    with pytest.raises(DataIntegrityError, match=r"fpC image.*data release 8 or later") as caught:
        read_frame(path, "r")
    assert "16-bit counts" in caught.value.got


def test_another_gzip_file_is_refused(tmp_path):
    path = stored(tmp_path, gzip.compress(b"hello" * 1000))
    with pytest.raises(DataIntegrityError, match="gzip"):
        read_frame(path, "r")
    path = stored(tmp_path, b"\x1f\x8bdamaged")
    with pytest.raises(DataIntegrityError, match="gzip"):
        read_frame(path, "r")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataIntegrityError, match=r"frame-r\.fits"):
        read_frame(tmp_path / "frame-r.fits", "r")


def test_the_limit_leaves_room_for_a_real_frame(survey_data):
    size = len(bz2.decompress((survey_data / REAL.format("z")).read_bytes()))
    assert size == 12_447_360 < sdss_frames.FRAME_LIMIT


def test_a_worker_process_decodes_on_one_thread():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(sdss_frames._free_threads).result(timeout=60) == 1
    assert 1 <= sdss_frames._free_threads() <= 4
