"""The hub's JSON: what ``huggingface_hub`` reads about repositories, revisions and files.

Every file is told as one of large-file storage, whose identity is its sha256: the same rule for
a card of 20 kB and a shard of 500 MB, and what the manifest states is what the client checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from galaxyds.download.names import MAIN, OWNER, repo_id
from galaxyds.publish.repository import Repository, RepositoryFile, Snapshot

Json = dict[str, Any]


def repository_info(repository: Repository, snapshot: Snapshot, *, blobs: bool = False) -> Json:
    """Describe a repository at a revision.

    Parameters
    ----------
    repository, snapshot
        Which.
    blobs : bool
        With size and hash of every file.

    Returns
    -------
    dict
        As ``/api/datasets/ID/revision/REVISION`` answers.
    """
    files = snapshot.files.items()
    return {
        "_id": hashlib.sha256(repository.name.encode()).hexdigest()[:24],
        "id": repo_id(repository.name),
        "author": OWNER,
        "sha": snapshot.commit,
        "lastModified": hub_time(snapshot.created),
        "createdAt": hub_time(snapshot.created),
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [_sibling(path, file, blobs=blobs) for path, file in files],
        "usedStorage": sum(file.size for _, file in files),
    }


def _sibling(path: str, file: RepositoryFile, *, blobs: bool) -> Json:
    if not blobs:
        return {"rfilename": path}
    pointer = _pointer(file)
    lfs = {"size": file.size, "sha256": file.sha256, "pointerSize": len(pointer)}
    return {"rfilename": path, "size": file.size, "blobId": _git_id(pointer), "lfs": lfs}


def matching(repositories: Iterable[Repository], search: Sequence[str]) -> list[Repository]:
    """Keep the repositories whose id has every one of the words."""
    words = [word.lower() for word in search]
    return [one for one in repositories if all(word in repo_id(one.name) for word in words)]


def refs(repository: Repository) -> Json:
    """List the branch and the tags of a repository."""
    tags = [
        {"name": name, "ref": f"refs/tags/{name}", "targetCommit": snapshot.commit}
        for name, snapshot in repository.versions.items()
    ]
    branch = {"name": MAIN, "ref": f"refs/heads/{MAIN}", "targetCommit": repository.main.commit}
    return {"branches": [branch], "converts": [], "tags": tags, "pullRequests": []}


def commits(snapshot: Snapshot) -> list[Json]:
    """List the one commit that a revision is."""
    return [{**_last_commit(snapshot), "message": snapshot.notice, "authors": []}]


def tree(
    snapshot: Snapshot, folder: str, *, recursive: bool = False, expand: bool = False
) -> list[Json] | None:
    """List a folder of a revision.

    Parameters
    ----------
    snapshot : Snapshot
        The revision.
    folder : str
        Path in the repository; empty for all of it.
    recursive : bool
        With what is in its folders.
    expand : bool
        With the commit that an entry came with.

    Returns
    -------
    list of dict or None
        Files and folders in the order of their names; None if there is no such folder.
    """
    prefix = f"{folder}/" if folder else ""
    paths = {path for path in _entries(snapshot) if path.startswith(prefix) and path != folder}
    if folder and not paths:
        return None
    kept = sorted(p for p in paths if recursive or "/" not in p.removeprefix(prefix))
    return [entry for path in kept if (entry := path_info(snapshot, path, expand=expand))]


def path_info(snapshot: Snapshot, path: str, *, expand: bool = False) -> Json | None:
    """Describe one file or folder; None if the revision has neither."""
    file = snapshot.files.get(path)
    if file is not None:
        entry = _file_entry(path, file)
    elif any(name.startswith(f"{path}/") for name in snapshot.files):
        entry = {"type": "directory", "path": path, "oid": _folder_id(snapshot, path), "size": 0}
    else:
        return None
    return {**entry, "lastCommit": _last_commit(snapshot)} if expand else entry


def _entries(snapshot: Snapshot) -> set[str]:
    """Paths of all files and of the folders that they lie in."""
    parts = (path.split("/") for path in snapshot.files)
    return {"/".join(names[: n + 1]) for names in parts for n in range(len(names))}


def _file_entry(path: str, file: RepositoryFile) -> Json:
    pointer = _pointer(file)
    return {
        "type": "file",
        "path": path,
        "size": file.size,
        "oid": _git_id(pointer),
        "lfs": {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)},
    }


def _pointer(file: RepositoryFile) -> bytes:
    """Text that git holds in the place of a file of large-file storage."""
    lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{file.sha256}",
             f"size {file.size}", "")  # fmt: skip
    return "\n".join(lines).encode()


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _folder_id(snapshot: Snapshot, folder: str) -> str:
    inside = (f"{f.sha256} {p}" for p, f in snapshot.files.items() if p.startswith(f"{folder}/"))
    return hashlib.sha256("\n".join(inside).encode()).hexdigest()[:40]


def _last_commit(snapshot: Snapshot) -> Json:
    title = ", ".join(snapshot.versions)
    return {"id": snapshot.commit, "title": title, "date": hub_time(snapshot.created)}


def hub_time(created: str) -> str:
    """Write a manifest's time as hubs do, ``2026-01-01T00:00:00.000Z``."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        moment = datetime.fromtimestamp(0, UTC)
    # A time without a zone is UTC, as the manifest's are.
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def one_page(
    entries: Sequence[Json], *, after: str, limit: int
) -> tuple[Sequence[Json], str | None]:
    """Cut a listing into pages.

    Parameters
    ----------
    entries : sequence of dict
        In the order of their ``path``.
    after : str
        Path of the last entry of the page before; empty for the first page.
    limit : int
        Entries on a page.

    Returns
    -------
    entries : sequence of dict
        Of this page.
    cursor : str or None
        ``after`` of the next page; None if this is the last.
    """
    rest = [entry for entry in entries if entry["path"] > after]
    page = rest[:limit]
    return page, page[-1]["path"] if len(rest) > limit else None
