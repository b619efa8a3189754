"""Building from the files that a dataset's authors published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from galaxyds.archives.base import Need, RecordArchive, RemoteFile
from galaxyds.build.context import Context
from galaxyds.build.layouts import layout_of
from galaxyds.build.space import HUB_SHARE, held
from galaxyds.build.workspace import read_facts, write_facts
from galaxyds.errors import NotInArchiveError, UsageError
from galaxyds.spec import Config, DatasetSpec, PublishedFiles
from galaxyds.store import p19, require_space

if TYPE_CHECKING:
    from galaxyds.archives.deepdip import DeepdipItem


def _zenodo(files: PublishedFiles) -> RecordArchive:
    from galaxyds.archives.zenodo import ZenodoRecord

    return ZenodoRecord(files.record)


def _deepdip(files: PublishedFiles) -> DeepdipItem:
    from galaxyds.archives.deepdip import DeepdipItem

    return DeepdipItem(files.record, expected=(files.pattern, *p19.companions(files.pattern)))


def _own_deepdip(files: PublishedFiles) -> dict[str, RemoteFile]:
    return _deepdip(files).own_files()


@dataclass(frozen=True, slots=True)
class _Service:
    """A service of published files: how it is opened, and how one's own files get beside them.

    ``own`` finds those that are there already.
    """

    open: Callable[[PublishedFiles], RecordArchive]
    bring: str = ""
    own: Callable[[PublishedFiles], dict[str, RemoteFile]] = lambda files: {}


_SERVICES = {
    "zenodo": _Service(_zenodo),
    "deepdip": _Service(
        _deepdip, "set GALAXYDS_DEEPDIP_DIR to the folder of that file", _own_deepdip
    ),
}


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
        if self.files.service not in _SERVICES:
            raise UsageError(f"there is no archive '{self.files.service}'")
        return _SERVICES[self.files.service].open(self.files)

    @property
    def bring(self) -> str:
        """How files of one's own get beside those of the record, in an imperative phrase."""
        return _SERVICES[self.files.service].bring

    def own(self) -> dict[str, RemoteFile]:
        """Files that whoever builds has already, by name; nothing is asked of the service.

        Raises
        ------
        UsageError
            If a folder is named that holds none of them.
        """
        return _SERVICES[self.files.service].own(self.files)

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
    release = release_of(context)
    record = release.record
    published = record.files()
    every = [
        file for product in context.products for file in _wanted(context.spec, product, published)
    ]
    total = sum(file.bytes for file in every)
    own = sum(file.bytes for file in every if _is_own(file))
    # Once as published, once as HDF5, once in the hub folder.
    needed = int((2 + HUB_SHARE) * total) - own - held(folder)
    require_space(folder, needed, what=f"taking over {context.spec.name}")
    done = 0
    context.reporter.progress(0, total, "bytes")
    for file in every:
        record.fetch(file, folder)
        done += file.bytes
        context.reporter.progress(done, total, "bytes")
    for product in context.products:
        layout_of(context.spec).check(context.spec.of(product.name), folder, release.bring)
    write_facts(
        folder,
        {
            "files": {file.name: {"bytes": file.bytes, "md5": file.md5} for file in every},
            "own": [file.name for file in every if _is_own(file)],
        },
    )
    checked = "every md5 right" if all(f.md5 for f in every) else "every size right, no md5 stated"
    return f"{len(every)} files, {total / 1e9:.1f} GB, {checked}"


def _is_own(file: RemoteFile) -> bool:
    """Whether a file is the user's own, and not transferred."""
    return file.url.startswith("file:")


def fetched(context: Context) -> Iterator[str]:
    """Yield a line on every fetched file whose authors state no checksum."""
    facts = read_facts(context.workspace.path("fetch"))
    outputs = context.workspace.outputs("fetch")
    for name, record in facts["files"].items():
        if record["md5"]:
            continue
        where = "a file of one's own" if name in facts.get("own", ()) else "as fetched"
        yield (
            f"{name} ({where}, {record['bytes']:,} bytes, sha256 {outputs.get(name, 'unknown')}): "
            "its authors state no checksum to compare it with"
        )


def _wanted(
    spec: DatasetSpec, product: Config, published: Mapping[str, RemoteFile]
) -> list[RemoteFile]:
    """Files of a config, and what may stand beside them."""
    assert spec.files is not None
    names = tuple(spec.files.files(spec.of(product.name).pixels.size).values())
    if absent := [name for name in names if name not in published]:
        raise NotInArchiveError(
            f"record {spec.files.record} has no file {absent[0]}: it has "
            f"{', '.join(sorted(published)) or 'none'}; has a newer version another name?",
            missing=len(absent),
        )
    beside = (name for wanted in names for name in layout_of(spec).companions(wanted))
    return [published[name] for name in (*names, *beside) if name in published]


def fetch_inputs(context: Context) -> dict[str, str]:
    """The record decides what is fetched; every config has a workspace of its own."""
    own = (
        f"{file.name} {file.bytes} bytes of {_changed(file)}"
        for file in release_of(context).own().values()
    )
    return {
        "record": "; ".join(f"{k} {v}" for k, v in sorted(context.archive.endpoints().items())),
        "own files": "; ".join(own),
    }


def _changed(file: RemoteFile) -> int:
    """When a file of one's own was written, in nanoseconds."""
    return Path(url2pathname(urlsplit(file.url).path)).stat().st_mtime_ns
