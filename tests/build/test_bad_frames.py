"""What a build does with frames that are missing, damaged or something else, over loopback HTTP."""

from __future__ import annotations

import bz2
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from galaxyds.build import Request, build
from galaxyds.errors import ArchiveError, DataIntegrityError, GalaxydsError, NotInArchiveError
from tests.servers import Fault, SASEmulator, SkyServerEmulator

FIELD = "sdss_field_94-1-12"


@pytest.fixture
def servers(survey_data, field_rows, monkeypatch):
    """Both servers; frames can be replaced by name in the dict that comes with them."""
    replaced: dict[str, bytes | None] = {}

    def load(name: str) -> bytes | None:
        if name in replaced:
            return replaced[name]
        path = survey_data / FIELD / name
        return path.read_bytes() if path.exists() else None

    monkeypatch.setattr("galaxyds.archives.skyserver.INTERVAL", 0.0)
    with SkyServerEmulator(field_rows) as skyserver, SASEmulator(load) as sas:
        monkeypatch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", skyserver.url)
        monkeypatch.setenv("GALAXYDS_SDSS_SAS_URL", sas.url)
        yield sas, replaced


@pytest.fixture
def request_(field_rows, tmp_path) -> Request:
    """Ten objects of the field, far from its ends."""
    photo = field_rows["PhotoObjAll"].to_pandas()
    inside = photo[(photo.rowc_r > 200) & (photo.rowc_r < 1300) & (photo.colc_r.between(100, 1900))]
    (tmp_path / "list.csv").write_text(
        "objID\n" + "\n".join(str(i) for i in inside.objID[:10]) + "\n"
    )
    return Request(address="sdss-qso", objects=tmp_path / "list.csv", root=tmp_path, jobs=1)


def frame_name(band: str) -> str:
    return f"frame-{band}-000094-1-0012.fits.bz2"


def as_bz2(hdus: list[fits.hdu.base.ExtensionHDU]) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return bz2.compress(stream.getvalue())


def test_frames_that_are_all_404_stop_the_build_and_are_asked_again(servers, request_):
    sas, replaced = servers
    replaced[frame_name("i")] = None
    with pytest.raises(NotInArchiveError, match="does not hold the pixels of 10 of 10") as caught:
        build(request_)
    assert sas.url in str(caught.value)
    replaced.clear()
    assert build(request_).manifest.rows == 10, "the same command asks again"


def test_an_archive_that_fails_time_after_time_stops_the_build(
    servers, field_rows, tmp_path, monkeypatch
):
    """Every object is its own tile, all frames answer 401: the fifth failure ends it."""
    import pyarrow as pa

    sas, _ = servers
    photo = field_rows["PhotoObjAll"]
    fields = pa.array(np.arange(photo.num_rows, dtype=np.int16) * 3 + 20)
    moved = photo.set_column(photo.column_names.index("field"), "field", fields)
    sas.fail(*[Fault("401", where="frame-")] * 1000)
    with SkyServerEmulator({**field_rows, "PhotoObjAll": moved}) as skyserver:
        monkeypatch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", skyserver.url)
        with pytest.raises(ArchiveError, match=r"5 units failed one after the other, 0 of"):
            build(Request(address="sdss-qso", root=tmp_path, jobs=1))
    assert len([r for r in sas.requests if "frame-" in r.path]) <= 5 * 5


def test_a_missing_tile_does_not_stop_the_others(servers, field_rows, tmp_path, monkeypatch):
    """Half of the rows are moved to field 40, whose frames the archive does not hold."""
    import pyarrow as pa

    sas, _ = servers
    photo = field_rows["PhotoObjAll"]
    number = photo.column_names.index("field")
    fields = np.where(np.arange(photo.num_rows) % 2 == 0, 40, 12).astype(np.int16)
    moved = photo.set_column(number, "field", pa.array(fields))
    with SkyServerEmulator({**field_rows, "PhotoObjAll": moved}) as skyserver:
        monkeypatch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", skyserver.url)
        with pytest.raises(NotInArchiveError, match="add --drop-failed"):
            build(Request(address="sdss-qso", root=tmp_path, jobs=1))
        sas.requests.clear()
        summary = build(Request(address="sdss-qso", root=tmp_path, jobs=1, drop_failed=True))
    manifest = summary.manifest
    assert manifest.dropped_by_reason().keys() >= {"frame missing in the archive"}
    missing = {d.object_id for d in manifest.dropped if d.reason == "frame missing in the archive"}
    ids = photo.column("objID").to_pylist()
    assert missing <= {i for i, f in zip(ids, fields, strict=True) if f == 40}
    assert manifest.rows + len(manifest.dropped) == (
        manifest.cut_flow[-1].rows_after - sum(manifest.duplicates.values())
    )
    asked = [r.path for r in sas.requests if "-0040." in r.path]
    assert len(asked) == len(set(asked)), "a 404 is an answer: it is not asked again"


def spoiled(kind: str, survey_data: Path) -> bytes:
    good = (survey_data / FIELD / frame_name("g")).read_bytes()
    return {
        "truncated": lambda: good[: len(good) // 2],
        "trailing HTML": lambda: good + b"<html>quota</html>",
        "flipped bit": lambda: good[:900_000] + bytes([good[900_000] ^ 8]) + good[900_001:],
        "wrong HDUs": lambda: as_bz2([fits.HDUList.fromstring(bz2.decompress(good))[0]]),
        "another band": (survey_data / FIELD / frame_name("z")).read_bytes,
        "no FITS": lambda: bz2.compress(b"hello " * 1000),
        "fpC": lambda: bz2.compress(
            __import__("gzip").decompress(
                (survey_data / "sdss_fpC_5754-3-280" / "fpC-005754-r3-0280.fit.gz").read_bytes()
            )
        ),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", "transfer was cut"),
        ("trailing HTML", "behind"),
        ("flipped bit", "damaged|CRC|corrupt"),
        ("wrong HDUs", "HDU"),
        ("another band", "'z'|band z|filter z|z-band"),
        ("no FITS", "FITS"),
        ("fpC", "fpC"),
    ],
)
def test_a_bad_frame_is_one_line_and_a_resumed_build_ends_right(
    servers, request_, survey_data, kind, words
):
    _, replaced = servers
    replaced[frame_name("g")] = spoiled(kind, survey_data)
    with pytest.raises(GalaxydsError, match=words) as caught:
        build(request_)
    assert isinstance(caught.value, (DataIntegrityError, ArchiveError))
    assert "\n" not in str(caught.value)
    assert frame_name("g") in str(caught.value)
    replaced.clear()
    summary = build(request_)
    assert summary.manifest.rows == 10
    assert {"query", "cut", "deduplicate", "split"} <= set(summary.skipped)


def test_a_connection_cut_in_a_frame_is_resumed_where_it_broke(servers, request_, tmp_path):
    sas, _ = servers
    calm = build(request_)
    sas.requests.clear()
    sas.fail(Fault("cut", where="frame-r", after=1_000_000), Fault("503", where="frame-u"))
    again = build(
        Request(address="sdss-qso", objects=request_.objects, root=tmp_path / "again", jobs=1)
    )
    ranges = [r.headers.get("range") for r in sas.requests if "frame-r" in r.path]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert ranges[1].startswith("bytes=")
    assert int(ranges[1][6:-1]) > 0
    assert again.manifest.files["images.hdf5"] == calm.manifest.files["images.hdf5"]
