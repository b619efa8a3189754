"""What ``galaxyds doctor`` looks at: packages, the data home, accounts, the GPU, the archives.

Every check is tried, not guessed, and leaves nothing behind.  A row says what was found and, where
something is wrong, the next step; a check that fails itself is a row too.  Nothing but the standard
library is needed until the packages were looked at.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from galaxyds import settings
from galaxyds.errors import GalaxydsError, UsageError, one_line, storage_error
from galaxyds.machine.versions import Package, import_problem, packages, system_versions

State = Literal["ok", "absent", "note", "BROKEN"]
_LITTLE = 2 * 10**9
"""Free bytes below which only the smallest builds fit."""
_LOCK_TAKEN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    area, name : str
        What it belongs to, and what it is.
    state : str
        ``ok``; ``absent``, which is fine until it is needed; ``note``; ``BROKEN``: no build works.
    told : str
        What was found.
    advice : str
        The next step; empty if none is needed.
    code : int
        Exit code of what is broken, as in :mod:`galaxyds.errors`; else 0.
    """

    area: str
    name: str
    state: State
    told: str
    advice: str = ""
    code: int = 0


def examine(root: Path | None = None, *, offline: bool = False) -> Iterator[Check]:
    """Look at everything a build needs.

    Parameters
    ----------
    root : pathlib.Path, optional
        Data home; None means the setting.
    offline : bool
        Leave the network alone.

    Yields
    ------
    Check
        In the order in which they are made; the network comes last.
    """
    checks: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("versions", check_packages),
        ("settings", check_config),
        ("data home", lambda: check_home(root)),
        ("accounts", check_accounts),
        ("hardware", lambda: [check_gpu()]),
    ]
    if not offline:
        checks.append(("archives", check_archives))
    for area, check in checks:
        yield from _guarded(area, check)


