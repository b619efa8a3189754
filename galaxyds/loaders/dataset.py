"""One torch dataset for every build: pixels stay in the mapped file until they are asked for."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, SupportsIndex

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate

from galaxyds import settings
from galaxyds.errors import DataIntegrityError, UsageError, did_you_mean
from galaxyds.loaders.gather import empty_images, gather
from galaxyds.refs import DatasetRef
from galaxyds.spec import BAND_MASK, DatasetSpec
from galaxyds.specs import get_spec
from galaxyds.store.hdf5 import image_map, read_columns
from galaxyds.store.layout import BuildDirectory, find_build
from galaxyds.store.manifest import Manifest

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]
ALL = "all"
_DEFAULT_COLUMNS = ("redshift",)


class Samples(Sequence[Sample]):
    """Samples that share the memory of one batch.

    A sequence of dicts for any collate function; :func:`collate` returns ``batch`` itself, without
    another copy.

    Attributes
    ----------
    batch : dict
        ``image`` (k, bands, rows, columns) and one tensor (k,), or list of k texts, per column.
    """

    def __init__(self, batch: Sample) -> None:
        self.batch = batch
        self._dicts: list[Sample] | None = None

    def __len__(self) -> int:
        return len(self.batch["image"])

    def __getitem__(self, index: Any) -> Any:
        return self._samples()[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples())

    def _samples(self) -> list[Sample]:
        if self._dicts is None:
            names, values = self.batch.keys(), self.batch.values()
            rows = zip(*(v if isinstance(v, list) else v.unbind() for v in values), strict=True)
            self._dicts = [dict(zip(names, row, strict=True)) for row in rows]
        return self._dicts


def collate(samples: Sequence[Sample]) -> Sample:
    """Make a batch of samples; free of copies for what ``__getitems__`` returned.

    Parameters
    ----------
    samples : sequence of dict
        From :class:`GalaxyDataset`.

    Returns
    -------
    dict
        As :attr:`Samples.batch`.
    """
    if isinstance(samples, Samples):
        return samples.batch
    batch: Sample = default_collate(list(samples))
    return batch


class GalaxyDataset(Dataset[Sample]):
    """Objects of a build: cutouts and columns, as a torch map-style dataset.

    A sample is a dict:

    ============= ============================ ==============================================
    key           value                        meaning
    ============= ============================ ==============================================
    ``image``     float32 (bands, rows, cols)  pixels in the band's unit, not normalised; NaN
                                               where the archive has none
    ``object_id`` int64 ()                     the object
    *columns*     dtype of the column, ()      as asked for; NaN or the sentinel if missing;
                                               text is ``str``
    ``band_mask`` bool (bands,)                always, in datasets with optional bands: False where
                                               the pixels are zeros because there is no data
    ============= ============================ ==============================================

    Tensors are copies: writing to them never reaches the file.  The dataset works in the worker
    processes of a ``DataLoader`` (forked or spawned); pass ``collate_fn=collate`` there.  One
    process with :class:`galaxyds.loaders.BatchLoader` is faster than workers.

    Parameters
    ----------
    split : str
        ``train``, ``validation``, ``test``, ``all``, or a further test sample of the dataset.
    root : path-like, optional
        Folder of the builds; default ``GALAXYDS_HOME`` or the platform's data folder.
    config, version : str, optional
        Variant and version; default the spec's first config and the newest full build.
    division : int
        Which of the random divisions ``split`` refers to.
    fold : int, optional
        Which fold is tested, in datasets that declare folds: the same as ``division``.
    bands : str or sequence of str, optional
        Bands in the order wanted, ``"gri"``, ``"g,Ks"`` or ``["g", "r", "i"]``; all by default.
    columns : sequence of str, optional
        Columns of a sample beside ``object_id``; ``redshift`` by default.
    transform : callable, optional
        From sample dict to sample dict, applied last.
    download : bool
        Fetch the published build from the hub unless it is here, once for all processes that ask;
        see :func:`galaxyds.download.fetch`, which raises further errors.  A partial build here is
        taken if it is named with its label, or if no version is and nothing can be fetched.

    Raises
    ------
    DatasetNotFoundError
        If it is neither here nor on the hub; the message quotes the command that builds it.
    UsageError
        If a split, config, division, band or column does not exist.
    DataIntegrityError
        If the files do not fit the manifest.
    """

    name: ClassVar[str] = ""

    def __init__(  # noqa: PLR0913 - the constructor that all datasets share
        self,
        split: str,
        *,
        root: str | os.PathLike[str] | None = None,
        config: str | None = None,
        version: str | None = None,
        division: int = 0,
        fold: int | None = None,
        bands: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self.spec = self.declaration()
        ref = DatasetRef(self.spec.name, config, version)
        self.build = _locate(ref, self.spec, root, download)
        self.spec = self.spec.of(self.build.manifest.config)
        self.split, self.transform = split, transform
        self.division = _choose_division(self.spec, split, division, fold)
        self.bands = _check_bands(self.spec, bands)
        self.columns = _check_columns(self.spec, columns)
        self._rows, self._values = self._read_columns()
        self._file = _identity(self.build)
        self._pixels: NDArray[np.float32] | None = None
        self._band_index = _band_index(self.spec, self.bands)
        self._check_pixels()

    @classmethod
    def declaration(cls) -> DatasetSpec:
        """Return the spec of the dataset, found by the class's ``name``."""
        return get_spec(cls.name)

    @property
    def manifest(self) -> Manifest:
        """What is known about the build: cut flow, files, statistics."""
        return self.build.manifest

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one sample's image: bands, rows, columns."""
        return (len(self.bands), *self.spec.image_shape()[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: SupportsIndex) -> Sample:
        position = self._position(operator.index(index))
        cutout = self._images()[self._rows[position]]
        # Always a copy: indexing with a list of bands makes one, indexing with none must.
        chosen = cutout.copy() if self._band_index is None else cutout[self._band_index]
        sample: Sample = {"image": torch.from_numpy(chosen)}
        for name, values in self._values.items():
            value = values[position]
            sample[name] = value if isinstance(value, str) else torch.from_numpy(np.array(value))
        return sample if self.transform is None else self.transform(sample)

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> Sequence[Sample]:
        """Return the samples of a batch, gathered into one tensor per key.

        Parameters
        ----------
        indices : sequence of int
            As ``DataLoader`` passes them.

        Returns
        -------
        Samples, or list of dict if there is a transform
            One per index.
        """
        samples = Samples(
            self.batch(np.array([operator.index(i) for i in indices], dtype=np.int64))
        )
        return samples if self.transform is None else [self.transform(s) for s in samples]

    def batch(
        self, indices: NDArray[np.int64], *, out: NDArray[np.float32] | None = None
    ) -> Sample:
        """Gather a batch; ``transform`` is not applied.

        Parameters
        ----------
        indices : ndarray of int64, shape (k,)
            Positions in this dataset.
        out : ndarray of float32, shape (k, bands, rows, columns), optional
            Contiguous buffer for the pixels; new memory by default.

        Returns
        -------
        dict
            ``image`` (k, bands, rows, columns), ``object_id`` and the columns (k,).

        Raises
        ------
        IndexError
            If an index is out of range.
        """
        positions = self._positions(indices)
        pixels = empty_images((len(positions), *self.image_shape)) if out is None else out
        self.gather(positions, pixels)
        return {"image": torch.from_numpy(pixels), **self.values(positions)}

    def gather(self, positions: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Copy the pixels of a batch; safe to call from several threads.

        Parameters
        ----------
        positions : ndarray of int64, shape (k,)
            In this dataset, from 0 on; not checked.
        out : ndarray of float32, shape (k, bands, rows, columns)
            Contiguous.
        """
        gather(self._images(), self._rows[positions], bands=self._band_index, out=out)

    def values(self, positions: NDArray[np.int64]) -> Sample:
        """Return the columns of a batch, without its pixels, in new memory.

        Parameters
        ----------
        positions : ndarray of int64, shape (k,)
            In this dataset, from 0 on.

        Returns
        -------
        dict
            A tensor (k,), or a list of k texts, per column.
        """
        taken = {name: values[positions] for name, values in self._values.items()}
        return {
            name: values.tolist() if values.dtype == object else torch.from_numpy(values)
            for name, values in taken.items()
        }

    def catalog(self, form: str = "pandas") -> Any:
        """All stored columns of this split's objects, missing values as the form has them.

        Parameters
        ----------
        form : str
            ``pandas``, ``arrow`` or ``astropy`` (a masked ``QTable`` with units).

        Returns
        -------
        pandas.DataFrame, pyarrow.Table or astropy.table.QTable
            One row per sample, in the same order.

        Raises
        ------
        UsageError
            If the form is another.
        """
        from galaxyds.loaders.tables import catalog

        return catalog(self.build, self.spec, self._rows, form)

    def plot(self, index: int) -> Figure:
        """Draw the bands of one object side by side.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        from galaxyds.plots import plot_cutout

        position = self._position(index)
        cutout = self._images()[self._rows[position]]
        chosen = cutout if self._band_index is None else cutout[self._band_index]
        notes = [f"object {self._values[self.spec.object_id][position]}"]
        if "redshift" in self._values:
            notes.append(f"z = {self._values['redshift'][position]:.4f}")
        if not self.manifest.is_full:
            notes.append(self.manifest.nature())
        mask = self._values.get(BAND_MASK.name)
        measured = None if mask is None else [bool(seen) for seen in mask[position]]
        return plot_cutout(chosen, self.bands, " · ".join(notes), measured=measured)

    def __repr__(self) -> str:
        bands, rows, columns = self.image_shape
        nature = "" if self.manifest.is_full else f" ({self.manifest.nature()})"
        part = f"{'fold' if self.spec.split.folds else 'division'} {self.division}"
        return "\n".join(
            (
                f"{type(self).__name__}: {len(self):,} of {self.manifest.rows:,} objects",
                f"    {self.build.address}{nature}",
                f"    split: {self.split}, {part} of {self.spec.split.divisions}",
                f"    image: ({bands}, {rows}, {columns}) float32, bands {', '.join(self.bands)}",
                f"    columns: {', '.join(self._values)}",
                f"    folder: {self.build.path}",
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        # A map cannot be pickled and need not be: a worker maps the file again.
        return {**self.__dict__, "_pixels": None}

    def _images(self) -> NDArray[np.float32]:
        if self._pixels is None:
            if _identity(self.build) != self._file:
                raise DataIntegrityError(
                    f"{self.build.images} was replaced while it was in use: open the dataset again",
                    file=str(self.build.images),
                )
            self._pixels = np.asarray(image_map(self.build.images))
        return self._pixels

    def _check_pixels(self) -> None:
        expected = (self.manifest.rows, *self.spec.image_shape())
        if self._images().shape != expected:
            raise _misfit(self.build, f"pixels of shape {expected}", str(self._images().shape))

    def _read_columns(self) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        key = f"split_{self.division}"
        wanted = tuple(dict.fromkeys((self.spec.object_id, *self.columns)))
        stored = read_columns(self.build.images, tuple(dict.fromkeys((*wanted, key))))
        rows = np.arange(len(stored[key]))
        expected = self.manifest.rows
        if self.split != ALL:
            rows = np.flatnonzero(stored[key] == self.spec.split.names.index(self.split))
            expected = self.manifest.splits.get(str(self.division), {}).get(self.split, -1)
        if len(rows) != expected:
            raise _misfit(self.build, f"{expected} objects in {self.split}", str(len(rows)))
        values = {name: stored[name][rows] for name in wanted}
        if BAND_MASK.name in values:
            values[BAND_MASK.name] = self._spread(values[BAND_MASK.name])
        return rows, values

    def _spread(self, mask: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Bits of the stored mask as one truth value per band, in the order of this dataset."""
        known = self.spec.band_names()
        places = np.array([known.index(name) for name in self.bands])
        return np.asarray((mask[:, None] >> places) & 1, dtype=np.bool_)

    def _position(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} objects")
        return index % len(self)

    def _positions(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size and not -len(self) <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"an index is out of range for {len(self)} objects")
        return np.where(indices < 0, indices + len(self), indices)


def _locate(
    ref: DatasetRef, spec: DatasetSpec, root: str | os.PathLike[str] | None, download: bool
) -> BuildDirectory:
    home = settings.home(root)
    if not download:
        return find_build(home, ref, spec)
    from galaxyds.download.locate import find_or_fetch

    return find_or_fetch(home, ref, spec)


def _choose_division(spec: DatasetSpec, split: str, division: int, fold: int | None) -> int:
    """Return the division that is meant: a fold is one, in a dataset that declares folds."""
    if fold is not None and not spec.split.folds:
        raise UsageError(f"{spec.name} has no folds: leave fold out, use division=", fold=fold)
    if fold is not None and division not in (0, fold):
        raise UsageError(
            f"fold={fold} and division={division} contradict each other: in {spec.name} a division "
            "is a fold, give one of them",
            fold=fold,
            division=division,
        )
    try:
        division = operator.index(division if fold is None else fold)
    except TypeError:
        wrong = f"division={division!r}" if fold is None else f"fold={fold!r}"
        raise UsageError(f"{wrong} is no whole number", division=division, fold=fold) from None
    names = spec.split.names
    if split not in (*names, ALL):
        hint = did_you_mean(split, (*names, ALL))
        raise UsageError(
            f"no split '{split}': {hint}choose {', '.join(names)} or {ALL}", split=split
        )
    if not 0 <= division < spec.split.divisions:
        raise UsageError(
            f"{spec.name} has {'folds' if spec.split.folds else 'divisions'} 0 to "
            f"{spec.split.divisions - 1}, not {division}",
            division=division,
        )
    return division


def _check_bands(spec: DatasetSpec, bands: str | Sequence[str] | None) -> tuple[str, ...]:
    known = spec.band_names()
    chosen = known if bands is None else _named(bands, known)
    if not chosen or not set(chosen) <= set(known):
        raise UsageError(
            f"{spec.name} has the bands {', '.join(known)} in this config, not {bands!r}",
            bands=bands,
        )
    return chosen


def _named(bands: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Take text apart at commas, or into the longest names that it begins with."""
    if not isinstance(bands, str):
        return tuple(bands)
    if "," in bands:
        return tuple(name.strip() for name in bands.split(","))
    names = sorted(known, key=len, reverse=True)
    found = re.findall("|".join(re.escape(name) for name in names) + "|.", bands)
    return tuple(found)


def _band_index(spec: DatasetSpec, bands: tuple[str, ...]) -> NDArray[np.int64] | None:
    known = spec.band_names()
    if bands == known:
        return None
    return np.array([known.index(name) for name in bands], dtype=np.int64)


def _check_columns(spec: DatasetSpec, columns: Sequence[str] | None) -> tuple[str, ...]:
    stored = spec.stored_columns()
    known = [name for column in stored for name in (column.name, *column.aliases)]
    if columns is None:
        return tuple(name for name in (*_DEFAULT_COLUMNS, BAND_MASK.name) if name in known)
    if isinstance(columns, str):
        raise UsageError(f"columns must be a list of names, not the text '{columns}'")
    if strangers := [name for name in columns if name not in known]:
        hint = did_you_mean(strangers[0], known)
        raise UsageError(
            f"{spec.name} stores no column {', '.join(strangers)}: {hint}see "
            f"galaxyds info {spec.name} --columns",
            columns=strangers,
        )
    # Zeros that stand for no data never come without the word that says so.
    always = (BAND_MASK.name,) if spec.has_optional_bands() else ()
    return tuple(dict.fromkeys((*columns, *always)))


def _identity(build: BuildDirectory) -> tuple[int, int, int]:
    try:
        found = build.images.stat()
    except OSError as error:
        raise _misfit(build, "images.hdf5", error.strerror or str(error)) from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _misfit(build: BuildDirectory, expected: str, got: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{build.path}: expected {expected} after its manifest, got {got}: run "
        f"galaxyds verify {build.address}",
        file=str(build.path),
        expected=expected,
        got=got,
    )
