"""A record of Zenodo on loopback: both shapes, resumed, checked, and answers that mean harm."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import namedtuple

import numpy as np
import pytest

from galaxyds.archives import zenodo
from galaxyds.archives.base import RecordArchive, RemoteFile
from galaxyds.archives.calls import Policy
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.zenodo import ZenodoRecord
from galaxyds.errors import (
    ArchiveError,
    DataIntegrityError,
    NotInArchiveError,
    StorageError,
    UsageError,
)
from tests.servers.loopback import Fault
from tests.servers.zenodo import ZenodoEmulator

NAME = "5x64x64_testing_with_morphology.hdf5"
OTHER = "5x64x64_testing_with_morphology.csv"
BODY = np.random.default_rng(8).bytes(1_000_000)
CONTENT = {NAME: BODY, OTHER: b"object_id\n1\n"}
SHAPES = ("listed", "migrated")


@pytest.fixture(params=SHAPES)
def server(request):
    with ZenodoEmulator(CONTENT, shape=request.param) as emulator:
        yield emulator


@pytest.fixture
def record(server, http):
    return ZenodoRecord("11117528", url=server.url, http=http)


def asked(server):
    """Range headers of the requests for files, in order."""
    return [r.headers.get("range") for r in server.requests if "/files/" in r.path]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_both_shapes_say_the_same(server, record):
    files = record.files()
    assert isinstance(record, RecordArchive)
    assert list(files) == sorted(CONTENT)
    assert files[NAME].bytes == len(BODY)
    assert files[NAME].md5 == hashlib.md5(BODY).hexdigest()
    tail = "/content" if server.shape == "listed" else "?download=1"
    assert files[NAME].url.endswith(f"/files/{NAME}{tail}")
    assert record.endpoints() == {"records": server.url}


def test_a_transfer_cut_at_40_percent_goes_on_where_it_stopped(server, record, tmp_path):
    file = record.files()[NAME]
    server.cut(NAME, 0.4)
    path = record.fetch(file, tmp_path / "new")
    assert asked(server) == [None, "bytes=400000-"]
    assert sha256(path.read_bytes()) == sha256(BODY)
    assert [p.name for p in path.parent.iterdir()] == [NAME]


def test_a_later_process_goes_on_after_a_cut(server, record, http, tmp_path):
    http.policy = Policy(attempts=1)
    server.cut(NAME, 0.4)
    with pytest.raises(ArchiveError, match=r"cut after 400000 bytes.*run the same command again"):
        record.fetch(record.files()[NAME], tmp_path)
    assert (tmp_path / f"{NAME}.part").stat().st_size == 400_000
    later = ZenodoRecord("11117528", url=server.url, http=http)
    path = later.fetch(later.files()[NAME], tmp_path)
    assert asked(server) == [None, "bytes=400000-"]
    assert sha256(path.read_bytes()) == sha256(BODY)


def test_a_transfer_that_grows_is_taken_up_more_often_than_a_session_tries(
    server, record, http, tmp_path, monkeypatch
):
    monkeypatch.setattr(zenodo, "_WORTH_GOING_ON", 100_000)
    http.policy = Policy(attempts=2)
    file = record.files()[NAME]
    for _ in range(5):
        server.cut(NAME, 0.15)
    assert record.fetch(file, tmp_path).read_bytes() == BODY
    assert asked(server)[1:] == [f"bytes={150_000 * k}-" for k in range(1, 6)]
    (tmp_path / NAME).unlink()
    server.cut(NAME, 0.5)
    server.fail(*[Fault("drop", where="/files/")] * 3)  # nothing comes any more: no endless loop
    with pytest.raises(ArchiveError, match="failed 2 times"):
        record.fetch(file, tmp_path)


def test_a_right_file_is_not_fetched_and_a_wrong_one_is_again(server, record, tmp_path, caplog):
    file = record.files()[NAME]
    (tmp_path / NAME).write_bytes(BODY)
    record.fetch(file, tmp_path)
    assert asked(server) == []
    (tmp_path / NAME).write_bytes(BODY[:-1] + b"?")
    assert record.fetch(file, tmp_path).read_bytes() == BODY
    assert asked(server) == [None]
    assert f"expected {file.md5}: it is fetched again" in caplog.text


def test_a_wrong_md5_is_refused_and_named(server, record, tmp_path):
    wrong = "0123456789abcdef0123456789abcdef"
    server.changed = {NAME: {"checksum": wrong if server.shape == "migrated" else f"md5:{wrong}"}}
    with pytest.raises(DataIntegrityError) as caught:
        record.fetch(record.files()[NAME], tmp_path)
    right = hashlib.md5(BODY).hexdigest()
    assert caught.value.message == (
        f"{NAME} from the archive has md5 {right}, expected {wrong}: it was damaged on the way or "
        "replaced at its source; fetch it again"
    )
    assert (caught.value.expected, caught.value.got) == (wrong, right)
    assert len(asked(server)) == 2  # damage on the way is mended by asking once more
    assert list(tmp_path.iterdir()) == []


def test_bytes_damaged_on_the_way_are_asked_for_again(server, record, tmp_path):
    server.fail(Fault("wrong-bytes", where=f"/files/{NAME}"))
    assert record.fetch(record.files()[NAME], tmp_path).read_bytes() == BODY


def test_too_many_requests_wait_as_long_as_the_server_says(server, record, fake_time, tmp_path):
    server.fail(Fault("429"), Fault("429", where="/files/"))
    assert record.fetch(record.files()[NAME], tmp_path).read_bytes() == BODY
    assert fake_time.pauses == [7.0, 7.0]


def test_a_redirect_is_followed(server, record, tmp_path):
    file = record.files()[OTHER]
    there = {"Location": file.url.replace(OTHER, NAME)}
    server.fail(Fault("redirect", where=f"/files/{OTHER}", headers=there, status=302))
    moved = RemoteFile(name=OTHER, url=file.url, bytes=len(BODY),
                       md5=hashlib.md5(BODY).hexdigest())  # fmt: skip
    assert record.fetch(moved, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault("html"), ArchiveError, "is answered with a web page instead of JSON: SkyServer: "),
        (Fault("html-as-text"), ArchiveError, "web page instead of JSON: Moved: "),
        (Fault("404"), NotInArchiveError, r"Zenodo has no record 11117528 at .*404\): check GAL"),
        (Fault("body", body=b"{"), ArchiveError, "is not answered with JSON"),
        (Fault("body", body=b"[" * 100_000), ArchiveError, "is not answered with JSON"),
        (Fault("body", body=b"9" * 6000), ArchiveError, "is not answered with JSON"),
        (Fault("body", body=b"[]"), ArchiveError, "without a list of files"),
        (Fault("body", body=b'{"files": {"enabled": true}}'), ArchiveError, "without a list"),
        (Fault("body", body=b'{"files": []}'), ArchiveError, "lists no files"),
        (Fault("body", body=b'{"files": [3]}'), ArchiveError, "no JSON object"),
        (Fault("body", body=b'{"files": [{"size": 3}]}'), ArchiveError, "without key or filename"),
        (Fault("endless"), ArchiveError, "answers with more than 4194304 bytes"),
    ],
)
def test_an_answer_that_is_no_record(server, record, fault, error, words):
    server.fail(fault)
    with pytest.raises(error, match=words) as caught:
        record.files()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"links": {"self": "http://127.0.0.1:9/x"}}, "points to 'http://127.0.0.1:9/x' for 5x64"),
        ({"links": {"self": "https://zenodo.org/x"}}, "files come from http://127.0.0.1:"),
        ({"links": {"self": "file:///etc/passwd"}}, "points to 'file:///etc/passwd'"),
        ({"links": {"self": "HOST@evil.example/x"}}, "which is refused"),
        ({"links": {"self": "HOST\\@evil.example/x"}}, "which is refused"),
        ({"links": {"self": "HOST/x\r\nX-Evil: 1"}}, "which is refused"),
        ({"links": {"self": "http://[/x"}}, "which is refused"),
        ({"links": {}}, "states no links.self"),
        ({"links": []}, "states no links.self"),
        ({"checksum": "sha256:" + "0" * 64}, "states no md5 for 5x64"),
        ({"checksum": None}, "but 'NoneType'"),
        ({"size": -1}, "a size of -1 bytes for 5x64.*refused"),
        ({"size": 10**15}, "a size of 1000000000000000 bytes"),
        ({"size": "many"}, "a size of str bytes"),
        ({"key": OTHER}, f"lists {OTHER} twice"),
    ],
)
def test_an_entry_that_means_harm_is_refused(http, told, words):
    with ZenodoEmulator(CONTENT) as server:
        if "HOST" in str(told):
            told = {"links": {"self": told["links"]["self"].replace("HOST", server.url)}}
        server.changed = {NAME: told}
        record = ZenodoRecord("11117528", url=server.url, http=http)
        with pytest.raises(ArchiveError, match=words) as caught:
            record.files()
        assert caught.value.message.isprintable()
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/passwd", "a/b.hdf5", "a\\b.hdf5", "..", ".hidden", "con\n.csv", "a b", "",
     "x" * 121, "a..b", "é.csv"],
)  # fmt: skip
def test_a_hostile_name_never_reaches_the_disk(http, tmp_path, caplog, name):
    with ZenodoEmulator(CONTENT, changed={NAME: {"key": name}}) as server:
        record = ZenodoRecord("11117528", url=server.url, http=http)
        assert list(record.files()) == [OTHER]
        assert "is passed over" in caplog.text
        forged = RemoteFile(name=name, url=f"{server.url}/x", bytes=3, md5="0" * 32)
        with pytest.raises(ArchiveError, match="which is refused: it is no plain file name"):
            record.fetch(forged, tmp_path / "in")
        away = RemoteFile(name=OTHER, url="http://127.0.0.1:9/x", bytes=3, md5="0" * 32)
        with pytest.raises(ArchiveError, match="files come from"):
            record.fetch(away, tmp_path / "in")
        assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_more_bytes_than_the_record_states(http, tmp_path):
    with ZenodoEmulator(CONTENT, changed={NAME: {"size": 1000}}) as server:
        record = ZenodoRecord("11117528", url=server.url, http=http)
        with pytest.raises(ArchiveError, match="announces 1000000 bytes where at most 1000"):
            record.fetch(record.files()[NAME], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_instead_of_a_file(server, record, tmp_path):
    file = record.files()[NAME]
    server.fail(Fault("html", where="/files/"))
    with pytest.raises(ArchiveError, match="answers with a web page instead of data: SkyServer"):
        record.fetch(file, tmp_path)
    server.fail(Fault("404", where="/files/"))
    with pytest.raises(NotInArchiveError, match=r"has no .*\(HTTP 404\)"):
        record.fetch(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_found_before_the_transfer(
    server, record, tmp_path, monkeypatch
):
    file = record.files()[NAME]
    usage = namedtuple("usage", "total used free")
    free = len(BODY) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, free))
    with pytest.raises(StorageError, match=r"needs 0.00 GB in .*free some space"):
        record.fetch(file, tmp_path / "not" / "there")
    assert asked(server) == []
    (tmp_path / f"{NAME}.part").write_bytes(BODY[:10])  # these are there already
    assert record.fetch(file, tmp_path).read_bytes() == BODY
    assert asked(server) == ["bytes=10-"]


def test_the_setting_names_the_server(server, http, monkeypatch):
    monkeypatch.setenv("GALAXYDS_ZENODO_URL", f"{server.url}/")
    assert list(ZenodoRecord("11117528", http=http).files()) == sorted(CONTENT)
    monkeypatch.setenv("GALAXYDS_ZENODO_URL", "zenodo.org")
    with pytest.raises(UsageError, match="GALAXYDS_ZENODO_URL must be an http"):
        ZenodoRecord("11117528")
    monkeypatch.delenv("GALAXYDS_ZENODO_URL")
    assert ZenodoRecord("11117528").endpoints() == {"records": "https://zenodo.org"}


def test_a_record_number_cannot_lead_elsewhere(server, http):
    record = ZenodoRecord("../users?x=", url=server.url, http=http)
    with pytest.raises(NotInArchiveError, match=r"no record \.\./users\?x= at"):
        record.files()
    assert server.requests[0].path == "/api/records/../users?x="
    assert json.dumps(server.requests[0].query) == "{}"


class TestNobodyThere:
    def session(self, record, fake_time):
        """The record's own session, without real pauses."""
        record.http.clock = record.http.rate.clock = fake_time.clock
        record.http.rate = RateLimit(0.0, clock=fake_time.clock)
        record.http.jitter = lambda: 1.0  # the longest pauses
        return record

    def test_a_wrong_address_is_said_within_20_seconds(self, monkeypatch, closed_url, fake_time):
        monkeypatch.setenv("GALAXYDS_ZENODO_URL", closed_url)
        record, begun = self.session(ZenodoRecord("1"), fake_time), fake_time.time
        with pytest.raises(ArchiveError, match=r"check the network and GALAXYDS_ZENODO_URL"):
            record.files()
        assert 10 < fake_time.time - begun < 20

    def test_a_transfer_that_had_begun_keeps_its_patience(self, fake_time, tmp_path):
        with ZenodoEmulator(CONTENT) as server:
            record = self.session(ZenodoRecord("11117528", url=server.url), fake_time)
            file = record.files()[NAME]
        record.http._session().close()  # the open connection outlives the server
        begun = fake_time.time
        with pytest.raises(ArchiveError, match="failed 10 times"):
            record.fetch(file, tmp_path)
        assert fake_time.time - begun > 60
