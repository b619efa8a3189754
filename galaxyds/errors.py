"""Every error that galaxyds raises on purpose, and the exit code a shell sees.

::

    GalaxydsError                 1
    ├── UsageError                2   the call or the command line asks for something impossible
    │   └── MissingExtraError     2   an optional package is needed; the message names the extra
    ├── DatasetNotFoundError      3   no such dataset, or it is not built; quotes the build command
    ├── CredentialsError          4   where to register and what to set
    ├── ArchiveError              5   an archive refused, failed or answered nonsense
    │   └── NotInArchiveError     5   the archive says that it has no such file (404)
    ├── DataIntegrityError        6   bytes are not what they should be: file, expected, got, cause
    ├── ResumeConflictError       7   a workspace was begun with other inputs
    └── StorageError              8   disk full, permissions, a path that cannot be written

Which one when: blame the caller (2, 3, 4), the other side (5), the bytes (6), the earlier run (7)
or the machine (8).  A message is one line that names the thing, the cause and the next step; the
values it was made from stay on the exception as attributes.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_FULL = 64 << 20
"""Free bytes below which a write that failed without a reason is put down to the disk."""


def one_line(text: str, limit: int = 300) -> str:
    """Make foreign text safe to show: control characters become a space, long text is cut.

    Parameters
    ----------
    text : str
        Words of a server or a file.
    limit : int
        Longest result, in characters.

    Returns
    -------
    str
        One line without control characters.
    """
    flat = " ".join(_CONTROL.sub(" ", text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Offer the known word that is nearest to a misspelled one.

    Parameters
    ----------
    word : str
        What was written.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    str
        ``did you mean sdss-qso?`` with a space behind it; empty if nothing is near.
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""


class GalaxydsError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message : str
        One line: the thing, the cause, the next step.
    **values
        What the message was made from; each becomes an attribute.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message)
        self.message = message
        self.values = values
        for name, value in values.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process pools: rebuild them with their values.
        return _rebuild, (type(self), self.message, self.values)


def _rebuild(kind: type[GalaxydsError], message: str, values: dict[str, Any]) -> GalaxydsError:
    return kind(message, **values)


class UsageError(GalaxydsError):
    """The call asks for something that cannot be: an unknown band, a bad reference."""

    exit_code = 2


class MissingExtraError(UsageError):
    """An optional package is not installed."""


class DatasetNotFoundError(GalaxydsError):
    """No such dataset, or no build of it on this machine."""

    exit_code = 3


class CredentialsError(GalaxydsError):
    """An archive wants an account, or refused the one that was given."""

    exit_code = 4


class ArchiveError(GalaxydsError):
    """An archive failed: carries ``service``, ``url``, ``status`` and the server's ``answer``."""

    exit_code = 5


class NotInArchiveError(ArchiveError):
    """The archive answers that it does not hold the file (HTTP 404 or 410)."""


class DataIntegrityError(GalaxydsError):
    """Bytes are not what they should be: carries ``file``, ``expected``, ``got``."""

    exit_code = 6


class ResumeConflictError(GalaxydsError):
    """A workspace was begun with other inputs: carries ``differences``."""

    exit_code = 7


class StorageError(GalaxydsError):
    """The machine cannot store: disk full, no permission."""

    exit_code = 8


def storage_error(error: OSError, path: object, *, option: str = "--root") -> StorageError:
    """Turn an :class:`OSError` met while writing into the line a user can act on.

    Parameters
    ----------
    error : OSError
        What the operating system said.
    path : path-like
        The file or folder that was being written.
    option : str
        The option that names another place.

    Returns
    -------
    StorageError
        Ready to be raised ``from error``; the next step stands in ``advice``.
    """
    elsewhere = f"choose another {option}{' or set GALAXYDS_HOME' if option == '--root' else ''}"
    # Some writers raise an OSError of their own, without a number: ask the disk.
    if error.errno in _FULL_DISK or (error.errno is None and _free_bytes(path) < _FULL):
        what = f"disk full while writing {path}"
        advice = f"free some space or choose another {option}; run the same command again to resume"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what, advice = f"no permission to write {path}", elsewhere
    elif error.errno == errno.EFBIG:
        what = f"cannot write {path}, a file grew beyond the limit that is set for this shell"
        advice = "raise it (ulimit -f unlimited) and run the same command again to resume"
    elif error.errno == errno.ENOTDIR:
        way = _file_on_the_way(Path(str(path)))
        what, advice = f"cannot write {path}, {way} is a file, not a folder", elsewhere
    else:
        what, advice = f"cannot write {path} ({error.strerror or error})", elsewhere
    return StorageError(f"{what}: {advice}", path=str(path), advice=advice)


def _file_on_the_way(path: Path) -> Path:
    """The outermost part of a path that is there and is no folder."""
    there = (part for part in (*reversed(path.parents), path) if part.is_file())
    return next(there, path.parent)


def _free_bytes(path: object) -> int:
    import shutil

    existing = Path(str(path)).absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def missing_extra(package: str, extra: str, what: str) -> MissingExtraError:
    """Say which extra brings an optional package.

    Parameters
    ----------
    package : str
        The package that could not be imported.
    extra : str
        The extra of galaxyds that installs it.
    what : str
        What needs it, in the user's words.

    Returns
    -------
    MissingExtraError
        Ready to be raised.
    """
    return MissingExtraError(
        f"{what} needs {package}, which is not installed: pip install 'galaxyds[{extra}]'",
        package=package,
        extra=extra,
    )
