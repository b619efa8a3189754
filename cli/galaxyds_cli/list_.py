"""``galaxyds list``: the datasets there are, and the builds on this machine."""

from __future__ import annotations

from galaxyds_cli.console import gigabytes, show_json, show_table
from galaxyds_cli.options import Json, Root


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
        show_json(
            {
                "datasets": [
                    {"name": s.name, "version": s.version, "title": s.title,
                     "configs": {c.name: c.published_total for c in s.configs}}
                    for s in specs
                ],
                "builds": [
                    {"name": b.manifest.name, "config": b.manifest.config,
                     "version": b.manifest.version, "rows": b.manifest.rows, "path": str(b.path)}
                    for b in builds
                ],
            }
        )  # fmt: skip
        return
    show_table(
        ("dataset", "version", "published objects (config)", "what"),
        [
            (
                s.name,
                s.version,
                ", ".join(f"{c.published_total:,} ({c.name})" for c in s.configs),
                s.title,
            )
            for s in specs
        ],
    )
    if not builds:
        print(f"Nothing is built in {home}. Try: galaxyds build sdss-qso --archive simulated "
              "--limit 200")  # fmt: skip
        return
    print(f"Built in {home}:")
    show_table(
        ("build", "objects", "size", "nature"),
        [
            (
                f"{b.manifest.name}/{b.manifest.config}:{b.manifest.version}",
                f"{b.manifest.rows:,}",
                gigabytes(sum(f.bytes for f in b.manifest.files.values())),
                b.manifest.nature(),
            )
            for b in builds
        ],
        right=(1, 2),
    )
