"""Croissant: the hub folder of a build as a repository, with ``croissant.json`` in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from galaxyds.download import names
from galaxyds.publish.croissant import render_croissant
from galaxyds.publish.exports.format import README, Format, Options, Progress, Source
from galaxyds.store.files import sha256
from galaxyds.store.layout import HUB, MANIFEST
from galaxyds.store.manifest import FileRecord


def _size(source: Source, options: Options) -> int:
    """Bytes of the shards, for where they cannot be linked."""
    del options
    return sum(record.bytes for record in _files(source).values())


def _write(source: Source, folder: Path, options: Options, progress: Progress) -> None:
    del options
    build, config = source.build, source.build.manifest.config
    files = _files(source)
    (folder / config).mkdir()
    for path in files:
        file = names.build_file(config, path)
        assert file is not None
        _take(build.path / file, folder / path)
    shutil.copyfile(build.hub / README, folder / README)
    document = render_croissant(source.spec, [build.manifest], files)
    (folder / names.CROISSANT).write_text(document, encoding="utf-8")
    progress(len(source.images), len(source.images))


def _files(source: Source) -> dict[str, FileRecord]:
    """What the repository has of the build, by path in it."""
    build, config = source.build, source.build.manifest.config
    found = {
        names.repository_path(config, file): record
        for file, record in build.manifest.files.items()
        if file != f"{HUB}/{README}"  # the repository's card stands at its root
    }
    manifest = build.path / MANIFEST
    own = FileRecord(bytes=manifest.stat().st_size, sha256=sha256(manifest))
    return {path: record for path, record in found.items() if path} | {f"{config}/{MANIFEST}": own}


def _take(source: Path, target: Path) -> None:
    """Link a shard, which is never written again; copy what somebody might edit."""
    if source.suffix == ".parquet":
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    shutil.copyfile(source, target)


CROISSANT = Format(name="croissant", write=_write, size=_size)
