"""Where a fetch keeps what it has, so that it can be interrupted, and repeated, at any moment.

One process fetches a build, the others wait for it: a lock says whose turn it is.  On file systems
where locks do nothing the result is right all the same, since every process works in a folder of
its own name and the last step, a rename, lets one of them win.  A folder that was left behind is
taken over, again by a rename.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from galaxyds.errors import storage_error

_log = logging.getLogger(__name__)
_PREFIX = "download"
_PATIENCE = 3600.0
"""Seconds without a change after which the folder of a living process is taken for left behind."""


@contextmanager
def only_one(work: Path) -> Iterator[None]:
    """Let one process after the other into the block.

    Parameters
    ----------
    work : pathlib.Path
        Working folder of the build; made if it is missing.

    Raises
    ------
    StorageError
        If the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / f"{_PREFIX}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.warning("another process fetches to %s: waiting for it", work)
            lock.acquire()
    except OSError as error:
        raise storage_error(error, work) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def staging(work: Path) -> Iterator[Path]:
    """Give a fetch a folder of its own, with what an interrupted one has left.

    Parameters
    ----------
    work : pathlib.Path
        Working folder of the build.

    Yields
    ------
    pathlib.Path
        Removed if the block succeeds, else left for the next fetch.

    Raises
    ------
    StorageError
        If it cannot be made, or the block meets another ``OSError``.
    """
    mine = work / f"{_PREFIX}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        _take_over(work, mine)
        mine.mkdir(exist_ok=True)
        try:
            yield mine
        except BaseException:
            with suppress(OSError):  # what went wrong is told by the error
                mine.rename(work / f"{_PREFIX}.{secrets.token_hex(4)}")
            raise
        shutil.rmtree(mine, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, work) from error


def _take_over(work: Path, mine: Path) -> None:
    """Rename the newest folder that nobody works in; remove the others."""
    left = [path for path in work.glob(f"{_PREFIX}.*") if path.is_dir() and _is_left(path)]
    for path in sorted(left, key=_changed, reverse=True):
        if mine.exists():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError):  # somebody else was faster
            path.rename(mine)


def _is_left(path: Path) -> bool:
    parts = path.name.split(".")
    if len(parts) == 2:
        return True
    _, host, process, _ = parts if len(parts) == 4 else ("", "", "0", "")
    gone = host == _host() and not (process.isdigit() and _is_alive(int(process)))
    return gone or time.time() - _changed(path) > _PATIENCE


def _host() -> str:
    return re.sub(r"\W", "-", socket.gethostname())


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where signal 0 is no question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _changed(path: Path) -> float:
    """When something in a folder was written last, in seconds."""
    times = [0.0]
    for place in (path, *path.rglob("*")):
        with suppress(OSError):
            times.append(place.stat().st_mtime)
    return max(times)
