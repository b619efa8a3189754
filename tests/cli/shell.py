"""The command as a shell runs it: arguments in; exit code, output and errors out."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import NamedTuple

import pytest

from galaxyds_cli import main


class Done(NamedTuple):
    """What a shell sees."""

    code: int
    out: str
    err: str


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Done:
    """Run the entry point in the tests' own process; the logger is left as it was."""
    log = logging.getLogger("galaxyds")
    handlers, propagate = log.handlers[:], log.propagate
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["galaxyds", *map(str, arguments)])
        try:
            main.run()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            log.handlers[:], log.propagate = handlers, propagate
    return Done(code, *capsys.readouterr())


_WITHOUT = """
import sys
from importlib.machinery import PathFinder
hidden = set(sys.argv.pop(1).split(","))

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.partition(".")[0] in hidden
        return None if known else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""
COMMAND = "from galaxyds_cli.main import run\nrun()\n"


def run_without(packages: str, *arguments: object, code: str = COMMAND) -> Done:
    """Run it in a process of its own, in which some packages are not installed."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT + code, packages, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def only_line(done: Done) -> str:
    """The one line that a mistake is told in."""
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("galaxyds: ")
    return lines[0].removeprefix("galaxyds: ")
