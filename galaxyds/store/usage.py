"""What lies in a data home: builds, what builds in progress left, temporary names; and its removal.

A finished build needs its own folder only.  The working folder of a build that is there holds the
record by which the same command knows that everything is done; that of any other build is the
leftover of an interrupted one.  What a running build holds by its lock is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from galaxyds.errors import DatasetNotFoundError, GalaxydsError, StorageError, did_you_mean
from galaxyds.refs import DatasetRef, to_kebab, to_snake
from galaxyds.specs import get_spec
from galaxyds.store.files import is_temporary, temporary_name
from galaxyds.store.layout import MANIFEST, WORK, label_options, list_builds

Kind = Literal["build", "record", "running", "leftover", "temporary", "archive"]
_TEMPORARY = re.compile(r"\..+\.(?P<process>\d+)-[0-9a-f]+\.tmp")
_HOUR = 3600.0
_ARCHIVES = {
    "sfd": "dust maps",
    "cadc": "what was learnt about CADC's files",
    "cfhtls": "photometry of CFHTLS-Wide",
    "hsc-deep": "mosaics for hsc-deep",
}
"""Folders of the user's cache that archives fill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something that takes space.

    Attributes
    ----------
    kind : str
        ``build``; ``record`` of a build that is there; ``running``: work of a build in progress;
        ``leftover`` of an interrupted one; ``temporary`` name of a process; ``archive``: what an
        archive sent, kept for the next build.
    path : pathlib.Path
        Where it is.
    of : str
        The build it belongs to (``name/config:version``), or what it is.
    bytes : int
        Its size; links are not followed.
    changed : float
        When something in it was written last, in seconds since the epoch.
    removable : bool
        Whether no finished build and no running process needs it.
    note : str
        Why it is there, or why it stays; empty where the kind says so.
    resume : str
        Command that takes an interrupted build up again.
    work : pathlib.Path or None
        Working folder whose lock must be free.
    """

    kind: Kind
    path: Path
    of: str
    bytes: int
    changed: float
    removable: bool
    note: str = ""
    resume: str = ""
    work: Path | None = None


def survey(home: Path, *, without: Collection[Path] = ()) -> Iterator[Item]:
    """Yield what lies in a data home.

    Parameters
    ----------
    home : pathlib.Path
        It need not exist.
    without : collection of pathlib.Path
        Builds that are about to be removed: what only they need counts as left over.

    Yields
    ------
    Item
        Builds, then working folders, then temporary names.
    """
    for build in list_builds(home):
        manifest = build.manifest
        yield _item("build", build.path, build.address, removable=build.path in without,
                    work=_work(home, manifest.name, manifest.config, manifest.version))  # fmt: skip
    for work in sorted((home / WORK).glob("*/*/*")):
        if work.is_dir() and not is_temporary(work):
            yield from _in_work(home, work, without)
    for pattern in (".*.tmp", "*/.*.tmp", "*/*/.*.tmp", f"{WORK}/*/*/.*.tmp"):
        for path in sorted(home.glob(pattern)):
            if is_temporary(path):
                yield _temporary(path)


def survey_archives() -> Iterator[Item]:
    """Yield what archives sent and the user's cache keeps; builds fetch it again when needed."""
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("galaxyds"))
    for folder, what in _ARCHIVES.items():
        if (cache / folder).is_dir():
            yield _item("archive", cache / folder, what, note="fetched again if needed")


def named_builds(home: Path, ref: DatasetRef) -> tuple[Path, ...]:
    """Find every build that an address means: without config or version, those of all.

    Raises
    ------
    DatasetNotFoundError
        If there is none.
    """
    found = tuple(
        build.path
        for build in list_builds(home)
        if build.manifest.name == ref.name
        and ref.config in (None, build.manifest.config)
        and ref.version in (None, build.manifest.version)
    )
    if not found:
        hint = did_you_mean(ref.name, {build.manifest.name for build in list_builds(home)})
        hint = "" if hint.startswith(f"did you mean {ref.name}?") else hint
        raise DatasetNotFoundError(
            f"{ref} is not built in {home}, nothing is removed: {hint}galaxyds cache shows what is "
            "there",
            name=ref.name,
        )
    return found


