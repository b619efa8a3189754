"""``galaxyds serve``: local builds as a read-only hub."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from galaxyds.shown import gigabytes
from galaxyds_cli.console import show_table
from galaxyds_cli.options import Root

if TYPE_CHECKING:
    from galaxyds.publish.repository import Repository
    from galaxyds.serve.guard import Tally

Host = Annotated[
    str,
    typer.Option("--host", metavar="HOST", help="Where to listen; other than loopback: --token."),
]
Port = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
]
Token = Annotated[
    bool,
    typer.Option("--token", help="Ask clients for GALAXYDS_SERVE_TOKEN, or for a new token."),
]
Allowed = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host", metavar="NAME", help="A name that clients use for this machine."
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="One line per request, without query or headers.")
]


def serve(
    context: typer.Context,
    *,
    root: Root = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    token: Token = False,
    allowed_host: Allowed = None,
    verbose: Verbose = False,
) -> None:
    """Serve local builds to `datasets` and `huggingface_hub`, on this machine or a network.

    Example: galaxyds serve --port 8080
    """
    try:
        from galaxyds.serve import app, server
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    from galaxyds import settings
    from galaxyds.serve.guard import Tally
    from galaxyds.serve.index import Index

    given = server.given_token()
    # Who set the variable wants it asked for.
    secret, is_new = server.token_from(given) if token or given else ("", False)
    policy = server.policy_for(host, token=secret, allowed=tuple(allowed_host or ()))
    index = Index(settings.home(root))
    tally = Tally()
    listener = server.bind(host, port)
    _log_requests(verbose or bool(context.find_root().params.get("verbose")))
    base = server.base_url(host, listener)
    _introduce(index.state.repositories, base, with_token=bool(secret))
    if is_new:
        typer.echo(f"Token (shown once): {secret}\n")
    typer.echo(f"Serving {index.home} at {base} (Ctrl-C ends)")
    sys.stdout.flush()
    server.make_server(app.create_app(index, policy, tally)).run(sockets=[listener])
    _say_goodbye(tally)


def _missing(error: ModuleNotFoundError) -> Exception:
    from galaxyds.errors import missing_extra

    package = (error.name or "").partition(".")[0]
    if package not in ("starlette", "uvicorn", "h11", "anyio"):
        return error
    return missing_extra(package, "serve", "galaxyds serve")


def _log_requests(verbose: bool) -> None:
    from galaxyds.serve.guard import requests_log

    requests_log.propagate = False
    requests_log.handlers[:] = [logging.StreamHandler(sys.stderr)] if verbose else []
    requests_log.setLevel(logging.INFO)


def _introduce(repositories: Mapping[str, Repository], base: str, *, with_token: bool) -> None:
    from galaxyds.download.names import repo_id
    from galaxyds.serve.lines import python_lines, rows, shell_line

    show_table(
        ("dataset", "config", "objects", "size", "revisions"),
        (
            (row.repository, row.config, f"{row.objects:,}", gigabytes(row.bytes), row.revisions)
            for one in repositories.values()
            for row in rows(one)
        ),
        right=(2, 3),
    )
    for one in repositories.values():
        partial = [build.manifest for build in one.main.builds if not build.manifest.is_full]
        simulated = any(manifest.archive.simulated for manifest in partial)
        natures = "; ".join(dict.fromkeys(manifest.nature() for manifest in partial))
        if natures:
            unseen = ": nothing in it was observed" if simulated else ""
            typer.echo(f"{repo_id(one.name)} is {natures}{unseen}.")
    first = repo_id(next(iter(repositories)))
    lines = python_lines(base, first, with_token=with_token)
    typer.echo("\nIn a shell:\n\n  " + shell_line(base, first, with_token=with_token))
    typer.echo("\nIn Python:\n\n" + "\n".join(f"  {line}".rstrip() for line in lines) + "\n")


def _say_goodbye(tally: Tally) -> None:
    plural = "" if tally.requests == 1 else "s"
    typer.echo(f"\nEnded: {tally.requests:,} request{plural}, {gigabytes(tally.bytes)} sent")
