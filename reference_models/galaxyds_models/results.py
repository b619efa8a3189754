"""Result records: one line of JSON for each scored training, appended and never rewritten.

A record carries the metrics with their intervals, what they were measured on, what they were
measured with, and small histograms, so that the leaderboard needs no predictions.  Several
processes may append to one file; a line that a crash cut short is set aside by the next append.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from galaxyds.errors import DataIntegrityError, StorageError, UsageError, one_line, storage_error
from galaxyds_models.histograms import Density, Histogram, Histograms, histograms

SCHEMA = 1
"""Of :class:`Result`; raised when a field changes its meaning."""
_LOG = logging.getLogger("galaxyds.results")
_LOCK_SECONDS = 60.0

__all__ = [
    "SCHEMA",
    "Bin",
    "Density",
    "Histogram",
    "Histograms",
    "Interval",
    "Result",
    "append",
    "as_builtins",
    "decode",
    "encode",
    "histograms",
    "read",
    "read_all",
]


class Interval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric and its bootstrap interval; None where there is no finite number.

    Attributes
    ----------
    value, low, high : float or None
        In the unit of the metric (fractions, not percent).
    """

    value: float | None
    low: float | None = None
    high: float | None = None


class Bin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Metrics of the objects between two redshifts.

    Attributes
    ----------
    low, high : float
        Edges, in redshift.
    count : int
        Objects.
    metrics : dict of str to float or None
        By the names of the main metrics.
    """

    low: float
    high: float
    count: int
    metrics: dict[str, float | None]


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scored training: a line of a results file.

    Attributes
    ----------
    schema : int
        Version of this record.
    model, recipe, preset : str
        Which model, trained how.
    pattern : str
        Empty for the main estimate, else which inputs it is from (``generated-image``).
    dataset : str
        ``name/config``.
    version : str
        Of the dataset, with the local label of a simulated or limited build.
    manifest : str
        sha256 of the build's manifest, or of the file where a table was scored.
    split : str
        Which objects were scored.
    division : int
        Which division into splits.
    simulated : bool
        Whether pixels or rows are from the simulated sky.
    nature : str
        What the data are, in words.
    seed, members : int
        Seed of the training; networks that were averaged.
    objects, train_objects : int
        Scored, and trained on.
    metrics : dict of str to Interval
        By the names of ``galaxyds.metrics``.
    validation : dict of str to float or None
        Scores on the validation split.
    parameters : int
        Trainable, of one member.
    hardware, software : str
        What it ran on, and with which versions.
    wall_seconds : float
        Of the training.
    images_per_second : float or None
        While training.
    code : str
        Link to the code, or package version and commit.
    command : str
        What reproduces the line.
    created : str
        UTC, ISO 8601.
    predictions : str or None
        sha256 of the file of predictions.
    bins : list of Bin
        Metrics by redshift.
    figures : Histograms or None
        For the leaderboard page.
    """

    schema: int = SCHEMA
    model: str
    recipe: str
    preset: str
    pattern: str = ""
    dataset: str
    version: str
    manifest: str
    split: str
    division: int
    simulated: bool
    nature: str
    seed: int
    members: int
    objects: int
    train_objects: int
    metrics: dict[str, Interval]
    validation: dict[str, float | None]
    parameters: int
    hardware: str
    software: str
    wall_seconds: float
    images_per_second: float | None = None
    code: str
    command: str
    created: str
    predictions: str | None = None
    bins: list[Bin] = []
    figures: Histograms | None = None


def encode(result: Result) -> bytes:
    r"""Return the line of a result, ``\n`` included; NaN and infinities are written as null.

    Raises
    ------
    UsageError
        If a field has the wrong type, or is not finite where a number is needed.
    """
    try:
        line = msgspec.json.encode(result)
        decode(line)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise UsageError(
            f"the result of {one_line(str(result.model))} cannot be recorded: "
            f"{one_line(str(error))}; mend that field",
            model=result.model,
        ) from error
    return line + b"\n"


def decode(line: bytes) -> Result:
    """Read one line.

    Raises
    ------
    msgspec.MsgspecError
        If it is no JSON, or not of this shape.
    """
    return msgspec.json.decode(line, type=Result)


