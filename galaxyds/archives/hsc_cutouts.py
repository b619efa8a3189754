"""Cutouts of HSC coadds, by lists."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from galaxyds.archives.base import Cutout, CutoutObject
from galaxyds.archives.bounded import FITS_BLOCK
from galaxyds.archives.hsc_fits import PIXEL_SCALE, Placed, read_cutout
from galaxyds.archives.hsc_lists import Found, Line, ListClient, ListService, batches, lines_of
from galaxyds.archives.hsc_session import Connections, StreamHttp
from galaxyds.archives.hsc_settings import RERUN
from galaxyds.archives.tarstream import BLOCK, Member

SETTING = "GALAXYDS_HSC_CUTOUT_URL"
"""Setting that holds the address of the cutout service."""
_COLUMNS = "#? rerun type filter tract ra dec sw sh image mask variance"
_NAMES = (
    r"arch-[0-9]{1,12}-[0-9]{1,12}/"
    r"(?P<line>[1-9][0-9]{0,4})-cutout-(?P<filter>[A-Z0-9-]{1,12})-(?P<tract>[0-9]{1,6})-"
)
_HEADERS = 64 << 10  # most bytes that the headers of one file may take
_SMALL_HEADERS = 4 * FITS_BLOCK  # what they take


def widest(half_size: float) -> int:
    """Return the largest width of a cutout in pixels.

    The service turns the box by the tract's angle against north and rounds outwards; a quarter and
    16 pixels are far more than either.
    """
    return math.ceil(1.25 * 2 * half_size / PIXEL_SCALE) + 16


def list_text(lines: Sequence[Line], *, half_size: float, rerun: str = RERUN) -> str:
    """Return the list as the service takes it: positions in degrees, semi-sizes in arcseconds."""
    size = f"{half_size:.10g}asec"
    rows = (
        f"{rerun} coadd {line.filter} {line.tract} {line.object.ra:.10f}deg "
        f"{line.object.dec:.10f}deg {size} {size} true false false"
        for line in lines
    )
    return "\n".join([_COLUMNS, *rows]) + "\n"


class HSCCutouts(ListClient):
    """Cutouts from the survey's service.

    Parameters
    ----------
    url : str, optional
        The service; the setting by default.
    rerun : str
        Which coadds.
    http, connections
        As :class:`galaxyds.archives.hsc_lists.ListClient`.
    """

    service: ClassVar[str] = "HSC cutouts"
    setting: ClassVar[str] = SETTING

    def __init__(
        self,
        url: str | None = None,
        *,
        rerun: str = RERUN,
        http: StreamHttp | None = None,
        connections: Connections | None = None,
    ) -> None:
        super().__init__(url, http=http, connections=connections)
        self.rerun = rerun

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield one cutout per object, in order.

        Of several tracts at a place the asked one is taken; where only others came, that in which
        the object is nearest to the middle.

        Parameters
        ----------
        objects : sequence of CutoutObject
            The first part of their tile is the tract.
        bands : sequence of str
            Of g, r, i, z, y.
        half_size : float
            Half the width of the cutout in arcseconds.

        Yields
        ------
        Cutout
            Pixels as delivered; sizes vary by a pixel.

        Raises
        ------
        ArchiveError
            If the service fails for good.
        CredentialsError
            If it does not accept the account.
        DataIntegrityError
            If an answer breaks the protocol.
        UsageError
            If a band or a tract is wrong.
        """
        service = self._service(half_size)
        for batch in batches(objects, bands):
            lines = lines_of(batch, bands)
            found = service.fetch(lines)
            for place, one in enumerate(batch):
                yield _cutout(one, {band: Line(place, one, band) for band in bands}, found)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """Bytes to transfer per object, estimated."""
        width = 2 * half_size / PIXEL_SCALE + 1.5
        image = math.ceil(4 * width * width / FITS_BLOCK) * FITS_BLOCK
        return len(bands) * (_SMALL_HEADERS + image + BLOCK)

    def _service(self, half_size: float) -> ListService[Placed]:
        side = widest(half_size)

        def read(member: Member, line: Line) -> Placed:
            at = (line.object.ra, line.object.dec)
            return read_cutout(member.data, member.name[0], band=line.band, at=at, side=side)

        return ListService(
            url=self.url, http=self.http, connections=self.connections,
            names=re.compile(rf"{_NAMES}{re.escape(self.rerun)}\.fits"), read=read,
            text=lambda lines: list_text(lines, half_size=half_size, rerun=self.rerun),
            most=4 * side * side + _HEADERS, setting=SETTING,
        )  # fmt: skip


def _cutout(one: CutoutObject, lines: Mapping[str, Line], found: Found[Placed]) -> Cutout:
    came = {band: found.take(line) for band, line in lines.items()}
    chosen = {
        band: tracts.get(one.tile[0]) or min(tracts.values(), key=_off_centre)
        for band, tracts in came.items()
        if tracts
    }
    grids = {placed.grid for placed in chosen.values()}
    return Cutout(
        object_id=one.object_id,
        pixels={band: placed.pixels for band, placed in chosen.items()},
        position={band: placed.position for band, placed in chosen.items()},
        missing={band: found.reason(line) for band, line in lines.items() if band not in chosen},
        grid=grids.pop().wcs() if len(grids) == 1 else None,
    )


def _off_centre(placed: Placed) -> float:
    rows, columns = placed.pixels.shape
    x, y = placed.position
    return math.hypot(x - (columns - 1) / 2, y - (rows - 1) / 2)
