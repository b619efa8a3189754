"""Where a build keeps what it has finished, so that it can be interrupted at any moment.

A stage works in ``<stage>.partial`` and is renamed to ``<stage>`` when it is complete, beside a
``done.json`` with its inputs and the sha256 of its outputs.  Finished with equal inputs: skipped.
Other inputs: refused, with what differs, where something was made from the old ones that is kept;
a stage that has failed before it had anything to keep takes whatever inputs come next.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyds.errors import (
    DataIntegrityError,
    ResumeConflictError,
    UsageError,
    did_you_mean,
    storage_error,
)
from galaxyds.store.files import (
    fsync_directory,
    fsync_tree,
    is_temporary,
    publish_bytes,
    sha256,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Inputs = Mapping[str, str]
_RECORDS = ("inputs.json", "done.json")
_RELEASED = "released"
_LONGEST_TOLD = 160
"""Characters of an input in a message."""


class Workspace:
    """The working folder of one build.

    Parameters
    ----------
    directory : pathlib.Path
        Need not exist yet.
    stages : sequence of str
        Names in order.
    """

    def __init__(self, directory: Path, stages: Sequence[str]) -> None:
        self.directory = directory
        self.stages = tuple(stages)

    def create(self) -> None:
        """Make the folder if it is missing.

        Raises
        ------
        StorageError
            If it cannot be made.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, self.directory) from error

    def recover(self) -> None:
        """Finish what a kill in the middle of :meth:`release` left half done."""
        for stage in self.stages:
            kept = self.directory / f"{stage}.released"
            if not self.path(stage).exists() and (kept / _RELEASED).exists():
                kept.replace(self.path(stage))
            for leftover in (kept, self.directory / f"{stage}.trash"):
                if leftover.exists():
                    shutil.rmtree(leftover)

    def finished(self) -> frozenset[str]:
        """Names of the stages that are finished, whatever their inputs."""
        return frozenset(s for s in self.stages if (self.path(s) / "done.json").is_file())

    def path(self, stage: str) -> Path:
        """Folder of a finished stage."""
        return self.directory / stage

    def partial(self, stage: str) -> Path:
        """Folder in which a stage works."""
        return self.directory / f"{stage}.partial"

    def is_done(self, stage: str, inputs: Inputs, *, outdated: bool = False) -> bool:
        """Whether a stage is finished with these inputs.

        Parameters
        ----------
        stage : str
            Its name.
        inputs : mapping of str to str
            What decides its outputs now.
        outdated : bool
            Whether an earlier stage has just run again: then other inputs are no conflict, and what
            was made from the old ones is removed.

        Raises
        ------
        ResumeConflictError
            If it is finished with other inputs, or holds part of what was made from others.
        """
        for folder in (self.path(stage), self.partial(stage)):
            record = _read_json(folder / "inputs.json")
            if record is None or record == dict(inputs):
                continue
            begun = folder == self.partial(stage)
            if not outdated and not (begun and _is_empty(folder)):
                raise self._conflict(stage, record, inputs)
            shutil.rmtree(folder)
        done = _read_json(self.path(stage) / "done.json")
        return done is not None

    def outputs(self, stage: str) -> dict[str, str]:
        """Sha256 of the files of a finished stage, by relative name."""
        done = _read_json(self.path(stage) / "done.json")
        return dict(done["outputs"]) if done else {}

    @contextmanager
    def running(self, stage: str, inputs: Inputs, *, keep: bool = False) -> Iterator[Path]:
        """Give a stage its folder, and publish the folder if the block succeeds.

        Parameters
        ----------
        stage : str
            Its name.
        inputs : mapping of str to str
            What decides its outputs.
        keep : bool
            Whether what an interrupted run left is kept (the stage resumes within itself).

        Yields
        ------
        pathlib.Path
            The partial folder.

        Raises
        ------
        StorageError
            If something cannot be written.
        """
        partial = self.partial(stage)
        try:
            if partial.exists() and not keep:
                shutil.rmtree(partial)
            partial.mkdir(exist_ok=True)
            _remove_leftovers(partial)
            if keep:  # only what is kept binds the next run to its inputs
                _write_json(partial / "inputs.json", dict(inputs))
            yield partial
            _write_json(partial / "inputs.json", dict(inputs))
            self._finish(stage, partial)
        except OSError as error:
            raise storage_error(error, partial) from error

    def _finish(self, stage: str, partial: Path) -> None:
        outputs = {
            path.relative_to(partial).as_posix(): sha256(path)
            for path in sorted(partial.rglob("*"))
            if path.is_file() and path.name not in _RECORDS
        }
        _write_json(partial / "done.json", {"stage": stage, "outputs": outputs})
        fsync_tree(partial)
        if self.path(stage).exists():
            shutil.rmtree(self.path(stage))
        partial.replace(self.path(stage))
        fsync_directory(self.directory)

    def restart_from(self, stage: str) -> None:
        """Forget a stage and those behind it; what was begun of them goes too.

        Raises
        ------
        UsageError
            If there is no stage of that name, or one before it is not finished.
        """
        if stage not in self.stages:
            hint = did_you_mean(stage, self.stages)
            raise UsageError(f"there is no stage '{stage}': {hint}one of {', '.join(self.stages)}")
        index = self.stages.index(stage)
        for earlier in self.stages[:index]:
            there = (self.path(earlier) / "done.json").is_file()
            if not there or (self.path(earlier) / _RELEASED).exists():
                raise UsageError(
                    f"cannot start from '{stage}': what '{earlier}' made is not there; "
                    f"use --from {earlier}"
                )
        for name in self.stages[index:]:
            for folder in (self.path(name), self.partial(name)):
                if folder.exists():
                    shutil.rmtree(folder)

    def release(self, stage: str) -> None:
        """Give up a stage's files but keep its record: what was published is not kept twice."""
        folder = self.path(stage)
        kept, trash = self.directory / f"{stage}.released", self.directory / f"{stage}.trash"
        for leftover in (kept, trash):
            if leftover.exists():
                shutil.rmtree(leftover)
        kept.mkdir()
        for name in _RECORDS:
            shutil.copyfile(folder / name, kept / name)
        (kept / _RELEASED).touch()
        fsync_tree(kept)
        folder.replace(trash)
        kept.replace(folder)
        shutil.rmtree(trash)

    def holds_files(self, stage: str) -> bool:
        """Whether a finished stage still has its files."""
        return self.path(stage).is_dir() and not (self.path(stage) / _RELEASED).exists()

    def forget_released(self) -> None:
        """Forget stages whose files were given up, and those behind them: they must run again."""
        for stage in self.stages:
            if (self.path(stage) / _RELEASED).exists():
                self.restart_from(stage)
                return

    def _conflict(self, stage: str, old: Mapping[str, Any], new: Inputs) -> ResumeConflictError:
        differences = {
            key: (str(old.get(key)), str(new.get(key)))
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        }
        told = "; ".join(f"{key}: {_told(*pair)}" for key, pair in differences.items())
        rerun = ", ".join(self.stages[self.stages.index(stage) :])
        return ResumeConflictError(
            f"stage '{stage}' in {self.directory} was begun with other inputs ({told}): "
            f"add --from {stage} to rerun {rerun}, or choose another --root",
            stage=stage,
            differences=differences,
        )


