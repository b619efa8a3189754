"""What people are told, on the terminal and on the page: what is served, and lines to copy."""

from __future__ import annotations

from dataclasses import dataclass

from galaxyds.download.names import MAIN, repo_id
from galaxyds.publish.repository import Repository

_NO_TOKEN = "HF_HUB_DISABLE_IMPLICIT_TOKEN"
"""Without it the client sends the user's own token to every endpoint."""
_PLACEHOLDER = "THE_TOKEN"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A build that is served.

    Attributes
    ----------
    repository, config, nature : str
        Id of its repository, its config, what it is.
    revisions : str
        Names under which ``revision=`` finds it.
    objects, bytes : int
        Objects, and bytes of its files in the repository.
    """

    repository: str
    config: str
    nature: str
    revisions: str
    objects: int
    bytes: int


def rows(repository: Repository) -> list[Row]:
    """List the builds of a repository, those of ``main`` first."""
    found = [
        _row(repository, tag, config)
        for tag, snapshot in repository.versions.items()
        for config in (build.manifest.config for build in snapshot.builds)
    ]
    return sorted(found, key=lambda row: not row.revisions.startswith(f"{MAIN}, "))


def _row(repository: Repository, tag: str, config: str) -> Row:
    snapshot = repository.versions[tag]
    manifest = next(b.manifest for b in snapshot.builds if b.manifest.config == config)
    is_main = any(build.address == f"{manifest.name}/{config}:{manifest.version}"
                  for build in repository.main.builds)  # fmt: skip
    files = snapshot.files.items()
    return Row(
        repository=repo_id(repository.name),
        config=config,
        nature=manifest.nature(),
        revisions=f"{MAIN}, {tag}" if is_main else tag,
        objects=manifest.rows,
        bytes=sum(file.size for path, file in files if path.startswith(f"{config}/")),
    )


def settings(base: str, *, with_token: bool) -> dict[str, str]:
    """Return the variables of a client's environment.

    Parameters
    ----------
    base : str
        Address of the server, ``http://127.0.0.1:8080``.
    with_token : bool
        Whether it asks for a token; a placeholder stands for it.

    Returns
    -------
    dict of str to str
        By name.
    """
    secret = {"HF_TOKEN": _PLACEHOLDER} if with_token else {_NO_TOKEN: "1"}
    return {"HF_ENDPOINT": base, **secret}


def shell_line(base: str, repository: str, *, with_token: bool) -> str:
    """Write the line for a shell; ``repository`` is an id like ``galaxyds/sdss_qso``."""
    variables = " ".join(f"{k}={v}" for k, v in settings(base, with_token=with_token).items())
    code = f'from datasets import load_dataset; print(load_dataset("{repository}"))'
    return f"{variables} python -c '{code}'"


def python_lines(base: str, repository: str, *, with_token: bool) -> list[str]:
    """Write the lines for a notebook; the variables are read when ``datasets`` is imported."""
    found = settings(base, with_token=with_token).items()
    return [
        "import os",
        "",
        *(f'os.environ["{name}"] = "{value}"' for name, value in found),
        "",
        "from datasets import load_dataset",
        "",
        f'data = load_dataset("{repository}")',
    ]
