"""A tar archive read as a stream: nothing is written, no name is trusted, every size is bounded.

The standard library's reader takes whatever a header declares into memory (extended headers of any
length) and knows many kinds of members; here there are regular files with an expected name and a
bounded size, and everything else is refused with its reason.  The format is that of POSIX.1-2001
(``pax``, sections "ustar Interchange Format" and "pax Extended Header") and GNU's long names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from galaxyds.archives.bounded import kind
from galaxyds.errors import DataIntegrityError, one_line

BLOCK = 512
"""Bytes of a tar record."""

_EXTENDED_BYTES = 64 << 10  # most bytes of one extended header
_EXTENDED_ROW = 4  # most extended headers before one member
_PADDING_BYTES = 1 << 20  # most zeros behind the end
_HARMLESS_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/?")
_RECORD = re.compile(rb"([0-9]{1,6}) ")
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a FIFO",
    b"S": "a sparse file",
}


class CutShort(Exception):  # noqa: N818 - a signal between reader and session, never shown
    """The stream ended, or its connection broke, before its content was complete."""


class Member(NamedTuple):
    """A regular file of the archive: its name, matched, and its content."""

    name: re.Match[str]
    data: bytes


class _Header(NamedTuple):
    name: str
    size: int
    type: bytes


class TarStream:
    """Members of a tar archive as it arrives.

    Parameters
    ----------
    read : callable
        Takes a number of bytes and returns them, fewer only at the end of the stream.
    source : str
        Who sends it, for messages.
    names : re.Pattern
        What a member's whole name must match.
    most : int
        Largest acceptable member, in bytes.
    complete : bool
        Whether the end of the stream proves that all of it came (its length was stated): then the
        closing zeros may be missing.
    advice : str
        What a user can do about an archive that is refused.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        *,
        source: str,
        names: re.Pattern[str],
        most: int,
        complete: bool,
        advice: str = "check the service's address",
    ) -> None:
        self.read = read
        self.source = source
        self.names = names
        self.most = most
        self.complete = complete
        self.advice = advice
        self._seen: set[str] = set()

    def __iter__(self) -> Iterator[Member]:
        """Yield the members in their order.

        Raises
        ------
        CutShort
            If the stream ends too early.
        DataIntegrityError
            If it is no tar archive, or holds what it must not.
        """
        first = True
        while (header := self._next(first=first)) is not None:
            first = False
            if header.type == b"5" and header.size == 0 and _HARMLESS_FOLDER.fullmatch(header.name):
                continue  # the folder that the files are named after; nothing is made of it
            name = self._accepted(header)
            yield Member(name, self._content(header.size))

    # headers ---------------------------------------------------------------------------------

    def _next(self, *, first: bool) -> _Header | None:
        """Return the next member's header, extended ones applied; None at the end."""
        changes: dict[str, str] = {}
        for _ in range(_EXTENDED_ROW + 1):
            block = self._block(first=first)
            if block is None:
                return None
            header, first = self._parsed(block), False
            if header.type not in (b"x", b"g", b"L"):
                return self._changed(header, changes)
            if header.size > _EXTENDED_BYTES:
                raise self._refuse(f"a tar header of {header.size} bytes, at most "
                                   f"{_EXTENDED_BYTES} are accepted")  # fmt: skip
            text = self._content(header.size)
            if header.type == b"L":
                changes["path"] = _text(text.rstrip(b"\0"))
            else:
                changes |= self._records(text)
        raise self._refuse(f"more than {_EXTENDED_ROW} extended tar headers without a file")

    def _block(self, *, first: bool) -> bytes | None:
        """Return the next header block; None at the end, which may be zeros or the stream's."""
        block = self.read(BLOCK)
        if len(block) == BLOCK and any(block):
            return block
        if first and any(block) and self.complete:
            raise self._no_tar(block)
        if not block and self.complete:
            return None
        if len(block) < BLOCK:
            raise CutShort
        self._end()
        return None

    def _end(self) -> None:
        """Behind the end there are zeros, and not many."""
        rest = 0
        while piece := self.read(BLOCK):
            rest += len(piece)
            if any(piece) or rest > _PADDING_BYTES:
                raise self._refuse("more bytes behind the end of its tar archive")

    def _parsed(self, block: bytes) -> _Header:
        # The checksum counts its own field as blanks (ustar Interchange Format).
        total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
        if _octal(block[148:156]) != total:
            raise self._no_tar(block)
        size = _octal(block[124:136])
        name = _text(block[:100].partition(b"\0")[0])
        if block[257:263] == b"ustar\0" and block[345]:
            folder = _text(block[345:500].partition(b"\0")[0])
            name = f"{folder}/{name}"
        if size is None:
            raise self._refuse(f"a member '{one_line(name, 80)}' whose size cannot be read")
        return _Header(name, size, block[156:157])

    def _changed(self, header: _Header, changes: dict[str, str]) -> _Header:
        size = changes.get("size", str(header.size))
        if not size.isascii() or not size.isdigit() or len(size) > 20:
            raise self._refuse(f"a size of '{one_line(size, 40)}' in a tar header")
        return _Header(changes.get("path", header.name), int(size), header.type)

    def _records(self, text: bytes) -> dict[str, str]:
        """Path and size of an extended header; other keywords do not matter here."""
        found: dict[str, str] = {}
        while text.strip(b"\0"):
            length = _RECORD.match(text)
            size = int(length[1]) if length else 0
            record = text[:size]
            key, sign, value = record[length.end() if length else 0 :].partition(b"=")
            if len(record) != size or not (sign and record.endswith(b"\n")):
                raise self._refuse("an extended tar header that cannot be read")
            if key.startswith(b"GNU.sparse") or key == b"linkpath":
                raise self._refuse(f"a tar header with {_text(key)}, which no cutout needs")
            if key in (b"path", b"size"):
                found[_text(key)] = _text(value[:-1])
            text = text[len(record) :]
        return found

    # members ---------------------------------------------------------------------------------

    def _accepted(self, header: _Header) -> re.Match[str]:
        shown = one_line(header.name, 80)
        if header.type not in (b"0", b"\0"):
            what = _REFUSED.get(header.type, f"a member of type {header.type!r}")
            raise self._refuse(f"{what} named '{shown}' where only files are expected")
        if header.name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", header.name):
            raise self._refuse(f"a file named '{shown}', which points out of its archive")
        name = self.names.fullmatch(header.name)
        if name is None:
            raise self._refuse(f"a file named '{shown}', which is no name of what was asked")
        if header.name in self._seen:
            raise self._refuse(f"two files named '{shown}'")
        if header.size > self.most:
            raise self._refuse(f"a file '{shown}' of {header.size} bytes, where at most "
                               f"{self.most} can be")  # fmt: skip
        self._seen.add(header.name)
        return name

    def _content(self, size: int) -> bytes:
        padded = size + -size % BLOCK
        data = self.read(padded)
        if len(data) < padded:
            raise CutShort
        return data[:size]

    def _refuse(self, what: str) -> DataIntegrityError:
        return DataIntegrityError(
            f"{self.source} sends {what}: nothing of it is kept; {self.advice}",
            file=self.source, expected="a tar archive of the files that were asked", got=what,
        )  # fmt: skip

    def _no_tar(self, block: bytes) -> DataIntegrityError:
        return self._refuse(f"no tar archive but {kind(block[:64])}")


def _octal(field: bytes) -> int | None:
    """Read a number field: octal digits, or GNU's binary form for large numbers."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
