"""From redshifts, HSC photometry, mosaics and dust to the table ``objects`` of HSC-Deep.

The same code makes it from the archives and from the simulated sky.  Every compiled redshift has a
row; where no photometry belongs to it, that is to be seen in the row, and a cut removes and counts
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyds.archives.compiled import one_each, position_id
from galaxyds.archives.deep_photometry import HSC_BANDS, MATCH_RADIUS, PER_BAND
from galaxyds.catalog.positions import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Reddening = Callable[[Floats, Floats], Floats]
    Covering = Callable[[Floats, Floats], Mapping[str, NDArray[np.bool_]]]

NIR_BANDS = ("J", "H", "Ks")
U_BANDS = ("u*", "u")
"""Names of the two u filters, the preferred one first."""
NO_U = "none"
"""In place of the filter's name where no mosaic shows an object."""
NO_MAGNITUDE = 90.0
"""Magnitudes of this and more are codes for a missing one."""


def objects(
    redshifts: pa.Table, found: pa.Table, *, covering: Covering, ebv: Reddening
) -> pa.Table:
    """Put the table together.

    Parameters
    ----------
    redshifts : pyarrow.Table
        Columns of :class:`galaxyds.catalog.specz.Compilation`.
    found : pyarrow.Table
        As :func:`galaxyds.archives.deep_photometry.photometry` returns it.
    covering : callable
        Takes right ascensions and declinations in degrees, says which mosaic bands show them.
    ebv : callable
        The same, returns unscaled E(B-V).

    Returns
    -------
    pyarrow.Table
        One row per redshift: object_id (int64, that of HSC; negative where there is no photometry),
        ra, dec (of the photometry), redshift and what came with it, separation (float32 arcsec,
        NULL without photometry), tract, patch, magnitudes, u_band (``"u*"``, ``"u"`` or
        :data:`NO_U`), nir_coverage (int16: 1 J, 2 H, 4 Ks), hsc_coverage (int16: 1 g ... 16 y),
        ebv.
    """
    row, separation = match(redshifts, found)
    seen = row >= 0
    taken = found.take(pa.array(row, mask=~seen))
    own = position_id(_numbers(redshifts, "ra"), _numbers(redshifts, "dec"))
    ra, dec = (
        pc.coalesce(taken.column(name), redshifts.column(name)).to_numpy() for name in ("ra", "dec")
    )
    covered = covering(ra, dec)
    return pa.table(
        {
            "object_id": pc.coalesce(taken.column("object_id"), pa.array(-own - 1)),
            "ra": ra % 360.0,
            "dec": dec,
            "spectrum_ra": redshifts.column("ra"),
            "spectrum_dec": redshifts.column("dec"),
            **{name: redshifts.column(name) for name in _KEPT},
            "separation": pa.array(separation.astype(np.float32), mask=~seen),
            "tract": pc.coalesce(taken.column("tract"), pa.scalar(-1, pa.int32())),
            "patch": pc.coalesce(taken.column("patch"), pa.scalar(-1, pa.int32())),
            **{
                f"{b}_{stem}": _magnitudes(taken.column(f"{b}_{stem}"))
                for stem, _ in PER_BAND
                for b in HSC_BANDS
            },
            "hsc_coverage": bits(
                np.asarray(pc.fill_null(taken.column(f"{b}_inputcount"), 0)) > 0 for b in HSC_BANDS
            ),
            "nir_coverage": bits(covered[b] for b in NIR_BANDS),
            "u_band": pa.array(u_band(covered), pa.string()),
            "ebv": np.asarray(ebv(ra, dec)).astype(np.float32),
        }
    )


_KEPT = ("redshift", "redshift_survey", "redshift_flag", "redshift_confidence", "sample")


def match(redshifts: pa.Table, found: pa.Table) -> tuple[NDArray[np.int64], Floats]:
    """Find the HSC object of every redshift; each object serves one of them.

    Parameters
    ----------
    redshifts, found : pyarrow.Table
        As :func:`objects`.

    Returns
    -------
    row : ndarray of int64, (n,)
        Row of ``found``, -1 where there is none within :data:`MATCH_RADIUS`, or where the object
        belongs to another redshift (:func:`galaxyds.archives.compiled.one_each`).
    separation : ndarray of float64, (n,)
        Arcseconds, infinite where there is none.
    """
    row, separation = nearest(
        *(_numbers(redshifts, name) for name in ("ra", "dec")),
        to_ra=_numbers(found, "ra"),
        to_dec=_numbers(found, "dec"),
        radius=MATCH_RADIUS,
    )
    return one_each(redshifts, row, separation)


def u_band(covered: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    """Choose the u filter of each position: u*, else u, else :data:`NO_U`."""
    first, second = (covered[name] for name in U_BANDS)
    return [str(name) for name in np.where(first, U_BANDS[0], np.where(second, U_BANDS[1], NO_U))]


def bits(bands: Iterable[NDArray[np.bool_]]) -> NDArray[np.int16]:
    """Put answers per band, the first one lowest, into one number per object."""
    planes = [np.asarray(plane).astype(np.int16) << bit for bit, plane in enumerate(bands)]
    joined: NDArray[np.int16] = np.bitwise_or.reduce(planes).astype(np.int16)
    return joined


def _magnitudes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Float32; codes, infinities and NaN become NULL."""
    numbers = values.cast(pa.float32())
    sound = pc.and_(pc.is_finite(numbers), pc.less(numbers, NO_MAGNITUDE))
    return pc.if_else(sound, numbers, pa.scalar(None, pa.float32()))


def _numbers(table: pa.Table, name: str) -> Floats:
    values: Floats = table.column(name).to_numpy().astype(np.float64)
    return values
