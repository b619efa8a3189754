"""Units of an archive that cuts: as many objects as fit into one request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import Cutout, CutoutArchive, CutoutObject
from galaxyds.build.shards import write_shard
from galaxyds.pixels.padding import Padded, centred, pad
from galaxyds.spec import BAND_MASK

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from galaxyds.spec import DatasetSpec

POSITION_OUTSIDE = "position outside of the delivered cutout"


@dataclass(frozen=True, kw_only=True)
class ListUnit:
    """Objects of one tile that are asked for together.

    Attributes
    ----------
    objects : tuple of CutoutObject
        In the order of their ids.
    archive : CutoutArchive
        Pickled to the worker; it holds no credentials.
    size : int
        Rows and columns of a finished cutout.
    half_size, scale : float
        Arcseconds to ask for on each side, and per pixel.
    psf_size : int
        Rows and columns of a stored point-spread function; 0 if none are fetched.
    reference : str
        Band whose position is recorded.
    directory : pathlib.Path
        Where the shard goes.
    optional : frozenset of str
        Bands that an object may lack: its pixels are then zeros, and its bit of ``band_mask`` is 0.
        Single pixels that are NaN stay so in every band, and are flagged.
    """

    objects: tuple[CutoutObject, ...]
    archive: CutoutArchive
    bands: tuple[str, ...]
    size: int
    half_size: float
    scale: float
    psf_size: int
    reference: str
    directory: Path
    optional: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the unit and of its shard: the tile and the first object."""
        first = self.objects[0]
        return f"{first.tile[0]}-{first.object_id}"

    @property
    def shard(self) -> Path:
        """The file that the unit leaves."""
        return self.directory / str(self.objects[0].tile[0]) / f"{self.name}.npz"

    @property
    def count(self) -> int:
        """How many objects it has."""
        return len(self.objects)

    def work(self) -> tuple[str, ...]:
        """Fetch the cutouts and point-spread functions and publish the shard.

        Raises
        ------
        GalaxydsError
            If a request fails for good.
        """
        kept: list[tuple[int, Padded]] = []
        masks: list[int] = []
        dropped: list[tuple[int, str]] = []
        for cutout in self.archive.cutouts(self.objects, self.bands, half_size=self.half_size):
            if reason := self._reason(cutout):
                dropped.append((cutout.object_id, reason))
            else:
                kept.append((cutout.object_id, self._pad(cutout)))
                masks.append(self._mask(cutout))
        arrays = self._arrays(kept)
        if self.optional:
            arrays[BAND_MASK.name] = np.array(masks, np.int16)
        notes: list[tuple[int, str]] = []
        if self.psf_size:
            arrays["psf"], notes = self._point_spreads({object_id for object_id, _ in kept})
        write_shard(self.shard, arrays, dropped, notes)
        return tuple(f"{object_id}: {reason}" for object_id, reason in (*dropped, *notes))

    def _reason(self, cutout: Cutout) -> str:
        """Why an object has no place in the dataset; empty if it has."""
        required = {b: why for b, why in cutout.missing.items() if b not in self.optional}
        if required:
            return _grouped(required)
        x, y = cutout.position[self.reference]
        rows, columns = cutout.pixels[self.reference].shape
        if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):
            return POSITION_OUTSIDE
        return ""

    def _mask(self, cutout: Cutout) -> int:
        """Bits of the bands that have data."""
        return sum(1 << bit for bit, band in enumerate(self.bands) if band in cutout.pixels)

    def _pad(self, cutout: Cutout) -> Padded:
        nothing = np.zeros_like(cutout.pixels[self.reference])
        place = cutout.position[self.reference]
        return pad(
            {**dict.fromkeys(self.optional, nothing), **cutout.pixels},
            {**dict.fromkeys(self.optional, place), **cutout.position},
            bands=self.bands,
            reference=self.reference,
            size=self.size,
            expected=2 * self.half_size / self.scale,
        )

    def _arrays(self, kept: list[tuple[int, Padded]]) -> dict[str, NDArray[np.generic]]:
        shape = (len(self.bands), self.size, self.size)
        image = np.empty((len(kept), *shape), np.float32)
        for place, (_, padded) in enumerate(kept):
            image[place] = padded.image
        squares = [padded for _, padded in kept]
        return {
            "object_id": np.array([object_id for object_id, _ in kept], np.int64),
            "image": image,
            "cutout_x": np.array([p.x for p in squares], np.float32),
            "cutout_y": np.array([p.y for p in squares], np.float32),
            "cutout_flags": np.array([p.flags for p in squares], np.int32),
            "raw_rows": np.array([p.rows for p in squares], np.int16),
            "raw_columns": np.array([p.columns for p in squares], np.int16),
            "pad_rows": np.array([p.row for p in squares], np.int16),
            "pad_columns": np.array([p.column for p in squares], np.int16),
        }

    def _point_spreads(self, wanted: set[int]) -> tuple[NDArray[np.float32], list[tuple[int, str]]]:
        """Functions (n, bands, size, size) of sum 1, zeros where there is none; and which lack."""
        objects = [one for one in self.objects if one.object_id in wanted]
        shape = (len(objects), len(self.bands), self.psf_size, self.psf_size)
        images = np.zeros(shape, np.float32)
        notes = []
        for place, found in enumerate(self.archive.point_spreads(objects, self.bands)):
            for index, band in enumerate(self.bands):
                if band in found.images:
                    square = centred(found.images[band], self.psf_size)
                    images[place, index] = square / square.sum()
            if found.missing:
                told = f"no point-spread function, {_grouped(found.missing)}"
                notes.append((found.object_id, told))
        return images, notes


def _grouped(missing: dict[str, str]) -> str:
    """One phrase for the missing bands of an object, equal reasons told once."""
    reasons: dict[str, list[str]] = {}
    for band, reason in missing.items():
        reasons.setdefault(reason, []).append(band)
    return "; ".join(f"{reason} ({', '.join(bands)})" for reason, bands in reasons.items())


def list_units(
    rows: pa.Table, spec: DatasetSpec, archive: CutoutArchive, directory: Path
) -> Iterator[ListUnit]:
    """Group the objects of a build into requests, in ascending order of tiles and ids.

    Parameters
    ----------
    rows : pyarrow.Table
        With id, ``ra``, ``dec`` (degrees) and the tile's columns.
    spec : DatasetSpec
        Pixels, bands, and the names of those columns.
    archive : CutoutArchive
        Says how many objects fit into a request.
    directory : pathlib.Path
        Where the shards go.

    Yields
    ------
    ListUnit
        Every object stands in exactly one of them; all of a unit share the tile's first column.
    """
    bands = spec.band_names()
    most = archive.list_objects(bands)
    ids = rows.column(spec.object_id).to_numpy()
    ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    tiles = [rows.column(name).to_numpy() for name in spec.pixels.tile]
    group = tiles[0]
    order = np.lexsort((ids, group))
    for run in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        for start in range(0, len(run), most):
            objects = tuple(
                CutoutObject(
                    object_id=int(ids[n]),
                    ra=float(ra[n]),
                    dec=float(dec[n]),
                    tile=tuple(int(column[n]) for column in tiles),
                )
                for n in run[start : start + most]
            )
            yield ListUnit(
                objects=objects,
                archive=archive,
                bands=bands,
                size=spec.pixels.size,
                half_size=spec.pixels.half_size,
                scale=spec.pixels.scale,
                psf_size=spec.pixels.psf_size,
                reference=spec.pixels.reference_band,
                directory=directory,
                optional=frozenset(band.name for band in spec.bands if band.optional),
            )
