"""Pages of every verb, made from its ``--help``, and of every setting.

``python -m galaxyds_cli.reference`` writes them into ``docs``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from galaxyds.settings import Setting

WIDTH = 88
"""Columns of a help text on the page."""
_HEAD = """\
# Command line

Every verb, as `galaxyds VERB --help` prints it. A mistake ends with one line and an
[exit code](api/errors.rst) that names its kind; `--json` writes for scripts.

| verb | what |
|---|---|
"""
_SETTINGS = """\
# Settings

An argument of a call or an option wins over the environment, the environment over the configuration
file, the file over the default. `galaxyds config` shows what is in force and where that came from.

| variable | default | what |
|---|---|---|
"""
_FILE = """
The same keys without the prefix, in lower case (`sdss_sas_url`), may stand in `config.toml` in the
platform's configuration folder; `galaxyds config` names it, `GALAXYDS_CONFIG` another file.
Accounts and tokens are read from the environment or the keyring only: [accounts](accounts.md).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verb:
    """A verb of the command line.

    Attributes
    ----------
    words : tuple of str
        What is typed after ``galaxyds``; empty for the command itself.
    summary : str
        First sentence of its help.
    help : str
        What ``--help`` prints.
    is_group : bool
        Whether it only leads to verbs of its own.
    """

    words: tuple[str, ...]
    summary: str
    help: str
    is_group: bool

    @property
    def title(self) -> str:
        """What is typed after ``galaxyds``, or ``galaxyds`` itself."""
        return " ".join(self.words) or "galaxyds"


def verbs(app: typer.Typer) -> list[Verb]:
    """Walk through the verbs of an application and theirs, in the order of ``--help``.

    Parameters
    ----------
    app : typer.Typer
        The application; it is the first of the list.

    Returns
    -------
    list of Verb
        Each once; hidden ones are left out.
    """
    return list(_walk(typer.main.get_command(app), (), None))


def page(app: typer.Typer) -> str:
    """Return the reference of an application, as Markdown."""
    found = verbs(app)
    rows = "".join(f"| [{verb.title}](#{_anchor(verb)}) | {_cell(verb)} |\n" for verb in found[1:])
    return _HEAD + rows + "".join(_section(verb) for verb in found)


def settings_page() -> str:
    """Return the table of every setting, as Markdown; nothing in it is of this machine."""
    from galaxyds.machine.configuration import SECRETS, known_settings, services

    rows = [_setting(one) for one in known_settings()]
    for one in services():
        names = f"`GALAXYDS_{one.archive}_USER`, `GALAXYDS_{one.archive}_PASSWORD`"
        rows.append(f"| {names} | none | account: {one.what} |\n")
    rows += [_setting(one) for one in SECRETS]
    rows.append("| `GALAXYDS_CONFIG` | the platform's configuration folder | the file below |\n")
    return _SETTINGS + "".join(rows) + _FILE


def main(folder: Path) -> None:
    """Write ``cli.md`` and ``settings.md`` into a folder.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    from galaxyds.store.files import publish_bytes
    from galaxyds_cli.main import app

    publish_bytes(folder / "cli.md", page(app).encode())
    publish_bytes(folder / "settings.md", settings_page().encode())


def _setting(one: Setting) -> str:
    from galaxyds.settings import HOME

    shown = f"`{one.default}`" if one.default else "none"
    default = "the platform's data folder" if one.variable == HOME else shown
    return f"| `{one.variable}` | {default} | {one.meaning} |\n"


def _walk(command: Any, words: tuple[str, ...], parent: Any) -> Iterator[Verb]:
    name = words[-1] if words else "galaxyds"
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    is_group = isinstance(command, TyperGroup)
    summary = command.get_short_help_str(limit=1000)
    yield Verb(words=words, summary=summary, help=command.get_help(context), is_group=is_group)
    for inner in command.list_commands(context) if is_group else ():
        below = command.get_command(context, inner)
        if not below.hidden:
            yield from _walk(below, (*words, inner), context)


def _section(verb: Verb) -> str:
    mark = "#" * (1 + max(1, len(verb.words)))
    lines = "\n".join(line.rstrip() for line in verb.help.strip().splitlines())
    return f"\n{mark} {verb.title}\n\n```text\n{lines}\n```\n"


def _anchor(verb: Verb) -> str:
    return verb.title.replace(" ", "-")


def _cell(verb: Verb) -> str:
    return verb.summary.replace("|", "\\|")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
