"""The tiles of the CFHTLS Wide, data release T0007, as CADC holds them.

One question to the archive's catalogue (CAOM 2) brings every coadd: name, size, md5 and filter.
A tile has one coadd per band; the camera's i filter broke in 2007 and was replaced, so in i it is
one of two filters, which differ and must not be taken for each other.  Colour composites (planes of
``gri`` and the like) and weight maps are held beside the coadds, and are no coadds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxyds.archives.base import Tile
from galaxyds.archives.cadc_settings import TAP as TAP_SETTING
from galaxyds.archives.cadc_settings import base_url
from galaxyds.archives.calls import Policy
from galaxyds.archives.http import rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import shown_url
from galaxyds.archives.tap import TAP, TableHttp
from galaxyds.errors import ArchiveError, one_line
from galaxyds.pixels.gnomonic import project

COLLECTION, RELEASE = "CFHTTERAPIX", "T0007"
PIXEL_SCALE = 0.186
"""Arcseconds per pixel of the coadds."""
ZERO_POINT = 30.0
"""AB magnitude of one count in the coadds (documented for release T0004; unverified for T0007)."""
TILE_PIXELS = 19354
"""Width and height of a tile's coadd, in pixels."""
HALF_WIDTH = TILE_PIXELS * PIXEL_SCALE / 7200
"""Degrees from the middle of a tile to its edge."""
OLD_I, NEW_I = "i.MP9701", "i.MP9702"
"""The two i filters as CADC calls them (the old one's name is unverified)."""
BANDS = ("u", "g", "r", "i", "z")
INTERVAL = 0.05
"""Seconds between two requests; the archive states no limit, so this one is not verified."""

_SERVICE = "CADC"
_FILTER = re.compile(r"(?P<band>[ugriz])\.MP9\d{3}")
_URI = re.compile(
    rf"cadc:{COLLECTION}/(?P<file>CFHTLS_W_(?P<letter>[a-z])_(?P<name>\d{{6}}[+-]\d{{6}})"
    rf"_{RELEASE}_MEDIAN\.fits(?:\.gz)?)"
)
_MD5 = re.compile(r"md5:([0-9a-f]{32})")
_LARGEST = 4 << 30

ADQL = (
    "SELECT o.observationID, p.productID, p.energy_bandpassName, a.uri, a.contentLength, "
    "a.contentChecksum FROM caom2.Observation o JOIN caom2.Plane p ON o.obsID = p.obsID "
    "JOIN caom2.Artifact a ON a.planeID = p.planeID "
    f"WHERE o.collection = '{COLLECTION}' AND o.observationID LIKE 'CFHTLS_W_%' "
    f"AND p.provenance_version = '{RELEASE}' AND a.productType = 'science' "
    f"AND a.uri LIKE '%_{RELEASE}_MEDIAN.fits%' ORDER BY a.uri"
)
"""The question for all coadds of the Wide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file of the archive.

    Attributes
    ----------
    uri : str
        Its name there.
    file : str
        Its file name.
    filter : str
        The filter as the archive calls it, for example ``i.MP9702``.
    bytes : int
        Its size; 0 if the archive does not say.
    md5 : str
        Its checksum in hexadecimal; empty if the archive does not say.
    """

    uri: str
    file: str
    filter: str
    bytes: int = 0
    md5: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CFHTLSTile:
    """One tile of the Wide.

    Attributes
    ----------
    name : str
        For example ``022539-041200``: right ascension and declination of its middle.
    tile : tuple of int
        The same as two numbers, HHMMSS and signed DDMMSS.
    ra, dec : float
        Middle in degrees, from its name: right to 15 arcseconds.
    half_width : float
        Degrees from the middle to the edge.
    artifacts : mapping of str to Artifact
        Coadds by band; a band may be absent.
    """

    name: str
    tile: Tile
    ra: float
    dec: float
    half_width: float = HALF_WIDTH
    artifacts: Mapping[str, Artifact]

    @property
    def i_filter(self) -> str:
        """Which i filter it was observed in, :data:`OLD_I` or :data:`NEW_I`; empty for none."""
        return self.artifacts["i"].filter if "i" in self.artifacts else ""


def parse_name(name: str) -> tuple[Tile, float, float]:
    """Read a tile's name.

    Parameters
    ----------
    name : str
        ``HHMMSS+DDMMSS`` or ``HHMMSS-DDMMSS``.

    Returns
    -------
    tile : tuple of int
        HHMMSS, and DDMMSS with its sign.
    ra, dec : float
        Degrees.

    Raises
    ------
    ValueError
        If it is no such name.
    """
    if not re.fullmatch(r"\d{6}[+-]\d{6}", name):
        raise ValueError(f"no name of a tile: {one_line(name, 40)}")
    hours, degrees, sign = name[:6], name[7:], -1 if name[6] == "-" else 1
    if int(hours[:2]) > 23 or int(degrees[:2]) > 89 or _most_sixtieth(hours, degrees) > 59:
        raise ValueError(f"no position in the name of a tile: {name}")
    return (int(hours), sign * int(degrees)), 15 * _sexagesimal(hours), sign * _sexagesimal(degrees)


