"""What the services of published files share: names, unfinished transfers, room on the disk."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from galaxyds.archives.base import RemoteFile
from galaxyds.errors import StorageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_NAME = 120


def is_plain_name(name: str) -> bool:
    """Whether a name that a service states can be a file's name here, and nothing else."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def part_bytes(target: Path) -> int:
    """Bytes of the unfinished transfer of ``target``."""
    part = target.with_name(f"{target.name}.part")
    return part.stat().st_size if part.exists() else 0


def require_transfer_space(
    target: Path, file: RemoteFile, *, advice: str = "free some space or choose another --root"
) -> None:
    """Refuse to begin a transfer that will not fit, less what is there of it.

    Parameters
    ----------
    target : pathlib.Path
        Where the file will be; its folder need not exist.
    file : RemoteFile
        With its size.
    advice : str
        What to do if it does not fit.

    Raises
    ------
    StorageError
        If the disk has less room than is missing of the file.
    """
    folder = target.parent.absolute()
    while not folder.exists():
        folder = folder.parent
    needed = file.bytes - part_bytes(target)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{file.name} needs {needed / 1e9:.2f} GB in {target.parent}, {free / 1e9:.2f} GB are "
            f"free: {advice}",
            path=str(target),
            needed=needed,
            free=free,
        )
