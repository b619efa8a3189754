"""Tar as a stream: what the standard library writes is read, everything hostile is refused."""

from __future__ import annotations

import io
import re
import tarfile

import numpy as np
import pytest

from galaxyds.archives.tarstream import BLOCK, CutShort, TarStream
from galaxyds.errors import DataIntegrityError
from tests.servers.hsc_files import tar_of

FILES = [("arch-1-2/2-a.fits", b"x" * 1000), ("arch-1-2/3-b.fits", b""), ("4.fits", b"y" * 512)]


def read(data, *, most=10_000, complete=True, names=r"[a-z0-9./-]+\.fits"):
    stream = io.BytesIO(data)
    return TarStream(
        stream.read, source="HSC cutouts (http://h/c)", names=re.compile(names), most=most,
        complete=complete,
    )  # fmt: skip


def contents(data, **options):
    return [(member.name[0], member.data) for member in read(data, **options)]


def special(kind, name="arch-1-2/2-a.fits", *, link="", size=0, pax=None, form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, size
        info.pax_headers = pax or {}
        tar.addfile(info, io.BytesIO(bytes(size)) if size else None)
    return out.getvalue()


def resized(data, field):
    """The first header with another size field and a right checksum."""
    header = bytearray(data[:BLOCK])
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[BLOCK:]


class TestSound:
    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
    def test_what_the_standard_library_writes(self, form):
        long = f"{'d' * 90}/{'n' * 60}.fits"
        files = [*FILES, (long, b"z" * 700)]
        assert contents(tar_of(files, form=form), complete=False) == files

    def test_times_and_owners_of_the_pax_form(self):
        pax = {"mtime": "1.5", "uname": "ä", "SCHILY.dev": "7"}
        data = special(tarfile.REGTYPE, size=5, pax=pax, form=tarfile.PAX_FORMAT)
        assert contents(data) == [("arch-1-2/2-a.fits", bytes(5))]

    def test_a_name_that_comes_in_an_extended_header(self):
        data = special(tarfile.REGTYPE, "n" * 200 + ".fits", size=5, form=tarfile.PAX_FORMAT)
        assert contents(data) == [("n" * 200 + ".fits", bytes(5))]

    def test_the_folder_of_the_files_is_passed_over(self):
        folder = special(tarfile.DIRTYPE, "arch-1-2")[:BLOCK]
        assert contents(folder + tar_of(FILES)) == FILES

    def test_no_members(self):
        assert contents(tar_of([]), complete=False) == []
        assert contents(b"") == []


class TestCut:
    def test_at_every_place(self):
        data = tar_of(FILES)
        end = data.rstrip(b"\0")
        last = -(-len(end) // BLOCK) * BLOCK
        for size in range(0, last, 97):
            kept = []
            with pytest.raises(CutShort):
                kept.extend(iter(read(data[:size], complete=False)))
            assert all(FILES[n] == (m.name[0], m.data) for n, m in enumerate(kept))

    def test_closing_zeros_may_be_missing_only_where_the_length_was_stated(self):
        whole = tar_of(FILES)[: BLOCK * 6]
        assert contents(whole, complete=True) == FILES
        with pytest.raises(CutShort):
            contents(whole, complete=False)
        with pytest.raises(CutShort):
            contents(whole[:-1], complete=True)


HOSTILE = {
    "above": (tar_of([("../../x", b"1")]), r"named '\.\./\.\./x', which points out"),
    "above inside": (tar_of([("a/../../x.fits", b"1")]), "which points out of its archive"),
    "absolute": (tar_of([("/etc/cron.fits", b"1")]), "'/etc/cron.fits', which points out"),
    "backslash": (tar_of([("..\\x.fits", b"1")]), "which points out"),
    "another name": (tar_of([("README.txt", b"1")]), "'README.txt', which is no name of what"),
    "control codes": (tar_of([("a\x1b[2J\n.fits", b"1")]), r"'a \[2J \.fits', which is no name"),
    "symbolic link": (special(tarfile.SYMTYPE, link="/etc/passwd"), "a symbolic link named"),
    "hard link": (special(tarfile.LNKTYPE, link="/etc/passwd"), "a hard link named"),
    "character device": (special(tarfile.CHRTYPE), "a character device named"),
    "block device": (special(tarfile.BLKTYPE), "a block device named"),
    "fifo": (special(tarfile.FIFOTYPE), "a FIFO named"),
    "unknown type": (special(b"Z"), "a member of type b'Z'"),
    "folder above": (special(tarfile.DIRTYPE, "../up"), r"a folder named '\.\./up/?'"),
    "folder of a size": (special(tarfile.DIRTYPE, "up", size=0)[:0] or
                         resized(special(tarfile.DIRTYPE, "up"), b"00000001000\0"), "a folder"),
    "twice": (tar_of([FILES[0], FILES[0]]), "two files named 'arch-1-2/2-a.fits'"),
    "too large": (tar_of([("2.fits", bytes(10_001))]), "of 10001 bytes, where at most 10000"),
    "huge": (resized(tar_of(FILES), b"77777777777\0"), "of 8589934591 bytes"),
    "huge in binary": (resized(tar_of(FILES), b"\x80" + b"\xff" * 11), "a size of '[0-9]{27}'"),
    "no size": (resized(tar_of(FILES), b"-1\0\0\0\0\0\0\0\0\0\0"), "whose size cannot be read"),
    "size in a pax header": (
        special(tarfile.REGTYPE, pax={"size": "99999999999"}, form=tarfile.PAX_FORMAT),
        "of 99999999999 bytes"),
    "link in a pax header": (
        special(tarfile.REGTYPE, pax={"linkpath": "/etc/passwd"}, form=tarfile.PAX_FORMAT),
        "a tar header with linkpath"),
    "path in a pax header": (
        special(tarfile.REGTYPE, pax={"path": "../../x"}, form=tarfile.PAX_FORMAT),
        r"'\.\./\.\./x', which points out"),
    "sparse": (special(tarfile.REGTYPE, pax={"GNU.sparse.major": "1"}, form=tarfile.PAX_FORMAT),
               "GNU.sparse.major"),
    "huge pax header": (
        special(tarfile.REGTYPE, pax={"comment": "c" * 70_000}, form=tarfile.PAX_FORMAT),
        "a tar header of 70[0-9]+ bytes, at most 65536"),
    "broken pax header": (
        special(tarfile.REGTYPE, pax={"comment": "c"}, form=tarfile.PAX_FORMAT)
        .replace(b"13 comment=c", b"99 comment=c"), "an extended tar header that cannot be read"),
    "gzip": (b"\x1f\x8b\x08" + bytes(600), "no tar archive but a gzip stream"),
    "html": (b"<html>" + b"a" * 600, "no tar archive but an HTML or XML page"),
    "fits": (b"SIMPLE  = " + b" " * 600, "no tar archive but a FITS file"),
    "noise": (b"\xfe" * 1024, "no tar archive but bytes that begin"),
    "damaged header": (tar_of(FILES).replace(b"3-b.fits", b"9-b.fits"), "no tar archive but"),
    "goes on": (tar_of(FILES) + tar_of([("../../x", b"1")]), "more bytes behind the end"),
    "endless zeros": (tar_of(FILES) + bytes(2 << 20), "more bytes behind the end"),
}  # fmt: skip


class TestHostile:
    @pytest.mark.parametrize("case", HOSTILE)
    def test_refused_with_its_reason(self, case):
        data, words = HOSTILE[case]
        with pytest.raises(DataIntegrityError, match=words) as caught:
            contents(data)
        message = caught.value.message
        assert message.startswith("HSC cutouts (http://h/c) sends ")
        assert message.isprintable()
        assert len(message) < 400

    def test_endless_extended_headers(self):
        header = special(tarfile.REGTYPE, pax={"comment": "c"}, form=tarfile.PAX_FORMAT)[:1024]
        read_so_far = []

        def endless(size):
            read_so_far.append(size)
            pieces = (header * (size // len(header) + 2))[sum(read_so_far[:-1]) % 1024 :]
            return pieces[:size]

        stream = TarStream(
            endless, source="S", names=re.compile("x"), most=1000, complete=False
        )  # fmt: skip
        with pytest.raises(DataIntegrityError, match="more than 4 extended tar headers"):
            list(stream)
        assert sum(read_so_far) < 10_000

    def test_a_declared_size_costs_nothing(self):
        asked = []
        stream = io.BytesIO(resized(tar_of(FILES), b"\x80" + b"\xff" * 11))

        def spy(size):
            asked.append(size)
            return stream.read(size)

        with pytest.raises(DataIntegrityError):
            list(TarStream(spy, source="S", names=re.compile(".*"), most=9999, complete=True))
        assert max(asked) == BLOCK


def test_damage_anywhere_is_noticed_or_harmless():
    """Whatever is flipped or lost, the reader ends, and in no other way than it says."""
    random = np.random.default_rng(7)
    whole = tar_of([*FILES, ("n" * 180 + ".fits", b"z" * 700)], form=tarfile.PAX_FORMAT)
    ends, messages = {"sound": 0, "cut": 0}, []
    for _ in range(600):
        data = bytearray(whole[: len(whole) - int(random.integers(0, 3)) * 512])
        for place in random.integers(0, 6000, random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        try:
            contents(bytes(data), complete=bool(random.integers(0, 2)))
            ends["sound"] += 1
        except DataIntegrityError as error:
            messages.append(error.message)
        except CutShort:
            ends["cut"] += 1
    assert ends["sound"] > 50
    assert len(messages) > 100
    assert all(message.isprintable() for message in messages)
