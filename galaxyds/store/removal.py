"""Removing what lies in a data home, unless a process holds it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.errors import StorageError
from galaxyds.store.files import is_temporary, temporary_name

if TYPE_CHECKING:
    from galaxyds.store.usage import Item

BUSY = "a process is at work there"
_PARENTS = {"build": 2, "leftover": 3}
"""Folders above an item that were made for it; the data home is none of them."""


def remove(item: Item) -> str:
    """Remove an item, unless a build that is running holds it.

    Returns
    -------
    str
        Why it stays; empty if it is gone.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    if not item.removable:
        return item.note or "it is needed"
    with held(item.work) as kept:
        if kept:
            return kept
        try:
            _away(item.path)
        except OSError as error:
            raise StorageError(f"cannot remove {item.path} ({error.strerror}): correct its "
                               "permissions", path=str(item.path)) from error  # fmt: skip
    for parent in list(item.path.parents)[: _PARENTS.get(item.kind, 0)]:
        with suppress(OSError):  # not empty: others lie there
            parent.rmdir()
    return ""


@contextmanager
def held(work: Path | None) -> Iterator[str]:
    """Hold all locks of a working folder.

    Parameters
    ----------
    work : pathlib.Path or None
        The folder; None, or one without locks, is nobody's.

    Yields
    ------
    str
        Empty if they are held, :data:`BUSY` if another process holds one of them, else why they
        cannot be taken here.
    """
    from filelock import FileLock, Timeout

    with ExitStack() as stack:
        kept = ""
        for path in _locks(work):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                kept = BUSY
                break
            except (OSError, NotImplementedError) as error:
                kept = f"its lock cannot be taken ({getattr(error, 'strerror', None) or error})"
                break
            stack.callback(lock.release)
        yield kept


def _locks(work: Path | None) -> list[Path]:
    if work is None or not work.is_dir():
        return []
    return sorted(p for p in work.iterdir() if p.name == "lock" or p.suffix == ".lock")


def _away(path: Path) -> None:
    """Remove a folder or a file; a folder leaves its name first, so that nobody sees half of it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if is_temporary(path):
        shutil.rmtree(path)
        return
    aside = temporary_name(path)
    path.rename(aside)
    shutil.rmtree(aside)
