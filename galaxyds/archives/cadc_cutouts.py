"""Cutouts of the CFHTLS Wide from CADC: by its service (SODA 1.0), or out of whole tiles.

The service answers a circle about the object with the circle's bounding box, one file per object
and band, from which the asked pixels are taken here.  Where it is absent or refuses, the tile's
coadd is fetched once, and the same pixels are cut here; both ways run the same code on the same
stored numbers.

An object so near the edge of its tile that its cutout would not be whole has none.  A service that
sends less than the cutout of another object sent something else than was asked.

What stands in the pixels stays, 0 and NaN too (:mod:`galaxyds.archives.cadc_fits`).
"""

from __future__ import annotations

import functools
import logging
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import numpy as np
import platformdirs

from galaxyds.archives.base import (
    CUTOUTS_ENDPOINT,
    FRAMES_ENDPOINT,
    NO_DATA,
    Cutout,
    CutoutObject,
    PointSpread,
    Tile,
)
from galaxyds.archives.bounded import FITS_BLOCK, broken
from galaxyds.archives.cadc_files import TYPICAL, CoaddFiles, FileHttp
from galaxyds.archives.cadc_fits import (
    Coadd,
    Piece,
    cut,
    holds,
    pixels_across,
    read_coadd,
    wcs_of,
)
from galaxyds.archives.cadc_settings import DATA, SODA, WAY, base_url, chosen_way
from galaxyds.archives.cadc_tiles import BANDS, INTERVAL, PIXEL_SCALE, CADCTiles, CFHTLSTile
from galaxyds.archives.calls import Call, Policy, Setback
from galaxyds.archives.hsc_session import Connections
from galaxyds.archives.http import rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import looks_like_html, server_words, shown_url
from galaxyds.errors import ArchiveError, DataIntegrityError, NotInArchiveError, UsageError
from galaxyds.pixels.gnomonic import project

CONNECTIONS = 4
"""Requests under way at once, over all processes of a user (the archive states no limit)."""

_LOG = logging.getLogger(__name__)
_OBJECTS = 200  # that are worth a unit of work
_MARGIN = 3  # pixels around the asked square: the service rounds as it likes
_HEADERS = 64 << 10  # most bytes that the headers of a cutout may take
_SMALL_HEADERS = 6 * FITS_BLOCK  # what they take
_OPEN = 10  # coadds that stay mapped: two tiles in five bands
_PER_TILE = 600  # objects of the dataset per tile, about: for estimates only
# How the service says in words that a circle misses a file is not verified.
_MISSED = re.compile(r"no\s*overlap|not\s+(?:overlap|intersect)|no\s+intersection", re.IGNORECASE)
_Result = TypeVar("_Result")
ArchiveFailure = ArchiveError | DataIntegrityError
_BESIDE = (204, 400)  # statuses of an answer that the circle misses the file
_ENOUGH = 3  # failures running after which the service is not asked again
_NAMED = 20.0  # arcseconds: how well a tile's name states its middle, and its size its edges


class CutoutHttp(FileHttp):
    """The session for cutouts: an answer counts when it was read."""

    def read(
        self, url: str, consume: Callable[[bytes], _Result], *, max_bytes: int
    ) -> _Result | None:
        """Ask until an answer can be read.

        Parameters
        ----------
        url : str
            Complete, with its query.
        consume : callable
            Takes the body; DataIntegrityError if it is damaged, with ``other_product`` if it is
            sound and not what was asked.
        max_bytes : int
            Largest acceptable body.

        Returns
        -------
        object or None
            What ``consume`` returned; None for an answer without content (HTTP 204).

        Raises
        ------
        NotInArchiveError
            On 404 and 410.
        ArchiveError
            On any other refusal, and when all attempts are used up.
        DataIntegrityError
            If another product comes than was asked.
        """
        call = Call(method="GET", url=url)

        def once() -> _Result | Setback | None:
            reply = self._open(call)
            if isinstance(reply, Setback):
                return reply
            with reply:
                body = self._body(reply, max_bytes)
            if isinstance(body, Setback):
                return body
            if reply.status_code == 204:
                return None
            if looks_like_html(body, reply.headers.get("Content-Type", "")):
                return Setback(f"a web page came instead of a file: {server_words(body)}")
            try:
                return consume(body)
            except DataIntegrityError as error:
                if error.values.get("other_product"):
                    raise
                return Setback(error.message)

        return self._retrying(once, call)


