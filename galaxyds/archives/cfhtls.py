"""CFHTLS-Wide over the network: compiled redshifts and photometry, cutouts of CADC's coadds.

The catalogue is put together here: the tiles that CADC holds say where the survey is, there the
tables of redshift surveys are brought (own files, else VizieR), merged, matched with the survey's
photometric catalogue at VizieR, and given the reddening of the dust maps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from galaxyds.archives.base import Cutout, CutoutObject, LocalFiles, Need, PointSpread
from galaxyds.archives.cadc_cutouts import CADCCutouts
from galaxyds.archives.cadc_tiles import CADCTiles, tile_of
from galaxyds.archives.cfhtls_objects import NAME_ERROR, ROOM, compiled, fields
from galaxyds.archives.cfhtls_photometry import photometry_near
from galaxyds.archives.compiled import Compiled, CompiledCatalog
from galaxyds.archives.dust import FETCH, FOLDER, SFDMap, sfd_folder
from galaxyds.archives.redshifts import RedshiftSource
from galaxyds.archives.vizier import VizieR
from galaxyds.catalog.specz import Reading, read_survey
from galaxyds.errors import MissingExtraError, UsageError, one_line

if TYPE_CHECKING:
    from galaxyds.archives.cadc_tiles import CFHTLSTile


class CFHTLSArchive(CompiledCatalog):
    """CFHTLS-Wide: a compiled catalogue, and cutouts that CADC makes.

    Can be pickled; a copy has no catalogue until it is asked for one.

    Parameters
    ----------
    local : LocalFiles
        Tables of redshift surveys that whoever builds has; they go before VizieR.

    Raises
    ------
    UsageError
        If a setting is wrong.
    """

    name = "cfhtls"

    def __init__(self, *, local: LocalFiles | None = None) -> None:
        super().__init__(service="CFHTLS")
        self._folder: Path | None = (local or LocalFiles()).redshifts
        self._tiles = CADCTiles()
        self._vizier = VizieR()
        self._cutouts = CADCCutouts()
        self._dust = SFDMap()

    def endpoints(self) -> dict[str, str]:
        """Addresses in use, by service; and one's own tables, if there are any."""
        own = {} if self._folder is None else {"redshift files": own_files(self._folder)}
        return {
            **self._vizier.endpoints(), **self._tiles.endpoints(), **self._cutouts.endpoints(),
            **own,
        }  # fmt: skip

    def needs(self) -> tuple[Need, ...]:
        """The dust maps, and dustmaps to read them."""
        return dust_needs()

    # rows ------------------------------------------------------------------------------------

    def _objects(self) -> Compiled:
        self._dust.ebv(np.zeros(1), np.zeros(1))  # what is missing should be said first
        tiles = self._tiles.tiles()
        source = RedshiftSource(self._vizier, self._folder, fields(tiles))
        return compiled(
            _readings(source),
            tiles,
            photometry=lambda redshifts: self._photometry(redshifts, tiles),
            ebv=self._dust.ebv,
            room=ROOM + NAME_ERROR,
        )

    def _photometry(self, redshifts: pa.Table, tiles: Sequence[CFHTLSTile]) -> pa.Table:
        """Bring the photometric objects next to the redshifts that some tile holds."""
        ra, dec = (redshifts.column(name).to_numpy() for name in ("ra", "dec"))
        held = redshifts.filter(pa.array(tile_of(ra, dec, tiles) >= 0))
        return photometry_near(held, self._vizier)

    # pixels ----------------------------------------------------------------------------------

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects make one unit of work; as :class:`CADCCutouts`."""
        return self._cutouts.list_objects(bands)

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield one cutout per object; as :class:`CADCCutouts`."""
        return self._cutouts.cutouts(objects, bands, half_size=half_size)

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield nothing for every object; as :class:`CADCCutouts`."""
        return self._cutouts.point_spreads(objects, bands)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """Bytes to transfer per object, estimated; as :class:`CADCCutouts`."""
        return self._cutouts.cutout_bytes(bands, half_size=half_size)


def _readings(source: RedshiftSource) -> Iterator[Reading]:
    for survey, raw, where in source.tables():
        yield read_survey(raw, survey, where=where)


def own_files(folder: Path) -> str:
    """Name the files of a folder and their SHA-256, without the folder: it is nobody's business.

    A build that was begun with other tables is thereby told from one that is to be resumed.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return ", ".join(f"{p.name} ({_content(p)})" for p in found if p.is_file())


def _content(path: Path) -> str:
    try:
        stat = path.stat()
        return f"sha256 {_sha256(path, stat.st_size, stat.st_mtime_ns)}"
    except OSError as error:
        return one_line(error.strerror or str(error), 60)


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, mtime: int) -> str:
    """Digest of a file of that size and age: tables have GB, and are asked for several times."""
    del size, mtime
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def dust_needs() -> tuple[Need, ...]:
    """Return what the reddening of a place needs: a package, and maps."""
    try:
        sfd_folder()
        maps = True
    except (UsageError, MissingExtraError):
        maps = False
    return (
        Need("dustmaps", find_spec("dustmaps") is not None, "pip install 'galaxyds[dust]'"),
        Need("the SFD dust maps", maps, f"fetch them with {FETCH}, or name their folder {FOLDER}"),
    )


__all__ = ["CFHTLSArchive", "dust_needs", "own_files"]
