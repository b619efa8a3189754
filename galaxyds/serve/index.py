"""What is served: the repositories of a root, read again when builds come or go.

A build is published by a rename and never written to, so that the state of its manifest tells
whether a file that was opened belongs to the manifest that was read.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from galaxyds.errors import DatasetNotFoundError, GalaxydsError
from galaxyds.publish.repository import Repository, RepositoryFile, Snapshot, repositories
from galaxyds.store.layout import MANIFEST

_log = logging.getLogger(__name__)
Stamp = tuple[int, int, int]
_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a named pipe does not hold up the server
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class FileChangedError(Exception):
    """The file is not what its manifest says: gone, of another size, no plain file."""


class StaleIndexError(Exception):
    """The build was replaced or removed after the index was read."""


@dataclass(frozen=True, slots=True)
class State:
    """The index at one moment.

    Attributes
    ----------
    repositories : mapping of str to Repository
        By snake_case name.
    stamps : mapping of pathlib.Path to tuple of int
        Inode, size and time of every manifest that was there.
    """

    repositories: Mapping[str, Repository]
    stamps: Mapping[Path, Stamp]


class Index:
    """The repositories below a root, kept up to date.

    Parameters
    ----------
    home : pathlib.Path
        Root of the builds.
    pause : float
        Seconds between two looks at the manifests.

    Raises
    ------
    DatasetNotFoundError
        If nothing is built there; the message quotes the build command.
    """

    def __init__(self, home: Path, *, pause: float = 1.0) -> None:
        self.home = home
        self._pause = pause
        self._lock = threading.Lock()
        self._state = _read(home, {})
        self._due = time.monotonic() + pause
        if not self._state.repositories:
            raise DatasetNotFoundError(
                f"nothing is built in {home}: run galaxyds build sdss-qso --archive simulated "
                f"--limit 200 --root {home}, or name another folder with --root or GALAXYDS_HOME",
                command="galaxyds build sdss-qso --archive simulated --limit 200",
            )

    @property
    def is_due(self) -> bool:
        """Whether :meth:`refresh` would look at the manifests."""
        return time.monotonic() >= self._due

    @property
    def state(self) -> State:
        """As it was last read."""
        return self._state

    def refresh(self, *, now: bool = False) -> State:
        """Read the manifests again if one came, went or changed; one thread at a time does.

        Parameters
        ----------
        now : bool
            Wait for another thread that is reading, and look even if it is not due.

        Returns
        -------
        State
            The newest that is known.
        """
        if not self._lock.acquire(blocking=now):
            return self._state
        try:
            if (now or self.is_due) and _stamps(self.home) != self._state.stamps:
                self._state = _read(self.home, self._state.repositories)
        except (OSError, GalaxydsError) as error:  # a build went while it was read
            _log.info("the index is read again in a moment: %s", error)
        finally:
            self._due = time.monotonic() + self._pause
            self._lock.release()
        return self._state


def open_file(state: State, snapshot: Snapshot, file: RepositoryFile) -> BinaryIO:
    """Open a file on the disk and make sure that it is the one that the index means.

    Parameters
    ----------
    state : State
        That the file was looked up in.
    snapshot : Snapshot
        The revision it belongs to.
    file : RepositoryFile
        With a path.

    Returns
    -------
    file object
        Unbuffered, of the size that the manifest states.

    Raises
    ------
    StaleIndexError
        If the build is another one by now, or gone: look it up again.
    FileChangedError
        If the file is missing, no plain file, of another size, or lies outside its build.
    OSError
        If this process may open no more files.
    """
    path = file.path
    assert path is not None
    manifest = _manifest_of(snapshot, path)
    try:
        found = _open_plain(path, file.size, manifest.parent)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise  # the file has no part in it
        _refuse_stale(state, manifest)
        cause = getattr(error, "strerror", None) or error
        raise FileChangedError(f"{path} cannot be read ({cause})") from error
    except FileChangedError:
        _refuse_stale(state, manifest)
        raise
    try:
        _refuse_stale(state, manifest)
    except StaleIndexError:
        found.close()
        raise
    return found


def _open_plain(path: Path, size: int, build: Path) -> BinaryIO:
    if not path.parent.resolve().is_relative_to(build.resolve()):
        raise FileChangedError(f"{path} lies outside its build")
    descriptor = os.open(path, _OPEN)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileChangedError(f"{path} is no plain file")
        if status.st_size != size:
            raise FileChangedError(f"{path} has {status.st_size} bytes, its manifest states {size}")
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _manifest_of(snapshot: Snapshot, path: Path) -> Path:
    return next(b.path / MANIFEST for b in snapshot.builds if path.is_relative_to(b.path))


def _refuse_stale(state: State, manifest: Path) -> None:
    if _stamp(manifest) != state.stamps.get(manifest):
        raise StaleIndexError(str(manifest))


def _read(home: Path, earlier: Mapping[str, Repository]) -> State:
    stamps = _stamps(home)  # before the manifests: what changes while they are read is seen later
    return State(repositories(home, earlier=earlier), stamps)


def _stamps(home: Path) -> dict[Path, Stamp]:
    found = ((path, _stamp(path)) for path in home.glob(f"*/*/*/{MANIFEST}"))
    return {path: stamp for path, stamp in found if stamp is not None}


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
