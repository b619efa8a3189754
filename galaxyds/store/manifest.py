"""The manifest of a build: where every row and every byte came from.

``manifest.json`` is written last, in a fixed key order, and decoded into types: a field that is
missing or of another type is an error that names the file, never a surprise further on.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec

from galaxyds.errors import DataIntegrityError, UsageError, one_line
from galaxyds.refs import DatasetRef
from galaxyds.store.files import publish_bytes

FORMAT = 1
_LARGEST = 256 << 20
"""Bytes above which a file is not taken for a manifest."""


class ArchiveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Which archive answered.

    Attributes
    ----------
    name, data_release : str
        Archive, and the survey's data release.
    endpoints : dict of str to str
        Base URLs by service.
    simulated : bool
        Whether the sky was made by galaxyds.
    released : bool
        Whether the authors' own files were taken over.
    """

    name: str
    data_release: str
    endpoints: dict[str, str] = {}
    simulated: bool = False
    released: bool = False


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: everything, a limited number of tiles, or a list of objects.

    Attributes
    ----------
    kind : str
        ``full``, ``limit`` or ``objects``.
    limit : int or None
        Number of objects asked for.
    objects : str or None
        Name of the list's file.
    objects_sha256 : str or None
        Its hash.
    """

    kind: Literal["full", "limit", "objects"] = "full"
    limit: int | None = None
    objects: str | None = None
    objects_sha256: str | None = None


class CutRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the cut flow; ``rows_before`` minus ``removed`` is ``rows_after``.

    ``where`` is ``archive`` or ``local``: who applied the cut.
    """

    name: str
    sql: str
    rows_before: int
    rows_after: int
    removed: int
    why: str = ""
    source: str = ""
    where: str = ""
    has_effect: bool = True


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Size in bytes and sha256 of a file."""

    bytes: int
    sha256: str


class BandStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Pixels of one band over all objects.

    Attributes
    ----------
    mean, std : float or None
        Over the other pixels, in the band's unit; None if there is none.
    nan_fraction, zero_fraction : float
        Share of all pixels that are NaN or the padding of a band without data, and exactly 0.
    """

    mean: float | None
    std: float | None
    nan_fraction: float
    zero_fraction: float


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """An object that passed the cuts and is not in the build, and why."""

    object_id: int
    reason: str


class SurveyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a spectroscopic survey brought to a compiled catalogue, and lost.

    ``read = sentinel + insecure + secure`` and ``secure = duplicate + kept``.
    """

    name: str
    where: str
    read: int
    sentinel: int
    insecure: int
    secure: int
    duplicate: int
    kept: int


class PublishedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A count that the paper states, beside ours (None where a build cannot have it)."""

    what: str
    count: int
    source: str
    ours: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known about a build.

    Attributes
    ----------
    name, config, version : str
        Kebab-case name, config, version with its local label (``1.0.0+simulated.limit2000``).
    package_version, spec_digest : str
        What built it.
    created : str
        UTC time in ISO format; it stands here only, never in a data file.
    rows : int
        Objects in the build.
    shape : tuple of int
        Of one cutout: bands, rows, columns.
    failed : int
        Tiles that failed and whose objects were left out on request.
    align : str
        Band whose grid the cutouts were resampled to, or ``none``.
    bands : dict of str to BandStatistics
        In the order of the image axis.
    splits : dict of str to dict of str to int
        Rows of every split, by division (``"0"``, ``"1"`` ...).
    duplicates : dict of str to int
        Rows removed, by rule.
    surveys : tuple of SurveyRecord
        Spectroscopic surveys that were compiled, in order; empty where one archive has it all.
    files : dict of str to FileRecord
        Every other file of the build, by path relative to it.
    departures : tuple of str
        Where a simulated sky differs from nature on purpose.
    """

    name: str
    config: str
    version: str
    package_version: str
    spec_digest: str
    created: str
    archive: ArchiveRecord
    rows: int
    shape: tuple[int, int, int]
    selection: Selection = Selection()
    align: str = ""
    failed: int = 0
    queries: tuple[str, ...] = ()
    cut_flow: tuple[CutRow, ...] = ()
    duplicates: dict[str, int] = {}
    surveys: tuple[SurveyRecord, ...] = ()
    splits: dict[str, dict[str, int]] = {}
    bands: dict[str, BandStatistics] = {}
    published: tuple[PublishedRecord, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    departures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: dict[str, FileRecord] = {}
    format: int = FORMAT

    def dropped_by_reason(self) -> dict[str, int]:
        """Count the dropped objects, by reason in alphabetical order."""
        return dict(sorted(Counter(item.reason for item in self.dropped).items()))

    @property
    def is_full(self) -> bool:
        """Whether this is the real, unlimited dataset."""
        return self.nature() == "full"

    @property
    def public_version(self) -> str:
        """``MAJOR.MINOR.PATCH`` without the local label."""
        return self.version.partition("+")[0]

    def nature(self) -> str:
        """One phrase: ``full``, or what makes it another thing than the published dataset."""
        parts = ["simulated sky"] if self.archive.simulated else []
        if self.archive.released:
            parts.append("the authors' published files")
        if self.selection.kind == "limit":
            parts.append(f"limited to {self.selection.limit} objects")
        if self.selection.kind == "objects":
            parts.append("built from an object list, past the cuts")
        if self.failed:
            parts.append(f"incomplete: {self.failed} tiles failed")
        if self.align == "none":
            parts.append("bands not aligned")
        return ", ".join(parts) or "full"


def local_version(
    version: str, *, simulated: bool = False, released: bool = False, selection: Selection
) -> str:
    """Version with the local label that keeps a partial or simulated build apart.

    Parameters
    ----------
    version : str
        ``MAJOR.MINOR.PATCH``.
    simulated : bool
        Whether the sky was made by galaxyds.
    released : bool
        Whether the authors' own files are taken over.
    selection : Selection
        What was asked for.

    Returns
    -------
    str
        ``1.0.0``, ``1.0.0+release``, ``1.0.0+simulated``, ``1.0.0+simulated.limit2000``,
        ``1.0.0+objects.1a2b3c4d``.
    """
    parts = ["simulated"] * simulated + ["release"] * released
    if selection.kind == "limit":
        parts.append(f"limit{selection.limit}")
    if selection.kind == "objects":
        parts.append(f"objects.{(selection.objects_sha256 or 'list')[:8]}")
    return f"{version}+{'.'.join(parts)}" if parts else version


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Publish a manifest.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    publish_bytes(path, text + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Parameters
    ----------
    path : pathlib.Path
        Of ``manifest.json``.

    Returns
    -------
    Manifest
        Typed.

    Raises
    ------
    DataIntegrityError
        If it is missing, is no JSON, or a field is missing or has another type.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise _bad(path, f"it has more than {_LARGEST >> 20} MiB")
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        DatasetRef.parse(f"{manifest.name}/{manifest.config}:{manifest.version}")
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error
    # Broken UTF-8 is a ValueError, deep nesting a RecursionError.
    except (msgspec.MsgspecError, ValueError, RecursionError, UsageError) as error:
        raise _bad(path, one_line(str(error))) from error
    if manifest.format > FORMAT:
        raise _bad(path, f"its format {manifest.format} is newer than this galaxyds: upgrade it")
    return manifest


def _bad(path: Path, cause: str) -> DataIntegrityError:
    return DataIntegrityError(
        f"{path} is not a readable manifest ({cause}): build it again with --from cutouts, or copy "
        "the file back from where the build came from",
        file=str(path),
        expected="a galaxyds manifest",
        got=cause,
    )
