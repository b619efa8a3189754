"""Bounded decompression and FITS scanning against hostile, cut and damaged files."""

from __future__ import annotations

import base64
import bz2
import gc
import gzip
import io
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxyds.archives.bounded import decompress_bz2, kind, read_bytes, scan_fits
from galaxyds.errors import DataIntegrityError

# 2 GiB of zeros through bzip2 -9 (1,522 bytes), itself deflated.
BOMB = zlib.decompress(
    base64.b85decode(
        "c-nJ{%CIzaj8qGb<l}sFpE17Af#CoH1BU{GL4&WG(*o6%Tn*Dl<wxa5<wxa5<p;BT!-f|;j3P@N8i4XFU=?Rr"
        "HJ5ozRNM%}kKTDK=Ms`GPBnG_0F05!yZ"
    )
)
CONTENT = np.random.default_rng(3).integers(0, 40, 700_000, dtype=np.uint8).tobytes()
STREAM = bz2.compress(CONTENT, 1)  # about eight blocks
LIMIT = 1_000_000


@pytest.fixture(params=["fast", "stdlib"])
def decoder(request, monkeypatch):
    """Both decoders: the fast one, and the standard library where the fast one is not installed."""
    if request.param == "stdlib":
        monkeypatch.setitem(sys.modules, "rapidgzip", None)
    return request.param


def stored(folder: Path, data: bytes) -> Path:
    path = folder / "frame-r-000094-1-0012.fits.bz2"
    path.write_bytes(data)
    return path


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x10
    return bytes(changed)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("size", [0, 1, 99_981, 700_000])
def test_content_is_what_the_standard_library_gives(tmp_path, decoder, threads, level, size):
    path = stored(tmp_path, bz2.compress(CONTENT[:size], level))
    assert decompress_bz2(path, limit=LIMIT, threads=threads) == CONTENT[:size]


def test_content_may_fill_the_limit_but_not_pass_it(tmp_path, decoder):
    path = stored(tmp_path, STREAM)
    assert decompress_bz2(path, limit=len(CONTENT)) == CONTENT
    with pytest.raises(DataIntegrityError, match="bomb"):
        decompress_bz2(path, limit=len(CONTENT) - 1)


