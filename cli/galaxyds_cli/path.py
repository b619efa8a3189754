"""``galaxyds path``: where a build lies."""

from __future__ import annotations

from galaxyds_cli.console import show_json
from galaxyds_cli.options import Json, Name, Root


def path(name: Name, *, root: Root = None, as_json: Json = False) -> None:
    """Print the folder of a build, and what is in it with --json.

    Example: cd "$(galaxyds path sdss-qso)"
    """
    from galaxyds import settings
    from galaxyds.refs import DatasetRef
    from galaxyds.specs import get_spec
    from galaxyds.store import find_build

    ref = DatasetRef.parse(name)
    found = find_build(settings.home(root), ref, get_spec(ref.name), quiet=True)
    if as_json:
        files = {k: f.bytes for k, f in found.manifest.files.items()}
        show_json({"path": str(found.path), "version": found.manifest.version, "files": files})
        return
    print(found.path)
