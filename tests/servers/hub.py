"""A hub for datasets: repositories, commits, tags, LFS uploads and the endpoints that readers use.

It speaks what ``huggingface_hub`` sends when ``HF_HUB_DISABLE_XET=1`` is set: preupload, the LFS
batch with basic transfers, commits as lines of JSON.  Everything is held in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.servers.loopback import Fault, LoopbackServer, Reply, Request
from tests.servers.sas import ranged

TOKEN = "hf_canaryCanaryCanaryCanary"
LARGE = (".parquet", ".hdf5")
"""Endings that the hub wants by LFS, as its .gitattributes say; others from 10 MiB on."""
ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"

Files = dict[str, "Blob"]


@dataclass(frozen=True)
class Blob:
    data: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        """Of git: of the file, or of the pointer that stands for it."""
        text = self.data
        if self.lfs:
            text = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{self.sha256}\nsize {len(self.data)}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0%s" % (len(text), text)).hexdigest()


@dataclass
class Repo:
    private: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str, message: str) -> str:
        text = json.dumps([len(self.commits), message, {p: b.oid for p, b in files.items()}])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha], self.messages[sha] = dict(sorted(files.items())), message
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        found = self.branches.get(revision) or self.tags.get(revision)
        return found or (revision if revision in self.commits else None)


class HubEmulator(LoopbackServer):
    """A hub with one account.

    Parameters
    ----------
    token : str
        What may write, and read private repositories.
    """

    def __init__(self, token: str = TOKEN) -> None:
        super().__init__()
        self.token = token
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.gated: set[str] = set()
        self.elsewhere = ""
        """Another host, which this hub names wherever a hub may name an address."""
        self.page = 1000
        """Entries of a listing that come in one answer."""
        self.waiting = threading.Event()
        """Set when a request met a ``hold`` fault, which is never answered before the stop."""
        self._open = threading.Event()

    def stop(self) -> None:
        self._open.set()
        super().stop()

    def spoil(self, fault: Fault, request: Request) -> Reply | None:
        if fault.kind == "hold":
            self.waiting.set()
            self._open.wait(60)
            return None
        if fault.kind == "refuse":
            return refused(fault.status, fault.body.decode(), **fault.headers)
        return super().spoil(fault, request)

    def handle(self, request: Request) -> Reply:
        for method, pattern, answer in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and request.method in method:
                return answer(self, request, *match.groups())
        return refused(404, "Not Found")

    def sent(self, method: str, ending: str) -> list[str]:
        """Paths of the requests of one method that end so."""
        return [r.path for r in self.requests if r.method == method and r.path.endswith(ending)]

    def allowed(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.token}"

    def denied(self, request: Request, name: str = "", *, write: bool = False) -> Reply | None:
        """Why a request is not answered: no such repository, or not with this token."""
        known = self.allowed(request)
        if "authorization" in request.headers and not known:
            message = "Invalid credentials in Authorization header"
            return refused(401, message, **{"X-Error-Message": message})
        if write and not known:
            return refused(401, "Unauthorized")
        if name and (name not in self.repos or (self.repos[name].private and not known)):
            status = 404 if known else 401
            return refused(status, "Repository not found", **{"X-Error-Code": "RepoNotFound"})
        if name in self.gated and not known:
            return refused(403, "Access is restricted", **{"X-Error-Code": "GatedRepo"})
        return None

    def create(self, request: Request) -> Reply:
        told = request.json()
        name = f"{told['organization']}/{told['name']}"
        if reply := self.denied(request, write=True):
            return reply
        address = {"url": f"{self.url}/datasets/{name}", "name": name}
        if name in self.repos:
            return as_json({**address, "error": "You already created this dataset repo"}, 409)
        self.repos[name] = Repo(private=told.get("visibility") == "private")
        self.repos[name].commit({".gitattributes": Blob(ATTRIBUTES)}, "main", "initial commit")
        return as_json(address)

    def validate(self, request: Request) -> Reply:
        head = request.json()["content"].split("---\n")
        if len(head) < 3 or "configs:" not in head[1]:
            return as_json({"errors": [{"message": "no configs"}], "warnings": []}, 400)
        return as_json({"errors": [], "warnings": []})

    def preupload(self, request: Request, name: str, revision: str) -> Reply:
        if reply := self.denied(request, name, write=True):
            return reply
        files = self.repos[name].commits[self.repos[name].resolve(revision) or ""]
        told = []
        for file in request.json()["files"]:
            large = file["path"].endswith(LARGE) or file["size"] > 10 << 20
            there = files.get(file["path"])
            oid = None if there is None else there.sha256 if there.lfs else there.oid
            told.append({"path": file["path"], "uploadMode": "lfs" if large else "regular",
                         "shouldIgnore": False, "oid": oid})  # fmt: skip
        return as_json({"files": told})

    def batch(self, request: Request, name: str) -> Reply:
        if reply := self.denied(request, name, write=True):
            return reply
        objects: list[dict[str, Any]] = []
        for one in request.json()["objects"]:
            upload = {"href": f"{self.url}/lfs/{one['oid']}/{one['size']}", "header": {}}
            verify = {"href": f"{self.elsewhere or self.url}/lfs/verify", "header": {}}
            there = one["oid"] in self.large
            objects.append(one if there else {**one, "actions": {"upload": upload,
                                                                 "verify": verify}})  # fmt: skip
        return as_json({"transfer": "basic", "objects": objects})

    def upload(self, request: Request, oid: str, size: str) -> Reply:
        if len(request.body) != int(size) or hashlib.sha256(request.body).hexdigest() != oid:
            return refused(400, f"the object is not {oid}")
        self.large[oid] = request.body
        return Reply()

    def verified(self, request: Request) -> Reply:
        told = request.json()
        data = self.large.get(told["oid"])
        right = data is not None and len(data) == told["size"]
        return as_json({}) if right else refused(404, "no such object")

    def commit(self, request: Request, name: str, revision: str) -> Reply:
        if reply := self.denied(request, name, write=True):
            return reply
        repo = self.repos[name]
        lines = [json.loads(line) for line in request.body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit", repo.branches[revision]) != repo.branches[revision]:
            return refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.commits[repo.branches[revision]])
        for line in lines:
            self.apply(files, line["key"], line["value"])
        sha = repo.commit(files, revision, header["summary"])
        address = f"{self.url}/datasets/{name}/commit/{sha}"
        return as_json({"success": True, "commitOid": sha, "commitUrl": address})

    def apply(self, files: Files, key: str, value: dict[str, Any]) -> None:
        if key == "file":
            files[value["path"]] = Blob(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            files[value["path"]] = Blob(self.large[value["oid"]], lfs=True)
        elif key == "deletedFile":
            del files[value["path"]]

    def branch(self, request: Request, name: str, branch: str) -> Reply:
        if reply := self.denied(request, name, write=True):
            return reply
        repo = self.repos[name]
        if branch in repo.branches:
            return refused(409, f"Reference {branch} already exists")
        repo.branches[branch] = repo.resolve(request.json().get("startingPoint", "main")) or ""
        return as_json({})

    def tag(self, request: Request, name: str, revision: str) -> Reply:
        if reply := self.denied(request, name, write=True):
            return reply
        repo, tag = self.repos[name], request.json()["tag"]
        if tag in repo.tags:
            return refused(409, f"Tag {tag} already exists")
        repo.tags[tag] = repo.resolve(revision) or ""
        return as_json({})

    def refs(self, request: Request, name: str) -> Reply:
        if reply := self.denied(request, name):
            return reply
        repo = self.repos[name]
        branches = [ref(n, "heads", sha) for n, sha in repo.branches.items()]
        tags = [ref(n, "tags", sha) for n, sha in repo.tags.items()]
        return as_json({"branches": branches, "converts": [], "tags": tags})

    def info(self, request: Request, name: str, revision: str = "main") -> Reply:
        if reply := self.denied(request, name):
            return reply
        repo = self.repos[name]
        sha = repo.resolve(revision)
        if sha is None:
            return no_revision(revision)
        siblings = [{"rfilename": path} for path in repo.commits[sha]]
        return as_json({"id": name, "sha": sha, "private": repo.private, "gated": False,
                        "disabled": False, "tags": [], "siblings": siblings})  # fmt: skip

    def tree(self, request: Request, name: str, revision: str, folder: str = "") -> Reply:
        if reply := self.denied(request, name):
            return reply
        repo = self.repos[name]
        sha = repo.resolve(revision)
        if sha is None:
            return no_revision(revision)
        inside = f"{folder}/" if folder else ""
        files = {p: b for p, b in repo.commits[sha].items() if p.startswith(inside)}
        if folder and not files:
            return refused(404, f"{folder} does not exist", **{"X-Error-Code": "EntryNotFound"})
        deep = request.query.get("recursive", "").lower() == "true"
        found, first = list(entries(files, inside, deep=deep)), int(request.query.get("cursor", 0))
        reply = as_json(found[first : first + self.page])
        if first + self.page >= len(found):
            return reply
        following = (
            f"{self.elsewhere or self.url}{request.path}?recursive=true&cursor={first + self.page}"
        )
        return replace(reply, headers={**reply.headers, "Link": f'<{following}>; rel="next"'})

    def resolve(self, request: Request, name: str, revision: str, path: str) -> Reply:
        if reply := self.denied(request, name):
            return reply
        repo = self.repos[name]
        sha = repo.resolve(revision)
        if sha is None:
            return no_revision(revision)
        blob = repo.commits[sha].get(path)
        if blob is None:
            return refused(404, "Entry not found", **{"X-Error-Code": "EntryNotFound"})
        if self.elsewhere and blob.lfs and request.method == "GET":
            return Reply(b"", 302, {"Location": f"{self.elsewhere}/{blob.sha256}"})
        tag = blob.sha256 if blob.lfs else blob.oid
        reply = ranged(request, blob.data)
        return replace(
            reply,
            headers={**reply.headers, "ETag": f'"{tag}"', "X-Repo-Commit": sha,
                     "Content-Type": "application/octet-stream", **self.xet(blob)},
        )  # fmt: skip

    def xet(self, blob: Blob) -> dict[str, str]:
        """What a hub says where a file can be had in chunks, for a token, at another host."""
        if not self.elsewhere:
            return {}
        link = f'<{self.elsewhere}/auth>; rel="xet-auth"'
        return {"X-Xet-Hash": blob.sha256, "Link": link, "X-Linked-Size": "5"}


class Elsewhere(LoopbackServer):
    """Another host: it has the large files of a hub, and notes who asks with a token."""

    def __init__(self, hub: HubEmulator) -> None:
        super().__init__()
        self.hub = hub

    def handle(self, request: Request) -> Reply:
        blobs = [b for r in self.hub.repos.values() for files in r.commits.values()
                 for b in files.values()]  # fmt: skip
        found = [blob.data for blob in blobs if blob.sha256 == request.path[1:]]
        return Reply(found[0]) if found else as_json({})

    def tokens(self) -> list[str]:
        """Paths that were asked for with a token."""
        return [r.path for r in self.requests if "authorization" in r.headers]


def entries(files: Files, inside: str, *, deep: bool) -> Iterable[dict[str, Any]]:
    folders = set()
    for path, blob in files.items():
        first, slash, _ = path[len(inside) :].partition("/")
        if slash and inside + first not in folders:
            folders.add(inside + first)
            yield {"type": "directory", "path": inside + first, "oid": "0" * 40, "size": 0}
        if slash and not deep:
            continue
        entry = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.oid}
        if blob.lfs:
            entry["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 132}
        yield entry


def ref(name: str, kind: str, sha: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}


def as_json(value: Any, status: int = 200, **headers: str) -> Reply:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(json.dumps(value).encode(), status, {**kind, **headers})


def refused(status: int, words: str, **headers: str) -> Reply:
    return as_json({"error": words}, status, **{"X-Error-Message": words, **headers})


def no_revision(revision: str) -> Reply:
    return refused(404, f"Invalid rev id: {revision}", **{"X-Error-Code": "RevisionNotFound"})


_ID = r"([\w.-]+/[\w.-]+?)"
_REVISION = r"([^/]+)"
ROUTES: tuple[tuple[tuple[str, ...], str, Callable[..., Reply]], ...] = (
    (("POST",), "/api/repos/create", HubEmulator.create),
    (("POST",), "/api/validate-yaml", HubEmulator.validate),
    (("POST",), f"/api/datasets/{_ID}/preupload/{_REVISION}", HubEmulator.preupload),
    (("POST",), f"/datasets/{_ID}.git/info/lfs/objects/batch", HubEmulator.batch),
    (("PUT",), r"/lfs/([0-9a-f]{64})/(\d+)", HubEmulator.upload),
    (("POST",), "/lfs/verify", HubEmulator.verified),
    (("POST",), f"/api/datasets/{_ID}/commit/{_REVISION}", HubEmulator.commit),
    (("POST",), f"/api/datasets/{_ID}/branch/{_REVISION}", HubEmulator.branch),
    (("POST",), f"/api/datasets/{_ID}/tag/{_REVISION}", HubEmulator.tag),
    (("GET",), f"/api/datasets/{_ID}/refs", HubEmulator.refs),
    (("GET",), f"/api/datasets/{_ID}", HubEmulator.info),
    (("GET",), f"/api/datasets/{_ID}/revision/{_REVISION}", HubEmulator.info),
    (("GET",), f"/api/datasets/{_ID}/tree/{_REVISION}", HubEmulator.tree),
    (("GET",), f"/api/datasets/{_ID}/tree/{_REVISION}/(.+)", HubEmulator.tree),
    (("GET", "HEAD"), f"/datasets/{_ID}/resolve/{_REVISION}/(.+)", HubEmulator.resolve),
)
