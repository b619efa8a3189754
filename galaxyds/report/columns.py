"""Which columns a report draws: found in the declaration, read once, the others left alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyds.errors import DataIntegrityError
from galaxyds.spec import BAND_MASK
from galaxyds.store import read_columns, safe_open

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import Column, DatasetSpec
    from galaxyds.store import BuildDirectory

_NO_MAGNITUDE = ("err", "sigma", "std", "extinction", "color", "colour")
"""Parts of names of columns in magnitudes that are none."""


def magnitudes(spec: DatasetSpec) -> dict[str, dict[str, str]]:
    """Find the magnitudes of a dataset: columns in ``mag`` named after a band, first or last.

    Parameters
    ----------
    spec : DatasetSpec
        Narrowed to the config.

    Returns
    -------
    dict of str to dict of str to str
        By the name without the band (``psf_mag``): column by band, in the order of the bands.
    """
    found: dict[str, dict[str, str]] = {}
    for band in spec.band_names():
        for column in spec.stored_columns():
            stem = _stem(column.name, band)
            if stem and _is_magnitude(column, stem):
                found.setdefault(stem, {})[band] = column.name
    order = [_stem(c.name, b) for c in spec.stored_columns() for b in spec.band_names()]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def main_magnitudes(spec: DatasetSpec) -> dict[str, str]:
    """Return the magnitudes of the most bands, the first declared of several; column by band."""
    return max(magnitudes(spec).values(), key=len, default={})


def _stem(name: str, band: str) -> str:
    if name.endswith(f"_{band}"):
        return name.removesuffix(f"_{band}")
    return name.removeprefix(f"{band}_") if name.startswith(f"{band}_") else ""


def _is_magnitude(column: Column, stem: str) -> bool:
    if column.unit != "mag" or not column.dtype.startswith("float"):
        return False
    if any(part in stem.lower() for part in _NO_MAGNITUDE):
        return False
    return "mag" in stem.lower() or "magnitude" in column.description.lower()


def read(spec: DatasetSpec, build: BuildDirectory) -> dict[str, NDArray[Any]]:
    """Read the columns that a report draws, as far as the build has them.

    Parameters
    ----------
    spec : DatasetSpec
        Narrowed to the config.
    build : BuildDirectory
        The build.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        By name.

    Raises
    ------
    DataIntegrityError
        If the file is refused, or a column has another length than the manifest says.
    """
    splits = (column.name for column in spec.split.columns())
    wanted = ("ra", "dec", "redshift", "cutout_flags", BAND_MASK.name, *splits)
    names = dict.fromkeys((*wanted, *main_magnitudes(spec).values()))
    there = _present(build.images)
    found = read_columns(build.images, tuple(name for name in names if name in there))
    for name, values in found.items():
        if values.shape != (build.manifest.rows,):
            raise _other_length(build, name, values.shape)
    return found


def _present(path: Path) -> frozenset[str]:
    with safe_open(path) as file:
        return frozenset(file)


def _other_length(build: BuildDirectory, name: str, shape: tuple[int, ...]) -> DataIntegrityError:
    return DataIntegrityError(
        f"{build.images}: column {name} has shape {shape}, the manifest says "
        f"{build.manifest.rows} objects: run galaxyds verify {build.address}",
        file=str(build.images),
        expected=(build.manifest.rows,),
        got=shape,
    )
