"""What a model may see of the objects of one split: photometry, redshifts, the way to the pixels.

Reading a build's columns needs no torch; its pixels do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxyds import settings
from galaxyds.catalog.splits import hash_ids
from galaxyds.errors import UsageError
from galaxyds.refs import DatasetRef
from galaxyds.spec import BAND_MASK, DatasetSpec
from galaxyds.specs import get_spec
from galaxyds.store import BuildDirectory, find_build, read_columns, sha256
from galaxyds.store.files import publishing
from galaxyds.store.layout import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from galaxyds.loaders import GalaxyDataset

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
FAINTEST = 90.0
"""Magnitudes and errors beyond this are codes (99, -99, -9999) for a missing value."""
_LIMIT_SEED = 2_000  # of the order in which a limit takes objects; divisions have the seeds from 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Photometry:
    """Which columns of a dataset are its photometry.

    Attributes
    ----------
    filters : tuple of str
        In order; ``{}`` in the templates stands for one of them.
    magnitudes, errors, extinctions : str
        Templates of column names; empty where the dataset has none.  ``magnitudes`` are dereddened
        where there are extinctions.
    ebv : str
        Column of E(B-V); empty where there is none.
    redshift_range : tuple of float
        Lowest and highest redshift that the dataset's cuts allow, rounded outwards.
    """

    filters: tuple[str, ...]
    magnitudes: str
    errors: str
    extinctions: str = ""
    ebv: str = ""
    redshift_range: tuple[float, float]

    def columns(self, template: str) -> tuple[str, ...]:
        """Names of the columns that a template stands for, one per filter."""
        return tuple(template.format(name) for name in self.filters) if template else ()

    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        templates = (self.magnitudes, self.errors, self.extinctions)
        found = [name for template in templates for name in self.columns(template)]
        return (*found, self.ebv) if self.ebv else tuple(found)


_SDSS, _HSC = tuple("ugriz"), tuple("grizy")
PHOTOMETRY: dict[str, Photometry] = {
    # Zhang et al. 2023, Sect. 2.1: PSF magnitudes minus extinction, 1 <= z < 5.
    "sdss-qso": Photometry(
        filters=_SDSS, magnitudes="psf_dered_{}", errors="psf_mag_err_{}",
        extinctions="extinction_{}", redshift_range=(1.0, 5.0),
    ),
    # Do et al. 2024, Sect. 3.2: 0.01 < z < 4; the magnitudes are not dereddened.
    "hsc-galaxiesml": Photometry(
        filters=_HSC, magnitudes="{}_cmodel_mag", errors="{}_cmodel_magsigma",
        redshift_range=(0.0, 4.0),
    ),
    # Pasquet et al. 2019, Sect. 2.1: z <= 0.4.
    "sdss-mgs": Photometry(
        filters=_SDSS, magnitudes="dered_petro_{}", errors="petro_mag_err_{}",
        extinctions="extinction_{}", ebv="ebv", redshift_range=(0.0, 0.4),
    ),
    # Lin et al. 2022 classify CFHTLS on 0 <= z <= 4; the few beyond belong to the last class.
    "cfhtls-wide": Photometry(
        filters=_SDSS, magnitudes="mag_{}", errors="mag_err_{}", ebv="ebv",
        redshift_range=(0.0, 4.0),
    ),
    # Ait-Ouahmed et al. 2024, Table 1: no survey goes beyond z = 6.  The catalogue has no
    # magnitudes in u, J, H and Ks.
    "hsc-deep": Photometry(
        filters=_HSC, magnitudes="{}_cmodel_mag", errors="{}_cmodel_magsigma", ebv="ebv",
        redshift_range=(0.0, 6.0),
    ),
}  # fmt: skip
"""By dataset; of others a model sees the pixels only."""


@dataclass(frozen=True, kw_only=True)
class Objects:
    """N objects of one split of a build, or of a real table.

    Attributes
    ----------
    address : str
        ``name/config`` of a build, name of a table.
    version : str
        Of either, with its local label.
    manifest : str
        Hexadecimal sha256 of the build's ``manifest.json``, or of the table's file.
    simulated : bool
        Whether the sky was made by galaxyds.
    nature : str
        ``full``, or what makes it another thing than the published dataset.
    split : str
        Which split.
    division : int
        Which division, or fold.
    object_id : ndarray of int64, shape (N,)
        Unique.
    redshift : ndarray of float32, shape (N,)
        True redshifts.
    filters : tuple of str
        Of the photometry, in order.
    magnitudes : ndarray of float32, shape (N, filters)
        NaN where missing; dereddened where the dataset has extinctions.
    errors, extinctions : ndarray of float32, shape (N, filters), or None
        Of the magnitudes, in magnitudes; None where the dataset has none.
    ebv : ndarray of float32, shape (N, 1), or None
        Galactic reddening E(B-V).
    bands : tuple of str
        Of the images, in order; empty for a table.
    band_mask : ndarray of bool, shape (N, bands), or None
        False where an image is zeros because there is no data; None where every band always has.
    dataset : GalaxyDataset or None
        Where the pixels are; None for a table, or if they were not asked for.
    rows : ndarray of int64, shape (N,)
        Positions of the objects in ``dataset``; in the file, for a table.
    redshift_range : tuple of float
        Lowest and highest redshift that is declared, else that the training split has.
    elsewhere : mapping of str to ndarray of int64
        Object ids of the other splits of this division, by split.
    """

    address: str
    version: str
    manifest: str
    simulated: bool
    nature: str
    split: str
    division: int
    object_id: Ids
    redshift: Floats
    filters: tuple[str, ...]
    magnitudes: Floats
    errors: Floats | None = None
    extinctions: Floats | None = None
    ebv: Floats | None = None
    bands: tuple[str, ...] = ()
    band_mask: NDArray[np.bool_] | None = None
    dataset: GalaxyDataset | None = None
    rows: Ids
    redshift_range: tuple[float, float]
    elsewhere: Mapping[str, Ids] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.object_id)

    def take(self, indices: NDArray[np.integer]) -> Objects:
        """Return some of the objects, in the order of ``indices`` (positions in these objects)."""
        names = ("object_id", "redshift", "magnitudes", "errors", "extinctions", "ebv",
                 "band_mask", "rows")  # fmt: skip
        columns = {name: getattr(self, name) for name in names}
        taken: dict[str, Any] = {k: v[indices] for k, v in columns.items() if v is not None}
        return replace(self, **taken)

    def first(self, limit: int | None) -> Objects:
        """Return at most ``limit`` of the objects: the first ones by a hash of the id.

        They keep their order.  Whoever has the same objects takes the same ones; a larger limit
        takes all that a smaller one does.
        """
        if limit is None or limit >= len(self):
            return self
        order = np.argsort(hash_ids(self.object_id, _LIMIT_SEED), kind="stable")
        return self.take(np.sort(order[:limit]))


def open_objects(
    address: str,
    split: str,
    *,
    root: str | os.PathLike[str] | None = None,
    division: int = 0,
    limit: int | None = None,
    pixels: bool = True,
) -> Objects:
    """Open a split of a build.

    Parameters
    ----------
    address : str
        ``name[/config][:version]``.
    split : str
        ``train``, ``validation``, ``test``, or a further test sample of the dataset.
    root : path-like, optional
        Folder of the builds.
    division : int
        Which division, or fold.
    limit : int, optional
        At most so many objects, as :meth:`Objects.first` takes them.
    pixels : bool
        Open the images too, which needs torch.

    Returns
    -------
    Objects
        In the order of the file.

    Raises
    ------
    DatasetNotFoundError
        If it is not built.
    UsageError
        If there is no such split or division.
    DataIntegrityError
        If the files do not fit the declaration.
    """
    ref = DatasetRef.parse(address)
    spec = get_spec(ref.name)
    found = find_build(settings.home(root), ref, spec)
    spec = spec.of(found.manifest.config)
    check_split(spec, split, division)
    opened = read_objects(found, spec, split, division=division)
    if pixels:
        from galaxyds.datasets import dataset_class

        manifest = found.manifest
        kind = dataset_class(spec.name)
        dataset = kind(split, root=root, division=division, config=manifest.config,
                       version=manifest.version)  # fmt: skip
        opened = replace(opened, dataset=dataset)
    return opened.first(limit)


def write_objects(path: Path, objects: Objects) -> list[str]:
    """Write ids, redshifts and photometry as Parquet, missing values as NaN.

    Parameters
    ----------
    path : pathlib.Path
        Replaced if it is there.
    objects : Objects
        What to write.

    Returns
    -------
    list of str
        Names of the columns: ``object_id``, ``redshift``, ``mag_FILTER``, and where there are some
        ``mag_err_FILTER``, ``extinction_FILTER`` and ``ebv``.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, NDArray[Any]] = {
        "object_id": objects.object_id,
        "redshift": objects.redshift,
    }
    stems = {"mag": "magnitudes", "mag_err": "errors", "extinction": "extinctions"}
    for stem, name in stems.items():
        values = getattr(objects, name)
        for place, band in enumerate(objects.filters if values is not None else ()):
            columns[f"{stem}_{band}"] = values[:, place]
    if objects.ebv is not None:
        columns["ebv"] = objects.ebv[:, 0]
    with publishing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
    return list(columns)


