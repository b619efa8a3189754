"""``galaxyds list``: the datasets there are, and the builds on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyds.shown import gigabytes
from galaxyds_cli.console import show_json, show_table
from galaxyds_cli.options import Json, Root

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec
    from galaxyds.store import BuildDirectory


def list_datasets(*, root: Root = None, as_json: Json = False) -> None:
    """List the datasets, and what is built on this machine.

    Example: galaxyds list --json
    """
    from galaxyds import settings
    from galaxyds.specs import get_spec, spec_names
    from galaxyds.store import list_builds

    specs = [get_spec(name) for name in spec_names()]
    home = settings.home(root)
    builds = list(list_builds(home))
    if as_json:
        show_json(_plain(specs, builds))
        return
    _show_specs(specs)
    if builds:
        _show_builds(home, builds)
    else:
        print(f"Nothing is built in {home}. Try: galaxyds build sdss-qso --preset tiny")


def _plain(specs: Sequence[DatasetSpec], builds: Sequence[BuildDirectory]) -> dict[str, object]:
    return {
        "datasets": [
            {
                "name": spec.name,
                "version": spec.version,
                "title": spec.title,
                "configs": {config.name: config.published_total for config in spec.configs},
            }
            for spec in specs
        ],
        "builds": [
            {
                "name": build.manifest.name,
                "config": build.manifest.config,
                "version": build.manifest.version,
                "rows": build.manifest.rows,
                "path": str(build.path),
            }
            for build in builds
        ],
    }


def _show_specs(specs: Sequence[DatasetSpec]) -> None:
    rows = []
    for spec in specs:
        counts = (f"{config.published_total:,} ({config.name})" for config in spec.configs)
        rows.append((spec.name, spec.version, ", ".join(counts), spec.title))
    show_table(("dataset", "version", "published objects (config)", "what"), rows)


def _show_builds(home: Path, builds: Sequence[BuildDirectory]) -> None:
    print(f"Built in {home}:")
    rows = []
    for build in builds:
        manifest = build.manifest
        size = gigabytes(sum(file.bytes for file in manifest.files.values()))
        address = f"{manifest.name}/{manifest.config}:{manifest.version}"
        rows.append((address, f"{manifest.rows:,}", size, manifest.nature()))
    show_table(("build", "objects", "size", "nature"), rows, right=(1, 2))
