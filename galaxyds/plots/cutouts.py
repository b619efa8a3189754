"""Pictures of cutouts: arrays in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds.plots.figure import figure_class
from galaxyds.plots.stretch import asinh_stretch, color_composite, limits

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


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
