"""Galactic reddening: E(B-V) of Schlegel, Finkbeiner & Davis (1998), as published.

The values are not scaled.  Other readers of the same maps multiply them by 0.86 (the recalibration
of Schlafly & Finkbeiner 2011) unless they are told not to; that paper's coefficients per band are
meant for the values as they come from here.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxyds import settings
from galaxyds.archives.bounded import broken, scan_fits
from galaxyds.archives.calls import Policy
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.errors import ArchiveError, UsageError, missing_extra, one_line, storage_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FOLDER = "GALAXYDS_SFD_DIR"
"""Setting: folder of the two maps."""
VARIABLE = "GALAXYDS_DATAVERSE_URL"
DEFAULT_URL = "https://dataverse.harvard.edu"
DOI = "10.7910/DVN/EWCNL5"
"""Record of the maps at the Harvard Dataverse."""
FILES = ("SFD_dust_4096_ngp.fits", "SFD_dust_4096_sgp.fits")
FETCH = "python -c 'from galaxyds.archives.dust import fetch_sfd; fetch_sfd()'"
"""Command that brings the maps."""
_LARGEST = 256 << 20  # a map of 4096 x 4096 32-bit numbers has 64 MiB
_ANSWER = 4 << 20


class SFDMap:
    """The two maps of the sky, read with ``dustmaps`` at the first question.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where they are; by default :func:`sfd_folder` looks for them.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._query: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_query": None}

    def ebv(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return E(B-V) at positions, bilinear between the pixels of the map, not scaled.

        Parameters
        ----------
        ra, dec : ndarray of float64, shape (n,)
            ICRS, degrees.

        Returns
        -------
        ndarray of float64, shape (n,)
            Magnitudes, with the 32 bits of the map.

        Raises
        ------
        UsageError
            If the maps are not there: says how to get them.
        MissingExtraError
            If ``dustmaps`` is not installed.
        DataIntegrityError
            If a map is damaged.
        """
        from astropy.coordinates import SkyCoord

        if self._query is None:
            self._query = _opened(self.folder or sfd_folder())
        if not len(ra):
            return np.zeros(0)
        positions = SkyCoord(np.asarray(ra), np.asarray(dec), unit="deg", frame="icrs")
        return np.asarray(self._query.query(positions, order=1), dtype=np.float64)


def sfd_folder() -> Path:
    """Find the folder of the maps.

    Returns
    -------
    pathlib.Path
        That of the setting ``GALAXYDS_SFD_DIR``; else where :func:`fetch_sfd` puts them, else where
        ``dustmaps`` is configured to keep them, whichever has them.

    Raises
    ------
    UsageError
        If none has both maps.
    MissingExtraError
        If ``dustmaps`` is not installed.
    """
    named = settings.resolve(FOLDER, "").value
    places = (Path(named).expanduser(),) if named else (_own_folder(), _dustmaps_folder())
    for place in places:
        if all((place / name).is_file() for name in FILES):
            return place
    looked = " or ".join(str(place) for place in places)
    raise UsageError(
        f"the dust maps {' and '.join(FILES)} are not in {looked}: fetch them with {FETCH}, or set "
        f"{FOLDER} to their folder",
        folder=str(places[0]),
    )


def _own_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("galaxyds")) / "sfd"


def _dustmaps() -> Any:
    """Import ``dustmaps``, which warns about a file of its own that nobody needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import dustmaps.sfd
            import dustmaps.std_paths
        except ImportError:
            raise missing_extra("dustmaps", "dust", "E(B-V)") from None
    return dustmaps


def _dustmaps_folder() -> Path:
    return Path(_dustmaps().std_paths.data_dir()) / "sfd"


def _opened(folder: Path) -> Any:
    """Open both maps, once their headers are found to tell the truth about their sizes."""
    for name in FILES:
        path = folder / name
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST + 1)
        except OSError as error:
            raise UsageError(
                f"cannot read the dust map {path} ({error.strerror}): fetch it with {FETCH}, or "
                f"set {FOLDER} to its folder",
                folder=str(folder),
            ) from error
        image = scan_fits(memoryview(content), path, limit=_LARGEST)[0]
        if len(image.shape) != 2 or image.header.get("BITPIX") not in (-32, -64):
            cause = f"fetch it with {FETCH}"
            raise broken(path, "an image of floating-point numbers", str(image.shape), cause)
    return _dustmaps().sfd.SFDQuery(map_dir=str(folder))


def fetch_sfd(folder: Path | None = None, *, http: Http | None = None) -> Path:
    """Fetch both maps, 64 MiB each, and check their md5.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where to put them; by default the setting ``GALAXYDS_SFD_DIR``, else a folder of the user's
        cache.  What is there and right is left alone.
    http : Http, optional
        Session.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ArchiveError
        If the Dataverse fails or answers nonsense.
    DataIntegrityError
        If a checksum differs twice.
    StorageError
        If the folder cannot be written.
    """
    base = settings.url(VARIABLE, DEFAULT_URL)
    session = http or Http(
        "Dataverse", policy=Policy(), rate=RateLimit(1.0, rate_directory()), setting=VARIABLE
    )
    named = settings.resolve(FOLDER, "").value
    target = folder or (Path(named).expanduser() if named else _own_folder())
    listed = _listed(session.get(
        f"{base}/api/datasets/:persistentId?persistentId=doi:{DOI}", max_bytes=_ANSWER
    ).body)  # fmt: skip
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, target) from error
    for name in FILES:
        number, md5 = listed[name]
        if not _is_right(target / name, md5):
            session.fetch(
                f"{base}/api/access/datafile/{number}", target / name, max_bytes=_LARGEST, md5=md5
            )
    return target


def _is_right(path: Path, md5: str) -> bool:
    import hashlib

    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == md5


def _listed(body: bytes) -> Mapping[str, tuple[int, str]]:
    """Number and md5 of each map in the record."""
    try:
        files = json.loads(body)["data"]["latestVersion"]["files"]
        entries = [file["dataFile"] for file in files]
        found = {e["filename"]: (int(e["id"]), str(e["md5"]).lower()) for e in entries}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _nonsense(f"is no list of files ({one_line(repr(error), 80)})") from error
    for name in FILES:
        _, md5 = found.get(name, (0, ""))
        if len(md5) != 32 or set(md5) - set("0123456789abcdef"):
            raise _nonsense(f"has no {name} with an md5")
    return found


def _nonsense(what: str) -> ArchiveError:
    return ArchiveError(
        f"Dataverse: the record of doi:{DOI} {what}: fetch the two maps by hand and set {FOLDER}",
        service="Dataverse",
    )
