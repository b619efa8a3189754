"""The simulated sky as CFHTLS would see it, and as spectroscopists did: nothing is downloaded.

Redshifts, photometry and tiles come in the form in which the archives have them and go through the
same code as theirs.  Where the sky departs from nature on purpose is listed by
:meth:`SimulatedCFHTLS.departures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from galaxyds.archives.base import CUTOUTS_ENDPOINT, NO_DATA, CutoutObject, PointSpread
from galaxyds.archives.cadc_tiles import Artifact, CFHTLSTile
from galaxyds.archives.cfhtls_objects import compiled, fields
from galaxyds.archives.compiled import Compiled, CompiledCatalog
from galaxyds.archives.simulated_sky import RenderedCutouts, SimulatedSky
from galaxyds.catalog.specz import Reading, read_survey
from galaxyds.catalog.surveys import SURVEYS
from galaxyds.sky import CFHTLS, DEFAULT_SEED, Region, Universe
from galaxyds.sky.cfhtls_catalogue import table
from galaxyds.sky.cfhtls_coadd import CFHTLSCoadd
from galaxyds.sky.cfhtls_departures import departures
from galaxyds.sky.cfhtls_footprint import DEFAULT_CFHTLS_FOOTPRINT, CFHTLSFootprint, SkyTile
from galaxyds.sky.dust import reddening
from galaxyds.sky.redshift_surveys import raw_tables

if TYPE_CHECKING:
    import pyarrow as pa

ELSEWHERE = frozenset({"cosmos2020"})
"""Surveys that have nothing in the fields of the Wide."""
LIST_OBJECTS = 64
"""Objects per unit of work: some seconds of rendering."""


class SimulatedCFHTLS(RenderedCutouts, SimulatedSky, CompiledCatalog):
    """CFHTLS-Wide as it would be at a simulated universe: a compiled catalogue and cutouts.

    Parameters
    ----------
    seed : int
        Of the universe.
    footprint : CFHTLSFootprint
        Tiles that were observed.

    Notes
    -----
    The catalogue is made at the first query, in some seconds; a cutout needs only the sources of
    its tile, and those of the last few tiles are kept.
    """

    pixels: ClassVar[str] = CUTOUTS_ENDPOINT
    footprint: CFHTLSFootprint

    def __init__(
        self, seed: int = DEFAULT_SEED, footprint: CFHTLSFootprint = DEFAULT_CFHTLS_FOOTPRINT
    ) -> None:
        self.universe = Universe(seed=seed)
        self.footprint = footprint
        self.coadd = CFHTLSCoadd(self.universe, footprint)
        super().__init__(service="simulated CFHTLS")

    def departures(self) -> tuple[str, ...]:
        """Where the simulated sky departs from nature on purpose."""
        return departures()

    def tiles(self) -> tuple[CFHTLSTile, ...]:
        """Return the tiles as CADC would list them."""
        return tuple(sorted((_listed(one) for one in self.footprint.tiles), key=lambda t: t.tile))

    def raw_redshifts(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the tables of the surveys by name, field by field."""
        for field in fields(self.tiles()):
            region = Region(
                ra_min=field.ra_min, ra_max=field.ra_min + field.width,
                dec_min=field.dec_min, dec_max=field.dec_max,
            )  # fmt: skip
            for name, raw in raw_tables(self.universe, region, CFHTLS).items():
                if name not in ELSEWHERE:
                    yield name, raw

    def photometry(self) -> pa.Table:
        """Make the photometric catalogue, in the columns of VizieR II/317."""
        return table(self.universe, self.footprint)

    def _objects(self) -> Compiled:
        return compiled(
            self._readings(),
            self.tiles(),
            photometry=lambda redshifts: self.photometry(),
            ebv=partial(reddening, seed=self.universe.seed),
        )

    def _readings(self) -> Iterator[Reading]:
        surveys = {survey.name: survey for survey in SURVEYS}
        for name, raw in self.raw_redshifts():
            yield read_survey(raw, surveys[name], where="simulated sky")

    # pixels ----------------------------------------------------------------------------------

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects are rendered together."""
        del bands
        return LIST_OBJECTS

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield nothing for every object: the archive has no point-spread functions."""
        for one in objects:
            yield PointSpread(
                object_id=one.object_id, images={}, missing=dict.fromkeys(bands, NO_DATA)
            )


def _listed(tile: SkyTile) -> CFHTLSTile:
    """A tile in the words of CADC's catalogue."""
    artifacts = {}
    for band in tile.bands:
        file = f"CFHTLS_W_{band}_{tile.place}_T0007_MEDIAN.fits"
        artifacts[band] = Artifact(uri=f"simulated:{file}", file=file, filter=tile.filter(band))
    return CFHTLSTile(
        name=tile.place, tile=(tile.tile_ra, tile.tile_dec), ra=tile.ra, dec=tile.dec,
        half_width=tile.pixels * CFHTLS.pixel_scale / 7200, artifacts=artifacts,
    )  # fmt: skip
