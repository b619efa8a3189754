"""The routes of the hub: files by name, and JSON about them."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor  # codespell:ignore
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from galaxyds.download.names import MAIN, OWNER
from galaxyds.publish.repository import Repository, RepositoryFile, Snapshot
from galaxyds.serve import hub_api
from galaxyds.serve.guard import Guard, Policy, Tally
from galaxyds.serve.index import FileChangedError, Index, StaleIndexError, State, open_file
from galaxyds.serve.page import CONTENT_POLICY, front_page
from galaxyds.serve.ranges import Part, wanted_part
from galaxyds.serve.sending import FileResponse

_log = logging.getLogger(__name__)
_PAGE = 1000
"""Entries on a page of a listing, as on the real hub."""
_LARGEST_BODY = 256 << 10
_BODY_SECONDS = 10.0


class _Text(PathConvertor):
    """All that is left of a path; Starlette's own ``path`` ends at a line's end."""

    regex = "(?s:.*)"


register_url_convertor("text", _Text())


class MissingError(Exception):
    """Something that is not here, in the words that the client knows."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}


class BadRequestError(Exception):
    """A request that cannot be answered, and why."""


def create_app(index: Index, policy: Policy, tally: Tally) -> ASGIApp:
    """Make the application.

    Parameters
    ----------
    index : Index
        What is served.
    policy : Policy
        Who may ask.
    tally : Tally
        Counts what is answered.

    Returns
    -------
    ASGI application
        For a server of one process.
    """
    hub = _Hub(index, policy)
    repository, api = f"/{OWNER}/{{name}}", f"/api/datasets/{OWNER}/{{name}}"
    routes = [
        Route("/", hub.front),
        Route("/healthz", _health),
        Route(f"/datasets{repository}/resolve/{{revision}}/{{path:text}}", hub.file),
        Route("/api/datasets", hub.listing),
        Route(api, hub.info),
        Route(f"{api}/refs", hub.refs),
        Route(f"{api}/revision/{{revision:text}}", hub.info),
        Route(f"{api}/commits/{{revision:text}}", hub.commits),
        Route(f"{api}/tree/{{revision}}", hub.tree),
        Route(f"{api}/tree/{{revision}}/{{path:text}}", hub.tree),
        Route(f"{api}/paths-info/{{revision}}", hub.paths_info, methods=["POST"]),
        Route("/api/datasets/{rest:text}", _no_repository),
        Route("/datasets/{rest:text}", _no_repository),
    ]
    app = Starlette(
        routes=routes, exception_handlers={MissingError: _missing, BadRequestError: _bad}
    )
    app.router.redirect_slashes = False
    return Guard(app, policy, tally)


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _no_repository(_: Request) -> Response:
    raise MissingError("RepoNotFound", "Repository not found")


async def _missing(_: Request, error: Exception) -> Response:
    assert isinstance(error, MissingError)
    return JSONResponse({"error": str(error)}, 404, error.headers)


async def _bad(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


class _Hub:
    """The endpoints, over one index."""

    def __init__(self, index: Index, policy: Policy) -> None:
        self._index = index
        self._policy = policy

    async def _state(self, *, now: bool = False) -> State:
        if now or self._index.is_due:
            return await asyncio.to_thread(self._index.refresh, now=now)
        return self._index.state

    async def front(self, request: Request) -> Response:
        """Show what is served, for people."""
        found = (await self._state()).repositories.values()
        base = f"{request.url.scheme}://{request.headers['host']}"
        page = front_page(found, base, with_token=bool(self._policy.token))
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_POLICY})

    async def listing(self, request: Request) -> Response:
        """List the repositories."""
        found = (await self._state()).repositories.values()
        if request.query_params.get("author", OWNER) != OWNER:
            return JSONResponse([])
        kept = hub_api.matching(found, request.query_params.getlist("search"))
        infos = [hub_api.repository_info(one, one.main) for one in kept]
        return JSONResponse([{**info, "siblings": None} for info in infos])

    async def info(self, request: Request) -> Response:
        """Describe a repository at a revision."""
        repository, snapshot = _look_up(await self._state(), request)
        blobs = _flag(request.query_params.get("blobs"))
        return JSONResponse(hub_api.repository_info(repository, snapshot, blobs=blobs))

    async def refs(self, request: Request) -> Response:
        """List branches and tags."""
        return JSONResponse(hub_api.refs(_repository(await self._state(), request)))

    async def commits(self, request: Request) -> Response:
        """List the commits of a revision."""
        return JSONResponse(hub_api.commits(_look_up(await self._state(), request)[1]))

    async def tree(self, request: Request) -> Response:
        """List a folder, in pages."""
        _, snapshot = _look_up(await self._state(), request)
        query = request.query_params
        entries = hub_api.tree(
            snapshot,
            request.path_params.get("path", "").strip("/"),
            recursive=_flag(query.get("recursive")),
            expand=_flag(query.get("expand")),
        )
        if entries is None:
            raise _no_entry(snapshot)
        limit = _limit(query.get("limit"))
        page, cursor = hub_api.one_page(entries, after=query.get("cursor", ""), limit=limit)
        return JSONResponse(page, headers=_next_page(request, cursor))

    async def paths_info(self, request: Request) -> Response:
        """Describe the named files and folders; those that are not there are left out."""
        _, snapshot = _look_up(await self._state(), request)
        paths, expand = _asked_paths(await _body(request), request.headers.get("content-type", ""))
        found = (hub_api.path_info(snapshot, path, expand=expand) for path in paths)
        return JSONResponse([entry for entry in found if entry is not None])

    async def file(self, request: Request) -> Response:
        """Send a file, or a part of it."""
        for now in (False, True, True):
            try:
                return await _file(await self._state(now=now), request)
            except StaleIndexError:  # the build was replaced or went: ask the new index
                continue
        return PlainTextResponse("the builds are changing\n", 503, {"Retry-After": "2"})


