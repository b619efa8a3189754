"""Rows between two stages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.build.context import Context
from galaxyds.errors import DataIntegrityError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = "rows.parquet"


def write_rows(folder: Path, rows: pa.Table) -> None:
    """Write the rows of a stage."""
    import pyarrow.parquet as pq

    pq.write_table(rows, folder / ROWS, compression="zstd", write_page_checksum=True)


def read_rows(context: Context, stage: str) -> pa.Table:
    """Read the rows that a finished stage left.

    Raises
    ------
    DataIntegrityError
        If they are damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = context.workspace.path(stage) / ROWS
    try:
        return pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataIntegrityError(
            f"{path} is damaged ({error}): run the build again with --from {stage}", file=str(path)
        ) from error


def after(stage: str) -> Callable[[Context], dict[str, str]]:
    """Make the inputs of a stage that depends on the finished outputs of another one."""

    def inputs(context: Context) -> dict[str, str]:
        outputs = sorted(context.workspace.outputs(stage).items())
        told = "; ".join(f"{name} {digest}" for name, digest in outputs)
        return {f"output of {stage}": hashlib.sha256(told.encode()).hexdigest()}

    return inputs
