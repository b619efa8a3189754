"""Pictures of cutouts: arrays in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.errors import StorageError, missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def asinh_stretch(
    image: NDArray[np.float32], *, low: float, high: float, softening: float = 0.1
) -> NDArray[np.float64]:
    """Map fluxes to 0..1 with an asinh (Lupton et al. 1999, AJ 118, 1406); NaN stays NaN.

    Parameters
    ----------
    image : ndarray of float32
        Fluxes, any shape.
    low, high : float
        Fluxes that become 0 and 1.
    softening : float
        Fraction of the range below which the scale is linear.

    Returns
    -------
    ndarray of float64
        Same shape, clipped to 0..1.
    """
    scaled = (np.asarray(image, dtype=np.float64) - low) / max(high - low, 1e-30)
    stretched = np.arcsinh(scaled / softening) / np.arcsinh(1 / softening)
    clipped: NDArray[np.float64] = np.clip(stretched, 0, 1)
    return clipped


def limits(image: NDArray[np.float32]) -> tuple[float, float]:
    """Fluxes to show as black and white: a little below the sky, and the brightest pixels amid.

    Only the middle of the image counts for white, so that a bright neighbour leaves the object
    visible.

    Parameters
    ----------
    image : ndarray of float32
        One band of a cutout; NaN is passed over.

    Returns
    -------
    tuple of float
        Low and high; (0, 1) for an image without a finite pixel.
    """
    values = image[np.isfinite(image)]
    if not values.size:
        return 0.0, 1.0
    sky = float(np.median(values))
    scatter = 1.4826 * float(np.median(np.abs(values - sky))) or 1e-6
    return sky - 2 * scatter, max(_bright(image), sky + 10 * scatter)


def _bright(image: NDArray[Any]) -> float:
    """Flux of the brightest pixels in the middle third of the rows and columns."""
    rows, columns = image.shape
    middle = image[rows // 3 : rows - rows // 3, columns // 3 : columns - columns // 3]
    seen = middle[np.isfinite(middle)]
    if not seen.size:
        seen = image[np.isfinite(image)]
    return float(np.quantile(seen, 0.99))


def color_composite(
    red: NDArray[np.float32],
    green: NDArray[np.float32],
    blue: NDArray[np.float32],
    *,
    softening: float = 0.1,
) -> NDArray[np.float64]:
    """Colour picture that keeps hue where it is bright (Lupton et al. 2004, PASP 116, 133).

    White is what is bright in the middle of the cutout; where there is little but noise, the
    picture is grey.

    Parameters
    ----------
    red, green, blue : ndarray of float32, shape (rows, columns)
        Three bands of one cutout, in one unit.
    softening : float
        As in :func:`asinh_stretch`.

    Returns
    -------
    ndarray of float64, shape (rows, columns, 3)
        0..1; pixels that are NaN in any band are mid-grey.
    """
    stack = np.stack([red, green, blue], axis=-1).astype(np.float64)
    missing = ~np.isfinite(stack).all(axis=-1)
    if missing.all():
        return np.full(stack.shape, 0.5)
    stack -= np.nanmedian(stack, axis=(0, 1))
    stack[missing] = 0
    intensity = stack.mean(axis=-1)
    noise = 1.4826 * float(np.median(np.abs(intensity[~missing]))) or 1e-6
    # The noise stays dark: white is at least forty times as bright.
    white = max(_bright(np.where(missing, np.nan, intensity)), 40 * noise)
    shown = np.clip(intensity - noise, 1e-12, None)
    curve = np.arcsinh(shown / (softening * white)) / np.arcsinh(1 / softening)
    # One band's noise is no colour: hue comes in where all together are well above theirs.
    trust = (shown**2 / (shown**2 + (4 * noise) ** 2))[..., None]
    hue = trust * stack / np.maximum(intensity, noise)[..., None] + (1 - trust)
    colors = np.clip(hue * curve[..., None], 0, None)
    colors /= np.maximum(colors.max(axis=-1, keepdims=True), 1)
    colors[missing] = 0.5
    return np.asarray(colors, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ellipses:
    """Shapes of the central sources of several cutouts, to be drawn over them.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n, bands)
        0-based position in pixels.
    a, b : ndarray of float64, shape (n, bands)
        Semi-axes in pixels; nothing is drawn where ``a`` is 0, or something NaN.
    theta : ndarray of float64, shape (n, bands)
        Degrees from the x axis towards the y axis.
    dashed : ndarray of bool, shape (n, bands), optional
        Outlines to be dashed, such as those of what is likely another object; none by default.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    theta: NDArray[np.float64]
    dashed: NDArray[np.bool_] | None = None


