"""From redshifts, photometry, tiles and dust to objects: small tables whose answers are known."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord

from galaxyds.archives.base import CatalogArchive, CompiledArchive, CutoutArchive, LocalFiles
from galaxyds.archives.cadc_tiles import Artifact, CADCTiles, CFHTLSTile, parse_name
from galaxyds.archives.cfhtls import CFHTLSArchive
from galaxyds.archives.cfhtls_objects import (
    NAME_ERROR,
    PHOTOMETRY,
    ROOM,
    cells,
    distinct,
    fields,
    in_tiles,
    objects,
    only_near,
)
from galaxyds.archives.dust import SFDMap
from galaxyds.catalog.specz import Compilation
from galaxyds.errors import ArchiveError
from galaxyds.specs.cfhtls_wide import SPEC
from tests.archives.test_dust import write_maps

ARCSEC = 1 / 3600


def tile(name, *, missing=(), new_i=False, half_width=0.5):
    number, ra, dec = parse_name(name)
    filters = {b: f"{b}.MP9{n}01" for n, b in enumerate("ugrz")} | {
        "i": "i.MP9702" if new_i else "i.MP9701"
    }
    artifacts = {
        b: Artifact(uri=f"cadc:{b}", file=b, filter=f)
        for b, f in filters.items()
        if b not in missing
    }
    return CFHTLSTile(name=name, tile=number, ra=ra, dec=dec, half_width=half_width,
                      artifacts=artifacts)  # fmt: skip


EAST, WEST = tile("021800-070000"), tile("021600-070000", new_i=True)
BROKEN = tile("022000-070000", missing=("z",))


def redshifts(ra, dec, **more):
    n = len(ra)
    columns = {
        "ra": np.asarray(ra, float), "dec": np.asarray(dec, float),
        "redshift": np.full(n, 0.5, np.float32), "redshift_survey": ["vipers"] * n,
        "redshift_flag": ["4.5"] * n, "redshift_confidence": np.full(n, 4, np.float32),
        "sample": ["training"] * n,
    }  # fmt: skip
    return pa.table({**columns, **more})


def photometry(ra, dec, **more):
    n = len(ra)
    columns = {name: np.full(n, 20.0) for name in PHOTOMETRY}
    columns |= {"CFHTLS": [f"1101_{k:06d}" for k in range(n)], "RAJ2000": np.asarray(ra, float),
                "DEJ2000": np.asarray(dec, float), "Sfl": np.zeros(n, np.int16),
                "Tfl": np.zeros(n, np.int16)}  # fmt: skip
    return pa.table({**columns, **more})


def dust(ra, dec):
    return np.asarray(ra) * 1e-3


def test_each_object_serves_the_nearest_redshift_and_the_others_are_kept_without():
    ra, dec = 34.5, -7.0
    here = [ra, ra, ra + 0.1, ra]
    there = [dec + 0.3 * ARCSEC, dec - 0.2 * ARCSEC, dec, dec + 1.4 * ARCSEC]
    made = objects(redshifts(here, there), photometry([ra], [dec]), (EAST,), ebv=dust).to_pylist()
    assert [row["separation"] is not None for row in made] == [False, True, False, False]
    assert made[1]["separation"] == pytest.approx(0.2, abs=1e-4)
    assert (made[1]["ra"], made[1]["dec"]) == (ra, dec)  # of the photometry
    assert (made[0]["ra"], made[0]["dec"]) == (here[0], there[0])  # of the spectrum
    assert (made[1]["spectrum_ra"], made[1]["spectrum_dec"]) == (here[1], there[1])
    assert made[1]["object_id"] == 12_420_000 * 64_800_001 + 29_880_000
    assert made[1]["catalogue_name"] == "1101_000000"
    assert (made[0]["catalogue_name"], made[0]["mask_flags"]) == ("none", -1)
    assert made[0]["mag_i"] is None
    assert made[1]["mag_i"] == 20
    assert made[1]["ebv"] == pytest.approx(0.0345)
    assert all(row["redshift"] == 0.5 and row["redshift_survey"] == "vipers" for row in made)


def test_codes_for_missing_magnitudes_are_null():
    more = {"umagA": np.array([99.0, -99.0, np.nan, 24.0]), "e_umagA": np.array([99, 1, 1, 0.1])}
    ra, dec = np.linspace(34.3, 34.6, 4), np.full(4, -7.0)
    made = objects(redshifts(ra, dec), photometry(ra, dec, **more), (EAST,), ebv=dust)
    assert made.column("mag_u").to_pylist() == [None, None, None, 24.0]
    assert made.column("mag_err_u").to_pylist() == [None, None, None, pytest.approx(0.1)]
    assert made.column("mag_g").null_count == 0


def test_an_error_of_zero_is_one():
    more = {"e_umagA": np.array([0.0, -1.0])}
    ra, dec = np.array([34.3, 34.6]), np.full(2, -7.0)
    made = objects(redshifts(ra, dec), photometry(ra, dec, **more), (EAST,), ebv=dust)
    assert made.column("mag_err_u").to_pylist() == [0.0, None]


@pytest.mark.parametrize("column", ["Sfl", "Tfl"])
@pytest.mark.parametrize("value", [40_000.0, 1.5])
def test_flags_that_are_none_are_named(column, value):
    stars = photometry([34.5], [-7.0], **{column: np.array([value])})
    with pytest.raises(ArchiveError, match=rf"column {column} of II/317"):
        objects(redshifts([34.5], [-7.0]), stars, (EAST,), ebv=dust)


def test_an_object_without_a_position_belongs_to_no_redshift():
    stars = photometry([np.nan, 34.5, 34.5], [-7.0, np.nan, -7.0])
    near = only_near(stars, redshifts([34.5], [-7.0]))
    assert near.column("CFHTLS").to_pylist() == ["1101_000002"]
    made = objects(redshifts([34.5], [-7.0]), stars, (EAST,), ebv=dust).to_pylist()
    assert made[0]["catalogue_name"] == "1101_000002"


def test_a_tile_that_lies_where_its_name_says_but_for_a_second_shows_the_whole_cutout():
    # The name is cut to a second of time: the pixels lie up to 15 arcsec further east.
    ra = EAST.ra - (EAST.half_width - np.array([7.0, 21.0, 22.5]) * ARCSEC) / np.cos(
        np.radians(EAST.dec)
    )
    dec = np.full(3, EAST.dec)
    near, _ = in_tiles((EAST,), ra, dec)
    sure, _ = in_tiles((EAST,), ra, dec, room=ROOM + NAME_ERROR)
    assert (near[:, 0] >= 0).tolist() == [True, True, True]
    assert (sure[:, 0] >= 0).tolist() == [False, False, True]
    assert NAME_ERROR >= 15.0


def test_the_archive_keeps_the_distance_that_names_ask_for(monkeypatch):
    monkeypatch.setattr(CADCTiles, "tiles", lambda self: (EAST,))
    monkeypatch.setattr(SFDMap, "ebv", lambda self, ra, dec: dust(ra, dec))
    edge = EAST.ra - (EAST.half_width - 15 * ARCSEC) / np.cos(np.radians(EAST.dec))
    found = redshifts([EAST.ra, edge], [EAST.dec] * 2)
    monkeypatch.setattr(
        "galaxyds.archives.cfhtls_objects.compile_redshifts", lambda _: Compilation(found, ())
    )
    monkeypatch.setattr(CFHTLSArchive, "_photometry", lambda *_: photometry([], []))
    table = CFHTLSArchive()._objects().table
    assert table.column("tile_ra").to_pylist() == [21800, -1]


def test_a_survey_without_flags_has_a_word_for_it():
    made = objects(redshifts([34.5], [-7.0], redshift_flag=[""]), distinct([]), (EAST,), ebv=dust)
    assert made.column("redshift_flag").to_pylist() == ["none"]


def test_without_any_photometry():
    made = objects(redshifts([34.5], [-7.0]), distinct([]), (EAST,), ebv=dust).to_pylist()
    assert made[0]["separation"] is None
    assert made[0]["tile_ra"] == 21800


def test_the_table_has_what_the_declaration_asks_for():
    made = objects(redshifts([34.5], [-7.0]), photometry([34.5], [-7.0]), (EAST,), ebv=dust)
    assert {column.archive for column in SPEC.queried_columns()} == set(made.column_names)


def test_tiles_hold_what_is_deepest_inside_and_complete():
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(32.5, 36.5, 400), rng.uniform(-8, -6, 400)
    chosen, filters = in_tiles((EAST, WEST, BROKEN), ra, dec)
    for n in range(len(ra)):
        depth = {}
        for one in (EAST, WEST):
            offset = SkyCoord(one.ra, one.dec, unit="deg").skyoffset_frame()
            away = SkyCoord(ra[n], dec[n], unit="deg").transform_to(offset)
            # tangents of the offsets are the gnomonic plane's coordinates
            x = np.degrees(np.tan(away.lon.radian))
            y = np.degrees(np.tan(away.lat.radian) / np.cos(away.lon.radian))
            room = 6.2 * ARCSEC  # of a whole cutout
            depth[one.tile] = (one.half_width - room - max(abs(x), abs(y)), one.i_filter)
        best = max(depth, key=lambda name: depth[name][0])
        if abs(depth[best][0]) < 1e-6:
            continue
        inside = depth[best][0] > 0
        assert tuple(chosen[n]) == (best if inside else (-1, 0))
        assert filters[n] == (depth[best][1] if inside else "none")
    assert (chosen[:, 0] == -1).any()
    assert set(filters) == {"none", "i.MP9701", "i.MP9702"}


def test_without_a_complete_tile_there_is_none():
    chosen, filters = in_tiles((BROKEN,), np.array([35.0]), np.array([-7.0]))
    assert chosen.tolist() == [[-1, 0]]
    assert filters == ["none"]


def test_fields_hold_all_of_their_tiles():
    names = ("021800-070000", "021600-070000", "022100-060300", "221318+011500", "235800+000100",
             "000200+000100", "141754+543031")  # fmt: skip
    tiles = [tile(name) for name in names]
    boxes = fields(tiles)
    assert len(boxes) == 4
    for one in tiles:
        grid = np.linspace(-0.5, 0.5, 9)
        xi, eta = (np.radians(v.ravel()) for v in np.meshgrid(grid, grid))
        frame = SkyCoord(one.ra, one.dec, unit="deg").skyoffset_frame()
        norm = np.sqrt(1 + xi**2 + eta**2)
        sky = SkyCoord(
            np.arctan2(xi, 1), np.arcsin(eta / norm), unit="rad", frame=frame
        ).icrs  # gnomonic
        inside = [box.holds(sky.ra.deg, sky.dec.deg) for box in boxes]
        assert sum(held.all() for held in inside) == 1


def test_cells_hold_each_position_with_a_margin():
    rng = np.random.default_rng(5)
    ra = np.concatenate([rng.uniform(0, 1, 200), rng.uniform(359, 360, 200), [0.0, 359.9999999]])
    dec = np.concatenate([rng.uniform(54, 56, 400), [55.0, 55.0]])
    boxes = list(cells(ra, dec))
    assert len(boxes) < 100
    for north, east in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        b = dec + north * ARCSEC
        a = (ra + east * ARCSEC / np.cos(np.radians(dec))) % 360
        # the box of a position holds what is an arcsecond away from it
        both = [box.holds(ra, dec) & box.holds(a, b) for box in boxes]
        assert np.logical_or.reduce(both).all()
    assert max(box.dec_max - box.dec_min for box in boxes) < 0.26
    assert max(box.width for box in boxes) < 0.26 / np.cos(np.radians(56))
    assert list(cells(np.empty(0), np.empty(0))) == []


def test_objects_next_to_redshifts_are_kept_once():
    stars = photometry([34.5, 34.5001, 34.6], [-7.0, -7.0, -7.0])
    near = only_near(stars, redshifts([34.50009, 34.7], [-7.0, -7.0]))
    assert near.column("CFHTLS").to_pylist() == ["1101_000001"]
    both = distinct([near, stars, near])
    assert both.column("CFHTLS").to_pylist() == ["1101_000001", "1101_000000", "1101_000002"]


def test_the_archive_keeps_the_contracts_and_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("GALAXYDS_CADC_TAP_URL", "http://127.0.0.1:1/argus")
    monkeypatch.setenv("GALAXYDS_SFD_DIR", str(tmp_path))
    own = tmp_path / "own"
    own.mkdir()
    (own / "deep2.csv").write_text("RA,DEC\n")
    archive = CFHTLSArchive(local=LocalFiles(redshifts=own))
    assert isinstance(archive, CatalogArchive)
    assert isinstance(archive, CompiledArchive)
    assert isinstance(archive, CutoutArchive)
    assert archive.name == "cfhtls"
    assert archive.departures() == ()
    told = archive.endpoints()
    assert told["holdings"] == "http://127.0.0.1:1/argus"
    digest = hashlib.sha256(b"RA,DEC\n").hexdigest()
    # And no folder of this machine.
    assert told["redshift files"] == f"deep2.csv (sha256 {digest})"
    (own / "deep2.csv").write_text("ra,DEC\n")
    assert archive.endpoints() != told
    (own / "deep2.csv").write_text("RA,DEC\n")
    assert "cutouts" in told
    assert [need.present for need in archive.needs()][-1] is False
    write_maps(tmp_path)
    assert all(need.present for need in archive.needs())
    copy = pickle.loads(pickle.dumps(archive))
    assert copy.endpoints() == told
    assert copy.list_objects("ugriz") > 0
    assert copy.cutout_bytes("ugriz", half_size=5.952) > 5 * 4 * 64 * 64
