"""What an archive can be asked for: rows, and pixels in one of three shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from galaxyds.spec import Column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from galaxyds.catalog.specz import SurveyTally
    from galaxyds.pixels.frame import Frame

Tile = tuple[int, ...]
"""Name of one unit of sky, for example (run, camcol, field); its parts are never padded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogQuery:
    """A question to a catalogue, in galaxyds terms.

    Attributes
    ----------
    columns : tuple of Column
        What to return; each has an ``archive`` expression.
    tables : str
        The FROM clause, in the archive's words.
    predicates : tuple of str
        Conditions in DuckDB's dialect over the names of ``vocabulary``; all must hold.
    key : str
        Column that is unique per row; pages are cut along it and rows come back in its order.
    vocabulary : tuple of Column
        Columns that predicates may use (``columns`` and those that are only tested).
    exact : tuple of str
        Columns to deliver with all their digits, whether or not a predicate tests them: an object's
        values then do not depend on who applies the cuts.
    only : tuple of (str, tuple of int) or None
        Keep rows whose integer column is one of these values (an object list).
    base : str
        A predicate that holds for every row and where counts start: the rows that could be meant at
        all, so that a count does not scan an archive's whole catalogue.  Empty for all rows.
    """

    columns: tuple[Column, ...]
    tables: str
    predicates: tuple[str, ...]
    key: str
    vocabulary: tuple[Column, ...]
    exact: tuple[str, ...] = ()
    only: tuple[str, tuple[int, ...]] | None = None
    base: str = ""


FRAMES_ENDPOINT = "frames"
"""Name of the service that delivers frames."""
CUTOUTS_ENDPOINT = "cutouts"
"""Name of the service that delivers cutouts."""
NO_DATA = "no data in the archive"
"""Why a band has no pixels: the archive has none."""
DAMAGED = "damaged in the archive"
"""Why a band has no pixels: the archive's own file is broken, however often it is asked for."""


class Need(NamedTuple):
    """Something that an archive needs before it can work, and whether it is there."""

    what: str
    present: bool
    advice: str
    is_account: bool = False


@runtime_checkable
class Source(Protocol):
    """Anything that a dataset is built from."""

    @property
    def name(self) -> str:
        """Short name, for messages and the manifest."""

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service: :data:`FRAMES_ENDPOINT`, :data:`CUTOUTS_ENDPOINT`, ..."""

    def needs(self) -> tuple[Need, ...]:
        """Accounts and packages that this archive needs."""

    def departures(self) -> tuple[str, ...]:
        """Where a simulated sky differs from nature on purpose; empty for a real archive."""


@runtime_checkable
class CatalogArchive(Source, Protocol):
    """Rows.  Sentinels, NaN and NULL of nullable columns come back as NULL."""

    def sql(self, query: CatalogQuery) -> str:
        """Return the exact text sent for ``query``, pages aside (for the manifest and the docs)."""

    def count(self, query: CatalogQuery) -> tuple[int, ...]:
        """Count rows under none, the first, the first two, ... of the predicates.

        Returns
        -------
        tuple of int
            ``len(predicates) + 1`` numbers.
        """

    def extent(self, query: CatalogQuery, tile: Sequence[str]) -> tuple[int, int]:
        """Count the rows of ``query``, and the distinct values of its ``tile`` columns."""

    def rows(self, query: CatalogQuery) -> pa.Table:
        """Return all rows, in the order of ``query.key``.

        Raises
        ------
        ArchiveError
            If the archive refuses, fails, truncates or answers nonsense.
        """


@runtime_checkable
class CompiledArchive(Protocol):
    """A catalogue that is put together here, out of several sources, at the first question."""

    def tallies(self) -> tuple[SurveyTally, ...]:
        """Return what each spectroscopic survey brought and lost, in the order of the surveys."""


@runtime_checkable
class FrameArchive(Protocol):
    """Whole calibrated frames, one file per band, for a tile of sky (SDSS, mosaics)."""

    def frames(self, tile: Tile, bands: Sequence[str], directory: Path) -> dict[str, Path]:
        """Put the frames of a tile into ``directory`` and return their paths by band.

        Raises
        ------
        NotInArchiveError
            If the archive does not hold a frame of the tile.
        ArchiveError
            If a transfer fails for good.
        """

    def read(self, path: Path, band: str) -> Frame:
        """Read and check one frame.

        Raises
        ------
        DataIntegrityError
            If the file is not a calibrated frame of that band.
        """

    def neighbours(self, tile: Tile) -> tuple[Tile, ...]:
        """Tiles of the same scan that overlap this one."""

    def tile_bytes(self, bands: Sequence[str]) -> int:
        """Bytes to transfer for one tile, estimated (0 if nothing is transferred)."""


@runtime_checkable
class CoverageArchive(FrameArchive, Protocol):
    """Frames that overlap, found by position: every one that shows an object."""

    def covering(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64], *, radius: float
    ) -> list[tuple[Tile, ...]]:
        """Find the tiles whose frames may come within ``radius`` arcsec of each position.

        A tile too many costs a transfer, a tile too few costs depth: when in doubt it is named.

        Returns
        -------
        list of tuple of Tile
            In the order of the positions, tiles ascending; empty where there is none.

        Raises
        ------
        ArchiveError
            If the archive refuses, fails or answers nonsense.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFiles:
    """Folders of files that whoever builds has brought along.

    Attributes
    ----------
    mosaics : pathlib.Path or None
        FITS mosaics, told apart by their headers.
    redshifts : pathlib.Path or None
        Tables of spectroscopic surveys, one file per survey, named after it.
    """

    mosaics: Path | None = None
    redshifts: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoutObject:
    """One object for a cutout service.

    Attributes
    ----------
    object_id : int
        Its id.
    ra, dec : float
        Position in degrees (ICRS).
    tile : tuple of int
        Tile of sky that it was measured in (HSC: the tract); the cutout comes from that tile.
    """

    object_id: int
    ra: float
    dec: float
    tile: Tile


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """What a cutout service returned for one object, as delivered.

    Attributes
    ----------
    object_id : int
        The object.
    pixels : dict of str to ndarray
        Per band float32 (rows, columns), native byte order; sizes may differ by a pixel from object
        to object.
    position : dict of str to (float, float)
        Per band the object's 0-based (x, y) in ``pixels``, from the cutout's own WCS.
    missing : dict of str to str
        Bands without pixels, and why: :data:`NO_DATA`, :data:`DAMAGED`.
    grid : astropy.wcs.WCS or None
        The gnomonic grid of the delivered pixels, the centre of the first pixel at (0, 0) with
        origin 0, where a service tells it and the bands share it.
    """

    object_id: int
    pixels: dict[str, NDArray[np.float32]]
    position: dict[str, tuple[float, float]]
    missing: dict[str, str]
    grid: WCS | None = None


