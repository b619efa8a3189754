"""Open compressed and FITS files from outside without trusting a byte of them.

Every size is checked against a limit before memory is spent on it, a stream must reach its own end
marker, and nothing may follow that marker.  Whatever is wrong ends in
:class:`~galaxyds.errors.DataIntegrityError`, which names the file, what was expected, what was
found and the likely cause.

The standard library's :mod:`bz2` decides what is a sound stream.  ``rapidgzip`` decodes bzip2 about
1.45 times as fast on one thread and on several threads at once, but it passes over bytes behind the
stream and, with several threads, over the stream's own checksum.  Its output is therefore used only
if the stream's frame (magic numbers, checksums, last byte) proves complete and single; a stream
that does not prove it goes to :mod:`bz2`, whose verdict stands.
"""

from __future__ import annotations

import bz2
import io
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galaxyds.errors import DataIntegrityError, one_line

FITS_BLOCK = 2880
"""Bytes of a FITS record (FITS standard 4.0, section 3.1)."""

_CARD = 80
_MAX_HEADER = 256 * FITS_BLOCK
_MAX_HDUS = 64
_BLOCK_MAGIC = 0x314159265359
_END_MAGIC = 0x177245385090
_END_BITS = 80  # the 48 bits of _END_MAGIC and the stream's checksum
_DENSEST = 64  # output bytes per byte of file up to which several threads may decode

_KINDS = (
    (b"BZh", "a bzip2 stream"),
    (b"\x1f\x8b", "a gzip stream"),
    (b"SIMPLE  =", "a FITS file"),
    (b"<", "an HTML or XML page: the server answered with a page instead of the file"),
    (b"{", "JSON: the server answered with a message instead of the file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89HDF", "an HDF5 file"),
)

Value = str | bool | int | float


def kind(head: bytes) -> str:
    """Say what a file is, from its first bytes.

    Parameters
    ----------
    head : bytes
        The first bytes, 16 or more if there are.

    Returns
    -------
    str
        A noun phrase for a message.
    """
    if not head:
        return "an empty file"
    start = head.lstrip()
    for magic, name in _KINDS:
        if start.startswith(magic):
            return name
    return f"bytes that begin {head[:8]!r}"


def broken(file: Path, expected: str, got: str, cause: str) -> DataIntegrityError:
    """Make the error for a file that is not what it should be.

    Parameters
    ----------
    file : Path
        The file.
    expected, got : str
        Noun phrases.
    cause : str
        The likely cause and the next step.

    Returns
    -------
    DataIntegrityError
        Ready to be raised; carries ``file``, ``expected``, ``got`` and ``cause``.
    """
    text = one_line(f"{file.name}: expected {expected}, got {got}; {cause}", limit=600)
    return DataIntegrityError(text, file=str(file), expected=expected, got=got, cause=cause)


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Read a whole file that must not be larger than ``limit`` bytes.

    Raises
    ------
    DataIntegrityError
        If the file is absent, unreadable or larger.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        cause = "the fetch did not complete or the file was removed: fetch it again"
        raise broken(path, "a readable file", error.strerror or str(error), cause) from error
    if len(data) > limit:
        size = path.stat().st_size
        cause = "this is another kind of file, or a hostile one"
        raise broken(path, f"at most {limit} bytes", f"{size} bytes", cause)
    return data