def _guarded(area: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """What a check finds; its own failure is a finding like any other."""
    try:
        yield from check()
    except GalaxydsError as error:
        yield _broken(area, "check", error)
    except ImportError as error:
        yield Check(area=area, name="check", state="BROKEN", code=2, told=one_line(str(error), 120),
                    advice="install what is missing or broken above, then look again")  # fmt: skip
    except Exception as error:  # one odd thing must not hide the others
        told = one_line(f"{type(error).__name__}: {error}", 200)
        yield Check(area=area, name="check", state="BROKEN", code=1, told=f"fails with {told}",
                    advice="report it with the output of galaxyds doctor --json")  # fmt: skip


def check_packages() -> Iterator[Check]:
    """Versions; a required package that is missing, broken or too old is broken."""
    for name, version in system_versions().items():
        yield Check(area="versions", name=name, state="ok", told=version)
    yield from map(_package, packages())


def _package(one: Package) -> Check:
    extra = "" if one.is_required else f" (extra {' or '.join(one.extras)})"
    wrong = import_problem(one) if one.version else ""
    if one.version and not one.is_too_old and not wrong:
        return Check(area="versions", name=one.name, state="ok", told=f"{one.version}{extra}")
    state: State = "BROKEN" if one.is_required else "note" if one.version else "absent"
    had = f"{one.version}, older than {one.least}" if one.version else "not installed"
    advice = one.install
    if wrong and not one.is_too_old:
        had = f"{one.version}, but cannot be imported: {wrong}"
        advice = f"pip install --force-reinstall '{one.name}'"
    return Check(area="versions", name=one.name, state=state, told=f"{had}{extra}", advice=advice,
                 code=2 if state == "BROKEN" else 0)  # fmt: skip


def check_config() -> Iterator[Check]:
    """The configuration file, and the values of all settings."""
    from galaxyds.machine.configuration import rows, strangers

    path = settings.config_file()
    try:
        wrong = [row for row in rows() if row.problem]
        unknown = strangers()
    except UsageError as error:
        yield _broken("settings", "config.toml", error)
        return
    told = str(path) if path.is_file() else f"{path} (not there: defaults hold)"
    yield Check(area="settings", name="config.toml", state="ok", told=told)
    for row in wrong:
        way = f"correct {row.variable}, or the key {row.key} in {path}"
        yield Check(area="settings", name=row.key, state="BROKEN", advice=way, code=2,
                    told=f"'{row.value}' from the {row.origin}: {row.problem}")  # fmt: skip
    for line in unknown:
        yield Check(area="settings", name="config.toml", state="note", told=line,
                    advice="correct or remove that key")  # fmt: skip


def check_home(root: Path | None = None) -> Iterator[Check]:
    """The data home: space, and whether files can be written, locked and replaced there."""
    try:
        home = settings.home(root)
    except UsageError as error:
        yield _broken("data home", "folder", error)
        return
    existing = next(p for p in (home, *home.parents) if p.exists())
    if not existing.is_dir():
        yield Check(area="data home", name="folder", state="BROKEN", code=8, told=f"{home}: "
                    f"{existing} is a file, not a folder", advice="name another folder with --root "
                    "or GALAXYDS_HOME")  # fmt: skip
        return
    made = "" if home == existing else f" (not there yet: made by the first build in {existing})"
    yield Check(area="data home", name="folder", state="ok", told=f"{home}{made}")
    yield _space(existing)
    try:
        with tempfile.TemporaryDirectory(prefix=".galaxyds-doctor-", dir=existing) as folder:
            (Path(folder) / "written").write_bytes(b"x")
            yield Check(area="data home", name="writable", state="ok", told="yes")
            yield from (check_locks(Path(folder)), check_rename(Path(folder)))
            yield check_case(Path(folder))
    except OSError as error:
        yield _broken("data home", "writable", storage_error(error, home))


def check_locks(folder: Path) -> Check:
    """Hold a lock, and let another process try to take it."""
    from filelock import FileLock

    lock = folder / "lock"
    alone = "run one build of a dataset at a time there, or name another folder with --root"
    try:
        with FileLock(lock, timeout=0):
            kept_out = _is_kept_out(lock)
    except OSError as error:
        return Check(area="data home", name="file locks", state="BROKEN", code=8,
                     told=error.strerror or str(error),
                     advice=f"mount {folder.parent} with locks, or name another folder with "
                     "--root or GALAXYDS_HOME")  # fmt: skip
    if kept_out:
        return Check(area="data home", name="file locks", state="ok", told="keep a second one out")
    return Check(area="data home", name="file locks", state="note", advice=alone,
                 told="a second process is not kept out")  # fmt: skip


def _is_kept_out(lock: Path) -> bool:
    """Whether another process cannot take a lock.

    Raises
    ------
    OSError
        If it gives no answer.
    """
    process = multiprocessing.get_context("spawn").Process(target=_try_lock, args=(lock,))
    process.start()
    process.join(60)
    process.kill()
    if process.exitcode not in (0, _LOCK_TAKEN):
        raise OSError("a second process gives no answer")
    return process.exitcode == _LOCK_TAKEN


def _try_lock(lock: Path) -> None:
    from filelock import FileLock, Timeout

    try:
        FileLock(lock).acquire(timeout=0)
    except Timeout:
        sys.exit(_LOCK_TAKEN)


def check_rename(folder: Path) -> Check:
    """Put a file in the place of one that is being read: the reader must keep its bytes."""
    old, new = folder / "old", folder / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    with old.open("rb") as reader:
        new.replace(old)
        kept = reader.read() == b"old" and old.read_bytes() == b"new"
    if kept:
        return Check(area="data home", name="replacing", state="ok", told="readers keep their file")
    return Check(area="data home", name="replacing", state="note", told="a reader loses its bytes",
                 advice="stop what reads a build before it is built again")  # fmt: skip


def check_case(folder: Path) -> Check:
    """Whether names that differ in case are different files."""
    (folder / "name").touch()
    if (folder / "NAME").exists():
        told = "upper and lower case are the same; names of builds are in lower case"
    else:
        told = "upper and lower case differ"
    return Check(area="data home", name="names", state="ok", told=told)


def check_accounts() -> Iterator[Check]:
    """Accounts, present or absent; never what they are."""
    from galaxyds.machine.configuration import services

    for service in services():
        found = settings.find_account(service.archive)
        names = {"USER": found.user, "PASSWORD": found.password}
        missing = [settings.account_variable(service.archive, w) for w, v in names.items() if not v]
        told = f"present ({found.origin})" if not missing else f"absent, for {service.what}"
        half = len(missing) == 1
        way = f"set {' and '.join(missing)}; an account is obtained at {service.register}"
        yield Check(area="accounts", name=service.archive,
                    state="note" if half else "absent" if missing else "ok",
                    told=f"{missing[0]} is not set" if half else told,
                    advice=way if missing else "")  # fmt: skip


def check_gpu() -> Check:
    """What torch sees."""
    try:
        import torch
    except ImportError:
        return Check(area="hardware", name="GPU", state="absent", advice="pip install "
                     "'galaxyds[torch]'", told="unknown: torch is not installed")  # fmt: skip
    except Exception as error:  # a broken installation raises what it likes
        return Check(area="hardware", name="GPU", state="note", told=f"torch fails: {error}",
                     advice="install torch again: https://pytorch.org/get-started")  # fmt: skip
    if not torch.cuda.is_available():
        told = "none that torch can use; building needs none, training is slow"
        return Check(area="hardware", name="GPU", state="absent", told=told)
    cards = (torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count()))
    told = ", ".join(f"{card.name} ({card.total_memory / 2**30:.0f} GiB)" for card in cards)
    return Check(area="hardware", name="GPU", state="ok", told=told)


def check_archives() -> Iterator[Check]:
    """Ask every archive once; none of them is needed by the simulated sky."""
    from galaxyds.machine.reach import UNKNOWN_HOST, endpoints, reach

    try:
        answers = reach(endpoints())
    except UsageError:
        return  # the settings cannot be read, which was told
    silent = [answer for answer in answers if not answer.is_there]
    cut_off = len(silent) == len(answers) and {one.told for one in silent} == {UNKNOWN_HOST}
    for answer in answers:
        way = "no network: --preset tiny works without one" if cut_off else (
            f"check the network and the setting {answer.name}, or try again later")  # fmt: skip
        yield Check(area="archives", name=answer.name, state="ok" if answer.is_there else "note",
                    told=f"{answer.told} from {answer.url}" if answer.is_there
                    else f"not reached: {answer.told} ({answer.url})",
                    advice="" if answer.is_there else way)  # fmt: skip


def _space(existing: Path) -> Check:
    free = shutil.disk_usage(existing).free
    told = f"{free / 1e9:.1f} GB"
    if free >= _LITTLE:
        return Check(area="data home", name="free space", state="ok", told=told)
    way = "free some space or name another --root; galaxyds plan NAME says what a build takes"
    return Check(area="data home", name="free space", state="note", told=told, advice=way)


def _broken(area: str, name: str, error: GalaxydsError) -> Check:
    advice = str(error.values.get("advice", ""))
    told = error.message.removesuffix(advice).rstrip(":; ") if advice else error.message
    return Check(
        area=area, name=name, state="BROKEN", told=told, advice=advice, code=error.exit_code
    )