class _Job(NamedTuple):
    """One band of one object."""

    one: CutoutObject
    tile: CFHTLSTile
    band: str


class CADCCutouts:
    """Cutouts of the CFHTLS Wide.

    Parameters
    ----------
    tiles : sequence of CFHTLSTile, optional
        What the archive holds; asked from it by default, once.
    way : str, optional
        ``soda``, ``tiles`` or ``auto``: the service, the tile for what that does not send, and
        tiles alone once it refuses or has failed three times running.  By default the setting
        ``GALAXYDS_CADC_CUTOUTS``.
    http : CutoutHttp, optional
        Session.
    folder : pathlib.Path, optional
        Where whole tiles are kept; the platform's cache folder by default.
    connections : Connections, optional
        Places that all processes of a user share.

    Raises
    ------
    UsageError
        If a setting is no http(s) URL, or no way.
    """

    def __init__(
        self,
        tiles: Sequence[CFHTLSTile] | None = None,
        *,
        way: str | None = None,
        http: CutoutHttp | None = None,
        folder: Path | None = None,
        connections: Connections | None = None,
    ) -> None:
        self.soda, data = base_url(SODA), base_url(DATA)
        self.way = way or chosen_way()
        self.http = http or CutoutHttp(
            "CADC", policy=Policy(timeout=(15.0, 300.0), first_attempts=6), setting=SODA,
            rate=RateLimit(INTERVAL, rate_directory()),
        )  # fmt: skip
        kept = folder or Path(platformdirs.user_cache_dir("galaxyds")) / "cadc"
        self.files = CoaddFiles(data, self.http, kept)
        self.connections = connections or Connections(CONNECTIONS)
        self._tiles = {one.tile: one for one in tiles} if tiles is not None else None
        self._is_there = False
        self._failures = 0  # running

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service."""
        files = {FRAMES_ENDPOINT: shown_url(self.files.url)} if self.way != "soda" else {}
        return {CUTOUTS_ENDPOINT: shown_url(self.soda), **files}

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects are asked for together: a request brings one band of one."""
        return _OBJECTS

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield one cutout per object, in order.

        Parameters
        ----------
        objects : sequence of CutoutObject
            Their tile is that of :class:`~galaxyds.archives.cadc_tiles.CFHTLSTile`.
        bands : sequence of str
            Of u, g, r, i, z; the i filter is the tile's.
        half_size : float
            Half the width of the cutout in arcseconds; the cutout has twice that, divided by the
                pixel scale and rounded, pixels a side.

        Yields
        ------
        Cutout
            Pixels as stored, float32 in native byte order.

        Raises
        ------
        ArchiveError
            If the service fails for good, or wants an account.
        DataIntegrityError
            If it sends something that is no coadd of the survey.
        StorageError
            If a whole tile cannot be kept.
        UsageError
            If there is no such band or tile.
        """
        size = pixels_across(half_size)
        for start in range(0, len(objects), _OBJECTS):
            yield from self._batch(objects[start : start + _OBJECTS], bands, size)

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield nothing but the reason: the archive holds no point-spread functions."""
        for one in objects:
            missing = dict.fromkeys(bands, NO_DATA)
            yield PointSpread(object_id=one.object_id, images={}, missing=missing)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """Bytes to transfer per object, estimated; for whole tiles, the tile's shared by many."""
        if self.way == "tiles":
            return len(bands) * TYPICAL // _PER_TILE
        side = pixels_across(half_size) + 2 * _MARGIN
        image = -(-4 * side * side // FITS_BLOCK) * FITS_BLOCK
        return len(bands) * (_SMALL_HEADERS + image)

    # one batch -------------------------------------------------------------------------------

    def _batch(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], size: int
    ) -> Iterator[Cutout]:
        jobs = [_Job(one, self._tile(one), band) for one in objects for band in _checked(bands)]
        pieces = iter(self._pieces(jobs, size))
        for one in objects:
            yield _cutout(one, {band: next(pieces) for band in bands})

    def _pieces(self, jobs: Sequence[_Job], size: int) -> list[Piece | None]:
        if self.way == "tiles":
            return self._cut_here(jobs, size)
        served = self._served(jobs, size)
        doubtful = [place for place, found in enumerate(served) if isinstance(found, Exception)]
        here = self._cut_here([jobs[place] for place in doubtful], size)
        pieces = dict(zip(doubtful, here, strict=True))
        return [
            pieces[place] if isinstance(found, Exception) else found
            for place, found in enumerate(served)
        ]

    def _served(self, jobs: Sequence[_Job], size: int) -> list[Piece | ArchiveFailure | None]:
        """What the service sends; in ``auto`` an error stands for what the tile has to say."""
        pool = ThreadPoolExecutor(CONNECTIONS)
        one = self._tried if self.way == "auto" else self._ask_alone
        try:
            return list(pool.map(lambda job: one(job, size), jobs))
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask_alone(self, job: _Job, size: int) -> Piece | None:
        try:
            return self._ask(job, size)
        except NotInArchiveError:
            return None

    def _tried(self, job: _Job, size: int) -> Piece | ArchiveFailure | None:
        if self.way == "tiles":  # by now
            return ArchiveError("not asked")
        try:
            found = self._ask(job, size)
        except (ArchiveError, DataIntegrityError) as error:
            if error.values.get("status") in _BESIDE and _is_near_edge(job, size):
                return None
            self._failed(error)
            return error
        self._failures = 0
        return found

    def _failed(self, error: ArchiveFailure) -> None:
        """Give the service up if it meant it, or once it has failed often enough."""
        self._failures += 1
        if self.way == "tiles" or not (_is_definite(error) or self._failures >= _ENOUGH):
            _LOG.info("%s; this cutout is made of the whole tile", error.message)
            return
        self.way = "tiles"
        _LOG.warning("%s; from here on cutouts are made of whole tiles", error.message)

    def _ask(self, job: _Job, size: int) -> Piece | None:
        """One cutout from the service; None where nothing was observed, or no coadd is."""
        one, artifact = job.one, job.tile.artifacts.get(job.band)
        if artifact is None:
            return None
        side = size + 2 * _MARGIN
        place = f"CIRCLE {one.ra:.10f} {one.dec:.10f} {side / 2 * PIXEL_SCALE / 3600:.10f}"
        query = urlencode({"ID": artifact.uri, "POS": place}, quote_via=quote)
        most = 16 * side * side + _HEADERS

        def consume(body: bytes) -> tuple[Piece | None]:
            coadd = read_coadd(_plain(body, artifact.file, most), artifact.file, limit=most)
            if not holds(coadd, one.ra, one.dec, size=size) and not _is_near_edge(job, size):
                raise _too_small(coadd, artifact.file, size)
            return (cut(coadd, one.ra, one.dec, size=size, name=artifact.file),)

        try:
            with self.connections.one(self.soda):
                came = self.http.read(f"{self.soda}?{query}", consume, max_bytes=most)
        except NotInArchiveError:
            self._require_service()
            raise
        except ArchiveError as error:
            if error.values.get("status") == 400 and _MISSED.search(str(error.values["answer"])):
                raise NotInArchiveError(error.message, **error.values) from None
            raise
        if came is None:
            raise NotInArchiveError(
                f"CADC says that {artifact.file} has nothing at {one.ra:.6f} {one.dec:.6f}",
                service="CADC", url=shown_url(self.soda), status=204, answer="",
            )  # fmt: skip
        return came[0]

    def _require_service(self) -> None:
        """Tell a missing file from a missing service: that knows not even its own address."""
        if self._is_there:
            return
        try:
            self.http.get(self.soda, max_bytes=1 << 20)
        except NotInArchiveError as error:
            raise ArchiveError(
                f"CADC has no cutout service at {shown_url(self.soda)}: check {SODA}",
                **error.values,
            ) from None
        except ArchiveError as error:
            if error.values.get("status") is None:
                raise
        self._is_there = True

    def _cut_here(self, jobs: Sequence[_Job], size: int) -> list[Piece | None]:
        @functools.lru_cache(_OPEN)
        def coadd(number: Tile, band: str) -> Coadd | None:
            artifact = self._known()[number].artifacts.get(band)
            try:
                return self.files.open(artifact) if artifact else None
            except NotInArchiveError:
                return None

        found = []
        for one, tile, band in jobs:
            whole = coadd(tile.tile, band)
            name = f"{tile.name} {band}"
            found.append(cut(whole, one.ra, one.dec, size=size, name=name) if whole else None)
        return found

    # tiles -----------------------------------------------------------------------------------

    def _known(self) -> Mapping[Tile, CFHTLSTile]:
        if self._tiles is None:
            self._tiles = {one.tile: one for one in CADCTiles().tiles()}
        return self._tiles

    def _tile(self, one: CutoutObject) -> CFHTLSTile:
        found = self._known().get(tuple(one.tile))
        if found is None:
            raise UsageError(
                f"object {one.object_id} names no tile of the CFHTLS Wide: {one.tile}; give its "
                "tile as HHMMSS and signed DDMMSS"
            )
        return found


