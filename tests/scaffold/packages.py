"""Packages of other people: written, filled in, installed into an environment of their own."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

FILLED = {
    "FILL IN: a title": "Distant quasars of SDSS DR17",
    "FILL IN: two or three sentences on what it holds": "Quasars of SDSS DR17 beyond redshift 2.",
    "fill-in": "distant",
    "FILL IN: one line on this selection": "redshift 2 to 5",
    "FILL IN: one line": "the Lyman-alpha line is in the optical bands",
    "FILL IN: section or table of the paper": "Sect. 1",
    "FILL IN: where it says so": "Sect. 2",
    "count=0": "count=123_456",
    "FILL IN: authors, year, journal": "Nobody 2026, Journal of Examples",
    "FILL IN: authors, year, title, journal": "Nobody 2026, Distant quasars, Journal of Examples",
    "@misc{FILL IN}": "@misc{nobody2026, author = {Nobody}, year = {2026}}",
}
"""What a user writes into a new package."""


def fill_in(module: Path) -> None:
    """Write the places that are marked."""
    text = module.read_text("utf-8")
    for mark, words in FILLED.items():
        assert f'"{mark}"' in text or mark.startswith("count"), mark
        text = text.replace(f'"{mark}"', f'"{words}"').replace("count=0,", FILLED["count=0"] + ",")
    module.write_text(text, "utf-8")


def environment(folder: Path) -> Path:
    """Make a virtual environment that also sees the packages of this one; return its Python."""
    command = [sys.executable, "-m", "venv", "--without-pip", folder]
    subprocess.run(command, check=True, capture_output=True)
    library = next(folder.glob("lib/python*/site-packages"))
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (library / "outer.pth").write_text("\n".join(lines), "utf-8")
    return folder / "bin" / "python"


def run(python: Path, *arguments: object, cwd: Path, **variables: str):
    """Run a command in a clean process; a failure shows what it wrote."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(("GALAXYDS", "PYTHON"))}
    return subprocess.run(
        [str(python), *(str(argument) for argument in arguments)],
        cwd=cwd,
        env={**known, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
