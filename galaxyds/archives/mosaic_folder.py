"""Which files of a folder are mosaics, and which stand beside one: told by their names."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from galaxyds.archives.mosaic_headers import refused
from galaxyds.errors import DataIntegrityError

WEIGHTS = ("weight", "weights", "wht", "conf")
"""Words for maps that are 0 where a mosaic has no data (that the confidence maps of CASU, ``conf``,
are is unverified)."""

_SUFFIXES = (".fits", ".fit", ".fts")
_COMPRESSED = (".fz", ".gz", ".bz2", ".xz", ".zip")
_OTHERS = ("rms", "var", "variance", "flag", "flags", "mask")
_ASIDE = re.compile(rf"(?i)(?:^|[._-])({'|'.join(WEIGHTS + _OTHERS)})(?=[._-]|$)")
_LOG = logging.getLogger(__name__)


def mosaic_files(folder: Path) -> tuple[Path, ...]:
    """Return the FITS files of a folder that stand beside no other one, by name.

    Parameters
    ----------
    folder : pathlib.Path
        Folders in it are not looked at.

    Returns
    -------
    tuple of pathlib.Path

    Raises
    ------
    DataIntegrityError
        If one is compressed, for it cannot be mapped; or is called a weight map, and there is no
        mosaic that it belongs to.
    """
    found: list[Path] = []
    beside: list[Path] = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        suffix = path.suffix.lower()
        inner = Path(path.stem).suffix.lower()
        if suffix in _COMPRESSED and (inner in _SUFFIXES or suffix == ".fz"):
            raise compressed(path, suffix)
        if suffix in _SUFFIXES:
            (beside if word_aside(path.stem) else found).append(path)
    names = {path.stem.lower() for path in found}
    for path in beside:
        if word_aside(path.stem) not in WEIGHTS:
            _LOG.warning("%s is not used: of what stands beside mosaics, weight maps are", path)
        elif _owner(path) not in names:
            raise refused(
                path, "a mosaic that this weight map belongs to", "none of its name",
                "call it x.weight.fits where the mosaic is x.fits, or move it out of the folder",
            )  # fmt: skip
    return tuple(found)


def weight_maps(mosaic: Path) -> tuple[Path, ...]:
    """Return the weight maps beside a mosaic, by name.

    Parameters
    ----------
    mosaic : pathlib.Path
        For ``x.fits``, maps are ``x.weight.fits``, ``x_wht.fit``, ``WEIGHT_x.fits`` and the like.

    Returns
    -------
    tuple of pathlib.Path
        Empty if there are none.
    """
    return tuple(
        path for path in sorted(mosaic.parent.iterdir())
        if path.is_file() and path.suffix.lower() in _SUFFIXES
        and word_aside(path.stem) in WEIGHTS and _owner(path) == mosaic.stem.lower()
    )  # fmt: skip


def word_aside(text: str) -> str:
    """Return the word of a name or a keyword's value that says: not the image itself, or nothing.

    Examples
    --------
    >>> word_aside("x_WHT"), word_aside("SCI")
    ('wht', '')
    """
    found = _ASIDE.search(text)
    return found[1].lower() if found else ""


def compressed(path: Path, how: str) -> DataIntegrityError:
    """Make the error for a file that cannot be mapped; ``how`` is the suffix of its kind."""
    tool = {".fz": "funpack", ".bz2": "bunzip2", ".xz": "unxz", ".zip": "unzip"}.get(how, "gunzip")
    return refused(path, "an uncompressed file, which can be mapped", how, f"{tool} it first")


def _owner(path: Path) -> str:
    """Stem, in small letters, of the mosaic that a map belongs to."""
    return _ASIDE.sub("", path.stem, count=1).strip("._-").lower()
