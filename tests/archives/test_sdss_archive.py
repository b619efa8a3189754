"""Frames over HTTP, by tile, from a loopback Science Archive Server with five real frames."""

from __future__ import annotations

import hashlib
import pickle

import pytest

from galaxyds.archives.base import FrameArchive
from galaxyds.archives.sdss import SDSSArchive
from galaxyds.errors import ArchiveError, DataIntegrityError, NotInArchiveError, UsageError
from tests.servers import Fault
from tests.servers.fixtures import FIELD

TILE = (94, 1, 12)


@pytest.fixture
def archive(sas, http):
    http.service = "SDSS SAS"
    return SDSSArchive(sas=sas.url, skyserver="http://127.0.0.1:9", http=http)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def published(survey_data, name):
    for line in (survey_data / "SHA256SUMS").read_text().splitlines():
        if line.endswith(f"{FIELD}/{name}"):
            return line.split()[0]
    raise LookupError(name)


def test_all_bands_of_a_field(archive, survey_data, tmp_path):
    paths = archive.frames(TILE, "ugriz", tmp_path)
    assert list(paths) == list("ugriz")
    for band, path in paths.items():
        assert path.name == f"frame-{band}-000094-1-0012.fits.bz2"
        assert digest(path) == published(survey_data, path.name)
    assert len(list(tmp_path.iterdir())) == 5


def test_the_address_is_that_of_the_science_archive():
    # What astroquery.sdss asks for the same frame (seen on a loopback server).
    assert SDSSArchive().frame_url((752, 1, 11), "g") == (
        "https://data.sdss.org/sas/dr17/eboss/photoObj/frames/301/752/1/"
        "frame-g-000752-1-0011.fits.bz2"
    )


def test_a_frame_that_is_there_is_not_fetched_again(archive, sas, tmp_path):
    archive.frames(TILE, "ri", tmp_path)
    archive.frames(TILE, "rig", tmp_path)
    assert len(sas.requests) == 3


def test_a_frame_cut_in_the_middle_is_completed(archive, sas, survey_data, tmp_path):
    sas.fail(Fault("cut", where="frame-r", after=1_000_000))
    path = archive.frames(TILE, "gr", tmp_path)["r"]
    asked = [r.headers.get("range") for r in sas.requests if "frame-r" in r.path]
    assert asked == [None, "bytes=1000000-"]
    assert digest(path) == published(survey_data, path.name)


def test_a_frame_that_is_not_there(archive, sas, tmp_path):
    with pytest.raises(NotInArchiveError) as caught:
        archive.frames((94, 1, 13), "r", tmp_path)
    assert str(caught.value) == (
        f"SDSS SAS has no {sas.url}/dr17/eboss/photoObj/frames/301/94/1/"
        "frame-r-000094-1-0013.fits.bz2 (HTTP 404)"
    )
    sas.fail(Fault("404", where="frame-i"))
    with pytest.raises(NotInArchiveError, match="frame-i"):
        archive.frames(TILE, "gri", tmp_path)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("html", ArchiveError, "answers with a web page instead of data: SkyServer"),
        (Fault("body", body=b"not a frame"), DataIntegrityError, "is no bzip2 file, it begins"),
        ("gzip-bomb", ArchiveError, "sends gzip although plain bytes"),
    ],
)
def test_something_else_than_a_frame(archive, sas, tmp_path, fault, error, words):
    sas.fail(fault, fault)
    with pytest.raises(error, match=words):
        archive.frames(TILE, "r", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server(archive, sas, tmp_path, fake_time):
    sas.fail("503", "429", "drop")
    assert archive.frames(TILE, "r", tmp_path)["r"].exists()
    assert 7 in fake_time.pauses


def test_what_is_fetched_can_be_read(archive, tmp_path):
    paths = archive.frames(TILE, "r", tmp_path)
    frame = archive.read(paths["r"], "r")
    assert frame.pixels.shape == (1489, 2048)


def test_a_field_and_its_neighbours(archive):
    assert isinstance(archive, FrameArchive)
    assert archive.neighbours(TILE) == ((94, 1, 11), (94, 1, 13))
    assert archive.neighbours((94, 1, 1)) == ((94, 1, 2),)
    assert archive.tile_bytes("ugriz") == 5 * archive.tile_bytes("r")
    with pytest.raises(UsageError, match="SDSS has no band 'y': it has u, g, r, i, z"):
        archive.frame_url(TILE, "y")


def test_the_estimate_of_bytes_is_near_the_truth(archive, survey_data):
    real = sum(path.stat().st_size for path in (survey_data / FIELD).glob("frame-*.bz2"))
    assert abs(archive.tile_bytes("ugriz") / real - 1) < 0.01


def test_a_worker_gets_a_copy(archive, sas, tmp_path):
    copy = pickle.loads(pickle.dumps(SDSSArchive(sas=sas.url)))
    assert copy.frames(TILE, "z", tmp_path)["z"].exists()


@pytest.mark.parametrize(("release", "number"), [("DR12", 12), ("dr9", 9), ("DR13", 13)])
def test_releases_have_the_addresses_that_astroquery_takes(release, number):
    table = pytest.importorskip("astropy.table")
    sdss = pytest.importorskip("astroquery.sdss").SDSS
    match = table.Table({"run": [94], "rerun": [301], "camcol": [1], "field": [12]})
    (asked,) = sdss.get_images_async(matches=match, band="i", data_release=number)
    assert SDSSArchive(release=release).frame_url(TILE, "i") == asked._target


def test_frames_of_an_older_release(sas, http, tmp_path):
    archive = SDSSArchive(sas=sas.url, skyserver="http://127.0.0.1:9", http=http, release="DR12")
    archive.frames(TILE, "r", tmp_path)
    assert [request.path for request in sas.requests] == [
        "/sas/dr12/boss/photoObj/frames/301/94/1/frame-r-000094-1-0012.fits.bz2"
    ]


@pytest.mark.parametrize("release", ["DR7", "12", "drx", "dr18", ""])
def test_a_release_without_calibrated_frames_is_refused(release):
    with pytest.raises(UsageError, match="use dr9 to dr17"):
        SDSSArchive(release=release)
