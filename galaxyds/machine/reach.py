"""Whether archives can be reached: one short request each, all at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from galaxyds.archives.calls import Policy
from galaxyds.archives.http import Http
from galaxyds.archives.redact import shown_url
from galaxyds.errors import ArchiveError

TIMEOUT = 4.0
"""Seconds to connect, and to wait for a piece of the answer."""
DEADLINE = 10.0
"""Seconds for all of them together."""
UNKNOWN_HOST = "host name not known"
_MOST = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """What came of asking one service.

    Attributes
    ----------
    name, url : str
        The setting that holds the address, and the address as it may be shown.
    is_there : bool
        Whether somebody answered, with any words but a server's own failure.
    told : str
        What came: a status, or why nothing did.
    """

    name: str
    url: str
    is_there: bool
    told: str


def endpoints() -> dict[str, str]:
    """Addresses in use, by the key of their setting; those that are no URL are left out."""
    from galaxyds.machine.configuration import known_settings, problem
    from galaxyds.settings import key_of, resolve

    urls = {}
    for setting in known_settings():
        if setting.variable.endswith("_URL"):
            value = resolve(setting.variable, setting.default).value
            if not problem(setting, value):
                urls[key_of(setting.variable)] = value
    urls["hf_endpoint"] = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return urls


def reach(urls: Mapping[str, str], *, deadline: float = DEADLINE) -> tuple[Reached, ...]:
    """Ask every service once.

    Parameters
    ----------
    urls : mapping of str to str
        Addresses by name.
    deadline : float
        Seconds after which those that have not answered count as silent.

    Returns
    -------
    tuple of Reached
        In the order of ``urls``.
    """
    found: dict[str, Reached] = {}

    def ask(name: str, url: str) -> None:
        found[name] = _ask(name, url)

    # Not a pool: that would wait at the end of the process for a name server that does not answer.
    threads = [
        threading.Thread(target=ask, args=pair, daemon=True, name=f"reach-{pair[0]}")
        for pair in urls.items()
    ]
    end = time.monotonic() + deadline
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    silent = f"no answer in {deadline:.0f} s"
    return tuple(
        found.get(name) or Reached(name=name, url=shown_url(url), is_there=False, told=silent)
        for name, url in urls.items()
    )


def _ask(name: str, url: str) -> Reached:
    http = Http(name, policy=Policy(attempts=1, timeout=(TIMEOUT, TIMEOUT)))
    status: int | None
    try:
        status, reason = http.get(url, max_bytes=_MOST).status, ""
    except ArchiveError as error:  # also for an answer that is long, or asks for an account
        status, reason = error.values.get("status"), str(error.values.get("answer") or error)
    if status is None:
        return Reached(name=name, url=shown_url(url), is_there=False, told=reason)
    return Reached(name=name, url=shown_url(url), is_there=status < 500, told=f"HTTP {status}")
