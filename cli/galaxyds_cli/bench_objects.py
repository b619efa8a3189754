"""``galaxyds bench objects``: the objects of a split, for models that are trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxyds_cli.options import Dataset, Division, Root, Table


def objects(
    dataset: Dataset,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PARQUET", help="Where to write them.")
    ],
    split: Annotated[str, typer.Option("--split", help="Which split.")] = "train",
    division: Division = 0,
    table: Table = None,
    root: Root = None,
) -> None:
    """Write object ids, redshifts and photometry of a split as Parquet, as bench run sees them.

    Example: galaxyds bench objects cfhtls-wide --split train --output train.parquet
    """
    from galaxyds_models.objects import write_objects
    from galaxyds_models.tables import open_any

    found = open_any(dataset, split, root=root, table=table, division=division, pixels=False)
    columns = write_objects(output, found)
    print(f"{output}: {len(found):,} objects of {found.address}:{found.version} ({found.nature}), "
          f"{split} of division {division}: {', '.join(columns)}")  # fmt: skip