def check_split(spec: DatasetSpec, split: str, division: int) -> None:
    """Refuse a split or a division that a dataset has not.

    Raises
    ------
    UsageError
        With those that there are.
    """
    check_names(spec.name, spec.split.names, split)
    if not 0 <= division < spec.split.divisions:
        raise UsageError(
            f"{spec.name} has {'folds' if spec.split.folds else 'divisions'} 0 to "
            f"{spec.split.divisions - 1}, not {division}",
            division=division,
        )


def check_names(name: str, splits: tuple[str, ...], split: str) -> None:
    """Refuse a split that is none of ``splits``.

    Raises
    ------
    UsageError
        With those that there are.
    """
    if split not in splits:
        raise UsageError(f"{name} has no split '{split}': choose {', '.join(splits)}", split=split)


def read_objects(found: BuildDirectory, spec: DatasetSpec, split: str, *, division: int) -> Objects:
    """Read the columns of a split; ``dataset`` is left out.

    Parameters
    ----------
    found : BuildDirectory
        The build.
    spec : DatasetSpec
        Its declaration, of the build's config.
    split : str
        One of the declared ones.
    division : int
        One of the declared ones.

    Returns
    -------
    Objects
        In the order of the file.

    Raises
    ------
    DataIntegrityError
        If a column is missing.
    """
    seen = PHOTOMETRY.get(spec.name)
    code, mask = f"split_{division}", (BAND_MASK.name,) * spec.has_optional_bands()
    wanted = (spec.object_id, "redshift", code, *mask, *(seen.names() if seen else ()))
    stored = read_columns(found.images, wanted)
    splits = dict(enumerate(spec.split.names))
    members = {name: np.flatnonzero(stored[code] == number) for number, name in splits.items()}
    rows = members.pop(split)
    ids = stored[spec.object_id].astype(np.int64)
    train = rows if split == "train" else members["train"]
    columns = {name: values[rows] for name, values in stored.items()}
    return Objects(
        address=f"{spec.name}/{found.manifest.config}",
        version=found.manifest.version,
        manifest=sha256(found.path / MANIFEST),
        simulated=found.manifest.archive.simulated,
        nature=found.manifest.nature(),
        split=split,
        division=division,
        object_id=ids[rows],
        redshift=columns["redshift"].astype(np.float32),
        bands=spec.band_names(),
        band_mask=_spread(columns[BAND_MASK.name], len(spec.bands)) if mask else None,
        rows=np.arange(len(rows), dtype=np.int64),
        redshift_range=seen.redshift_range if seen else span(stored["redshift"][train]),
        elsewhere={name: ids[others] for name, others in members.items()},
        **_photometry(columns, seen, len(rows)),
    )


