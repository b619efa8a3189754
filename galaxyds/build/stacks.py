"""Units of datasets whose cutouts are stacks of all frames that cover an object.

A frame is decompressed once per unit, resampled to the grids of the unit's objects and let go: what
memory holds is cutouts, not the hundred frames over one object of Stripe 82.  Units follow one
another on the sky, and fetched frames wait on disk for the next one
(:mod:`galaxyds.build.frame_cache`).

What is missing: a pixel that no frame has is NaN, never 0.  A frame that the archive lacks, or
holds damaged, leaves its objects stacked from the others, with a flag and a note.  A band without
any frame is NaN throughout, with a flag.  An object that no frame of the reference band covers has
no place in the dataset.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxyds.archives.base import DAMAGED, FrameArchive, Tile
from galaxyds.build.context import Context
from galaxyds.build.coverage import read_coverage
from galaxyds.build.frame_cache import FrameCache
from galaxyds.build.frames import FRAME_MISSING
from galaxyds.build.shards import write_shard
from galaxyds.build.tables import read_rows
from galaxyds.catalog import tiles_of
from galaxyds.errors import DataIntegrityError
from galaxyds.pixels.flags import EDGE, FEWER_FRAMES, MISSING_BAND, mask
from galaxyds.pixels.regrid import Source, chunks, tangent_grids
from galaxyds.pixels.stack import combined, noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.pixels.frame import Frame
    from galaxyds.spec import Pixels

WITHOUT = "a frame is lacking in the stack"
"""Begins the note on an object of which a frame could not be had; the reason follows."""
NOT_COVERED = "no frame covers it"
"""Why an object has no stack: no frame of the reference band shows its position."""
CACHE = "frames"
"""Folder of fetched frames in a build's workspace."""
CACHE_BYTES = 8 << 30
"""Most bytes of fetched frames on disk; a quarter of what is free where that is less."""
_MOST_TILES = 24  # of a unit, which is lost as a whole when one of them fails
_FEW_UNITS = 32  # below which a unit is a single tile, so that all workers have one
_MOST_LAYERS = 2000  # objects times frames of a unit: 25 MB per band of 64 x 64 pixels
_CELLS = 1 << 12  # cells along a side of the cube around the sky: 1.7 arcmin each


@dataclass(frozen=True, kw_only=True, slots=True)
class StackObject:
    """One object: its id, position in degrees, and the tiles whose frames may show it."""

    object_id: int
    ra: float
    dec: float
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class StackUnit:
    """The objects of a few tiles near each other, and everything a worker needs to stack them.

    Attributes
    ----------
    first : tuple of int
        The lowest of the tiles that the objects belong to.
    objects : tuple of StackObject
        Ascending in object id.
    archive : FrameArchive
        Pickled to the worker; it holds no credentials.
    bands : tuple of str
        Bands of the result, in order.
    pixels : Pixels
        Size, scale, kernel, rule of combination, reference band.
    directory : pathlib.Path
        Where the shard goes.
    cache : FrameCache
        Frames that units share.
    """

    first: Tile
    objects: tuple[StackObject, ...]
    archive: FrameArchive
    bands: tuple[str, ...]
    pixels: Pixels
    directory: Path
    cache: FrameCache

    @property
    def name(self) -> str:
        """Name of the unit and of its shard: the lowest tile and the first object."""
        return f"{'-'.join(str(part) for part in self.first)}-{self.objects[0].object_id}"

    @property
    def shard(self) -> Path:
        """The file that the unit leaves; a folder per scan keeps folders small."""
        return self.directory / str(self.first[0]) / f"{self.name}.npz"

    @property
    def count(self) -> int:
        """How many objects it has."""
        return len(self.objects)

    def work(self) -> tuple[str, ...]:
        """Stack all objects and publish the shard.

        Returns
        -------
        tuple of str
            Frames that could not be had, one line for each tile and reason.

        Raises
        ------
        ArchiveError
            If a transfer fails for good.
        """
        layers = _take_layers(self)
        dropped = [
            (one.object_id, reason)
            for place, one in enumerate(self.objects)
            if (reason := layers.why_not(place))
        ]
        notes = [
            (one.object_id, f"{WITHOUT}: {reasons}")
            for place, one in enumerate(self.objects)
            if not layers.why_not(place) and (reasons := layers.reasons(place))
        ]
        write_shard(self.shard, _arrays(layers), dropped, notes)
        return layers.told()


