"""Building from the files that a dataset's authors published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galaxyds.archives.base import Need, RecordArchive, RemoteFile
from galaxyds.build.context import Context
from galaxyds.build.space import HUB_SHARE, held
from galaxyds.build.workspace import write_facts
from galaxyds.errors import NotInArchiveError, UsageError
from galaxyds.spec import Config, DatasetSpec, PublishedFiles
from galaxyds.store import require_space


@dataclass(frozen=True)
class PublishedRelease:
    """A dataset's published files, as the source of a build.

    Attributes
    ----------
    files : PublishedFiles
        Which record, and how its files are named and laid out.
    """

    files: PublishedFiles

    @property
    def name(self) -> str:
        """Name of the service."""
        return self.files.service

    @property
    def record(self) -> RecordArchive:
        """The record itself.

        Raises
        ------
        UsageError
            If galaxyds does not speak to that service.
        """
        if self.files.service != "zenodo":
            raise UsageError(f"there is no archive '{self.files.service}'")
        from galaxyds.archives.zenodo import ZenodoRecord

        return ZenodoRecord(self.files.record)

    def endpoints(self) -> dict[str, str]:
        """Base URL of the service, and the number of the record."""
        return {**self.record.endpoints(), "record": self.files.record}

    def needs(self) -> tuple[Need, ...]:
        """No account: the files are public."""
        return ()

    def departures(self) -> tuple[str, ...]:
        """No departures: this is the sky."""
        return ()


def release_of(context: Context) -> PublishedRelease:
    """Return the source of a build from published files.

    Raises
    ------
    UsageError
        If it is another source.
    """
    if not isinstance(context.archive, PublishedRelease):
        raise UsageError(f"{context.archive.name} is no published record")
    return context.archive


def fetch(context: Context, folder: Path) -> str:
    """Fetch the files of every config that is built; what came before an interruption counts."""
    record = release_of(context).record
    published = record.files()
    wanted = {
        product.name: _wanted(context.spec, product, published) for product in context.products
    }
    every = [file for files in wanted.values() for file in files.values()]
    total = sum(file.bytes for file in every)
    # Once as published, once as HDF5, once in the hub folder.
    needed = int((2 + HUB_SHARE) * total) - held(folder)
    require_space(folder, needed, what=f"taking over {context.spec.name}")
    done = 0
    context.reporter.progress(0, total, "bytes")
    for file in every:
        record.fetch(file, folder)
        done += file.bytes
        context.reporter.progress(done, total, "bytes")
    write_facts(folder, {"files": {file.name: {"bytes": file.bytes, "md5": file.md5}
                                   for file in every}})  # fmt: skip
    return f"{len(every)} files, {total / 1e9:.1f} GB, every md5 right"


def _wanted(
    spec: DatasetSpec, product: Config, published: Mapping[str, RemoteFile]
) -> dict[str, RemoteFile]:
    assert spec.files is not None
    names = spec.files.files(spec.of(product.name).pixels.size)
    if absent := [name for name in names.values() if name not in published]:
        raise NotInArchiveError(
            f"record {spec.files.record} has no file {absent[0]}: it has "
            f"{', '.join(sorted(published)) or 'none'}; has a newer version another name?",
            missing=len(absent),
        )
    return {split: published[name] for split, name in names.items()}


def fetch_inputs(context: Context) -> dict[str, str]:
    """The record decides what is fetched; every config has a workspace of its own."""
    return {
        "record": "; ".join(f"{k} {v}" for k, v in sorted(context.archive.endpoints().items())),
    }
