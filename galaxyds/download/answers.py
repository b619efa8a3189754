"""What a hub says of a repository: decoded into types under a bound, or refused as nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from galaxyds.download.hub import Hub, speaking
from galaxyds.download.transfer import LARGEST, TooMuchError, read_small
from galaxyds.errors import one_line

_PAGES = 1000
_Shape = TypeVar("_Shape")


class Listed(msgspec.Struct, frozen=True):
    """A file of a revision, by name only."""

    rfilename: str


class Info(msgspec.Struct, frozen=True):
    """A revision: its commit and its files."""

    sha: str
    siblings: tuple[Listed, ...] | None = None


class Ref(msgspec.Struct, frozen=True, rename="camel"):
    """A branch or tag, and the commit that it is at."""

    name: str
    target_commit: str


class Refs(msgspec.Struct, frozen=True):
    """Branches and tags of a repository."""

    branches: tuple[Ref, ...] = ()
    tags: tuple[Ref, ...] = ()


class Large(msgspec.Struct, frozen=True):
    """A file that git holds a pointer to: sha256 of its bytes."""

    oid: str


class Entry(msgspec.Struct, frozen=True):
    """A file or folder of a commit: ``oid`` is git's blob id."""

    type: str
    path: str
    size: int = 0
    oid: str = ""
    lfs: Large | None = None


def ask_revision(hub: Hub, name: str) -> Info:
    """Ask what a branch, tag or commit is.

    Raises
    ------
    NotInArchiveError
        If there is no such repository or revision.
    ArchiveError, CredentialsError
        If the hub cannot be asked, refuses, or answers nonsense.
    """
    with speaking(hub, "asking for"):
        body, _ = read_small(hub, hub.api_url(f"/revision/{quote(name, safe='')}"))
        return _decoded(body, Info)


def ask_refs(hub: Hub) -> Refs:
    """Ask for branches and tags; errors as :func:`ask_revision`."""
    with speaking(hub, "asking for the tags of"):
        return _decoded(read_small(hub, hub.api_url("/refs"))[0], Refs)


def ask_files(hub: Hub, commit: str) -> list[Entry]:
    """Ask for the files of a commit; errors as :func:`ask_revision`."""
    with speaking(hub, "listing the files of"):
        pages = _pages(hub, hub.api_url(f"/tree/{quote(commit, safe='')}"))
        return [entry for page in pages for entry in page if entry.type == "file"]


def _pages(hub: Hub, url: str) -> Iterator[tuple[Entry, ...]]:
    """Pages of a listing.  Of the next page's address only the query is taken: no other host."""
    query, left = "recursive=true&expand=false", LARGEST
    for _ in range(_PAGES):
        body, following = read_small(hub, f"{url}?{query}", limit=left)
        yield _decoded(body, tuple[Entry, ...])
        if not following:
            return
        query, left = urlsplit(following).query, left - len(body)
    raise TooMuchError(f"more than {_PAGES} pages came")


def _decoded(body: bytes, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"the answer is nonsense ({one_line(str(error), 80)})") from None
