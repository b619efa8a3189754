from __future__ import annotations

import csv

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from galaxyds.build.objects import read_object_list
from galaxyds.catalog.objects import box_predicates, match_positions, parse_ids
from galaxyds.errors import UsageError


def test_real_full_precision_ids_are_read(survey_data):
    path = survey_data / "sdss_tables" / "sdss_dr17_sgq_sample500.csv"
    wanted = read_object_list(path)
    with path.open() as stream:
        expected = sorted({int(row["bestObjID"]) for row in csv.DictReader(stream)})
    assert wanted.ids.tolist() == expected


@pytest.mark.parametrize(
    "name",
    ["sdss_dr17_star_classification_first20000.csv", "Skyserver_SQL2_27_2018_fullprec.csv"],
)
def test_real_rounded_ids_are_recognised_and_refused(survey_data, name):
    with pytest.raises(UsageError, match=r"were rounded.*export the ids as text"):
        read_object_list(survey_data / "sdss_tables" / name)


def test_ids_that_lost_their_last_digits_as_integers_are_refused_too():
    with pytest.raises(UsageError, match="rounded"):
        parse_ids(["1237648704577140000", "1237648704577142000"], "list.csv")
    assert parse_ids(["1237648704577142000", "1237648704577142123"], "l").tolist()[1] % 10 == 3


def test_ids_that_passed_through_a_float_are_refused(survey_data):
    path = survey_data / "sdss_tables" / "sdss_dr17_sgq_sample500.csv"
    ids = read_object_list(path).ids
    assert len(ids) == 500
    through_float = [str(i) for i in ids[:20].astype(np.float64).astype(np.int64)]
    with pytest.raises(UsageError, match="rounded"):
        parse_ids(through_float, "list.csv")
    by_spreadsheet = [str(i // 10_000 * 10_000) for i in ids[:20].tolist()]
    with pytest.raises(UsageError, match="rounded"):
        parse_ids([*by_spreadsheet, str(ids[30])], "list.csv")


@pytest.mark.parametrize("text", ["", "abc", "12.5", "99999999999999999999", "nan"])
def test_what_is_no_id_is_named_with_its_row(text):
    with pytest.raises(UsageError, match=r"row 2"):
        parse_ids(["1", text], "list.csv")


def test_positions_are_read_and_checked(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("name,RA,Dec\nx,336.5,-0.93\ny,10.25,41\n")
    wanted = read_object_list(path)
    assert wanted.ids is None
    assert wanted.ra.tolist() == [336.5, 10.25]
    path.write_text("ra,dec\n400,0\n")
    with pytest.raises(UsageError, match="ra = 400 on row 1"):
        read_object_list(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="needs an objID column"):
        read_object_list(path)
    with pytest.raises(UsageError, match="cannot read the object list"):
        read_object_list(tmp_path / "absent.csv")


def test_matching_equals_astropy():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 50), rng.uniform(-89.9, 89.9, 50)
    to_ra = (ra + rng.normal(0, 0.5 / 3600, 50) / np.cos(np.radians(dec))) % 360
    to_dec = dec + rng.normal(0, 0.5 / 3600, 50)
    found = match_positions(ra, dec, to_ra=to_ra, to_dec=to_dec, radius=1.0)
    index, separation, _ = SkyCoord(ra, dec, unit="deg").match_to_catalog_sky(
        SkyCoord(to_ra, to_dec, unit="deg")
    )
    expected = np.where(separation <= 1 * u.arcsec, index, -1)
    assert 10 < (found >= 0).sum() < 50
    assert found.tolist() == expected.tolist()


def test_boxes_cover_their_circles_also_at_zero_and_the_poles():
    import duckdb

    centres = [(0.0001, 0.0), (359.99995, 45.0), (180.0, 89.9999), (12.0, -60.0)]
    for ra, dec in centres:
        angle = np.linspace(0, 2 * np.pi, 60)
        ring = SkyCoord(ra, dec, unit="deg").directional_offset_by(angle * u.rad, 0.99 * u.arcsec)
        (predicate,) = box_predicates(np.array([ra]), np.array([dec]), radius=1.0)
        values = ", ".join(
            f"({a:.9f}, {d:.9f})" for a, d in zip(ring.ra.deg, ring.dec.deg, strict=True)
        )
        sql = f"SELECT count(*) FROM (VALUES {values}) t(ra, dec) WHERE {predicate}"
        assert duckdb.execute(sql).fetchone() == (60,)


def test_ids_of_hsc_are_not_taken_for_rounded_ones():
    """A float holds one in eight of them exactly: tract << 42 | patch << 32 | number."""
    ids = (8476 << 42) + (405 << 32) + np.random.default_rng(3).integers(1, 2**17, 400)
    assert (ids.astype(np.float64).astype(np.int64) == ids).mean() > 0.1
    assert np.array_equal(parse_ids(ids.astype(str), "list"), ids)
    rounded = ids.astype(np.float64).astype(np.int64)
    with pytest.raises(UsageError, match="rounded"):
        parse_ids(rounded.astype(str), "list")
