"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Dataset: name[/config][:version], e.g. sdss-qso.")
]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Data home (default: GALAXYDS_HOME or platform's)."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON for scripts.")]
ArchiveKind = Annotated[
    str,
    typer.Option("--archive", metavar="KIND", help="remote, simulated or release."),
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