class _Layers:
    """Every object of a unit on every frame that touches it, and which frames were not to be had.

    Attributes
    ----------
    depth : ndarray of int16, shape (n, bands)
        Frames on which an object's position lies.
    lacking : dict of (int, int) to str
        Why a frame of an object (by its place) in a band (by its number) could not be had.
    """

    def __init__(self, unit: StackUnit) -> None:
        self.unit = unit
        self.depth = np.zeros((unit.count, len(unit.bands)), np.int16)
        self.lacking: dict[tuple[int, int], str] = {}
        self._lost: dict[tuple[Tile, str], list[str]] = defaultdict(list)
        self._held: dict[tuple[int, int], list[tuple[NDArray[np.float32], float]]] = defaultdict(
            list
        )

    def add(self, frame: Frame, band: int, places: Sequence[int]) -> None:
        """Resample a frame to the grids of those of some objects that it touches."""
        unit = self.unit
        grids = tangent_grids(
            np.array([unit.objects[place].ra for place in places]),
            np.array([unit.objects[place].dec for place in places]),
            size=unit.pixels.size,
            scale=unit.pixels.scale,
        )
        source = Source(frame, grids, size=unit.pixels.size, kernel=unit.pixels.kernel)
        self.depth[places, band] += source.covers
        level, touched = noise(frame), np.flatnonzero(source.touched)
        layers = np.empty((len(touched), unit.pixels.size, unit.pixels.size), np.float32)
        for some in chunks(np.arange(len(touched))):
            layers[some] = source.resampled(touched[some])
        for k, layer in zip(touched.tolist(), layers, strict=True):
            sigma = level * float(source.linear.area[k])
            self._held[places[k], band].append((layer, sigma))

    def miss(self, tile: Tile, band: int, places: Sequence[int], *, reason: str) -> None:
        """Note a frame that could not be had."""
        self._lost[tile, reason].append(self.unit.bands[band])
        self.lacking.update({(place, band): reason for place in places})

    def told(self) -> tuple[str, ...]:
        """The frames that could not be had, a line for each tile and reason."""
        return tuple(
            f"frames {'-'.join(str(part) for part in tile)} ({', '.join(bands)}): {reason}"
            for (tile, reason), bands in self._lost.items()
        )

    def combined(self, place: int, band: int) -> NDArray[np.float32]:
        """One object's stack in one band, (size, size); NaN where no frame has data.

        Nothing but the object's own frames decides its bytes.
        """
        size = self.unit.pixels.size
        if not (held := self._held.get((place, band))):
            return np.full((size, size), np.nan, np.float32)
        values = np.stack([layer for layer, _ in held])[:, None]
        sigma = np.array([[level] for _, level in held], np.float32)
        return np.asarray(combined(values, self.unit.pixels.combine, sigma=sigma)[0])

    def reasons(self, place: int) -> str:
        """Why frames of an object could not be had; empty if all could."""
        return ", ".join(sorted({why for (one, _), why in self.lacking.items() if one == place}))

    def why_not(self, place: int) -> str:
        """Why an object has no place in the dataset; empty if it has."""
        band = self.unit.bands.index(self.unit.pixels.reference_band)
        if self.depth[place, band]:
            return ""
        return FRAME_MISSING if (place, band) in self.lacking else NOT_COVERED


def _take_layers(unit: StackUnit) -> _Layers:
    """Go through all frames of a unit, tiles ascending, each read once and let go."""
    places: dict[Tile, list[int]] = defaultdict(list)
    for place, one in enumerate(unit.objects):
        for tile in one.tiles:
            places[tile].append(place)
    layers = _Layers(unit)
    for tile in sorted(places):
        for name, frame in _read_tile(unit, tile):
            band = unit.bands.index(name)
            if isinstance(frame, str):
                layers.miss(tile, band, places[tile], reason=frame)
            else:
                layers.add(frame, band, places[tile])
    return layers


def _read_tile(unit: StackUnit, tile: Tile) -> Iterator[tuple[str, Frame | str]]:
    """Yield every band's frame, or why it cannot be had; one is in memory at a time."""
    damaged = []
    with unit.cache.held(unit.archive, tile, unit.bands) as held:
        yield from held.missing.items()
        for band, path in held.paths.items():
            try:
                frame = unit.archive.read(path, band)
            except DataIntegrityError:
                damaged.append(band)
                continue
            yield band, frame
    for band in damaged:
        yield band, _read_afresh(unit, tile, band)


def _read_afresh(unit: StackUnit, tile: Tile, band: str) -> Frame | str:
    """Fetch a frame once more: what was stored may have been damaged on the way."""
    unit.cache.discard(tile, band)
    with unit.cache.held(unit.archive, tile, (band,)) as held:
        if band in held.missing:
            return held.missing[band]
        try:
            return unit.archive.read(held.paths[band], band)
        except DataIntegrityError:
            return DAMAGED