async def _file(state: State, request: Request) -> Response:
    _, snapshot = _look_up(state, request)
    path = request.path_params["path"]
    file = snapshot.files.get(path)
    if file is None:
        raise _no_entry(snapshot)
    etag = f'"{file.sha256}"'
    part = wanted_part(request.headers, method=request.method, etag=etag, size=file.size)
    headers = {**_file_headers(snapshot, path, file), **_part_headers(part, file.size)}
    if part.status not in (200, 206):
        return Response(b"", part.status, headers)
    if file.path is None:
        return Response(file.data[part.start : part.stop], part.status, headers)
    address = next(b.address for b in snapshot.builds if file.path.is_relative_to(b.path))
    try:
        stream = await asyncio.to_thread(open_file, state, snapshot, file)
    except FileChangedError as error:
        _log.error("%s: run galaxyds verify %s", error, address)
        return JSONResponse({"error": "the file is not what its manifest says"}, 500)
    except OSError as error:
        _log.error("%s cannot be opened: %s", file.path, error.strerror)
        return PlainTextResponse("too many files are open\n", 503, {"Retry-After": "2"})
    return FileResponse(stream, part, headers, path=file.path, address=address)


def _file_headers(snapshot: Snapshot, path: str, file: RepositoryFile) -> dict[str, str]:
    kind = "text/plain; charset=utf-8" if path.endswith(".md") else mimetypes.guess_type(path)[0]
    return {
        "ETag": f'"{file.sha256}"',
        "X-Linked-ETag": f'"{file.sha256}"',
        "X-Linked-Size": str(file.size),
        "X-Repo-Commit": snapshot.commit,
        "Accept-Ranges": "bytes",
        "Content-Type": kind or "application/octet-stream",
    }


def _part_headers(part: Part, size: int) -> dict[str, str]:
    if part.status == 206:
        span = f"bytes {part.start}-{part.stop - 1}/{size}"
        return {"Content-Length": str(part.stop - part.start), "Content-Range": span}
    if part.status == 416:
        return {"Content-Length": "0", "Content-Range": f"bytes */{size}"}
    return {"Content-Length": str(part.stop - part.start)} if part.status == 200 else {}


def _look_up(state: State, request: Request) -> tuple[Repository, Snapshot]:
    repository = _repository(state, request)
    snapshot = repository.find(request.path_params.get("revision", MAIN))
    if snapshot is None:
        raise MissingError("RevisionNotFound", "Invalid rev id")
    return repository, snapshot


def _repository(state: State, request: Request) -> Repository:
    found = state.repositories.get(request.path_params["name"])
    if found is None:
        raise MissingError("RepoNotFound", "Repository not found")
    return found


def _no_entry(snapshot: Snapshot) -> MissingError:
    # With the commit, so that the client remembers that the file is not there.
    return MissingError("EntryNotFound", "Entry not found", {"X-Repo-Commit": snapshot.commit})


def _flag(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true")


def _limit(value: str | None) -> int:
    if value is None or not (value.isascii() and value.isdigit() and len(value) < 6):
        return _PAGE
    return min(max(int(value), 1), _PAGE)


def _next_page(request: Request, cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    kept = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
    url = request.url.replace(query=urlencode([*kept, ("cursor", cursor)]))
    return {"Link": f'<{url}>; rel="next"'}


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > _LARGEST_BODY:
                    raise BadRequestError(f"the body has more than {_LARGEST_BODY} bytes")
    except TimeoutError:
        raise BadRequestError("the body did not arrive in time") from None
    return bytes(body)


class _Asked(msgspec.Struct):
    paths: list[str] = []
    expand: bool = False


def _asked_paths(body: bytes, kind: str) -> tuple[list[str], bool]:
    """Paths of a form, as the client sends them, or of JSON."""
    try:
        if "json" in kind:
            asked = msgspec.json.decode(body, type=_Asked)
            paths, expand = asked.paths, asked.expand
        else:
            fields: dict[str, list[Any]] = parse_qs(body.decode(), max_num_fields=_PAGE + 10)
            paths, expand = fields.get("paths", []), _flag(fields.get("expand", [""])[0])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequestError("the body is no form of paths") from error
    if len(paths) > _PAGE:
        raise BadRequestError(f"more than {_PAGE} paths are asked for")
    return paths, expand
