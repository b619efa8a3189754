"""Changes of the configuration file, line by line, so that other lines and comments stay."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from galaxyds.errors import StorageError, UsageError
from galaxyds.settings import read_config
from galaxyds.store.files import publishing
from galaxyds.store.locks import lacks_locks

_TABLE = re.compile(r"\s*\[")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""A line with its end: a text in TOML may hold what str.splitlines takes for an end."""
_PATIENCE = 10.0
"""Seconds that another change of the file is waited for."""


def edit(path: Path, key: str, value: str | None) -> None:
    """Set or remove a key of the configuration file, all or nothing.

    Parameters
    ----------
    path : pathlib.Path
        The file; it is made if it is missing.
    key : str
        Of the top level.
    value : str or None
        None removes it.

    Raises
    ------
    UsageError
        If the file is no TOML, lacks the key to remove, or is written in a way not understood.
    StorageError
        If it cannot be written.
    """
    target = path.resolve()  # a link to the file stays a link
    with _alone(path, target):
        _edit(path, target, key, value)


def _edit(path: Path, target: Path, key: str, value: str | None) -> None:
    before = read_config(path)
    if value is None and key not in before:
        raise UsageError(f"{key} does not stand in {path}: nothing to take out; galaxyds config "
                         "says where its value comes from")  # fmt: skip
    after = {k: v for k, v in before.items() if k != key}
    if value is not None:
        after[key] = value
    text = path.read_bytes().decode("utf-8") if path.is_file() else ""
    edited = edited_text(text, key, value)
    if _parsed(edited) != after:  # for example a value of several lines
        raise UsageError(f"{path} is written in a way that cannot be edited here: change {key} in "
                         "it by hand")  # fmt: skip
    _write(path, target, edited)


def edited_text(text: str, key: str, value: str | None) -> str:
    """Set or remove a key of the top level of a TOML text, leaving all other lines alone.

    Parameters
    ----------
    text : str
        The file.
    key : str
        Bare key.
    value : str or None
        None removes the key's line.

    Returns
    -------
    str
        The new text; a comment behind the old value is kept.
    """
    lines = _LINE.findall(text)
    end = next((n for n, line in enumerate(lines) if _TABLE.match(line)), len(lines))
    own = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    there = next((n for n in range(end) if own.match(lines[n])), None)
    if value is None:
        return "".join(line for n, line in enumerate(lines) if n != there)
    stop = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    if there is not None:
        comment = _comment(lines[there])
        lines[there] = f"{line}{'  ' if comment else ''}{comment}{stop}"
    else:
        place = _place(lines, end)
        if place and not lines[place - 1].endswith("\n"):
            lines[place - 1] += stop
        lines.insert(place, f"{line}{stop}")
    return "".join(lines)


def _place(lines: list[str], end: int) -> int:
    """Where a new key goes: before the first table, its comment and the blank lines above that."""
    if end == len(lines):
        return end
    while end and lines[end - 1].lstrip().startswith("#"):
        end -= 1
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def _comment(line: str) -> str:
    """The comment at the end of a line with a key: its first # that is not in the value."""
    for place in (n for n, sign in enumerate(line) if sign == "#"):
        if _parsed(line[:place]) is not None:
            return line[place:].rstrip()
    return ""


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


@contextmanager
def _alone(path: Path, target: Path) -> Iterator[None]:
    """Let one process after the other read, change and write the file."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=_PATIENCE)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StorageError(f"another process is changing {path}: try again", path=str(path),
                           advice="try again") from None  # fmt: skip
    except (OSError, NotImplementedError) as error:
        if not lacks_locks(error):
            raise _unwritable(path, getattr(error, "strerror", None)) from error
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, target: Path, text: str) -> None:
    # What its owner made read-only would be replaced all the same, by a rename.
    if target.exists() and not (target.stat().st_mode & 0o222 and os.access(target, os.W_OK)):
        raise _unwritable(path, "it is read-only")
    try:
        with publishing(target) as temporary:
            temporary.write_bytes(text.encode())
            if target.exists():
                shutil.copymode(target, temporary)
    except StorageError as error:
        raise _unwritable(path, getattr(error.__cause__, "strerror", None)) from error


def _unwritable(path: Path, cause: str | None) -> StorageError:
    advice = "correct its permissions, or name another file in GALAXYDS_CONFIG"
    return StorageError(
        f"cannot write {path} ({cause or 'unknown cause'}): {advice}", path=str(path), advice=advice
    )
