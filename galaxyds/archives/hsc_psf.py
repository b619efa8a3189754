"""Point-spread functions of HSC coadds, by lists."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.base import CutoutObject, PointSpread
from galaxyds.archives.bounded import FITS_BLOCK
from galaxyds.archives.hsc_fits import read_point_spread
from galaxyds.archives.hsc_lists import Found, Line, ListClient, ListService, batches, lines_of
from galaxyds.archives.hsc_settings import RERUN
from galaxyds.archives.tarstream import BLOCK, Member

SETTING = "GALAXYDS_HSC_PSF_URL"
"""Setting that holds the address of the PSF service."""
_COLUMNS = "#? rerun ra dec filter type centered"
# Whether the files lie in a folder is not verified: with one and without are taken.
_NAMES = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,80}/)?"
    rf"(?P<line>[1-9][0-9]{{0,4}})-psf-calexp-{RERUN}-(?P<filter>[A-Z0-9-]{{1,12}})-"
    r"(?P<tract>[0-9]{1,6})-[0-9],[0-9]-[0-9.]{1,12}-(?:-?[0-9.]{1,12})\.fits"
)
_USUAL = 43  # pixels; sizes vary from place to place
_WIDEST = 151
_HEADERS = 64 << 10
_OFF_CENTRE = 1  # pixels by which a sharp centre may round to the neighbour


def list_text(lines: Sequence[Line], *, rerun: str = RERUN) -> str:
    """Return the list as the service takes it: positions in degrees."""
    rows = (
        f"{rerun} {line.object.ra:.10f} {line.object.dec:.10f} {line.filter} coadd true"
        for line in lines
    )
    return "\n".join([_COLUMNS, *rows]) + "\n"


def normalised(image: NDArray[np.float64]) -> NDArray[np.float32] | str:
    """Scale a point-spread function to sum 1.

    Parameters
    ----------
    image : ndarray of float, shape (rows, columns)
        As delivered.

    Returns
    -------
    ndarray of float32, shape (rows, columns), or str
        Sum 1; or why it cannot serve: an even size, values that are no numbers, a peak off the
        middle.
    """
    rows, columns = image.shape
    if rows % 2 == 0 or columns % 2 == 0:
        return f"its PSF has the even size {columns} x {rows}, so no middle pixel"
    total = float(image.sum())
    if not np.isfinite(image).all() or total <= 0:
        return "its PSF is not a distribution of light"
    y, x = divmod(int(image.argmax()), columns)
    if max(abs(x - columns // 2), abs(y - rows // 2)) > _OFF_CENTRE:
        return f"its PSF peaks at pixel ({x}, {y}) of {columns} x {rows}, off the middle"
    return (image / total).astype(np.float32)


class HSCPointSpreads(ListClient):
    """Point-spread functions from the survey's service."""

    service: ClassVar[str] = "HSC PSF"
    setting: ClassVar[str] = SETTING

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield the point-spread functions at every object, in order.

        Of several tracts at a place the asked one is taken, else that of the lowest number.

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
        service = self._service()
        for batch in batches(objects, bands):
            found = service.fetch(lines_of(batch, bands))
            for place, one in enumerate(batch):
                yield _point_spread(one, {band: Line(place, one, band) for band in bands}, found)

    def point_spread_bytes(self, bands: Sequence[str]) -> int:
        """Bytes to transfer per object, estimated: a header and an image of float64 per band."""
        image = math.ceil(8 * _USUAL**2 / FITS_BLOCK) * FITS_BLOCK
        return len(bands) * (FITS_BLOCK + image + BLOCK)

    def _service(self) -> ListService[NDArray[np.float64]]:
        def read(member: Member, line: Line) -> NDArray[np.float64]:
            del line
            return read_point_spread(member.data, member.name[0], side=_WIDEST)

        return ListService(
            url=f"{self.url}?bulk=on", http=self.http, connections=self.connections,
            names=_NAMES, text=list_text, read=read, most=8 * _WIDEST**2 + _HEADERS,
            setting=SETTING,
        )  # fmt: skip


def _point_spread(
    one: CutoutObject, lines: Mapping[str, Line], found: Found[NDArray[np.float64]]
) -> PointSpread:
    images, missing = {}, {}
    for band, line in lines.items():
        tracts = found.take(line)
        if not tracts:
            missing[band] = found.reason(line)
            continue
        result = normalised(tracts[one.tile[0] if one.tile[0] in tracts else min(tracts)])
        if isinstance(result, str):
            missing[band] = result
        else:
            images[band] = result
    return PointSpread(object_id=one.object_id, images=images, missing=missing)