BAD = {
    "half": (STREAM[: len(STREAM) // 2], "cut"),
    "one byte short": (STREAM[:-1], "cut"),
    "end marker missing": (STREAM[:-10], "cut"),
    "four bytes": (STREAM[:4], "cut"),
    "html behind": (STREAM + b"<html>503 Service Unavailable</html>", "HTML"),
    "one byte behind": (STREAM + b"x", "1 more bytes"),
    "zeros behind": (STREAM + bytes(5000), "5000 more bytes"),
    "second stream": (STREAM + bz2.compress(b"more"), "bzip2 stream"),
    "flip in a block": (flipped(STREAM, len(STREAM) // 2), "damaged"),
    "flip in a table": (flipped(STREAM, 60), "damaged"),
    "flip in the stream's checksum": (flipped(STREAM, len(STREAM) - 3), "damaged"),
    "html": (b"<!DOCTYPE html><html>not found</html>", "HTML"),
    "html after blanks": (b"\r\n  <html>", "HTML"),
    "empty": (b"", "empty file"),
    "gzip": (gzip.compress(CONTENT, mtime=0), "gzip"),
    "json": (b'{"ErrorCode": 500}', "JSON"),
    "control characters": (b"\x1b[31mred\n\n", "bytes that begin"),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", BAD)
def test_what_is_not_one_whole_stream_is_refused(tmp_path, decoder, threads, name):
    data, words = BAD[name]
    path = stored(tmp_path, data)
    with pytest.raises(DataIntegrityError, match=words) as caught:
        decompress_bz2(path, limit=LIMIT, threads=threads)
    error = caught.value
    assert error.file == str(path)
    assert path.name in str(error)
    assert error.expected in str(error)
    assert error.got in str(error)
    assert str(error).isprintable()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    position=st.integers(0, 2_000),
    value=st.integers(0, 255),
    threads=st.sampled_from([1, 2]),
)
def test_a_damaged_stream_never_gives_other_content(tmp_path, position, value, threads):
    good = bz2.compress(CONTENT[:2_500], 1)
    data = bytearray(good)
    data[position % len(good)] = value
    path = stored(tmp_path, bytes(data))
    try:
        got = decompress_bz2(path, limit=10_000, threads=threads)
    except DataIntegrityError:
        return
    assert got == CONTENT[:2_500]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataIntegrityError, match=r"gone\.bz2"):
        decompress_bz2(tmp_path / "gone.bz2", limit=LIMIT)


def test_a_file_larger_than_its_limit_is_not_read_whole(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(2**40)  # sparse: reading it all would end in a memory error
    with pytest.raises(DataIntegrityError, match=str(2**40)):
        read_bytes(path, limit=LIMIT)
    with pytest.raises(DataIntegrityError, match=str(2**40)):
        decompress_bz2(path, limit=LIMIT)


MEASURE = r"""
import re, sys
from pathlib import Path
from galaxyds.archives.bounded import decompress_bz2
from galaxyds.errors import DataIntegrityError
import rapidgzip
if sys.argv[3] == "stdlib":
    sys.modules["rapidgzip"] = None
# Not ru_maxrss: a process inherits that from the one that started it.
peak = lambda: int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
try:
    decompress_bz2(Path(sys.argv[1]), limit=16 * 2**20, threads=int(sys.argv[2]))
except DataIntegrityError as error:
    print(peak() - before, error)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_bomb_is_refused_within_64_mb(tmp_path, decoder, threads):
    path = stored(tmp_path, BOMB)
    assert path.stat().st_size == 1522
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(threads), decoder],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    grown, message = done.stdout.split(maxsplit=1)
    assert 1024 < int(grown) < 64 * 1024  # kB; the buffer itself shows that the peak is seen
    assert "bomb" in message


def hdu_bytes(**cards) -> bytes:
    """A primary header with these cards, in order, padded; no data."""
    lines = [b"SIMPLE  =                    T".ljust(80)]
    lines += [f"{key:8}= {value!s:>20}".encode().ljust(80) for key, value in cards.items()]
    return b"".join([*lines, b"END".ljust(80)]).ljust(2880)


def scan(data: bytes, limit: int = 2**24):
    return scan_fits(memoryview(data), Path("x.fits"), limit=limit)


HEADERS = {
    "naxis bomb": (hdu_bytes(BITPIX=-32, NAXIS=2, NAXIS1=200000, NAXIS2=200000), "declared"),
    "more than there is": (hdu_bytes(BITPIX=-32, NAXIS=2, NAXIS1=1000, NAXIS2=1000), "cut"),
    "one huge axis": (hdu_bytes(BITPIX=8, NAXIS=1, NAXIS1=2**62), "NAXIS1"),
    "product beyond 64 bits": (
        hdu_bytes(BITPIX=64, NAXIS=4, NAXIS1=2**20, NAXIS2=2**20, NAXIS3=2**20, NAXIS4=2**20),
        "declared",
    ),
    "huge heap": (hdu_bytes(BITPIX=8, NAXIS=1, NAXIS1=1, PCOUNT=2**23, GCOUNT=2**10), "declared"),
    "negative axis": (hdu_bytes(BITPIX=8, NAXIS=2, NAXIS1=-5, NAXIS2=-5), "NAXIS1"),
    "999 axes": (hdu_bytes(BITPIX=8, NAXIS=999), "NAXIS"),
    "axis as text": (hdu_bytes(BITPIX=8, NAXIS=1, NAXIS1="'100'"), "NAXIS1"),
    "axis as float": (hdu_bytes(BITPIX=8, NAXIS=1, NAXIS1="1E3"), "NAXIS1"),
    "axis absent": (hdu_bytes(BITPIX=8, NAXIS=2, NAXIS1=5), "NAXIS2"),
    "bitpix": (hdu_bytes(BITPIX=7, NAXIS=0), "BITPIX"),
    "bitpix absent": (hdu_bytes(NAXIS=0), "BITPIX"),
    "compressed image": (
        hdu_bytes(BITPIX=8, NAXIS=0, ZIMAGE="T", ZNAXIS=2, ZNAXIS1=200000, ZNAXIS2=200000),
        "tile-compressed",
    ),
    "compressed image without its mark": (
        hdu_bytes(BITPIX=8, NAXIS=0, ZNAXIS1=200000),
        "tile-compressed",
    ),
    "compressed table": (hdu_bytes(BITPIX=8, NAXIS=0, ZTABLE="T"), "tile-compressed"),
    "no end": (hdu_bytes(BITPIX=8, NAXIS=0).replace(b"END", b"   "), "END"),
    "header cut": (hdu_bytes(BITPIX=8, NAXIS=0)[:200], "END"),
    "html": (b"<html>" * 1000, "HTML"),
    "empty": (b"", "empty"),
    "html behind": (hdu_bytes(BITPIX=8, NAXIS=0) + b"<html>gone</html>", "HTML"),
    "zeros behind": (hdu_bytes(BITPIX=8, NAXIS=0) + bytes(2880), "FITS header"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_refused_before_data_are_touched(name):
    data, words = HEADERS[name]
    with pytest.raises(DataIntegrityError, match=words) as caught:
        scan(data)
    assert str(caught.value).isprintable()


def test_hdus_without_number_are_refused():
    extension = hdu_bytes(BITPIX=8, NAXIS=0).replace(b"SIMPLE  =", b"XTENSION=", 1)
    with pytest.raises(DataIntegrityError, match="HDU 64"):
        scan(hdu_bytes(BITPIX=8, NAXIS=0) + extension * 1000)


def test_the_scan_agrees_with_astropy():
    image = np.arange(35, dtype=">f4").reshape(5, 7)
    table = fits.BinTableHDU.from_columns(
        [fits.Column("A", "3E", array=np.ones((2, 3))), fits.Column("B", "PJ()", array=[[1], [2]])]
    )
    primary = fits.PrimaryHDU(image)
    primary.header["OBJECT"] = "it's / here"
    primary.header["FLAG"] = True
    primary.header["TINY"] = -1.5e-9
    out = io.BytesIO()
    fits.HDUList([primary, table, fits.ImageHDU(np.zeros((2, 3, 4), "i2"))]).writeto(out)
    data = out.getvalue()
    found = scan(data)
    with fits.open(io.BytesIO(data)) as theirs:
        assert len(found) == len(theirs)
        for ours, other in zip(found, theirs, strict=True):
            info = other.fileinfo()
            start = other._data_offset
            assert ours.data == data[start : start + len(ours.data)]
            assert len(ours.data) == other.size <= info["datSpan"]
            for key in ("BITPIX", "NAXIS", "OBJECT", "FLAG", "TINY", "TTYPE1"):
                assert ours.header.get(key) == other.header.get(key)
    assert [hdu.shape for hdu in found] == [(5, 7), (2, 20), (2, 3, 4)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_damaged_header_raises_nothing_but_our_error(changes):
    data = bytearray(hdu_bytes(BITPIX=-32, NAXIS=2, NAXIS1=20, NAXIS2=30, NMGY=0.5) + bytes(2880))
    for position, value in changes:
        data[position % 600] = value
    try:
        hdus = scan(bytes(data))
    except DataIntegrityError:
        return
    assert sum(len(hdu.data) for hdu in hdus) <= 2880


def test_kind_names_what_servers_send():
    assert kind(b"") == "an empty file"
    assert "HTML" in kind(b"\n<!doctype html>")
    assert kind(b"BZh91AY&SY") == "a bzip2 stream"


def test_nothing_holds_the_compressed_bytes_afterwards(tmp_path, decoder):
    """A build reads a million frames in one process: 3 MB kept of each would end it."""
    path = tmp_path / "frame.fits.bz2"
    path.write_bytes(STREAM)
    decompress_bz2(path, limit=LIMIT, threads=1)
    gc.collect()
    files = [one for one in gc.get_objects() if type(one) is io.BytesIO and not one.closed]
    assert not any(one.getbuffer().nbytes == len(STREAM) for one in files)
