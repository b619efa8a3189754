"""Whether the process that a file's name tells of is still there."""

from __future__ import annotations

import os
from pathlib import Path


def is_alive(process: int) -> bool:
    """Whether a process of this machine is running, as far as can be known.

    Parameters
    ----------
    process : int
        Its number.

    Returns
    -------
    bool
        True where the question cannot be asked: it may be alive.  A zombie is not.
    """
    if os.name == "nt":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return _state(process)[:1] not in (["Z"], ["X"])


def signature(process: int) -> str:
    """Name a process by its number and when it began: in containers the same numbers come again."""
    state = _state(process)
    return f"{process}-{state[19]}" if len(state) > 19 else str(process)


def is_alive_as(named: str) -> bool:
    """Whether the process of a :func:`signature` is running; False for what is none."""
    number, _, began = named.partition("-")
    if not number.isdigit() or not is_alive(int(number)):
        return False
    return not began or signature(int(number)) in (named, number)


def _state(process: int) -> list[str]:
    """What Linux tells of a process after its name; nothing elsewhere, or if it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