def remove(item: Item) -> bool:
    """Remove an item, unless a build that is running holds it.

    Returns
    -------
    bool
        Whether it is gone.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    if not item.removable:
        return False
    with held(item.work) as mine:
        if not mine:
            return False
        try:
            _away(item.path)
        except OSError as error:
            raise StorageError(f"cannot remove {item.path} ({error.strerror}): correct its "
                               "permissions", path=str(item.path)) from error  # fmt: skip
    for parent in list(item.path.parents)[: 2 if item.kind == "build" else 3]:
        with suppress(OSError):  # not empty: others lie there
            if item.kind in ("build", "leftover"):
                parent.rmdir()
    return True


@contextmanager
def held(work: Path | None) -> Iterator[bool]:
    """Hold all locks of a working folder.

    Parameters
    ----------
    work : pathlib.Path or None
        The folder; None, or one without locks, is nobody's.

    Yields
    ------
    bool
        False if another process holds one of them, or they cannot be taken here.
    """
    from filelock import FileLock, Timeout

    with ExitStack() as stack:
        free = True
        for path in _locks(work):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):
                free = False
                break
            stack.callback(lock.release)
        yield free


def _locks(work: Path | None) -> list[Path]:
    if work is None or not work.is_dir():
        return []
    return sorted(p for p in work.iterdir() if p.name == "lock" or p.suffix == ".lock")


def _in_work(home: Path, work: Path, without: Collection[Path]) -> Iterator[Item]:
    name, config, version = work.parts[-3:]
    of = f"{to_kebab(name)}/{config}:{version}"
    with held(work) as free:
        if not free:
            yield _item("running", work, of, note="a process is at work", work=work)
            return
    builds = [home / name / one / version for one in _served(work)]
    if not any(_is_published(build, without) for build in builds):
        if set(builds) & set(without):
            yield _item("leftover", work, of, removable=True, note="of this build", work=work)
        else:
            resume = f"galaxyds build {to_kebab(name)}/{config}{label_options(version)}"
            yield _item("leftover", work, of, removable=True, work=work, resume=resume,
                        note="interrupted, or failed")  # fmt: skip
        return
    unfinished = [p for p in sorted(work.iterdir()) if p.is_dir() and _is_unfinished(p)]
    yield _item("record", work, of, note="needed by its build", work=work,
                apart=unfinished)  # fmt: skip
    for path in unfinished:
        yield _item("leftover", path, of, removable=True, work=work,
                    note="of an interrupted rerun")  # fmt: skip


def _is_published(path: Path, without: Collection[Path]) -> bool:
    return path not in without and (path / MANIFEST).is_file()


def _is_unfinished(path: Path) -> bool:
    return path.suffix in (".partial", ".trash") or path.name.startswith("download.")


def _served(work: Path) -> list[str]:
    """Configs that a working folder makes: its own, and those cropped from the same download."""
    name, config, _ = work.parts[-3:]
    if (work / "fetch").exists() or (work / "fetch.partial").exists():
        return [config]  # published files are each config's own
    try:
        return [one.name for one in get_spec(name).family(config)]
    except GalaxydsError:  # a dataset of another version, or of a package that is gone
        return [config]


def _work(home: Path, name: str, config: str, version: str) -> Path:
    own = home / WORK / to_snake(name) / config / version
    if own.is_dir():
        return own
    try:
        first = get_spec(name).family(config)[0].name
    except GalaxydsError:
        return own
    return home / WORK / to_snake(name) / first / version


def _temporary(path: Path) -> Item:
    """A temporary name; it stays while its process may live, here or where the folder is shared."""
    match = _TEMPORARY.fullmatch(path.name)
    item = _item("temporary", path, path.name, removable=True)
    alive = match is not None and _is_alive(int(match["process"]))
    patience = 24 * _HOUR if alive else _HOUR  # a number is given to another process in the end
    if time.time() - item.changed >= patience:
        return item
    why = "its process is running" if alive else "written within the hour"
    return _item("temporary", path, path.name, note=why)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _item(
    kind: Kind,
    path: Path,
    of: str,
    *,
    removable: bool = False,
    note: str = "",
    resume: str = "",
    work: Path | None = None,
    apart: Collection[Path] = (),
) -> Item:
    sizes = _sizes(path, apart)
    return Item(
        kind=kind, path=path, of=of, removable=removable, note=note, resume=resume, work=work,
        bytes=sum(size for size, _ in sizes), changed=max((t for _, t in sizes), default=0.0),
    )  # fmt: skip


def _sizes(path: Path, apart: Collection[Path]) -> list[tuple[int, float]]:
    """Size and time of every file and folder; what vanishes meanwhile does not count."""
    found = []
    places = [path]
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if Path(folder, name) not in apart]
        places += [Path(folder, name) for name in (*folders, *files)]
    for place in places:
        with suppress(OSError):
            told = place.lstat()
            found.append((0 if place.is_dir() else told.st_size, told.st_mtime))
    return found


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
