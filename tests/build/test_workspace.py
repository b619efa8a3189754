from __future__ import annotations

import os
from pathlib import Path

import pytest

from galaxyds.build.workspace import Workspace
from galaxyds.errors import ResumeConflictError, StorageError, UsageError

STAGES = ("query", "cut", "cutouts")


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path / "work", STAGES)
    made.create()
    return made


def run(workspace: Workspace, stage: str, inputs: dict[str, str], text: str = "x") -> None:
    with workspace.running(stage, inputs) as folder:
        (folder / "rows").write_text(text)


def interrupted(workspace: Workspace, stage: str, files: tuple[str, ...]) -> None:
    """Run a stage that writes files and then fails."""

    def fail() -> None:
        with workspace.running(stage, {}, keep=True) as folder:
            for name in files:
                (folder / name).write_text("old")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_finished_with_equal_inputs_is_done(workspace):
    assert not workspace.is_done("query", {"a": "1"})
    run(workspace, "query", {"a": "1"})
    assert workspace.is_done("query", {"a": "1"})
    assert list(workspace.outputs("query")) == ["rows"]


def test_other_inputs_are_refused_key_by_key(workspace):
    run(workspace, "query", {"sql": "SELECT 1", "archive": "SDSS"})
    with pytest.raises(ResumeConflictError) as caught:
        workspace.is_done("query", {"sql": "SELECT 2", "archive": "SDSS"})
    assert caught.value.differences == {"sql": ("SELECT 1", "SELECT 2")}
    assert "--from query to rerun query, cut, cutouts" in str(caught.value)


def test_a_stage_that_fails_is_not_done_and_keeps_what_it_may_resume(workspace):
    interrupted(workspace, "cutouts", ("shard", ".half.123-0123abcd.tmp"))
    assert not workspace.is_done("cutouts", {})
    with workspace.running("cutouts", {}, keep=True) as folder:
        assert (folder / "shard").exists()
        assert not list(folder.glob(".*.tmp"))


def test_without_keep_an_interrupted_stage_begins_afresh(workspace):
    interrupted(workspace, "cut", ("rows",))
    with workspace.running("cut", {}) as folder:
        assert not (folder / "rows").exists()


def test_restart_forgets_the_stage_and_those_behind_it(workspace):
    for stage in STAGES:
        run(workspace, stage, {})
    workspace.restart_from("cut")
    assert workspace.finished() == {"query"}
    with pytest.raises(UsageError, match="use --from cut"):
        workspace.restart_from("cutouts")
    with pytest.raises(UsageError, match="no stage 'nothing'"):
        workspace.restart_from("nothing")


def test_released_stages_stay_done_until_their_files_are_needed(workspace):
    for stage in STAGES:
        run(workspace, stage, {})
    workspace.release("cutouts")
    assert workspace.is_done("cutouts", {})
    assert not workspace.holds_files("cutouts")
    assert not (workspace.path("cutouts") / "rows").exists()
    workspace.forget_released()
    assert workspace.finished() == {"query", "cut"}


@pytest.mark.parametrize("step", [1, 2])
def test_a_kill_in_the_middle_of_a_release_is_mended(workspace, monkeypatch, step):
    """Between the two renames, and before the old files are removed."""
    for stage in STAGES:
        run(workspace, stage, {})
    replace, seen = Path.replace, []

    def dying(self, target):
        seen.append(target)
        if len(seen) == step + 1:
            raise KeyboardInterrupt
        return replace(self, target)

    # The last renames of a release: the stage's folder away, its record into place.
    monkeypatch.setattr("galaxyds.build.workspace.fsync_tree", lambda path: None)
    monkeypatch.setattr(Path, "replace", dying)
    if step == 2:
        monkeypatch.setattr("galaxyds.build.workspace.shutil.rmtree", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        workspace.release("cutouts")
    monkeypatch.undo()
    again = Workspace(workspace.directory, STAGES)
    again.recover()
    assert again.is_done("cutouts", {})
    assert not again.holds_files("cutouts")
    assert sorted(p.name for p in workspace.directory.iterdir()) == sorted(STAGES)


def _interrupted(*_args, **_options) -> None:
    raise KeyboardInterrupt


def test_what_was_made_from_outdated_rows_is_no_conflict(workspace):
    run(workspace, "query", {"sql": "old"})
    run(workspace, "cut", {"output of query": "old"})
    with pytest.raises(ResumeConflictError):
        workspace.is_done("cut", {"output of query": "new"})
    assert not workspace.is_done("cut", {"output of query": "new"}, outdated=True)
    assert not workspace.path("cut").exists()


def begun(workspace: Workspace, inputs: dict[str, str], *, keep: bool, file: str = "") -> None:
    """Run the stage of cutouts and let it fail."""

    def fail() -> None:
        with workspace.running("cutouts", inputs, keep=keep) as folder:
            if file:
                (folder / file).write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


@pytest.mark.parametrize(("keep", "file"), [(False, ""), (False, "rows"), (True, "")])
def test_a_stage_that_failed_with_nothing_to_keep_takes_other_inputs(workspace, keep, file):
    begun(workspace, {"url": "http://dead"}, keep=keep, file=file)
    assert not workspace.is_done("cutouts", {"url": "http://alive"})
    with workspace.running("cutouts", {"url": "http://alive"}, keep=keep) as folder:
        assert not (folder / "rows").exists()
    assert workspace.is_done("cutouts", {"url": "http://alive"})
    with pytest.raises(ResumeConflictError, match="was http://alive, is http://dead"):
        workspace.is_done("cutouts", {"url": "http://dead"})


def test_part_of_what_is_kept_refuses_other_inputs(workspace):
    begun(workspace, {"url": "http://a"}, keep=True, file="shard")
    with pytest.raises(ResumeConflictError, match="was http://a, is http://b"):
        workspace.is_done("cutouts", {"url": "http://b"})
    assert (workspace.partial("cutouts") / "shard").read_text() == "half"


def test_of_a_list_of_services_the_one_that_differs_is_shown(workspace):
    names = [f"catalogue{k} https://catalogue{k}.example.org/survey/tap" for k in range(4)]
    run(workspace, "query", {"catalogue": "; ".join(names)})
    moved = [*names[:2], "catalogue2 https://mirror.example.org/tap", names[3]]
    with pytest.raises(ResumeConflictError) as caught:
        workspace.is_done("query", {"catalogue": "; ".join(moved)})
    assert f"(catalogue: was {names[2]}, is {moved[2]}): add --from query" in str(caught.value)


def test_a_long_difference_is_shown_where_it_begins(workspace):
    run(workspace, "query", {"sql": "SELECT " + "a, " * 60 + "old FROM t"})
    with pytest.raises(ResumeConflictError, match=r"was \.\.\..*old FROM.* is \.\.\..*new FROM"):
        workspace.is_done("query", {"sql": "SELECT " + "a, " * 60 + "new FROM t"})


def test_files_are_on_disk_before_their_folder_is_renamed(workspace, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor):
        events.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def noting_replace(source, target, **options):
        events.append(("rename", str(target)))
        replace(source, target, **options)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    run(workspace, "query", {})
    names = [(kind, path.rsplit("/", 1)[-1]) for kind, path in events]
    renamed = names.index(("rename", "query"))
    assert ("fsync", "rows") in names[:renamed]
    assert any(kind == "fsync" and "done.json" in name for kind, name in names[:renamed])
    assert ("fsync", "work") in names[renamed:]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        Workspace(tmp_path / "file" / "work", STAGES).create()
