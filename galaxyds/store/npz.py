"""Arrays of an ``.npz`` archive as streams: blocks of rows, whatever the size, and never a pickle.

An ``.npz`` is a zip archive of ``.npy`` members, each a short header (shape, dtype, order) and the
array's bytes, stored or deflated.  ``numpy.load`` reads a deflated member whole; here it is
inflated block by block.  What the archive says of itself is held together before that: the
header's shape must account for every byte that the directory declares, a member may not declare a
hundred times more than it holds, and the CRC is compared at the end of every pass.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from galaxyds.errors import DataIntegrityError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 1 << 16
_LARGEST_DIRECTORY = 1 << 20
_LARGEST_RATIO = 100
"""Declared over stored bytes of a member above which it is taken for a bomb."""
_SMALL = 1 << 20
_PIECE = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER_ERRORS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, EOFError)
_READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OSError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or an array in it, as messages name it: a link is the file that it leads to.

    Attributes
    ----------
    path : pathlib.Path
        Where it is read.
    member : str
        Name of the array; empty for the file itself.
    """

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{one_line(self.member, 40)} in {self.file}" if self.member else str(self.file)

    @property
    def is_own(self) -> bool:
        """Whether somebody's own file was linked here, not fetched."""
        return self.path.is_symlink()

    @property
    def file(self) -> Path:
        """The file as whoever brought it along knows it."""
        return self.path.parent / self.path.readlink() if self.is_own else self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class NpyHeader:
    """What an ``.npy`` stream says of its array.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    dtype : numpy.dtype
        Of its elements; one with Python objects is a pickle, which is never read.
    fortran_order : bool
        Whether the first axis is the fastest.
    bytes : int
        Length of the header itself.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    bytes: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        # Python integers do not overflow, whatever a hostile header declares.
        return math.prod(self.shape[1:]) * int(self.dtype.itemsize)


def read_npy_header(stream: IO[bytes], where: Place) -> NpyHeader:
    """Read the header of an ``.npy`` stream and leave the stream at the array's first byte.

    Parameters
    ----------
    stream : binary file
        At its beginning.
    where : Place
        For messages.

    Returns
    -------
    NpyHeader
        Nothing of it has been held against the stream yet.

    Raises
    ------
    DataIntegrityError
        If it is no header of version 1.0 or 2.0, or longer than 64 KiB.
    """
    start = stream.read(8)
    version = (start[6], start[7]) if len(start) == 8 and start.startswith(_MAGIC) else (0, 0)
    if version not in ((1, 0), (2, 0)):
        raise refused(where, "it does not begin as an array of format 1.0 or 2.0 does")
    size = stream.read(2 * version[0])
    length = int.from_bytes(size, "little")
    if length > _LONGEST_HEADER:
        raise refused(where, f"its header declares {length} bytes")
    text = io.BytesIO(size + stream.read(length))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran_order, dtype = read(text, max_header_size=_LONGEST_HEADER)
    except _HEADER_ERRORS as error:
        raise refused(where, f"its header cannot be read: {one_line(str(error), 80)}") from error
    if any(not isinstance(n, int) or n < 0 for n in shape):
        raise refused(where, f"its header declares the shape {shape}")
    return NpyHeader(
        shape=shape,
        dtype=dtype,
        fortran_order=fortran_order and len(shape) > 1,
        bytes=8 + len(text.getvalue()),
    )


class NpzArray:
    """One array of an archive; nothing but its header has been read.

    Parameters
    ----------
    where : Place
        Archive and member, for messages.
    archive : zipfile.ZipFile
        Open.
    member : zipfile.ZipInfo
        From its directory.

    Raises
    ------
    DataIntegrityError
        If the member is compressed in another way, encrypted, declares more than it can hold, or
        its header does not account for its bytes.
    """

    def __init__(self, where: Place, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.where, self.archive, self.member = where, archive, member
        self._check_member()
        with _telling(where), archive.open(member) as stream:
            self.header = read_npy_header(stream, where)
        if not self.header.dtype.hasobject:
            self._check_length()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.header.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the array."""
        return self.header.dtype

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield the array from first row to last.

        Parameters
        ----------
        rows : int
            Rows per block.

        Yields
        ------
        ndarray, shape (k, ...)
            A new array each time, of the array's own dtype; k <= rows.

        Raises
        ------
        DataIntegrityError
            If the array holds Python objects or lies in Fortran order, the archive is cut short,
            or the CRC differs.
        """
        header = self.header
        if header.dtype.hasobject:
            raise refused(self.where, "it holds Python objects: a pickle, which can run any code")
        if header.fortran_order:
            raise refused(self.where, "it lies in Fortran order, so that its rows are not together")
        with _telling(self.where), self.archive.open(self.member) as stream:
            _skip(stream, header.bytes)
            for first in range(0, header.shape[0], rows):
                count = min(rows, header.shape[0] - first)
                block = np.empty((count, *header.shape[1:]), dtype=header.dtype)
                _fill(stream, block.reshape(-1).view(np.uint8).data)
                yield block
            stream.read(1)  # the CRC of an array without rows is compared here

    def _check_member(self) -> None:
        member = self.member
        if member.flag_bits & 1:
            raise refused(self.where, "it is encrypted")
        if member.compress_type not in _METHODS:
            raise refused(self.where, "it is compressed in another way than deflated")
        if member.file_size > _LARGEST_RATIO * member.compress_size + _SMALL:
            raise refused(
                self.where,
                f"{member.file_size} bytes declared, {member.compress_size} stored",
            )

    def _check_length(self) -> None:
        header = self.header
        if not header.shape or not header.row_bytes:
            raise refused(self.where, f"an array of shape {header.shape} has no rows")
        declared = header.bytes + header.shape[0] * header.row_bytes
        if declared != self.member.file_size:
            raise refused(
                self.where,
                f"its header accounts for {declared} bytes, the directory for "
                f"{self.member.file_size}",
            )


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, NpzArray]]:
    """Open an archive of arrays.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Yields
    ------
    mapping of str to NpzArray
        By name without ``.npy``, in the order of the directory; other members are left out.  An
        array is held to its header when it is asked for: what nobody asks for may be anything.

    Raises
    ------
    DataIntegrityError
        If the file is no whole zip archive, lists a member twice, or one of its arrays is refused.
    """
    where = Place(path)
    with path.open("rb") as file:
        _check_archive(file, where)
        with _telling(where):
            archive = zipfile.ZipFile(file)
        names = [info.filename for info in archive.infolist()]
        if len(set(names)) < len(names):
            raise refused(where, "its directory lists a member twice")
        yield _Arrays(path, archive)


class _Arrays(Mapping[str, NpzArray]):
    """Arrays of an open archive by name, each looked at when it is asked for."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }

    def __getitem__(self, name: str) -> NpzArray:
        member = self._members[name]
        return NpzArray(Place(self._path, member.filename), self._archive, member)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def refused(where: Place, cause: str) -> DataIntegrityError:
    """Say why an archive, or an array in it, is not read.

    Parameters
    ----------
    where : Place
        Which one.
    cause : str
        What is wrong with it, on one line.

    Returns
    -------
    DataIntegrityError
        Ready to be raised.
    """
    return DataIntegrityError(
        f"{where} is refused: {cause}; compare the file's size with the published one, then "
        + ("put a whole copy in its place and " if where.is_own else "")
        + f"add --from fetch to {'take that one' if where.is_own else 'get it again'}",
        file=str(where.file),
        expected="a whole archive of plain arrays",
        got=cause,
    )