def _is_near_edge(job: _Job, size: int) -> bool:
    """Whether the tile may end within an object's cutout."""
    one, tile = job.one, job.tile
    plane = project(np.array([one.ra]), np.array([one.dec]), center=(tile.ra, tile.dec))
    depth = tile.half_width - max(float(abs(axis[0])) for axis in plane)
    return 3600 * depth < size / 2 * PIXEL_SCALE + _NAMED


def _is_definite(error: ArchiveFailure) -> bool:
    """Whether asking for another cutout would bring the same refusal."""
    if isinstance(error, NotInArchiveError | DataIntegrityError):
        return False
    status = error.values.get("status")
    return isinstance(status, int) and 300 <= status < 500 and status not in (408, 425, 429)


def _too_small(coadd: Coadd, name: str, size: int) -> DataIntegrityError:
    rows, columns = coadd.pixels.shape
    expected, got = f"{size} x {size} pixels about the object", f"{columns} x {rows} beside it"
    if min(rows, columns) < size:
        got = f"{columns} x {rows}"
    error = broken(Path(name), expected, got, f"the cutout service errs: set {WAY} to tiles")
    return DataIntegrityError(error.message, **error.values, other_product=True)


def _checked(bands: Sequence[str]) -> Sequence[str]:
    for band in bands:
        if band not in BANDS:
            raise UsageError(f"CFHTLS has no band '{band}': it has {', '.join(BANDS)}", band=band)
    return bands


def _cutout(one: CutoutObject, pieces: Mapping[str, Piece | None]) -> Cutout:
    came = {band: piece for band, piece in pieces.items() if piece is not None}
    grids = [dict(piece.grid) for piece in came.values()]
    shared = bool(grids) and all(grid == grids[0] for grid in grids)
    return Cutout(
        object_id=one.object_id,
        pixels={band: piece.pixels for band, piece in came.items()},
        position={band: piece.position for band, piece in came.items()},
        missing={band: NO_DATA for band, piece in pieces.items() if piece is None},
        grid=wcs_of(grids[0]) if shared else None,
    )


def _plain(body: bytes, name: str, limit: int) -> memoryview:
    """Unpack a gzipped answer, up to a size."""
    if not body.startswith(b"\x1f\x8b"):
        return memoryview(body)
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        cause = f"the bytes were damaged on the way ({error}): ask again"
        raise broken(Path(name), "a sound gzip stream", "a damaged one", cause) from None
    if len(content) > limit or not stream.eof:
        got = "more" if len(content) > limit else "a cut one"
        raise broken(Path(name), f"a gzip stream of at most {limit} bytes", got, "ask again")
    return memoryview(content)