@dataclass(frozen=True, kw_only=True)
class PointSpread:
    """The point-spread functions at one object.

    Attributes
    ----------
    object_id : int
        The object.
    images : dict of str to ndarray
        Per band float32 (rows, columns), odd sizes, centred on the middle pixel, the pixel's own
        response included, sum 1.
    missing : dict of str to str
        Bands without one, and why: :data:`NO_DATA`, :data:`DAMAGED`, or what is wrong with it.
    """

    object_id: int
    images: dict[str, NDArray[np.float32]]
    missing: dict[str, str]


@runtime_checkable
class CutoutArchive(Protocol):
    """Cutouts made by the archive, in lists (HSC, CADC).  Can be pickled."""

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects, in all bands, fit into one request."""

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield one cutout per object, in the order of ``objects``, of half-width in arcseconds.

        A transfer that breaks is taken up again for what is still missing; an object or band that
        the archive does not have is said in :attr:`Cutout.missing`, and is no error.

        Raises
        ------
        ArchiveError
            If the service fails for good.
        CredentialsError
            If it does not accept the account.
        DataIntegrityError
            If an answer breaks the protocol (a name that points elsewhere, a link, too many bytes).
        """

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield the point-spread functions at every object, in order; as :meth:`cutouts`."""

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """Bytes to transfer per object, estimated (0 if nothing is transferred).

        What :meth:`cutouts` and :meth:`point_spreads` bring, together.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """A file of a published record.

    Attributes
    ----------
    name : str
        As published.
    url : str
        Where it is.
    bytes : int
        Its size.
    md5 : str
        Its checksum in hexadecimal.
    """

    name: str
    url: str
    bytes: int
    md5: str


@runtime_checkable
class RecordArchive(Protocol):
    """Published files by name (a Zenodo record)."""

    @property
    def name(self) -> str:
        """Short name, for messages and the manifest."""

    def files(self) -> dict[str, RemoteFile]:
        """Return the files of the record, by name.

        Raises
        ------
        ArchiveError
            If the record cannot be read.
        """

    def fetch(self, file: RemoteFile, directory: Path) -> Path:
        """Put a file into ``directory``, resuming what is there of it, and check its md5.

        Raises
        ------
        ArchiveError
            If the transfer fails for good.
        DataIntegrityError
            If the checksum differs: the file is named, and removed.
        """

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service."""
