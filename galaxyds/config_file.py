"""Changes of the configuration file, line by line, so that other lines and comments stay."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

from galaxyds.errors import StorageError, UsageError
from galaxyds.settings import read_config
from galaxyds.store.files import publishing

_TABLE = re.compile(r"\s*\[")


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
    before = read_config(path)
    if value is None and key not in before:
        raise UsageError(f"{key} does not stand in {path}: nothing to take out; galaxyds config "
                         "says where its value comes from")  # fmt: skip
    after = {k: v for k, v in before.items() if k != key}
    if value is not None:
        after[key] = value
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    edited = edited_text(text, key, value)
    if _parsed(edited) != after:  # for example a value of several lines
        raise UsageError(f"{path} is written in a way that cannot be edited here: change {key} in "
                         "it by hand")  # fmt: skip
    _write(path, edited)


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
    lines = text.splitlines(keepends=True)
    end = next((n for n, line in enumerate(lines) if _TABLE.match(line)), len(lines))
    own = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    there = next((n for n in range(end) if own.match(lines[n])), None)
    if value is None:
        return "".join(line for n, line in enumerate(lines) if n != there)
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    if there is not None:
        comment = _comment(lines[there])
        lines[there] = f"{line}{'  ' if comment else ''}{comment}\n"
    else:
        if end and not lines[end - 1].endswith("\n"):
            lines[end - 1] += "\n"
        lines.insert(end, f"{line}\n")
    return "".join(lines)


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


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link to the file stays a link
    try:
        with publishing(target) as temporary:
            temporary.write_bytes(text.encode())
            if target.exists():
                shutil.copymode(target, temporary)
    except StorageError as error:
        cause = getattr(error.__cause__, "strerror", None) or "unknown cause"
        raise StorageError(
            f"cannot write {path} ({cause}): correct its permissions, or name another file in "
            "GALAXYDS_CONFIG",
            path=str(path),
        ) from error