def _arrays(layers: _Layers) -> dict[str, NDArray[np.generic]]:
    """The arrays of a shard: the objects that have a place in the dataset."""
    unit, size = layers.unit, layers.unit.pixels.size
    kept = [place for place in range(unit.count) if not layers.why_not(place)]
    image = np.empty((len(kept), len(unit.bands), size, size), np.float32)
    flags = np.zeros(len(kept), np.int32)
    for n, place in enumerate(kept):
        flags[n] = mask(FEWER_FRAMES) if layers.reasons(place) else 0
        for band in range(len(unit.bands)):
            image[n, band] = layers.combined(place, band)
            flags[n] |= _flags(image[n, band])
    middle = np.full(len(kept), (size - 1) / 2, np.float32)
    return {
        "object_id": np.array([unit.objects[place].object_id for place in kept], np.int64),
        "image": image,
        "cutout_x": middle,
        "cutout_y": middle,
        "cutout_flags": flags,
        **{f"depth_{band}": layers.depth[kept, n] for n, band in enumerate(unit.bands)},
    }


def _flags(plane: NDArray[np.float32]) -> int:
    """What the pixels of one band say."""
    empty = np.isnan(plane)
    if empty.all():
        return mask(MISSING_BAND)
    return mask(EDGE) if empty.any() else 0


def stack_units(context: Context, archive: FrameArchive, folder: Path) -> Iterator[StackUnit]:
    """Group the objects of a build into units, neighbours on the sky one after the other.

    Parameters
    ----------
    context : Context
        With the rows of the split stage and the tiles of the coverage stage.
    archive : FrameArchive
        Delivers the frames.
    folder : pathlib.Path
        Where the shards go.

    Yields
    ------
    StackUnit
        Every object stands in exactly one of them; those of a unit lie near each other, whatever
        their scans.  Which objects share a unit decides no byte of their pixels.
    """
    spec = context.spec
    rows = read_rows(context, "split")
    covering = read_coverage(context)
    ids = rows.column(spec.object_id).to_numpy()
    ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    free = shutil.disk_usage(context.workspace.directory).free
    cache = FrameCache(
        directory=context.workspace.directory / CACHE, limit=min(CACHE_BYTES, free // 4)
    )
    tiles = {
        tile: [
            StackObject(object_id=i, ra=float(ra[n]), dec=float(dec[n]), tiles=covering[i])
            for n, i in sorted(((n, int(ids[n])) for n in chosen), key=lambda pair: pair[1])
        ]
        for tile, chosen in tiles_of(rows, spec.pixels.tile).items()
    }
    for first, objects in _groups(tiles):
        yield StackUnit(
            first=first,
            objects=objects,
            archive=archive,
            bands=spec.band_names(),
            pixels=spec.pixels,
            directory=folder,
            cache=cache,
        )


def _groups(
    tiles: dict[Tile, list[StackObject]],
) -> Iterator[tuple[Tile, tuple[StackObject, ...]]]:
    """Tiles that lie near each other, as many as memory allows; a full tile is divided."""
    held: dict[Tile, list[StackObject]] = {}
    most = min(_MOST_TILES, max(1, len(tiles) // _FEW_UNITS))
    for tile in sorted(tiles, key=lambda tile: (_place(tiles[tile][0]), tile)):
        depth = _depth(held) + _depth({tile: tiles[tile]})
        if held and (len(held) == most or depth > _MOST_LAYERS):
            yield _group(held)
            held = {}
        for one in tiles[tile]:
            if tile in held and _depth(held) + len(one.tiles) > _MOST_LAYERS:
                yield _group(held)
                held = {}
            held.setdefault(tile, []).append(one)
    if held:
        yield _group(held)


def _group(held: dict[Tile, list[StackObject]]) -> tuple[Tile, tuple[StackObject, ...]]:
    objects = (one for group in held.values() for one in group)
    return min(held), tuple(sorted(objects, key=lambda one: one.object_id))


def _depth(held: dict[Tile, list[StackObject]]) -> int:
    return sum(len(one.tiles) for group in held.values() for one in group)


def _place(one: StackObject) -> int:
    """Place on a curve that visits the whole sky, so that neighbours are mostly successive."""
    ra, dec = np.radians([one.ra, one.dec])
    vector = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    cells = [min(_CELLS - 1, int((axis + 1) / 2 * _CELLS)) for axis in vector]
    # Morton's order: the bits of the three coordinates interleaved.
    bits = range(_CELLS.bit_length() - 1)
    return sum((cell >> bit & 1) << (3 * bit + n) for bit in bits for n, cell in enumerate(cells))