def _most_sixtieth(*texts: str) -> int:
    return max(int(part) for text in texts for part in (text[2:4], text[4:]))


def _sexagesimal(text: str) -> float:
    return int(text[:2]) + int(text[2:4]) / 60 + int(text[4:]) / 3600


class CADCTiles:
    """What CADC holds of the Wide.

    Parameters
    ----------
    url : str, optional
        Its TAP service; by default the setting ``GALAXYDS_CADC_TAP_URL``.
    http : TableHttp, optional
        Session.

    Raises
    ------
    UsageError
        If the setting is no http(s) URL.
    """

    def __init__(self, url: str | None = None, *, http: TableHttp | None = None) -> None:
        self.url = (url or base_url(TAP_SETTING)).rstrip("/")
        self.http = http or TableHttp(
            _SERVICE, policy=Policy(timeout=(15.0, 300.0), first_attempts=6), setting=TAP_SETTING,
            rate=RateLimit(INTERVAL, rate_directory()),
        )  # fmt: skip

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service."""
        return {"holdings": shown_url(self.url)}

    def tiles(self) -> tuple[CFHTLSTile, ...]:
        """Return all tiles, in the order of their numbers.

        Raises
        ------
        ArchiveError
            If the service refuses, fails for good, cuts its answer, or holds no tile.
        DataIntegrityError
            If the answer is no VOTable that may be read.
        """
        found = tiles_of(TAP(self.url, self.http).query(ADQL).to_pylist())
        if not found:
            raise ArchiveError(
                f"{_SERVICE} holds no tile of the CFHTLS Wide {RELEASE}: check {TAP_SETTING}",
                service=_SERVICE, url=shown_url(self.url), status=None, answer="",
            )  # fmt: skip
        return found


def tiles_of(rows: Sequence[Mapping[str, Any]]) -> tuple[CFHTLSTile, ...]:
    """Make tiles out of the archive's rows, one per file.

    A row whose file is no coadd in one band (a colour composite, a weight map, another survey) is
    passed over.  Should a tile have two coadds in a band, the first by file name counts.

    Parameters
    ----------
    rows : sequence of mapping
        With the columns of :data:`ADQL`.

    Returns
    -------
    tuple of CFHTLSTile
        In the order of ``tile``.
    """
    artifacts: dict[str, dict[str, Artifact]] = {}
    for row in sorted(rows, key=lambda row: str(row["uri"])):
        match = _URI.fullmatch(str(row["uri"]))
        known = _FILTER.fullmatch(str(row["energy_bandpassName"]))
        if match and known and _is_position(match["name"]):
            bands = artifacts.setdefault(match["name"], {})
            bands.setdefault(known["band"], _artifact(row, match["file"], known[0]))
    return tuple(sorted((_tile(*item) for item in artifacts.items()), key=lambda one: one.tile))


def _is_position(name: str) -> bool:
    try:
        parse_name(name)
    except ValueError:
        return False
    return True


def _tile(name: str, artifacts: Mapping[str, Artifact]) -> CFHTLSTile:
    tile, ra, dec = parse_name(name)
    ordered = {band: artifacts[band] for band in BANDS if band in artifacts}
    return CFHTLSTile(name=name, tile=tile, ra=ra, dec=dec, artifacts=ordered)


def _artifact(row: Mapping[str, Any], file: str, told: str) -> Artifact:
    md5 = _MD5.fullmatch(str(row.get("contentChecksum") or "").lower())
    told_size = row.get("contentLength")
    size = told_size if isinstance(told_size, int) and 0 < told_size <= _LARGEST else 0
    return Artifact(
        uri=str(row["uri"]), file=file, filter=told, bytes=size,
        md5=md5[1] if md5 else "",
    )  # fmt: skip


def tile_of(
    ra: NDArray[np.float64], dec: NDArray[np.float64], tiles: Sequence[CFHTLSTile]
) -> NDArray[np.int64]:
    """Find for each position the tile in which it lies furthest from the edge.

    Tiles overlap by some arcminutes.  The distance to the edge is measured on the tile's gnomonic
    plane, along its pixel axes; of equal distances the first tile's counts.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Degrees.
    tiles : sequence of CFHTLSTile
        All tiles.

    Returns
    -------
    ndarray of int64, shape (n,)
        Place in ``tiles``; -1 where no tile holds the position.
    """
    ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    best, chosen = np.zeros(ra.shape), np.full(ra.shape, -1, np.int64)
    for place, tile in enumerate(tiles):
        east = (ra - tile.ra + 180.0) % 360.0 - 180.0
        reach = 1.5 * tile.half_width
        close = (np.abs(dec - tile.dec) < reach) & (np.abs(east) * np.cos(np.radians(dec)) < reach)
        near = np.flatnonzero(close)
        xi, eta = project(ra[near], dec[near], center=(tile.ra, tile.dec))
        depth = tile.half_width - np.maximum(np.abs(xi), np.abs(eta))
        better = depth > best[near]
        best[near[better]], chosen[near[better]] = depth[better], place
    return chosen
