"""``galaxyds config``: every setting, its value, where that comes from; changes of the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.groups import Verbs
from galaxyds_cli.options import Json, refuse_json

if TYPE_CHECKING:
    from galaxyds.machine.configuration import Row

config = typer.Typer(
    help="Show every setting, its value and where that comes from; set one in config.toml.\n\n"
    "Example: galaxyds config set home /data/galaxyds",
    invoke_without_command=True,
    cls=Verbs,
    rich_markup_mode=None,
)
Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Name of a setting, e.g. home or sdss_sas_url.")
]


@config.callback()
def default(context: typer.Context, *, as_json: Json = False) -> None:
    """Show the settings where no verb is given."""
    if context.invoked_subcommand is None:
        show(as_json=as_json)
    elif as_json:
        refuse_json("config show --json")


@config.command("show")
def show(*, as_json: Json = False) -> None:
    """Show every setting, its value and where that comes from; of accounts, whether they are there.

    Example: galaxyds config show --json
    """
    from dataclasses import asdict

    from galaxyds import settings
    from galaxyds.machine import configuration

    rows, strangers = configuration.rows(), configuration.strangers()
    accounts = {service.archive: _account(service.archive) for service in configuration.services()}
    secrets = {one.variable: "present" if os.environ.get(one.variable) else "absent"
               for one in configuration.SECRETS}  # fmt: skip
    path = settings.config_file()
    if as_json:
        show_json({"file": str(path), "exists": path.is_file(), "accounts": accounts,
                   "secrets": secrets,
                   "settings": [asdict(row) for row in rows],
                   "notes": [*_problems(rows), *strangers]})  # fmt: skip
        return
    show_table(("setting", "value", "from", "what"),
               [(r.key, r.value or "not set", _origin(r), r.what) for r in rows])  # fmt: skip
    for archive, found in accounts.items():
        print(f"account at {archive:<5}{found}")
    for variable, state in secrets.items():
        print(f"{variable} {state}")
    print(f"file            {path}{'' if path.is_file() else ' (not there)'}")
    for note in (*_problems(rows), *strangers):
        print(f"note            {note}")


@config.command("path")
def show_path() -> None:
    """Print the path of the configuration file, which need not exist.

    Example: cat "$(galaxyds config path)"
    """
    from galaxyds import settings

    print(settings.config_file())


@config.command("set")
def set_(key: Key, value: Annotated[str, typer.Argument(metavar="VALUE")]) -> None:
    """Write a setting into the configuration file.

    Example: galaxyds config set home /data/galaxyds
    """
    from galaxyds.machine.configuration import set_value

    _told(set_value(key, value))


@config.command("unset")
def unset(key: Key) -> None:
    """Take a setting out of the configuration file, so that its default holds.

    Example: galaxyds config unset home
    """
    from galaxyds.machine.configuration import unset_value

    _told(unset_value(key))


def _told(row: Row) -> None:
    print(f"{row.key} = {row.value or 'not set'}, from the {row.origin}")


def _origin(row: Row) -> str:
    return row.origin.partition(" (")[0]


def _problems(rows: tuple[Row, ...]) -> list[str]:
    return [f"{row.key}: {row.problem} ({row.origin})" for row in rows if row.problem]


def _account(archive: str) -> str:
    from galaxyds import settings

    found = settings.find_account(archive)
    if found.user and found.password:
        return f"present ({found.origin})"
    half = {"USER": found.user, "PASSWORD": found.password}
    missing = [settings.account_variable(archive, w) for w, value in half.items() if not value]
    return f"absent ({' and '.join(missing)} not set)"
