"""A file while it is being fetched: ``<destination>.part``, and what is needed to go on with it.

The bytes so far lie in the part file; beside it, ``<destination>.part.json`` holds the URL and the
validator (ETag or Last-Modified) under which they came, so that a later process can ask for the
rest and be refused when the file has changed.  Only a complete and checked file gets its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from galaxyds.archives.calls import Setback
from galaxyds.errors import DataIntegrityError, storage_error

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What a fetched file must be.

    Attributes
    ----------
    max_bytes : int
        Largest acceptable size.
    sha256, md5 : str or None
        Published checksum, as lower-case hexadecimal digits.
    check : callable or None
        Looks at the finished file under its temporary name; raises DataIntegrityError.
    size : int or None
        Published size in bytes.
    """

    max_bytes: int
    sha256: str | None = None
    md5: str | None = None
    check: Callable[[Path], None] | None = None
    size: int | None = None

    @property
    def resumable(self) -> bool:
        """Whether parts fetched at different times can be held together without a validator."""
        return bool(self.sha256 or self.md5 or self.size)


class PartFile:
    """The unfinished file of one transfer.

    Parameters
    ----------
    url : str
        Where it comes from.
    destination : pathlib.Path
        Its name once complete.
    expected : Expected
        What it must be.
    """

    def __init__(self, url: str, destination: Path, expected: Expected) -> None:
        self.url = url
        self.destination = destination
        self.expected = expected
        self.path = destination.with_name(f"{destination.name}.part")
        self.note = destination.with_name(f"{destination.name}.part.json")
        self.rejected = 0

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the part file alone; yields False if another process finished it meanwhile."""
        with _storing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = self.path.open("ab")
        with handle:
            _lock(handle)
            mine = self._is_named(handle)
            try:
                yield mine
            finally:
                # Only an empty file of our own goes: after a rename the name may be another's.
                with suppress(OSError):
                    if mine and self.size == 0 and self._is_named(handle):
                        self.path.unlink()
                        self.note.unlink(missing_ok=True)

    def _is_named(self, handle: IO[bytes]) -> bool:
        """Whether the part file's name still stands for the file that was opened."""
        try:
            return os.path.samestat(os.fstat(handle.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def resume_headers(self) -> dict[str, str]:
        """Headers that ask for the rest only, on the condition that the file has not changed."""
        size, validator = self.size, self._validator()
        if size == 0 or not (validator or self.expected.resumable):
            return {}
        ask = {"Range": f"bytes={size}-"}
        return {**ask, "If-Range": validator} if validator else ask

    def remember(self, headers: Mapping[str, str]) -> None:
        """Note the validator of an answer for a later attempt; weak ETags do not identify bytes."""
        etag = headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
        text = json.dumps({"url": self.url, "validator": validator})
        with _storing(self.note):
            self.note.write_text(text, encoding="utf-8")

    def discard(self) -> None:
        """Forget the bytes so far."""
        with _storing(self.path):
            if self.path.exists():
                os.truncate(self.path, 0)
            self.note.unlink(missing_ok=True)

    @contextmanager
    def writing(self, offset: int) -> Iterator[Callable[[bytes], None]]:
        """Yield a function that writes at the end of the first ``offset`` bytes."""
        with _storing(self.path):
            file = self.path.open("r+b")
            file.truncate(offset)
            file.seek(offset)

        def write(data: bytes) -> None:
            with _storing(self.path):
                file.write(data)

        try:
            yield write
        finally:
            with _storing(self.path):
                file.close()

    def verify(self) -> None:
        """Compare with the checksum and the structural check; a file that fails is emptied.

        Raises
        ------
        DataIntegrityError
            If the file is not what was expected.
        """
        try:
            self._compare_size()
            for name in ("sha256", "md5"):
                self._compare(name, getattr(self.expected, name))
            if self.expected.check is not None:
                self.expected.check(self.path)
        except DataIntegrityError:
            self.rejected += 1
            self.discard()
            raise

    def publish(self) -> Path:
        """Give the file its name: its bytes on disk first, then the name, then the directory."""
        with _storing(self.destination):
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(self.path, self.destination)  # noqa: PTH105 - the name tests spy on
            self.note.unlink(missing_ok=True)
            sync_directory(self.destination.parent)
        return self.destination

    def _compare_size(self) -> None:
        if self.expected.size not in (None, self.size):
            raise DataIntegrityError(
                f"{self.destination.name} from the archive has {self.size} bytes, expected "
                f"{self.expected.size}: it was cut on the way or replaced; fetch it again",
                file=str(self.destination),
                expected=self.expected.size,
                got=self.size,
            )

    def _compare(self, name: str, wanted: str | None) -> None:
        if wanted is None:
            return
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, name).hexdigest()
        if found != wanted.lower():
            raise DataIntegrityError(
                f"{self.destination.name} from the archive has {name} {found}, expected {wanted}: "
                "it was damaged on the way or replaced at its source; fetch it again",
                file=str(self.destination),
                expected=wanted,
                got=found,
            )

    def _validator(self) -> str:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            same = noted["url"] == self.url
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return str(noted.get("validator", "")) if same else ""


def content_range(text: str) -> tuple[int | None, int | None, int | None]:
    """Read a Content-Range header: first byte, last byte, total; None where it does not say."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        return None, None, None
    first, last, total = (int(g) if g and g.isdigit() else None for g in match.groups())
    return first, last, total


def range_refused(part: PartFile, headers: Mapping[str, str]) -> Setback | None:
    """Sort a 416: the file is complete already, or it is another one by now.

    Parameters
    ----------
    part : PartFile
        Whose rest was asked; emptied if the file is another one.
    headers : mapping
        Of the answer.

    Returns
    -------
    Setback or None
        None if it is complete.
    """
    total = content_range(headers.get("Content-Range", ""))[2]
    if total is not None and total == part.size:
        return None
    part.discard()
    return Setback("the file has changed since its first part was fetched")


def sync_directory(path: Path) -> None:
    """Make a rename in a directory survive a power cut (a no-op where directories cannot be)."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def _lock(handle: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # not POSIX: two builders of one folder are kept apart by the workspace
        return
    with suppress(OSError):  # a filesystem without locks
        fcntl.flock(handle, fcntl.LOCK_EX)
