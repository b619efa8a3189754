"""matplotlib's figures without a screen, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.errors import StorageError, missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
