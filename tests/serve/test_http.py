"""The wire: headers, parts, listings and refusals, as any HTTP client sees them."""

from __future__ import annotations

import hashlib
import json
import threading
from http.client import HTTPConnection

import pytest

from galaxyds.publish import repository
from galaxyds.serve import hub_api
from tests.serve.running import LABELLED, SPOILT
from tests.small_build import make_build

DATA = "/datasets/galaxyds/tiny_sky/resolve/main"
API = "/api/datasets/galaxyds/tiny_sky"
SHARD = f"{DATA}/extended/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def shard(root):
    return (root / "tiny_sky/extended/1.2.0/hub/extended/train-00000-of-00001.parquet").read_bytes()


def test_a_file_comes_with_what_the_client_caches_it_by(hub, shard):
    status, headers, body = hub.get(SHARD)
    digest = hashlib.sha256(shard).hexdigest()
    assert (status, body == shard) == (200, True)
    assert headers["etag"] == headers["x-linked-etag"] == f'"{digest}"'
    assert headers["content-length"] == headers["x-linked-size"] == str(len(shard))
    assert len(headers["x-repo-commit"]) == 40
    assert headers["accept-ranges"] == "bytes"
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("x-xet")]


@pytest.mark.parametrize("path", [SHARD, f"{DATA}/README.md", f"{DATA}/absent", f"{API}/refs",
                                  "/", "/healthz"])  # fmt: skip
def test_head_is_get_without_the_body(hub, path):
    status, headers, _ = hub.get(path)
    told, same, body = hub.get(path, "HEAD")
    assert (told, body) == (status, b"")
    assert {**same, "date": ""} == {**headers, "date": ""}


@pytest.mark.parametrize(
    ("header", "part"),
    [("bytes=0-0", slice(0, 1)), ("bytes=1000-", slice(1000, None)), ("bytes=-7", slice(-7, None)),
     ("bytes=262143-262145", slice(262143, 262146))],
)  # fmt: skip
@pytest.mark.parametrize("path", [SHARD, f"{DATA}/README.md"])
def test_a_part_is_that_part(hub, path, header, part):
    whole = hub.get(path)[2]
    expected = whole[part]
    status, headers, body = hub.get(path, Range=header)
    if not expected:
        assert (status, headers["content-range"]) == (416, f"bytes */{len(whole)}")
        return
    start = whole.index(expected) if len(expected) > 50 else part.indices(len(whole))[0]
    span = f"bytes {start}-{start + len(expected) - 1}/{len(whole)}"
    assert (status, headers["content-range"], body == expected) == (206, span, True)


def test_conditions(hub, shard):
    etag = hub.get(SHARD, "HEAD")[1]["etag"]
    assert hub.get(SHARD, If_None_Match=etag)[::2] == (304, b"")
    assert hub.get(SHARD, Range="bytes=0-4", If_Range='"old"')[2] == shard
    assert hub.get(SHARD, Range="bytes=0-4", If_Range=etag)[2] == shard[:5]
    assert hub.get(SHARD, Range=f"bytes={len(shard)}-")[0] == 416
    assert hub.get(SHARD, If_Match='"old"')[0] == 412


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/datasets/galaxyds/nothing/resolve/main/README.md", "RepoNotFound"),
        ("/datasets/somebody/tiny_sky/resolve/main/README.md", "RepoNotFound"),
        ("/api/datasets/tiny_sky", "RepoNotFound"),
        ("/api/datasets/galaxyds/tiny-sky", "RepoNotFound"),
        ("/datasets/galaxyds/tiny_sky/resolve/v9/README.md", "RevisionNotFound"),
        (f"{API}/revision/refs%2Fconvert%2Fparquet", "RevisionNotFound"),
        (f"{API}/tree/main/nowhere", "EntryNotFound"),
        (f"{DATA}/extended/images.hdf5", "EntryNotFound"),
        (f"{DATA}/extended", "EntryNotFound"),
        (f"{DATA}/", "EntryNotFound"),
    ],
)
def test_what_is_not_there_is_named_as_the_client_knows_it(hub, path, code):
    status, headers, _ = hub.get(path)
    assert (status, headers["x-error-code"]) == (404, code)
    # With the commit the client remembers that the file is not there.
    assert ("x-repo-commit" in headers) == (code == "EntryNotFound")


@pytest.mark.parametrize("name", ["a%0d%0ab", "README.md%0a", "%0aREADME.md"])
def test_a_line_end_in_a_path_is_looked_up_as_any_other_character(hub, name):
    status, headers, _ = hub.get(f"{DATA}/{name}")
    assert (status, headers.get("x-error-code")) == (404, "EntryNotFound")
    status, headers, _ = hub.get(f"{API}/revision/{name}")
    assert (status, headers.get("x-error-code")) == (404, "RevisionNotFound")


def test_an_address_may_name_the_host(hub, shard):
    """As through a proxy; RFC 9112 has a server accept it, and that host counts."""
    assert hub.get(f"{hub.url}{SHARD}")[::2] == (200, shard)
    assert hub.get(f"HTTP://localhost{SHARD}", Host="evil.example")[0] == 200
    assert hub.get(f"http://evil.example{SHARD}")[0] == 421
    assert hub.get("http://localhost")[0] == hub.get("http://localhost?a=b")[0] == 200
    for malformed in ("http://", f"http://user:pass@localhost{SHARD}", f"ftp://localhost{SHARD}"):
        assert hub.get(malformed)[0] == 400
    link = hub.get(f"http://localhost:1{API}/tree/main?limit=1")[1]["link"]
    assert link.startswith("<http://localhost:1/api/")


