"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer

from galaxyds.errors import UsageError, did_you_mean

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Dataset: name[/config][:version], e.g. sdss-qso.")
]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Data home (default: GALAXYDS_HOME or platform's)."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON for scripts.")]
ArchiveKind = Annotated[
    str | None,
    typer.Option("--archive", metavar="KIND", help="remote (default), simulated or release."),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="PRESET",
        help="tiny: as --archive simulated --limit 100; no network, no account, a minute.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", help="At least N objects, in whole tiles."),
]
Objects = Annotated[
    Path | None,
    typer.Option(
        "--objects",
        metavar="FILE",
        help="Build exactly these objects (CSV, Parquet or FITS with objID or object_id, or with "
        "ra and dec), past the cuts.",
    ),
]
Mosaics = Annotated[
    Path | None,
    typer.Option(
        "--mosaics",
        metavar="DIR",
        help="Folder with the FITS mosaics of bands that no service "
        "delivers (hsc-deep: u and near infrared).",
    ),
]
Redshifts = Annotated[
    Path | None,
    typer.Option(
        "--redshifts",
        metavar="DIR",
        help="Folder with tables of spectroscopic surveys, one file "
        "per survey (hsc-deep, cfhtls-wide); the others come from VizieR.",
    ),
]
Align = Annotated[
    str | None,
    typer.Option("--align", metavar="BAND", help="Grid of the cutouts: r, or none to crop only."),
]
Pushdown = Annotated[
    bool,
    typer.Option("--pushdown/--no-pushdown", help="Let the archive apply the cuts, or do it here."),
]
Dataset = Annotated[
    str, typer.Argument(metavar="DATASET", help="name[/config][:version], or a real table.")
]
Division = Annotated[
    int, typer.Option("--division", "--fold", metavar="N", help="Division, or fold.")
]
Table = Annotated[
    Path | None, typer.Option("--table", metavar="FILE", help="File of a real table.")
]


class Chosen(NamedTuple):
    """Where a build comes from, and how much of it is made."""

    archive: str
    limit: int | None


PRESETS = {"tiny": Chosen("simulated", 100)}
"""Presets of ``build`` and ``plan``."""


def with_preset(preset: str | None, archive: str | None, limit: int | None) -> Chosen:
    """Fill in what a preset stands for.

    Parameters
    ----------
    preset, archive, limit
        As given on the command line; None for what is not given.

    Returns
    -------
    Chosen
        The archive's kind (``remote`` by default) and the limit.

    Raises
    ------
    UsageError
        If there is no such preset, or an option contradicts it.
    """
    if preset is None:
        return Chosen(archive or "remote", limit)
    if preset not in PRESETS:
        hint = did_you_mean(preset, PRESETS)
        raise UsageError(f"there is no preset '{preset}': {hint}one of {', '.join(PRESETS)}")
    meant = PRESETS[preset]
    for option, given, own in (("archive", archive, meant.archive), ("limit", limit, meant.limit)):
        if given is not None and given != own:
            raise UsageError(
                f"--preset {preset} means --{option} {own}, not {given}: leave one of them out"
            )
    return meant


def refuse_lists(preset: str | None, *files: Path | None) -> None:
    """Refuse files of one's own beside a preset.

    Raises
    ------
    UsageError
        If there are any.
    """
    if preset is not None and any(file is not None for file in files):
        raise UsageError(
            f"--preset {preset} is of the simulated sky, which takes no files: leave out --preset, "
            "or --objects, --mosaics and --redshifts"
        )


def refuse_json(line: str) -> NoReturn:
    """Refuse ``--json`` before a verb of a group.

    Raises
    ------
    UsageError
        Always; it names the line that is meant.
    """
    raise UsageError(f"--json stands behind the verb that lists: galaxyds {line}")