def _check_archive(file: IO[bytes], where: Place) -> None:
    """Look at both ends of the file before the directory is read into memory."""
    start = file.read(512).lstrip()
    size = _directory_bytes(file)
    if size is None:
        cause = "it is no zip archive"
        if start.startswith(b"<"):
            cause = "it is a web page, not an archive"
        if start.startswith(b"PK"):
            cause = "it is cut short: the directory at its end is missing"
        raise refused(where, cause)
    if size > _LARGEST_DIRECTORY:
        raise refused(where, f"its directory declares {size} bytes")
    file.seek(0)


def _directory_bytes(file: IO[bytes]) -> int | None:
    """Size of a zip archive's directory (APPNOTE 6.3.10, 4.3.14 to 4.3.16); None if there is none.

    The size is 32 bits at offset 12 of the end record, or, where that is full, 64 bits at offset 40
    of the ZIP64 end record, which stands 76 bytes before it.
    """
    total = file.seek(0, io.SEEK_END)
    file.seek(max(0, total - (1 << 16) - 98))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) < place + 22:
        return None
    size = int.from_bytes(tail[place + 12 : place + 16], "little")
    wide = tail[max(0, place - 76) : place]
    if wide.startswith(b"PK\x06\x06"):
        return max(size if size != 0xFFFFFFFF else 0, int.from_bytes(wide[40:48], "little"))
    return size


@contextmanager
def _telling(where: Place) -> Iterator[None]:
    """Turn what the zip module raises into one line that names the member."""
    try:
        yield
    except _READ_ERRORS as error:
        cause = one_line(str(error), 120) or "it is cut short"
        raise refused(where, cause) from error


def _skip(stream: IO[bytes], count: int) -> None:
    while count:
        piece = stream.read(min(count, _PIECE))
        if not piece:
            raise EOFError("it is cut short")
        count -= len(piece)


def _fill(stream: IO[bytes], view: memoryview) -> None:
    """Read exactly as many bytes as the view has, a MiB at a time."""
    done = 0
    while done < len(view):
        piece = stream.read(min(len(view) - done, _PIECE))
        if not piece:
            raise EOFError("it is cut short")
        view[done : done + len(piece)] = piece
        done += len(piece)
