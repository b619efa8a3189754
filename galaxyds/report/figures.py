"""The page's histograms: redshifts, magnitudes, pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.plots.svg import COLORS, Frame, bars, framed, outline
from galaxyds.report.columns import main_magnitudes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.report.sheets import Drawn
    from galaxyds.spec import DatasetSpec

_BINS = (10, 40)
"""Fewest and most bins; in between three times the cube root of the objects."""
_TAIL = 0.5
"""Per cent at each end of the magnitudes that do not decide the axis."""
_FAINT, _BRIGHT = -5.0, 15.0
"""Range of pixel values shown, in standard deviations of the noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure.

    Attributes
    ----------
    caption, svg : str
        What is below it, and the picture.
    key : tuple of (int, str)
        Colours of its lines, and what they stand for.
    """

    caption: str
    svg: str
    key: tuple[tuple[int, str], ...] = ()


def redshifts(columns: Mapping[str, NDArray[Any]], spec: DatasetSpec) -> list[Figure]:
    """Draw the redshifts of all objects, and their distribution in every split of division 0.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        ``redshift`` and ``split_0``, as far as there are any.
    spec : DatasetSpec
        Names the splits.

    Returns
    -------
    list of Figure
        Empty where no object has a redshift.
    """
    z = columns.get("redshift")
    if z is None or not np.isfinite(z).any():
        return []
    finite = z[np.isfinite(z)].astype(np.float64)
    edges = _edges((float(finite.min()), float(finite.max())), len(finite))
    missing = len(z) - len(finite)
    said = f"All {len(finite):,} objects" + (f"; {missing:,} have no redshift" if missing else "")
    drawn = [_counted(finite, edges, axis="redshift", caption=said)]
    if "split_0" in columns:
        drawn.append(_by_split(z, columns["split_0"], spec, edges))
    return drawn


def _edges(span: tuple[float, float], objects: int) -> NDArray[np.float64]:
    low, high = span
    room = (high - low) or max(abs(high), 1.0) * 1e-3
    bins = int(np.clip(3 * np.cbrt(objects), *_BINS))
    return np.linspace(low, low + room, bins + 1)


def _counted(
    values: NDArray[Any], edges: NDArray[np.float64], *, axis: str, caption: str
) -> Figure:
    counts, _ = np.histogram(values, edges)
    frame = Frame(x=(edges[0], edges[-1]), y=(0, 1.06 * max(counts.max(), 1)))
    body = bars(frame, edges.tolist(), counts.tolist())
    alt = f"Histogram of {axis}, {edges[0]:.4g} to {edges[-1]:.4g}, {counts.sum():,} objects"
    return Figure(caption=caption, svg=framed(frame, alt, body, labels=(axis, "objects")))


def _by_split(
    z: NDArray[Any], codes: NDArray[Any], spec: DatasetSpec, edges: NDArray[np.float64]
) -> Figure:
    shares = {}
    for code, name in enumerate(spec.split.names):
        mine = z[(codes == code) & np.isfinite(z)]
        if len(mine):
            shares[code, name] = np.histogram(mine, edges)[0] / len(mine)
    top = max((float(share.max()) for share in shares.values()), default=1.0)
    frame = Frame(x=(edges[0], edges[-1]), y=(0, 106 * top))
    lines = (
        outline(frame, edges.tolist(), (100 * share).tolist(), code)
        for (code, _), share in shares.items()
    )
    what = "fold" if spec.split.folds else "division"
    alt = f"Redshift distributions of the splits of {what} 0: {', '.join(n for _, n in shares)}"
    return Figure(
        caption=f"By split ({what} 0), each as a share of its own objects",
        svg=framed(frame, alt, "".join(lines), labels=("redshift", "per cent")),
        key=tuple((code % COLORS, name) for code, name in shares),
    )


def magnitudes(columns: Mapping[str, NDArray[Any]], spec: DatasetSpec) -> list[Figure]:
    """Draw the magnitudes band by band, on one axis.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        Those of :func:`galaxyds.report.columns.main_magnitudes`, as far as there are any.
    spec : DatasetSpec
        Says which they are.

    Returns
    -------
    list of Figure
        One per band that has magnitudes.
    """
    there = {
        name: columns[name][np.isfinite(columns[name])]
        for name in main_magnitudes(spec).values()
        if name in columns
    }
    together = [values for values in there.values() if len(values)]
    if not together:
        return []
    ends = [np.percentile(values, (_TAIL, 100 - _TAIL)) for values in together]
    span = (float(min(e[0] for e in ends)), float(max(e[1] for e in ends)))
    edges = _edges(span, max(len(values) for values in together))
    return [_magnitude(values, edges, name, len(columns[name])) for name, values in there.items()]


def _magnitude(values: NDArray[Any], edges: NDArray[np.float64], name: str, rows: int) -> Figure:
    told = [f"median {np.median(values):.2f}"] if len(values) else []
    outside = int(((values < edges[0]) | (values > edges[-1])).sum())
    told += [f"{outside:,} beyond the axis"] if outside else []
    told += [f"{rows - len(values):,} without"] if rows > len(values) else []
    return _counted(values, edges, axis=f"{name} [mag]", caption=", ".join(told))


def pixels(drawn: Drawn, spec: DatasetSpec) -> list[Figure]:
    """Draw the pixel values of the objects on the contact sheets, band by band.

    Parameters
    ----------
    drawn : Drawn
        Their pixels; those of bands without data are left out.
    spec : DatasetSpec
        Names and units of the bands.

    Returns
    -------
    list of Figure
        One per band that has pixels.
    """
    found = []
    for place, band in enumerate(spec.bands):
        has_data = slice(None) if drawn.measured is None else drawn.measured[:, place]
        values = drawn.images[has_data, place].astype(np.float64)
        # Cutouts are padded with exact zeros, which are no sky.
        values = values[np.isfinite(values) & (values != 0)]
        if len(values):
            found.append(_noise(values, band.name, band.unit))
    return found


def _noise(values: NDArray[np.float64], band: str, unit: str) -> Figure:
    """Draw how often pixel values occur, on a logarithmic axis, and the normal curve of noise."""
    sky = float(np.median(values))
    noise = 1.4826 * float(np.median(np.abs(values - sky))) or float(values.std()) or 1.0
    edges = np.linspace(_FAINT, _BRIGHT, 61)
    scaled = (values - sky) / noise
    counts, _ = np.histogram(scaled, edges)
    logs = np.log10(np.maximum(counts, 1))
    frame = Frame(x=(_FAINT, _BRIGHT), y=(0, 1.08 * max(float(logs.max()), 1)), height=120.0)
    normal = len(values) * (edges[1] - edges[0]) / np.sqrt(2 * np.pi)
    curve = np.log10(np.maximum(normal * np.exp(-((edges[1:] + edges[:-1]) ** 2) / 8), 1))
    line = outline(frame, edges.tolist(), curve.tolist(), 1)
    body = bars(frame, edges.tolist(), logs.tolist()) + line
    beyond = float(np.mean((scaled < _FAINT) | (scaled > _BRIGHT)))
    return Figure(
        caption=f"{band}: noise {noise:.3g}, sky {sky:.3g} {unit}; {beyond:.2%} beyond the axis",
        svg=framed(
            frame,
            f"Pixel values of band {band} in units of the noise",
            body,
            labels=(f"{band}: (value − sky) / noise", "log₁₀ pixels"),
        ),
    )
