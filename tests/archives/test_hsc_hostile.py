"""Hostile answers of the cutout service, end to end: each is refused in one line of its own.

    python -m pytest tests/archives/test_hsc_hostile.py -s

prints the lines.
"""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from galaxyds.archives.base import CutoutObject
from galaxyds.archives.hsc_cutouts import HSCCutouts
from galaxyds.errors import ArchiveError, DataIntegrityError, GalaxydsError
from tests.servers import Fault, GridSky
from tests.servers.hsc_files import tar_of

ONE = CutoutObject(object_id=7, ra=30.1, dec=0.4, tile=(30,))
NAME = "arch-210203-101112/2-cutout-HSC-I-30-pdr2_wide.fits"


def member(kind=tarfile.REGTYPE, name=NAME, *, link="", size=None, pax=None):
    """A tar whose first header may lie about the size."""
    out = io.BytesIO()
    form = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.pax_headers = kind, link, pax or {}
        if size is not None:
            info.size = size
            return info.tobuf(form) + bytes(1 << 20)
        tar.addfile(info)
    return out.getvalue()


ELSEWHERE = {"Location": "http://127.0.0.2:1/cutout"}
ENDLESS = member(pax={"comment": "c"})[:1024] * 10_000
HOSTILE = {
    "member ../../x": (Fault("tar", body=tar_of([("../../x", b"1")])), "points out of its archive"),
    "absolute name": (Fault("tar", body=tar_of([("/absolute/.bashrc", b"1")])), "points out of"),
    "another name": (Fault("tar", body=tar_of([("a.sh", b"1")])), "no name of what was asked"),
    "symbolic link": (Fault("tar", body=member(tarfile.SYMTYPE, link="/etc/passwd")), "symbolic"),
    "hard link": (Fault("tar", body=member(tarfile.LNKTYPE, link="/etc/passwd")), "a hard link"),
    "device": (Fault("tar", body=member(tarfile.CHRTYPE)), "a character device"),
    "folder outside": (Fault("tar", body=member(tarfile.DIRTYPE, "../up")), "a folder named"),
    "line never sent": (
        Fault("tar", body=tar_of([(NAME.replace("2-cutout", "99-cutout"), b"1")])),
        "which answers no line of the list"),
    "another filter": (Fault("tar", body=tar_of([(NAME.replace("HSC-I", "HSC-R"), b"1")])),
                       "which answers no line of the list"),
    "header as a member": (Fault("tar", body=tar_of([(NAME.replace("2-cut", "1-cut"), b"1")])),
                           "which answers no line of the list"),
    "two of a name": (Fault("tar", body="twice"), "two files named"),
    "declared 8 GiB": (Fault("tar", body=member(size=8 << 30)), "of 8589934592 bytes, where at"),
    "larger than a cutout": (Fault("tar", body=tar_of([(NAME, bytes(200_000))])), "at most 174436"),
    "endless pax headers": (Fault("tar", body=ENDLESS), "more than 4 extended tar headers"),
    "pax header of 1 MB": (Fault("tar", body=member(pax={"comment": "c" * 1_000_000})),
                           "at most 65536 are accepted"),
    "more behind the end": (Fault("tar", body=tar_of([]) + b"x" * 512), "behind the end"),
    "endless zeros": (Fault("tar", body=bytes(4 << 20)), "answers with more than|behind the end"),
    "gzip instead of tar": (Fault("tar", body=gzip.compress(bytes(1 << 26))), "but a gzip stream"),
    "gzip on the way": (Fault("gzip-bomb"), "sends gzip although plain bytes were asked"),
    "web page": (Fault("html"), "a web page instead of data: SkyServer: Down for maintenance"),
    "web page as data": (Fault("html-as-text"), "a web page instead of data: Moved: This page"),
    "one FITS instead of tar": (Fault("tar", body=b"SIMPLE  =" + b" " * 3000), "but a FITS file"),
    "endless answer": (Fault("endless", where="cutout"), "answers with more than|behind the end"),
    "redirect": (Fault("redirect", headers=ELSEWHERE), "not followed with credentials"),
    "401": (Fault("401"), "refuses the account"),
    "406": (Fault("406", body=b"too many lines:\n1001"), "answers HTTP 406: too many lines: 1001"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_refused_in_one_line(case, hsc_server, stream_http, connections, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {path for path in tmp_path.rglob("*") if path.suffix != ".lock"}
    stream_http.service = "HSC cutouts"
    fault, words = HOSTILE[case]
    if fault.body == "twice":
        good = GridSky().cutout(_line())
        fault = Fault("tar", body=tar_of([(NAME, good), (NAME, good)]))
    hsc_server.fail(fault)
    service = HSCCutouts(http=stream_http, connections=connections)
    with pytest.raises(GalaxydsError, match=words) as caught:
        list(service.cutouts([ONE], ("i",), half_size=10.0))
    message = caught.value.message
    print(f"\n{case:24} {type(caught.value).__name__}: {message}")
    assert message.isprintable()
    assert message.startswith("HSC cutouts ")
    assert len(message) < 420
    assert caught.value.exit_code in (4, 5, 6)
    assert isinstance(caught.value, ArchiveError | DataIntegrityError) or case == "401"
    assert len(hsc_server.requests) == 1
    after = {path for path in tmp_path.rglob("*") if path.suffix != ".lock"}
    assert {path.name for path in after - before} <= {"places"}


def _line():
    from tests.servers.hsc_files import parse_list

    return parse_list(
        "#? rerun filter tract ra dec sw sh\npdr2_wide HSC-I 30 30.1deg 0.4deg 10asec 10asec"
    )[0]