def as_builtins(result: Result) -> dict[str, Any]:
    """Return a result as plain lists and dictionaries, as its line of JSON has it.

    Raises
    ------
    UsageError
        As :func:`encode`.
    """
    plain: dict[str, Any] = msgspec.json.decode(encode(result))
    return plain


def append(path: Path, result: Result) -> None:
    """Add a result to a file, all or nothing, beside other processes that do the same.

    The line goes out in one write to a descriptor in append mode, under a lock, and is on the disk
    when this returns.  A last line that a crash left incomplete is first moved to
    ``<name>.torn``, with a warning.

    Parameters
    ----------
    path : pathlib.Path
        The file; it and its folder are made if missing.
    result : Result
        What to write.

    Raises
    ------
    UsageError
        If the result cannot be written as JSON that reads back.
    StorageError
        If the disk is full, permission is missing, or another process keeps the lock.
    """
    from galaxyds.store.files import fsync_directory

    line = encode(result)
    try:
        with _locked(path), _opened(path) as descriptor:
            _mend(path, descriptor)
            _write_whole(descriptor, line)
        fsync_directory(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error


def read(path: Path) -> list[Result]:
    """Read the results of a file, in its order.

    A last line without an end is what a crash, or a writer at work, leaves: unless it is whole it
    is passed over with a warning.

    Parameters
    ----------
    path : pathlib.Path
        A file that :func:`append` wrote.

    Returns
    -------
    list of Result
        Empty lines are passed over.

    Raises
    ------
    StorageError
        If the file cannot be read.
    DataIntegrityError
        If a line is no result; names the file and the line.
    """
    *lines, last = _bytes(path).split(b"\n")
    found = [_parsed(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not last.strip():
        return found
    if _is_whole(last):
        return [*found, decode(last)]
    _LOG.warning("%s: line %d is incomplete and passed over", path, len(lines) + 1)
    return found


def read_all(paths: Iterable[Path]) -> list[Result]:
    """Read several files; a line that stands in two of them counts once.

    Raises
    ------
    StorageError, DataIntegrityError
        As :func:`read`.
    """
    unique = {msgspec.json.encode(result): result for path in paths for result in read(path)}
    return list(unique.values())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}; name a results file that is there",
            path=str(path),
        ) from error


def _parsed(path: Path, number: int, line: bytes) -> Result:
    try:
        result = decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _bad_line(path, number, one_line(str(error))) from error
    if result.schema != SCHEMA:
        raise _bad_line(path, number, f"schema {result.schema}, this galaxyds reads {SCHEMA}")
    return result


def _bad_line(path: Path, number: int, got: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path}, line {number}: no result ({got}); take that line out or restore the file",
        file=str(path),
        line=number,
        expected=f"a result of schema {SCHEMA}",
        got=got,
    )


def _is_whole(line: bytes) -> bool:
    try:
        return decode(line).schema == SCHEMA
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StorageError(
            f"another process keeps {lock} for {_LOCK_SECONDS:.0f} s: end it, then try again",
            path=str(path),
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _mend(path: Path, descriptor: int) -> None:
    """End a whole last line that lacks its end; set an incomplete one aside."""
    torn = _tail(descriptor)
    if not torn:
        return
    if _is_whole(torn):
        _write_whole(descriptor, b"\n")
        return
    aside = path.with_name(f"{path.name}.torn")
    with _opened(aside) as other:
        _write_whole(other, torn + b"\n")
    os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(torn))
    _LOG.warning("%s ended in an incomplete line (a crash?): moved to %s", path, aside.name)


def _tail(descriptor: int) -> bytes:
    """Bytes behind the last end of line, read backwards in pieces."""
    end, tail = os.fstat(descriptor).st_size, b""
    while end > 0 and b"\n" not in tail:
        start = max(0, end - (1 << 16))
        os.lseek(descriptor, start, os.SEEK_SET)
        tail = os.read(descriptor, end - start) + tail
        end = start
    return tail.rpartition(b"\n")[2]


def _write_whole(descriptor: int, data: bytes) -> None:
    """Write and sync; what a full disk cuts short is taken back."""
    size = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