def span(redshift: NDArray[np.floating]) -> tuple[float, float]:
    """Lowest and highest redshift; 0 and 1 of none."""
    return (float(redshift.min()), float(redshift.max())) if redshift.size else (0.0, 1.0)


def known(values: NDArray[Any]) -> Floats:
    """Photometry as float32, NaN in the place of infinities and of codes beyond ``FAINTEST``."""
    numbers = np.asarray(values, dtype=np.float64)
    coded = ~np.isfinite(numbers) | (np.abs(numbers) > FAINTEST)
    return np.where(coded, np.nan, numbers).astype(np.float32)


def _photometry(
    columns: Mapping[str, NDArray[Any]], seen: Photometry | None, objects: int
) -> dict[str, Any]:
    if seen is None:
        return {"filters": (), "magnitudes": np.empty((objects, 0), np.float32)}
    found: dict[str, Any] = {"filters": seen.filters}
    for name in ("magnitudes", "errors", "extinctions"):
        if chosen := seen.columns(getattr(seen, name)):
            found[name] = known(np.stack([columns[column] for column in chosen], axis=1))
    if seen.ebv:
        found["ebv"] = known(columns[seen.ebv][:, None])
    return found


def _spread(mask: NDArray[np.int16], bands: int) -> NDArray[np.bool_]:
    """Bits of the stored mask as one truth value per band."""
    return np.asarray((mask[:, None] >> np.arange(bands)) & 1, dtype=np.bool_)
