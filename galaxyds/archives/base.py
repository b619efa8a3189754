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
    from numpy.typing import NDArray

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
    """

    columns: tuple[Column, ...]
    tables: str
    predicates: tuple[str, ...]
    key: str
    vocabulary: tuple[Column, ...]
    exact: tuple[str, ...] = ()
    only: tuple[str, tuple[int, ...]] | None = None


FRAMES_ENDPOINT = "frames"
"""Name of the service that delivers pixels; any other name is a catalogue."""


class Need(NamedTuple):
    """Something that an archive needs before it can work, and whether it is there."""

    what: str
    present: bool
    advice: str
    is_account: bool = False


@runtime_checkable
class CatalogArchive(Protocol):
    """Rows.  Sentinels, NaN and NULL of nullable columns come back as NULL."""

    @property
    def name(self) -> str:
        """Short name, for messages and the manifest."""

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

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service; that of the pixels is named :data:`FRAMES_ENDPOINT`."""

    def needs(self) -> tuple[Need, ...]:
        """Accounts and packages that this archive needs."""

    def departures(self) -> tuple[str, ...]:
        """Where a simulated sky differs from nature on purpose; empty for a real archive."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoutObject:
    """One object for a cutout service: id and position in degrees (ICRS)."""

    object_id: int
    ra: float
    dec: float


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """What a cutout service returned for one object.

    Attributes
    ----------
    object_id : int
        The object.
    pixels : dict of str to ndarray
        Per band float32 (rows, columns), as delivered; an absent band is missing from the dict.
    position : dict of str to (float, float)
        Per band the object's 0-based (x, y), from the cutout's own WCS.
    """

    object_id: int
    pixels: dict[str, NDArray[np.float32]]
    position: dict[str, tuple[float, float]]


@runtime_checkable
class CutoutArchive(Protocol):
    """Cutouts made by the archive, one object at a time or in lists (HSC, CADC)."""

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], size: float
    ) -> Iterator[Cutout]:
        """Yield a cutout of half-width ``size`` arcseconds for every object that has data.

        Raises
        ------
        ArchiveError
            If the service fails for good.
        """


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published dataset, opened: its table, and its pixels by row range.

    Attributes
    ----------
    table : pyarrow.Table
        One row per object, the published split membership among the columns.
    shape : tuple of int
        Shape of all pixels: objects, bands, rows, columns.
    """

    table: pa.Table
    shape: tuple[int, int, int, int]

    def pixels(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 blocks (n, bands, rows, columns) in the order of ``table``."""
        raise TypeError(f"{type(self).__name__} does not say how its pixels are read")


@runtime_checkable
class ReleaseArchive(Protocol):
    """Published files (Zenodo, deepdip), rewritten contiguous on the way in."""

    def open(self, directory: Path) -> Release:
        """Fetch the published files into ``directory`` (resuming) and open them.

        Raises
        ------
        ArchiveError
            If a transfer fails for good.
        DataIntegrityError
            If a file does not match its published checksum.
        """
