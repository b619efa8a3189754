"""The command ``galaxyds``: verbs are registered here, errors become one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys

import typer

from galaxyds.errors import GalaxydsError
from galaxyds_cli import (
    bench,
    build,
    cache,
    cite,
    config,
    doctor,
    export,
    fetch,
    info,
    leaderboard,
    list_,
    new,
    path,
    plan,
    preview,
    push,
    serve,
    show,
    verify,
)
from galaxyds_cli.console import Once, show_error
from galaxyds_cli.groups import Verbs

app = typer.Typer(
    name="galaxyds",
    cls=Verbs,
    help="Versioned, verifiable datasets for photometric redshifts from images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list_.list_datasets)
app.command("info")(info.info)
app.command("plan")(plan.plan)
app.command("build")(build.build)
app.command("verify")(verify.verify)
app.command("show")(show.show)
app.command("preview")(preview.preview)
app.command("path")(path.path)
app.command("export")(export.export)
app.command("serve")(serve.serve)
app.command("push")(push.push)
app.command("fetch")(fetch.fetch)
app.add_typer(bench.bench, name="bench")
app.command("leaderboard")(leaderboard.leaderboard)
app.command("new")(new.new)
app.command("cite")(cite.cite)
app.command("doctor")(doctor.doctor)
app.add_typer(config.config, name="config")
app.add_typer(cache.cache, name="cache")


def _version(value: bool) -> None:
    if value:
        from galaxyds import __version__

        typer.echo(f"galaxyds {__version__}")
        raise typer.Exit


@app.callback()
def common(
    *,
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Show the log on the terminal."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Show results and errors only."),
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Versioned, verifiable datasets for photometric redshifts from images.

    Example: galaxyds build sdss-qso --preset tiny
    """
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.setLevel(level)
    handler.addFilter(Once())
    root = logging.getLogger("galaxyds")
    root.handlers[:] = [handler]
    root.propagate = False


def run() -> None:
    """Entry point of the script: run a verb, turn errors into exit codes."""
    try:
        app()
    except GalaxydsError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    run()