def read_facts(folder: Path) -> dict[str, Any]:
    """Facts that a stage left for the manifest.

    Raises
    ------
    DataIntegrityError
        If they are missing.
    """
    facts = _read_json(folder / "facts.json")
    if facts is None:
        raise DataIntegrityError(
            f"{folder / 'facts.json'} is missing: run the build again with --from {folder.name}",
            file=str(folder / "facts.json"),
        )
    return facts


def write_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Leave facts for the manifest."""
    _write_json(folder / "facts.json", dict(facts))


def _told(was: str, now: str) -> str:
    """Say how two texts differ: of lists their unequal parts, of long ones where they do."""
    old, new = was.split("; "), now.split("; ")
    before = "; ".join(part for part in old if part not in new) or "nothing"
    after = "; ".join(part for part in new if part not in old) or "nothing"
    return f"was {_around(before, after)}, is {_around(after, before)}"


def _around(text: str, other: str) -> str:
    """The part of a long text that differs from another, a few words on either side of it."""
    if len(text) <= _LONGEST_TOLD:
        return text
    first = _same(text, other)
    same = _same(text[first:][::-1], other[first:][::-1])
    start = max(0, first - 20)
    end = min(len(text), max(len(text) - same, first) + 20, start + _LONGEST_TOLD)
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"


def _same(text: str, other: str) -> int:
    """Count the characters with which two texts begin alike."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(text), len(other)))


def _is_empty(folder: Path) -> bool:
    """Whether a stage has left nothing but its inputs; links to files of others are no work."""
    return not any(
        path.is_file() and not path.is_symlink() and not is_temporary(path)
        for path in folder.rglob("*")
        if path.name not in _RECORDS
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataIntegrityError(
            f"{path} cannot be read ({error}): run the build again with "
            f"--from {path.parent.name.removesuffix('.partial')}",
            file=str(path),
        ) from error
    return loaded if isinstance(loaded, dict) else None


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    publish_bytes(path, json.dumps(value, indent=1, sort_keys=True).encode())


def _remove_leftovers(folder: Path) -> None:
    """Files that a killed run was writing."""
    for path in folder.rglob(".*"):
        if is_temporary(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
