"""An item of a Girder server on loopback: listed, resumed by size, and answers that are no list."""

from __future__ import annotations

import json

import numpy as np
import pytest

from galaxyds.archives.base import RecordArchive
from galaxyds.archives.calls import Policy
from galaxyds.archives.deepdip import DeepdipItem
from galaxyds.errors import ArchiveError, DataIntegrityError, NotInArchiveError, UsageError
from tests.servers.deepdip import ITEM, DeepdipEmulator, file_id
from tests.servers.loopback import Fault

NAME = "sdss.npz"
BODY = np.random.default_rng(5).bytes(1_000_000)
DOWNLOAD = f"/file/{file_id(NAME)}"
WAY_OUT = "set GALAXYDS_DEEPDIP_DIR to the folder"


@pytest.fixture
def server():
    with DeepdipEmulator({NAME: BODY, "readme.txt": b"about"}) as emulator:
        yield emulator


@pytest.fixture
def item(server, http):
    return DeepdipItem(ITEM, url=server.url, http=http)


def asked(server):
    """Range headers of the requests for the file, in order."""
    return [r.headers.get("range") for r in server.requests if DOWNLOAD in r.path]


def test_an_item_lists_its_files(server, item):
    files = item.files()
    assert isinstance(item, RecordArchive)
    assert list(files) == ["readme.txt", NAME]
    assert (files[NAME].bytes, files[NAME].md5) == (len(BODY), "")
    assert files[NAME].url == f"{server.url}/api/v1{DOWNLOAD}/download"
    assert item.endpoints() == {"items": server.url}


def test_a_list_that_would_be_cut_is_refused(http):
    names = [f"file{number}.txt" for number in range(101)]
    with DeepdipEmulator(dict.fromkeys(names[:100], b"x")) as server:
        assert len(DeepdipItem(ITEM, url=server.url, http=http).files()) == 100
    with (
        DeepdipEmulator(dict.fromkeys(names, b"x")) as server,
        pytest.raises(ArchiveError, match="lists more than 100 files"),
    ):
        DeepdipItem(ITEM, url=server.url, http=http).files()


def test_a_cut_transfer_goes_on_although_the_server_states_no_validator(server, item, tmp_path):
    server.cut(NAME, 0.4)
    path = item.fetch(item.files()[NAME], tmp_path / "new")
    assert asked(server) == [None, "bytes=400000-"]
    assert path.read_bytes() == BODY
    assert [p.name for p in path.parent.iterdir()] == [NAME]


def test_a_later_process_goes_on_and_a_finished_file_is_left_alone(server, item, http, tmp_path):
    http.policy = Policy(attempts=1)
    server.cut(NAME, 0.4)
    with pytest.raises(ArchiveError, match=r"cut after 400000.*GALAXYDS_DEEPDIP_DIR"):
        item.fetch(item.files()[NAME], tmp_path)
    later = DeepdipItem(ITEM, url=server.url, http=http)
    assert later.fetch(later.files()[NAME], tmp_path).read_bytes() == BODY
    later.fetch(later.files()[NAME], tmp_path)
    assert asked(server) == [None, "bytes=400000-"]


def test_a_file_that_has_grown_meanwhile_is_fetched_from_its_beginning(
    server, item, http, tmp_path
):
    http.policy = Policy(attempts=1)
    server.cut(NAME, 0.4)
    with pytest.raises(ArchiveError):
        item.fetch(item.files()[NAME], tmp_path)
    old, server.content[NAME] = item.files()[NAME], BODY[::-1] + b"more"
    http.policy = Policy(attempts=2)
    with pytest.raises(ArchiveError, match="announces 1000004 bytes where at most 1000000"):
        item.fetch(old, tmp_path)  # its list is old
    assert item.fetch(item.files()[NAME], tmp_path).read_bytes() == BODY[::-1] + b"more"


