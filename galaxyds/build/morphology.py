"""The morphology stage: sources, shapes and Sersic fits of every finished cutout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.build.context import Context
from galaxyds.build.pixels import SHARDS
from galaxyds.build.pool import run_units
from galaxyds.build.shards import Shards, read_shard, write_shard
from galaxyds.build.tables import after
from galaxyds.build.workspace import write_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class MeasureUnit:
    """The objects of one shard of cutouts.

    Attributes
    ----------
    cutouts : pathlib.Path
        The shard that is measured.
    shard : pathlib.Path
        The file that the unit leaves: one array per column.
    bands : tuple of str
        In the order of the image axis.
    count : int
        How many objects it has.
    """

    cutouts: Path
    shard: Path
    bands: tuple[str, ...]
    count: int

    @property
    def name(self) -> str:
        """Name of the shard."""
        return self.cutouts.stem

    def work(self) -> tuple[str, ...]:
        """Measure every object in every band and publish the columns.

        Raises
        ------
        GalaxydsError
            If the shard of cutouts is damaged, or a package is missing.
        """
        from galaxyds.morphology import measure_cutouts

        found = read_shard(self.cutouts)
        columns: Mapping[str, NDArray[np.generic]] = measure_cutouts(
            found["image"],
            found["psf"],
            rows=found["raw_rows"],
            columns=found["raw_columns"],
            bands=self.bands,
        )
        write_shard(self.shard, {"object_id": found["object_id"], **columns})
        return ()


def measure_all(context: Context, folder: Path) -> str:
    """Measure every cutout; finished units survive an interruption."""
    cutouts = Shards(context.workspace.path("cutouts") / SHARDS)
    bands = context.spec.band_names()
    units = [
        MeasureUnit(
            cutouts=path,
            shard=folder / SHARDS / path.parent.name / path.name,
            bands=bands,
            count=count,
        )
        for path, count in zip(cutouts.files, cutouts.counts, strict=True)
    ]
    (folder / SHARDS).mkdir(exist_ok=True)
    total = len(cutouts.object_id)
    run_units(context, units, total, may_drop=False)
    write_facts(folder, {})
    return f"{total:,} objects in {len(bands)} bands"


def morphology_inputs(context: Context) -> dict[str, str]:
    """The settings of the measurement, and the cutouts."""
    from galaxyds.morphology import settings_text

    return {"measurement": settings_text(), **after("cutouts")(context)}