def test_a_labelled_version_is_another_revision(hub, root):
    quoted = f"v{LABELLED}".replace("+", "%2B")
    path = f"/datasets/galaxyds/tiny_sky/resolve/{quoted}/extended/manifest.json"
    assert json.loads(hub.get(path)[2])["version"] == LABELLED
    assert hub.get(path.replace("%2B", "+"))[0] == 200
    commit = hub.get(path)[1]["x-repo-commit"]
    assert hub.get(path.replace(quoted, commit))[0] == 200


def test_listings_come_in_pages_that_together_are_all(hub):
    everything = json.loads(hub.get(f"{API}/tree/main?recursive=true")[2])
    found, path = [], f"{API}/tree/main?recursive=true&limit=3"
    while path:
        _, headers, body = hub.get(path)
        found.append(json.loads(body))
        link = headers.get("link", "")
        path = link.partition(hub.url)[2].partition(">")[0]
    assert [len(page) for page in found[:-1]] == [3] * (len(found) - 1)
    assert [entry for page in found for entry in page] == everything
    folder = json.loads(hub.get(f"{API}/tree/main/baseline")[2])
    assert [e for e in everything if e["path"].startswith("baseline/")] == folder


def test_paths_info_takes_form_and_json_and_little_of_both(hub):
    path = f"{API}/paths-info/main"
    form = hub.get(path, "POST", b"paths=README.md&paths=extended&paths=nope&expand=True")
    told = json.loads(form[2])
    assert [(e["type"], e["path"], "lastCommit" in e) for e in told] == [
        ("file", "README.md", True), ("directory", "extended", True),
    ]  # fmt: skip
    asked = json.dumps({"paths": ["README.md"], "expand": False}).encode()
    same = hub.get(path, "POST", asked, Content_Type="application/json")
    assert [e["path"] for e in json.loads(same[2])] == ["README.md"]
    many = b"&".join(b"paths=x" for _ in range(5000))
    deep = b"[" * 100_000
    for bad in (many, b"paths=" + b"x" * 300_000, b"\xff\xfe"):
        assert hub.get(path, "POST", bad)[0] == 400
    assert hub.get(path, "POST", deep, Content_Type="application/json")[0] == 400


def test_every_pointer_is_the_one_that_git_would_store():
    file = repository.RepositoryFile(size=12345, sha256="4d7a2146" * 8)
    # printf 'version https://git-lfs.github.com/spec/v1\noid sha256:...\nsize 12345\n' |
    # git hash-object --stdin
    expected = "77ac14e76906133fea140fadb42d12060ff47448"
    snapshot = repository.Snapshot(name="a", commit="0" * 40, builds=(), files={"a": file})
    assert hub_api.path_info(snapshot, "a")["oid"] == expected


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_nothing_can_be_written(hub, method):
    assert hub.get(SHARD, method)[0] == 405
    assert hub.get(API, method, b"x")[0] == 405


def test_sizes_of_requests_have_an_end(hub):
    assert hub.get("/" + "a" * 5000)[0] == 414
    assert hub.get("/healthz", X_Long="a" * 20_000)[0] == 431
    assert hub.get(f"{DATA}/README.md", "GET", b"body")[0] == 400
    assert hub.get("/healthz")[::2] == (200, b"ok\n")


def test_a_file_that_is_not_what_its_manifest_says_is_refused_and_the_log_says_what_to_do(hub):
    revision = f"v{SPOILT}".replace("+", "%2B")
    path = f"/datasets/galaxyds/tiny_sky/resolve/{revision}/baseline"
    assert hub.get(f"{path}/catalog.parquet")[0] == 500
    assert hub.get(f"{path}/manifest.json")[0] == 200
    assert f"run galaxyds verify tiny-sky/baseline:{SPOILT}" in hub.logged(
        f"tiny-sky/baseline:{SPOILT}"
    )


def test_fifty_clients_at_once_get_every_byte(hub, shard):
    expected, found = hashlib.sha256(shard).hexdigest(), []

    def fetch():
        connection = HTTPConnection("127.0.0.1", hub.port, timeout=60)
        for _ in range(2):
            connection.request("GET", SHARD)
            found.append(hashlib.sha256(connection.getresponse().read()).hexdigest())
        connection.close()

    threads = [threading.Thread(target=fetch) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 100


def test_the_page_shows_what_is_served_and_loads_nothing(hub):
    status, headers, body = hub.get("/")
    page = body.decode()
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "galaxyds/tiny_sky" in page
    assert LABELLED in page
    assert f"HF_ENDPOINT={hub.url} HF_HUB_DISABLE_IMPLICIT_TOKEN=1 python" in page
    assert not any(word in page for word in ("src=", "@import", "url(", "<script", "https://"))


@pytest.mark.usefixtures("known")
def test_texts_are_escaped_on_the_page(tmp_path):
    from galaxyds.serve.page import front_page

    make_build(tmp_path)
    found = repository.repositories(tmp_path).values()
    page = front_page(found, "http://a\"><b>'", with_token=True)
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