def test_a_transfer_that_ends_early_without_a_stated_length_is_no_file(server, item, tmp_path):
    server.fail(*[Fault("cut-close", where=DOWNLOAD, after=700_000)] * 9)
    with pytest.raises((ArchiveError, DataIntegrityError), match="700000 bytes, expected 1000000"):
        item.fetch(item.files()[NAME], tmp_path)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault("html"), ArchiveError, "web page instead of JSON: SkyServer: Down"),
        (Fault("body", body=b"{}"), ArchiveError, "without a list of files"),
        (Fault("body", body=b"[]"), ArchiveError, "lists no files"),
        (Fault("body", body=b"[" * 100_000), ArchiveError, "not answered with JSON"),
        (Fault("404"), NotInArchiveError, "has no .*HTTP 404"),
        (Fault("401"), ArchiveError, "answers HTTP 401: who are you"),
    ],
)
def test_an_answer_that_is_no_list_says_so_and_names_the_way_out(server, item, fault, error, words):
    server.fail(fault)
    with pytest.raises(error, match=words) as caught:
        item.files()
    assert WAY_OUT in caught.value.message
    assert "\n" not in caught.value.message


def test_an_item_that_is_not_there_repeats_the_servers_words(server, http):
    with pytest.raises(ArchiveError, match=r"HTTP 400: Invalid item id.*in a browser"):
        DeepdipItem("0" * 24, url=server.url, http=http).files()
    with pytest.raises(UsageError, match=r"'\.\./x' is no id"):
        DeepdipItem("../x", url=server.url, http=http).files()


@pytest.mark.parametrize("kind", ["html", "html-lines", "html-as-text"])
def test_a_login_page_instead_of_the_file_is_refused(server, item, tmp_path, kind):
    server.fail(Fault(kind, where=DOWNLOAD))
    with pytest.raises(ArchiveError, match=f"web page instead of data.*{WAY_OUT}"):
        item.fetch(item.files()[NAME], tmp_path)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"_id": "../../x"}, "states no id of sdss.npz"),
        ({"size": -1}, "size of -1"),
        ({"size": 10**15}, "size of 1000000000000000"),
        ({"size": "1"}, "size of 1 for sdss.npz, refused"),
        ({"name": "readme.txt"}, "lists a file twice"),
    ],
)
def test_entries_that_mean_harm_are_refused(server, item, entry, words):
    server.changed = {NAME: entry}
    with pytest.raises(ArchiveError, match=words):
        item.files()


def test_a_name_that_leads_elsewhere_is_passed_over(server, item):
    server.changed = {NAME: {"name": "../../sdss.npz"}}
    assert list(item.files()) == ["readme.txt"]


def test_files_of_ones_own_go_before_those_of_the_server(server, http, tmp_path, monkeypatch):
    mine, there = tmp_path / "mine", tmp_path / "there"
    mine.mkdir()
    (mine / "sdss_labels.csv").write_bytes(b"z\n1\n")
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine))
    item = DeepdipItem(ITEM, url=server.url, http=http)
    assert list(item.files()) == ["readme.txt", NAME, "sdss_labels.csv"]
    assert item.fetch(item.files()["sdss_labels.csv"], there).read_bytes() == b"z\n1\n"
    (mine / NAME).write_bytes(BODY[:10])
    server.requests.clear()
    assert set(item.files()) == {NAME, "sdss_labels.csv"}
    path = item.fetch(item.files()[NAME], there)
    assert server.requests == []
    assert path.read_bytes() == BODY[:10]
    path.unlink()
    assert (mine / NAME).read_bytes() == BODY[:10]  # a link went, not the user's file
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(mine / "nowhere"))
    with pytest.raises(UsageError, match="GALAXYDS_DEEPDIP_DIR names no folder"):
        DeepdipItem(ITEM, http=http)


def test_the_address_is_a_setting(server, http, monkeypatch):
    monkeypatch.setenv("GALAXYDS_DEEPDIP_URL", f"{server.url}/")
    assert json.dumps(DeepdipItem(ITEM, http=http).endpoints()).count(server.url) == 1
    assert NAME in DeepdipItem(ITEM, http=http).files()


def test_the_way_out_names_a_folder_that_is_set(server, http, tmp_path, monkeypatch):
    (tmp_path / "sdss_labels.csv").write_bytes(b"z\n1\n")
    monkeypatch.setenv("GALAXYDS_DEEPDIP_DIR", str(tmp_path))
    item = DeepdipItem(ITEM, url=server.url, http=http, expected=(NAME, "sdss_labels.csv"))
    server.fail(Fault("401"))
    with pytest.raises(ArchiveError) as caught:
        item.files()
    assert f"put it into {tmp_path}, which GALAXYDS_DEEPDIP_DIR names" in caught.value.message
    assert "set GALAXYDS_DEEPDIP_DIR" not in caught.value.message
