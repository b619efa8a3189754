"""Publishing files and folders so that a reader sees all of them or nothing.

The order is always: write under a temporary name, fsync the file, rename it into place, fsync the
folder.  Published bytes are never written again: who mapped a file keeps what was mapped, because
a replacement is another inode.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from galaxyds.errors import StorageError, storage_error

_CHUNK = 1 << 20
_TEMPORARY = re.compile(r"\..+\.(?P<process>\d+)-[0-9a-f]{8}\.tmp")
"""What :func:`temporary_name` makes."""


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside ``path`` that no other process picks.

    Locks are no-ops on some file systems; unique names need none.
    """
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether the name is one of :func:`temporary_name`, perhaps left by a killed process."""
    return _TEMPORARY.fullmatch(path.name) is not None


def process_of(path: Path) -> int | None:
    """Number of the process that took a temporary name; None for any other name."""
    match = _TEMPORARY.fullmatch(path.name)
    return int(match["process"]) if match else None


def fsync_file(path: Path) -> None:
    """Force the bytes of a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_directory(path: Path) -> None:
    """Force the names in a folder to the disk (a no-op where folders cannot be opened)."""
    if os.name == "nt":
        return
    fsync_file(path)


@contextmanager
def publishing(path: Path, *, option: str = "--root") -> Iterator[Path]:
    """Write a file under a temporary name; rename it into place if the block succeeds.

    Parameters
    ----------
    path : pathlib.Path
        Final name; its folder is made if it is missing.
    option : str
        The option that names another place, for the message.

    Yields
    ------
    pathlib.Path
        The temporary name, for the block to create.

    Raises
    ------
    StorageError
        If the disk is full, permission is missing or the block meets another ``OSError``.
    """
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        fsync_file(temporary)
        temporary.replace(path)
        fsync_directory(path.parent)
    except OSError as error:
        raise storage_error(error, path, option=option) from error
    finally:
        with suppress(OSError):  # what went wrong is told by the error above
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes, *, option: str = "--root") -> None:
    """Write ``data`` to ``path``, all or nothing; ``option`` as for :func:`publishing`.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with publishing(path, option=option) as temporary:
        temporary.write_bytes(data)


@contextmanager
def publishing_directory(
    path: Path, *, replace: bool = False, option: str = "--root"
) -> Iterator[Path]:
    """Fill a folder under a temporary name; rename it into place if the block succeeds.

    Parameters
    ----------
    path : pathlib.Path
        Final name.
    replace : bool
        Put the new folder in the place of an existing one.  The old files are unlinked, never
        written to, so readers that mapped them keep their bytes.
    option : str
        The option that names another place, for the message.

    Yields
    ------
    pathlib.Path
        An empty folder, for the block to fill.

    Raises
    ------
    StorageError
        If ``path`` exists and may not be replaced, or something cannot be written.
    """
    _refuse_existing(path, replace, option)
    temporary = temporary_name(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        fsync_tree(temporary)
        move_into_place(temporary, path, replace=replace)
    except OSError as error:
        raise storage_error(error, path, option=option) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fsync_tree(directory: Path) -> None:
    """Force every file of a folder to the disk, then every folder, the innermost first."""
    for parent, _, names in os.walk(directory, topdown=False):
        for name in sorted(names):
            fsync_file(Path(parent, name))
        fsync_directory(Path(parent))


def _refuse_existing(path: Path, replace: bool, option: str) -> None:
    if path.exists() and not replace:
        raise StorageError(
            f"{path} exists and published files are not written again: choose another {option} or "
            "remove that folder",
            path=str(path),
        )


def move_into_place(temporary: Path, path: Path, *, replace: bool) -> None:
    """Rename a finished folder; of several that finish at once the rename lets one win (ENOTEMPTY).

    Parameters
    ----------
    temporary, path : pathlib.Path
        The folder, its bytes on disk, and its final name.
    replace : bool
        Put it in the place of an existing folder, whose files are unlinked, never written to.
    """
    if not (replace and path.exists()):
        temporary.rename(path)
        fsync_directory(path.parent)
        return
    old = temporary_name(path)
    path.rename(old)
    temporary.rename(path)
    fsync_directory(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in pieces of 1 MiB.

    Raises
    ------
    StorageError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}", path=str(path)
        ) from error
    return digest.hexdigest()


def require_space(directory: Path, needed: int, *, what: str, option: str = "--root") -> None:
    """Refuse to begin what will not fit.

    Parameters
    ----------
    directory : pathlib.Path
        Where it will be written; it need not exist yet.
    needed : int
        Bytes.
    what : str
        In the user's words, for the message.
    option : str
        The option that names another folder.

    Raises
    ------
    StorageError
        If fewer than ``needed`` bytes are free.
    """
    existing = directory
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise StorageError(
            f"{what} needs {needed / 1e9:.2f} GB in {directory}, {free / 1e9:.2f} GB are free: "
            f"free some space or choose another {option}",
            path=str(directory),
            needed=needed,
            free=free,
        )