def contact_sheet(
    images: NDArray[np.float32],
    *,
    bands: Sequence[str],
    labels: Sequence[str],
    title: str,
    composite: tuple[str, str, str] = ("i", "r", "g"),
    ellipses: Ellipses | None = None,
    measured: NDArray[np.bool_] | None = None,
) -> Figure:
    """Draw objects as columns: a colour composite above one row per band.

    Parameters
    ----------
    images : ndarray of float32, shape (n, bands, rows, columns)
        Cutouts; row 0 is drawn at the bottom, NaN in red.
    bands, labels : sequence of str
        Names of the bands, and one label per object.
    title : str
        Above the sheet.
    composite : tuple of str
        Bands for red, green, blue; left out where one of them is missing.
    ellipses : Ellipses, optional
        Drawn over the bands.
    measured : ndarray of bool, shape (n, bands), optional
        False where a band has no data, whatever its pixels: it is drawn hatched.  All by default.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``savefig``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    make_figure = figure_class()
    with_color = set(composite) <= set(bands)
    rows = len(bands) + int(with_color)
    figure = make_figure(figsize=(0.35 + 1.05 * len(images), 0.5 + 1.05 * rows), dpi=110)
    grid = figure.subplots(rows, len(images), squeeze=False)
    for column, (image, label) in enumerate(zip(images, labels, strict=True)):
        cells = list(grid[:, column])
        if with_color:
            colors = color_composite(*(image[list(bands).index(b)] for b in composite))
            cells.pop(0).imshow(colors, origin="lower", interpolation="nearest")
        for band, (cell, plane) in enumerate(zip(cells, image, strict=True)):
            if measured is not None and not measured[column, band]:
                _draw_nothing(cell, plane)
                continue
            _draw_band(cell, plane)
            if ellipses is not None:
                _draw_ellipse(cell, ellipses, (column, band))
        grid[0, column].set_title(label, fontsize=7.5, pad=3)
    _name_rows(grid, ["".join(composite), *bands] if with_color else list(bands))
    figure.suptitle(title, fontsize=9, x=0.02, ha="left", y=0.995, va="top")
    figure.subplots_adjust(
        left=0.3 / figure.get_figwidth(),
        right=0.995,
        bottom=0.01,
        top=1 - 0.45 / figure.get_figheight(),
        wspace=0.04,
        hspace=0.04,
    )
    return figure


def plot_cutout(
    cutout: NDArray[np.float32],
    bands: Sequence[str],
    title: str,
    *,
    measured: Sequence[bool] | None = None,
) -> Figure:
    """Draw the bands of one cutout side by side.

    Parameters
    ----------
    cutout : ndarray of float32, shape (bands, rows, columns)
        Row 0 is drawn at the bottom, NaN in red.
    bands : sequence of str
        Their names.
    title : str
        Above the figure.
    measured : sequence of bool, optional
        False for bands that have no data, whatever their pixels.

    Returns
    -------
    matplotlib.figure.Figure
        Not shown and not registered with pyplot.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    # Room for the title, however few the bands.
    figure = figure_class()(figsize=(max(1.8 * len(bands), 5.0), 2.3), layout="constrained")
    cells = np.atleast_1d(figure.subplots(1, len(bands)))
    shown = measured if measured is not None else [True] * len(bands)
    for cell, band, plane, has_data in zip(cells, bands, cutout, shown, strict=True):
        (_draw_band if has_data else _draw_nothing)(cell, plane)
        cell.set_title(band, fontsize=9)
        cell.set_axis_off()
    figure.suptitle(title, fontsize=9)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot write the picture {path}: {reason}; name another file", path=str(path)
        ) from error


def figure_class() -> type[Figure]:
    """Return matplotlib's class of figures, which needs neither a screen nor pyplot.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure as Found
    except ImportError as error:
        raise missing_extra("matplotlib", "plots", "Drawing") from error
    found: type[Figure] = Found
    return found


def _draw_band(cell: Any, plane: NDArray[np.float32]) -> None:
    import matplotlib as mpl

    low, high = limits(plane)
    colormap = mpl.colormaps["gray"].with_extremes(bad="#b5403c")
    cell.imshow(
        np.ma.masked_invalid(asinh_stretch(plane, low=low, high=high)),
        origin="lower",
        cmap=colormap,
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )


def _draw_nothing(cell: Any, plane: NDArray[np.float32]) -> None:
    """Hatch the place of a band without data, so that it cannot be taken for a dark sky."""
    from matplotlib.patches import Rectangle

    rows, columns = plane.shape
    cell.set_xlim(-0.5, columns - 0.5)
    cell.set_ylim(-0.5, rows - 0.5)
    cell.set_aspect("equal")
    cell.add_patch(
        Rectangle((-0.5, -0.5), columns, rows, facecolor="#f3f1ec", edgecolor="#c9c4b8",
                  hatch="///", linewidth=0)
    )  # fmt: skip
    cell.text(columns / 2, rows / 2, "no data", fontsize=6.5, color="#6d675b", ha="center",
              va="center")  # fmt: skip


def _draw_ellipse(cell: Any, ellipses: Ellipses, place: tuple[int, int]) -> None:
    from matplotlib.patches import Ellipse

    shape = [v[place] for v in (ellipses.x, ellipses.y, ellipses.a, ellipses.b, ellipses.theta)]
    if not (np.isfinite(shape).all() and ellipses.a[place] > 0):
        return
    dashed = ellipses.dashed is not None and bool(ellipses.dashed[place])
    cell.add_patch(
        Ellipse(
            (ellipses.x[place], ellipses.y[place]),
            2 * ellipses.a[place],
            2 * ellipses.b[place],
            angle=ellipses.theta[place],
            fill=False,
            edgecolor="#e8a33d",
            linewidth=0.8,
            linestyle=(0, (3, 2)) if dashed else "solid",
        )
    )


def _name_rows(grid: NDArray[Any], names: Sequence[str]) -> None:
    for row, name in zip(grid, names, strict=True):
        for cell in row:
            cell.set_xticks([])
            cell.set_yticks([])
            for side in cell.spines.values():
                side.set_visible(False)
        row[0].set_ylabel(name, rotation=0, fontsize=9, ha="right", va="center", labelpad=5)