def decompress_bz2(path: Path, *, limit: int, threads: int = 1) -> memoryview:
    """Decompress one bzip2 file, once, into memory.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Most bytes that its content may have.
    threads : int
        Threads that decode.  Several are used only where the file is no smaller than
        ``limit / 64`` bytes: with several threads a bomb costs memory before it is seen.

    Returns
    -------
    memoryview
        The content.

    Raises
    ------
    DataIntegrityError
        If the file is no bzip2 stream, is cut, damaged or followed by other bytes, or holds more
        than ``limit`` bytes.
    """
    # bzip2 never makes data more than 1 % and 600 bytes longer (bzip2 manual, section 2).
    data = read_bytes(path, limit=limit + limit // 100 + 600)
    if not data.startswith(b"BZh"):
        cause = "the fetch went wrong or the file was renamed: fetch it again"
        raise broken(path, "a bzip2 stream", kind(data[:64]), cause)
    if _frame_is_whole(data):
        content = _fast(data, limit, threads if len(data) * _DENSEST >= limit else 1)
        if content is not None:
            return _within(content, path, limit)
    return _within(_careful(data, path, limit), path, limit)


def _within(content: memoryview, path: Path, limit: int) -> memoryview:
    if len(content) > limit:
        cause = "this is another kind of file, or a decompression bomb"
        raise broken(path, f"at most {limit} bytes of content", "more", cause)
    return content


def _bits(data: bytes, position: int, count: int) -> int:
    first, last = position // 8, (position + count + 7) // 8
    window = int.from_bytes(data[first:last], "big")
    return window >> (last * 8 - position - count) & ((1 << count) - 1)


def _frame_is_whole(data: bytes) -> bool:
    """Whether a block begins the stream and an end marker ends it, at the file's last bits."""
    last = len(data) * 8 - _END_BITS
    starts = len(data) >= 14 and _bits(data, 32, 48) == _BLOCK_MAGIC
    return starts and any(_bits(data, last - pad, 48) == _END_MAGIC for pad in range(8))


def _fast(data: bytes, limit: int, threads: int) -> memoryview | None:
    """Decode with ``rapidgzip``; None where the result is not proven to be right."""
    try:
        from rapidgzip import IndexedBzip2File
    except ImportError:
        return None
    buffer = memoryview(bytearray(limit + 1))
    filled = 0
    # rapidgzip 0.16.1 never lets go of the file that it is given: closed, that one holds nothing.
    source = io.BytesIO(data)
    try:
        with source, IndexedBzip2File(source, parallelization=threads) as stream:
            while filled <= limit and (count := stream.readinto(buffer[filled:])):
                filled += count
            offsets = sorted(stream.block_offsets()) if filled <= limit else []
    except (RuntimeError, ValueError, OSError, MemoryError):
        return None
    if filled > limit or _single_stream(data, offsets):
        return buffer[:filled]
    return None


def _single_stream(data: bytes, offsets: list[int]) -> bool:
    """Whether blocks at these bit offsets are one stream with a right checksum up to the last byte.

    The stream's checksum is the blocks' checksums, each xored into the rotated sum of those before
    (``compress.c`` of bzip2 1.0.8).
    """
    *blocks, end = [offset for offset in offsets if offset <= len(data) * 8 - _END_BITS] or [0]
    total = 0
    for offset in blocks:
        if _bits(data, offset, 48) != _BLOCK_MAGIC:
            return False
        total = ((total << 1 | total >> 31) & 0xFFFFFFFF) ^ _bits(data, offset + 48, 32)
    ends = _bits(data, end, 48) == _END_MAGIC and _bits(data, end + 48, 32) == total
    return ends and (end + _END_BITS + 7) // 8 == len(data)


def _careful(data: bytes, path: Path, limit: int) -> memoryview:
    """Decode with the standard library, whose verdict on a stream stands."""
    decoder = bz2.BZ2Decompressor()
    try:
        content = decoder.decompress(data, max_length=limit + 1)
        while not (decoder.eof or decoder.needs_input or len(content) > limit):
            content += decoder.decompress(b"", max_length=limit + 1 - len(content))
    except (OSError, ValueError) as error:
        cause = f"the bytes were damaged on the way ({error}): fetch it again"
        raise broken(path, "a sound bzip2 stream", "a damaged one", cause) from error
    if not decoder.eof and len(content) <= limit:
        got = f"one that stops after {len(data)} bytes, {len(content)} bytes of content"
        cause = "the transfer was cut: fetch it again"
        raise broken(path, "a complete bzip2 stream", got, cause)
    if decoder.unused_data:
        rest = decoder.unused_data
        got = f"{len(rest)} more bytes behind it ({kind(rest[:64])})"
        cause = "two answers were joined in one file: fetch it again"
        raise broken(path, "one bzip2 stream and nothing else", got, cause)
    return memoryview(content)


def head_of_gzip(path: Path, size: int) -> bytes:
    """First ``size`` bytes of the content of a gzip file, at most; damage shortens it.

    Raises
    ------
    DataIntegrityError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return zlib.decompressobj(wbits=31).decompress(stream.read(size), max_length=size)
    except zlib.error:
        return b""
    except OSError as error:
        cause = "the fetch did not complete or the file was removed: fetch it again"
        raise broken(path, "a readable file", error.strerror or str(error), cause) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class HDU:
    """One header and data unit of a FITS file in memory, its size already verified.

    Attributes
    ----------
    header : Mapping of str to (str, bool, int or float)
        Keywords with a value; of a repeated keyword the first.
    data : memoryview
        The data as stored (big-endian), without padding.
    """

    header: Mapping[str, Value]
    data: memoryview

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes in C order: the last is NAXIS1."""
        axes = int(self.header["NAXIS"])
        return tuple(int(self.header[f"NAXIS{axis}"]) for axis in range(axes, 0, -1))


def scan_fits(content: memoryview, file: Path, *, limit: int) -> tuple[HDU, ...]:
    """Walk through the HDUs of a FITS file, believing no declared size.

    Sizes follow FITS standard 4.0, equations 1 and 2: |BITPIX|/8 x GCOUNT x (PCOUNT + NAXIS1 x ...
    x NAXISm).  Tile-compressed images and tables are refused: what they declare (ZNAXIS) has no
    bound in the file's length.

    Parameters
    ----------
    content : memoryview
        The whole file.
    file : Path
        Its name, for messages.
    limit : int
        Most bytes that one data unit may declare.

    Returns
    -------
    tuple of HDU
        In the file's order; data are views of ``content``.

    Raises
    ------
    DataIntegrityError
        If this is no FITS file, is cut, declares more than it holds or than ``limit``, is
        compressed inside, or is followed by other bytes.
    """
    hdus: list[HDU] = []
    start = 0
    while start < len(content):
        header, start = _header(content, start, file, index=len(hdus))
        size = _data_size(header, file, index=len(hdus), limit=limit)
        padded = size + -size % FITS_BLOCK
        if start + padded > len(content):
            got = f"{max(len(content) - start, 0)}"
            cause = "the file was cut, or its header lies: fetch it again"
            raise broken(file, f"{padded} bytes of data in HDU {len(hdus)}", got, cause)
        hdus.append(HDU(header=header, data=content[start : start + size]))
        start += padded
    if not hdus:
        raise broken(file, "a FITS file", "an empty file", "the fetch went wrong: fetch it again")
    return tuple(hdus)


def _header(
    content: memoryview, start: int, file: Path, *, index: int
) -> tuple[dict[str, Value], int]:
    """Keywords of the header at ``start``, and where its data begin."""
    head = bytes(content[start : start + _CARD])
    expected = b"XTENSION=" if index else b"SIMPLE  ="
    if not head.startswith(expected) or index >= _MAX_HDUS:
        what = f"a FITS header (HDU {index})" if index else "a FITS file"
        cause = "bytes were lost or added on the way: fetch it again"
        raise broken(file, what, kind(head), cause)
    header: dict[str, Value] = {}
    for offset in range(start, min(len(content), start + _MAX_HEADER), _CARD):
        card = bytes(content[offset : offset + _CARD])
        if card.rstrip() == b"END":
            return header, start + -(-(offset + _CARD - start) // FITS_BLOCK) * FITS_BLOCK
        if card[8:10] == b"= ":
            name = card[:8].decode("latin-1").rstrip()
            header.setdefault(name, _value(card[10:].decode("latin-1")))
    cause = "the file was cut or damaged: fetch it again"
    raise broken(file, f"an END card in the header of HDU {index}", "none", cause)


def _value(text: str) -> Value:
    """Value of a card (FITS standard 4.0, section 4.2); an unreadable one stays text."""
    text = text.strip()
    if text.startswith("'"):
        body, _, _ = text[1:].replace("''", "\0").partition("'")
        return body.replace("\0", "'").rstrip()
    word = text.partition("/")[0].strip()
    if word in ("T", "F"):
        return word == "T"
    for convert in (int, float):
        try:
            return convert(word.replace("D", "E"))
        except ValueError:
            continue
    return word


def _data_size(header: Mapping[str, Value], file: Path, *, index: int, limit: int) -> int:
    """Bytes that a header declares for its data, in exact integers."""
    if header.get("ZIMAGE") or header.get("ZTABLE") or any(n.startswith("ZNAXIS") for n in header):
        cause = "this is not the archive's original file"
        raise broken(file, f"plain data in HDU {index}", "a tile-compressed HDU", cause)
    names = [f"NAXIS{axis}" for axis in range(1, _count(header, "NAXIS", file, most=8) + 1)]
    axes = [_count(header, name, file, most=limit) for name in names]
    extra = _count(header, "PCOUNT", file, most=limit, default=0)
    groups = _count(header, "GCOUNT", file, most=limit, default=1)
    bits = header.get("BITPIX")
    if bits not in (8, 16, 32, 64, -32, -64) or isinstance(bits, bool):
        raise broken(file, f"a BITPIX of FITS in HDU {index}", repr(bits), "the header is damaged")
    elements = math.prod(axes) if axes else 0
    size = abs(int(bits)) // 8 * groups * (extra + elements)
    if size > limit:
        cause = "the header lies or this is another kind of file"
        raise broken(file, f"at most {limit} bytes in HDU {index}", f"{size} declared", cause)
    return size


def _count(
    header: Mapping[str, Value], name: str, file: Path, *, most: int, default: int | None = None
) -> int:
    value = header.get(name, default)
    if type(value) is not int or not 0 <= value <= most:
        expected = f"{name} as a number from 0 to {most}"
        raise broken(file, expected, repr(value), "the header lies or is damaged: fetch it again")
    return value
