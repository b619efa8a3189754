"""What lies in a data home: builds, what builds in progress left, temporary names.

A finished build needs its own folder only.  The working folder of a build that is there holds the
record by which the same command knows that everything is done; that of any other build is the
leftover of an interrupted one.  What a running build holds by its lock is never touched.  The home
may hold files of others: only what bears the marks of galaxyds counts, and no link is followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from galaxyds.errors import DatasetNotFoundError, GalaxydsError, UsageError, did_you_mean
from galaxyds.refs import DatasetRef, to_kebab, to_snake
from galaxyds.specs import get_spec
from galaxyds.store.files import is_temporary, process_of
from galaxyds.store.layout import MANIFEST, WORK, build_path, label_options, list_builds
from galaxyds.store.processes import is_alive
from galaxyds.store.removal import BUSY, held

Kind = Literal["build", "record", "running", "leftover", "temporary", "archive"]
_HOUR = 3600.0
_MOMENT = 60.0
"""Seconds within which a working folder that holds nothing but its lock has only just begun."""
_LOCKS = frozenset({"lock", "download.lock"})
_ARCHIVES = {
    "sfd": "dust maps",
    "cadc": "what was learnt about CADC's files",
    "cfhtls": "photometry of CFHTLS-Wide",
    "hsc-deep": "answers of HSC's catalogue jobs, for hsc-deep",
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
    for work in _below(home, (WORK, 3)):
        if _is_ours(work):
            yield from _in_work(home, work, without)
    for path in _below(home, ("", 1), ("", 2), ("", 3), (WORK, 3), (WORK, 4)):
        if is_temporary(path):
            yield _temporary(path)


def survey_archives() -> Iterator[Item]:
    """Yield what archives sent and the user's cache keeps; builds fetch it again when needed."""
    import platformdirs

    cache = Path(platformdirs.user_cache_dir("galaxyds"))
    for folder, what in _ARCHIVES.items():
        if (cache / folder).is_dir():
            yield _item("archive", cache / folder, what, note="fetched again if needed",
                        work=cache / folder)  # fmt: skip


def named_builds(home: Path, ref: DatasetRef) -> tuple[Path, ...]:
    """Find every build that an address means: without config or version, those of all.

    A copy that lies elsewhere, or behind a link, is not meant.

    Raises
    ------
    DatasetNotFoundError
        If there is none.
    """
    builds = list(list_builds(home))
    meant = [
        build
        for build in builds
        if build.manifest.name == ref.name
        and ref.config in (None, build.manifest.config)
        and ref.version in (None, build.manifest.version)
    ]
    own = {
        build_path(home, one.manifest.name, one.manifest.config, one.manifest.version)
        for one in meant
    }
    found = tuple(one.path for one in meant if one.path in own and not _is_linked(home, one.path))
    if not found and meant:
        raise DatasetNotFoundError(
            f"{meant[0].path} is a copy of {ref}, or lies behind a link, nothing is removed: "
            "remove it by hand",
            name=ref.name,
        )
    if not found:
        hint = did_you_mean(ref.name, {build.manifest.name for build in builds} - {ref.name})
        raise DatasetNotFoundError(
            f"{ref} is not built in {home}, nothing is removed: {hint}galaxyds cache shows what is "
            "there",
            name=ref.name,
        )
    return found


def _is_linked(home: Path, path: Path) -> bool:
    """Whether a link stands between a data home and a path in it, or the path is one."""
    inside = (place for place in (path, *path.parents) if home in place.parents)
    return any(place.is_symlink() for place in inside)


def _below(home: Path, *places: tuple[str, int]) -> Iterator[Path]:
    """What lies so many levels below folders of a data home; links are passed over."""
    for name, levels in places:
        if not name or not (home / name).is_symlink():
            yield from _deep(home / name, levels)


def _deep(folder: Path, levels: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not e.is_symlink()), key=lambda e: e.name)
    except OSError:  # vanished meanwhile, or none of our business
        return
    for entry in entries:
        if levels == 1:
            yield Path(entry.path)
        elif entry.is_dir():
            yield from _deep(Path(entry.path), levels - 1)


def _is_ours(work: Path) -> bool:
    """Whether a folder is one in which galaxyds builds or fetches, by its name and its marks."""
    name, config, version = work.parts[-3:]
    try:
        DatasetRef.parse(f"{name}/{config}:{version}")
    except UsageError:
        return False
    stages = (path / "inputs.json" for path in _deep(work, 1))
    files = (*(work / mark for mark in (*_LOCKS, "build.log")), *stages)
    return any(file.is_file() and not file.is_symlink() for file in files)


def _in_work(home: Path, work: Path, without: Collection[Path]) -> Iterator[Item]:
    with held(work) as kept:
        pass  # only asked: a build that begins in this moment waits for the next
    if kept == BUSY:
        yield _item("running", work, _address(work), note="a process is at work", work=work)
        return
    for item in _idle(home, work, without):
        if item.removable and (why := kept or _just_begun(item)):
            yield replace(item, removable=False, note=why)
        else:
            yield item


def _idle(home: Path, work: Path, without: Collection[Path]) -> Iterator[Item]:
    """What a working folder is in which nobody works."""
    of, (name, config, version) = _address(work), work.parts[-3:]
    builds = [home / name / one / version for one in _served(work)]
    if not any(_is_published(build, without) for build in builds):
        if set(builds) & set(without):
            yield _item("leftover", work, of, removable=True, note="of this build", work=work)
        else:
            resume = f"galaxyds build {to_kebab(name)}/{config}{label_options(version)}"
            yield _item("leftover", work, of, removable=True, work=work, resume=resume,
                        note="interrupted, or failed")  # fmt: skip
        return
    unfinished = [p for p in _deep(work, 1) if p.is_dir() and _is_unfinished(p)]
    yield _item("record", work, of, note="needed by its build", work=work,
                apart=unfinished)  # fmt: skip
    for path in unfinished:
        yield _item("leftover", path, of, removable=True, work=work,
                    note="of an interrupted rerun")  # fmt: skip


def _address(work: Path) -> str:
    name, config, version = work.parts[-3:]
    return f"{to_kebab(name)}/{config}:{version}"


def _just_begun(item: Item) -> str:
    """Why a working folder stays whose build may be about to take its lock; empty for others."""
    if item.path != item.work or time.time() - item.changed >= _MOMENT:
        return ""
    only_lock = all(path.name in _LOCKS for path in _deep(item.path, 1))
    return "begun within the minute" if only_lock else ""


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
    process = process_of(path)
    item = _item("temporary", path, path.name, removable=True)
    alive = process is not None and is_alive(process)
    patience = 24 * _HOUR if alive else _HOUR  # a number is given to another process in the end
    if time.time() - item.changed >= patience:
        return item
    why = "its process is running" if alive else "written within the hour"
    return _item("temporary", path, path.name, note=why)


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
