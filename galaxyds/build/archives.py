"""Which archive serves which dataset, by kind: remote, simulated or release."""

from __future__ import annotations

from galaxyds.archives.base import Source
from galaxyds.errors import UsageError
from galaxyds.spec import DatasetSpec

SIMULATED = "simulated"
"""Name of the archive whose sky is made by galaxyds, and the kind that asks for it."""
RELEASE = "release"
"""Kind that takes the authors' own files."""
KINDS = ("remote", SIMULATED, RELEASE)


def open_archive(spec: DatasetSpec, kind: str) -> Source:
    """Return the archive of a dataset.

    Parameters
    ----------
    spec : DatasetSpec
        Names the archive.
    kind : str
        ``remote``, ``simulated`` or ``release``.

    Returns
    -------
    Source
        Ready to be asked; no request has been sent.

    Raises
    ------
    UsageError
        If the dataset has no archive of that kind.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no archive '{kind}': one of {', '.join(KINDS)}")
    if kind == RELEASE:
        return _release(spec)
    if spec.archive == "hsc":
        from galaxyds.archives.hsc import HSCArchive
        from galaxyds.archives.simulated_hsc import SimulatedHSC

        survey: Source = SimulatedHSC() if kind == SIMULATED else HSCArchive()
        return survey
    if spec.archive == "sdss":
        from galaxyds.archives.sdss import SDSSArchive
        from galaxyds.archives.simulated import SimulatedSDSS

        archive: Source = SimulatedSDSS() if kind == SIMULATED else SDSSArchive()
        return archive
    raise UsageError(f"{spec.name} names an archive that galaxyds does not know: {spec.archive}")


def _release(spec: DatasetSpec) -> Source:
    from galaxyds.build.release import PublishedRelease

    if spec.files is None:
        raise UsageError(
            f"{spec.name} cannot be built from --archive release: its authors published no files; "
            "use --archive remote or --archive simulated"
        )
    return PublishedRelease(spec.files)
