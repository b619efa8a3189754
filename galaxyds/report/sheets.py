"""Cutouts by redshift, and what their pixels look like band by band."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.plots import contact_sheet
from galaxyds.spec import BAND_MASK
from galaxyds.store import image_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.spec import Band, DatasetSpec
    from galaxyds.store import BuildDirectory

SHEETS, ACROSS = 3, 6
_CELLS = 60
"""Pictures of a sheet, so that many bands do not make a large file."""
_RESOLUTIONS, _LARGEST = (110, 90, 72), 700_000
"""Dots per inch, the first that keeps a sheet below that many bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Objects that are drawn, and their pixels.

    Attributes
    ----------
    groups : tuple of ndarray of int64
        Rows of each sheet, by redshift.
    images : ndarray of float32, shape (n, bands, rows, columns)
        Cutouts of all of them, in that order.
    measured : ndarray of bool, shape (n, bands), or None
        False where a band has no data; None where all have.
    """

    groups: tuple[NDArray[np.int64], ...]
    images: NDArray[np.float32]
    measured: NDArray[np.bool_] | None

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Divide values of the drawn objects by sheet."""
        if not self.groups:
            return []
        return np.split(values, np.cumsum([len(group) for group in self.groups])[:-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """A contact sheet.

    Attributes
    ----------
    caption, alt : str
        Below it, and in words for who does not see it.
    source : str
        The PNG as a ``data:`` address.
    """

    caption: str
    alt: str
    source: str


def bands_with_data(mask: NDArray[Any], bands: int) -> NDArray[np.bool_]:
    """Read ``band_mask``.

    Parameters
    ----------
    mask : ndarray of int, shape (n,)
        Its values.
    bands : int
        How many bands the images have.

    Returns
    -------
    ndarray of bool, shape (n, bands)
        Whether a band has data.
    """
    bits = mask.astype(np.int64)[:, None] >> np.arange(bands)
    return np.asarray(bits & 1, dtype=np.bool_)


def composite(bands: Sequence[Band]) -> tuple[str, str, str] | None:
    """Bands for red, green and blue: i, r, g, else the first three by wavelength that all have.

    Parameters
    ----------
    bands : sequence of Band
        In the order of the image axis.

    Returns
    -------
    tuple of str or None
        None where there are no three bands in one unit.
    """
    named = {band.name: band for band in bands if not band.optional}
    if {"i", "r", "g"} <= named.keys():
        chosen = [named[name] for name in "irg"]
    else:
        chosen = sorted(named.values(), key=lambda band: -band.wavelength)[-3:]
    one_unit = len({(band.unit, band.zero_point) for band in chosen}) == 1
    if len(chosen) < 3 or not one_unit:
        return None
    return chosen[0].name, chosen[1].name, chosen[2].name


def choose(
    redshift: NDArray[Any] | None, rows: int, *, bands: int
) -> tuple[NDArray[np.int64], ...]:
    """Choose the objects that are drawn: a third of the redshifts each, evenly out of its order.

    Parameters
    ----------
    redshift : ndarray, shape (n,), or None
        Those without one are not drawn, unless none has one; then, and for None, by row.
    rows : int
        Objects of the build.
    bands : int
        Bands of a cutout; many make the sheets narrower.

    Returns
    -------
    tuple of ndarray of int64
        At most three, none empty.
    """
    order = np.arange(rows)
    if redshift is not None and np.isfinite(redshift).any():
        known = np.flatnonzero(np.isfinite(redshift))
        order = known[np.argsort(redshift[known], kind="stable")]
    across = min(ACROSS, max(1, _CELLS // (bands + 1)))
    thirds = (third for third in np.array_split(order, SHEETS) if len(third))
    return tuple(
        third[np.unique(np.linspace(0, len(third) - 1, across).round().astype(np.int64))]
        for third in thirds
    )


def draw_from(
    spec: DatasetSpec, build: BuildDirectory, columns: Mapping[str, NDArray[Any]]
) -> Drawn:
    """Choose objects and copy their pixels; of the others none are read.

    Parameters
    ----------
    spec : DatasetSpec
        Narrowed to the config.
    build : BuildDirectory
        The build.
    columns : mapping of str to ndarray, shape (n,)
        ``redshift`` and ``band_mask``, as far as there are any.

    Raises
    ------
    DataIntegrityError
        If the pixels are refused.
    """
    pixels = image_map(build.images)
    bands = pixels.shape[1]
    groups = choose(columns.get("redshift"), len(pixels), bands=bands)
    rows = np.concatenate(groups) if groups else np.empty(0, np.int64)
    mask = columns.get(BAND_MASK.name)
    return Drawn(
        groups=groups,
        images=np.array(pixels[rows]),
        measured=None if mask is None else bands_with_data(mask[rows], bands),
    )


def contact_sheets(
    spec: DatasetSpec, drawn: Drawn, redshift: NDArray[Any] | None, *, title: str
) -> list[Sheet]:
    """Draw a sheet per group: a colour composite above one row per band.

    Parameters
    ----------
    spec : DatasetSpec
        Names the bands.
    drawn : Drawn
        The objects.
    redshift : ndarray, shape (n,), or None
        Of all objects of the build.
    title : str
        Above every sheet.

    Returns
    -------
    list of Sheet
        As many as there are groups.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    images = drawn.split(drawn.images)
    measured = [None] * len(images) if drawn.measured is None else drawn.split(drawn.measured)
    return [
        _sheet(spec, rows, pixels, mask, words=_words(rows, redshift), title=title)
        for rows, pixels, mask in zip(drawn.groups, images, measured, strict=True)
    ]


def _words(rows: NDArray[np.int64], redshift: NDArray[Any] | None) -> tuple[str, list[str]]:
    if redshift is None or not np.isfinite(redshift).any():
        return f"{len(rows)} objects", [f"row {row}" for row in rows]
    z = redshift[rows]
    return f"redshift {z.min():.3f} to {z.max():.3f}", [f"z = {value:.3f}" for value in z]


def _sheet(
    spec: DatasetSpec,
    rows: NDArray[np.int64],
    pixels: NDArray[np.float32],
    measured: NDArray[np.bool_] | None,
    *,
    words: tuple[str, list[str]],
    title: str,
) -> Sheet:
    names, colors = spec.band_names(), composite(spec.bands)
    figure = contact_sheet(
        pixels,
        bands=names,
        labels=words[1],
        title=f"{title}, {words[0]}",
        # Three names that no band has: no composite.
        composite=colors or ("", "", ""),
        measured=measured,
    )
    head = f"a colour composite ({', '.join(colors)} as red, green, blue) above " if colors else ""
    what = f"{len(rows)} objects as columns, {head}the bands {', '.join(names)}"
    return Sheet(
        caption=f"{words[0][0].upper()}{words[0][1:]}",
        alt=f"Cutouts at {words[0]}: {what}",
        source=_png(figure),
    )


def _png(figure: Any) -> str:
    """Return a figure as an address; without the version of matplotlib, which is not the data's."""
    data = b""
    for dots_per_inch in _RESOLUTIONS:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dots_per_inch, metadata={"Software": None})
        data = file.getvalue()
        if len(data) <= _LARGEST:
            break
    return "data:image/png;base64," + base64.b64encode(data).decode()
