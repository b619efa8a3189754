"""Which archive serves which dataset, by kind: remote, simulated or release."""

from __future__ import annotations

from collections.abc import Callable

from galaxyds.archives.base import LocalFiles, Source
from galaxyds.errors import UsageError, did_you_mean
from galaxyds.spec import DatasetSpec

SIMULATED = "simulated"
"""Name of the archive whose sky is made by galaxyds, and the kind that asks for it."""
RELEASE = "release"
"""Kind that takes the authors' own files."""
KINDS = ("remote", SIMULATED, RELEASE)
_WITH_FILES = ("cfhtls", "hsc-deep")
"""Archives to which files can be brought along."""


def open_archive(spec: DatasetSpec, kind: str, *, local: LocalFiles | None = None) -> Source:
    """Return the archive of a dataset.

    Parameters
    ----------
    spec : DatasetSpec
        Names the archive and its data release.
    kind : str
        ``remote``, ``simulated`` or ``release``.
    local : LocalFiles, optional
        Folders of files that belong to it.

    Returns
    -------
    Source
        Ready to be asked; no request has been sent.

    Raises
    ------
    UsageError
        If the dataset has no archive of that kind, or no use for such files.
    """
    if kind not in KINDS:
        raise UsageError(
            f"there is no archive '{kind}': {did_you_mean(kind, KINDS)}one of {', '.join(KINDS)}"
        )
    local = local or LocalFiles()
    if local != LocalFiles() and (kind != "remote" or spec.archive not in _WITH_FILES):
        raise UsageError(
            f"{spec.name} from --archive {kind} takes no files of one's own: leave --mosaics and "
            "--redshifts out"
        )
    if kind == RELEASE:
        return _release(spec)
    if spec.archive not in _ARCHIVES:
        raise UsageError(
            f"{spec.name} names an archive that galaxyds does not know: {spec.archive}"
        )
    return _ARCHIVES[spec.archive](spec, kind == SIMULATED, local)


def _release(spec: DatasetSpec) -> Source:
    from galaxyds.build.release import PublishedRelease

    if spec.files is None:
        raise UsageError(
            f"{spec.name} cannot be built from --archive release: its authors published no files; "
            "use --archive remote or --archive simulated"
        )
    return PublishedRelease(spec.files)


def _sdss(spec: DatasetSpec, simulated: bool, local: LocalFiles) -> Source:
    from galaxyds.archives.sdss import SDSSArchive
    from galaxyds.archives.simulated import simulated_sdss

    del local
    release = spec.data_release
    return simulated_sdss(release) if simulated else SDSSArchive(release=release)


def _hsc(spec: DatasetSpec, simulated: bool, local: LocalFiles) -> Source:
    from galaxyds.archives.hsc import HSCArchive
    from galaxyds.archives.simulated_hsc import SimulatedHSC

    del spec, local
    return SimulatedHSC() if simulated else HSCArchive()


def _hsc_deep(spec: DatasetSpec, simulated: bool, local: LocalFiles) -> Source:
    from galaxyds.archives.hsc_deep import HSCDeepArchive
    from galaxyds.archives.simulated_deep import SimulatedDeep

    del spec
    return SimulatedDeep() if simulated else HSCDeepArchive(local=local)


def _cfhtls(spec: DatasetSpec, simulated: bool, local: LocalFiles) -> Source:
    from galaxyds.archives.cfhtls import CFHTLSArchive
    from galaxyds.archives.simulated_cfhtls import SimulatedCFHTLS

    del spec
    return SimulatedCFHTLS() if simulated else CFHTLSArchive(local=local)


_ARCHIVES: dict[str, Callable[[DatasetSpec, bool, LocalFiles], Source]] = {
    "sdss": _sdss,
    "hsc": _hsc,
    "hsc-deep": _hsc_deep,
    "cfhtls": _cfhtls,
}
