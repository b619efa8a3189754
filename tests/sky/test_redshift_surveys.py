"""Tables of spectroscopic surveys of the simulated sky, counted with pandas and astropy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from galaxyds.catalog.specz import compile_redshifts, read_survey
from galaxyds.catalog.surveys import SURVEYS
from galaxyds.sky import CFHTLS, HSC, Region, Universe
from galaxyds.sky.redshift_surveys import PLANS, raw_tables

REGION = Region(ra_min=33.0, ra_max=33.26, dec_min=1.0, dec_max=1.26)
AREA = 0.26**2
FAMILY = ("zcosmos", "vandels", "vvds", "vipers", "vuds", "cosmos")


@pytest.fixture(scope="module")
def tables():
    return raw_tables(Universe(), REGION, CFHTLS)


def plain(tables, name):
    """A survey's rows as pandas: position, redshift, flag under common names; no junk rows."""
    (survey,) = (s for s in SURVEYS if s.name == name)
    frame = tables[name].to_pandas()
    ra, dec = survey.columns[0].name, survey.columns[1].name
    flag = survey.flag if survey.flag in frame else None
    frame = frame.rename(columns={ra: "ra", dec: "dec", survey.redshift: "z", flag: "flag"})
    return frame[(frame.ra < 360) & (frame.z != -99.9) & (frame.z != 99.99)]


def test_every_survey_of_table_1_has_a_table_in_its_own_columns(tables):
    assert list(tables) == [survey.name for survey in SURVEYS]
    assert {plan.name for plan in PLANS} == set(tables)
    for survey in SURVEYS:
        assert set(tables[survey.name].column_names) <= {c.name for c in survey.columns}
        needed = {c.name for c in survey.columns if not c.optional}
        assert needed <= set(tables[survey.name].column_names), survey.name
        assert tables[survey.name].num_rows > 0, survey.name


@pytest.mark.parametrize("name", FAMILY)
def test_flags_of_the_family_are_read_as_a_loop_reads_them(tables, name):
    frame = tables[name].to_pandas()
    (survey,) = (s for s in SURVEYS if s.name == name)
    z, flag = frame[survey.redshift], frame[survey.flag]
    ra, dec = frame[survey.columns[0].name], frame[survey.columns[1].name]
    good = 0
    for values in zip(ra, dec, z, flag, strict=True):
        place = 0 <= values[0] <= 360 and -90 <= values[1] <= 90
        good += place and 0 < values[2] < 9.9 and values[3] > 0 and int(values[3]) % 10 in (3, 4)
    reading = read_survey(tables[name], survey, where="")
    assert reading.table.num_rows == good > 0
    assert reading.sentinel >= 2  # two rows mean nothing in each of these tables
    assert reading.read == reading.sentinel + reading.insecure + good == len(frame)


def test_a_naive_threshold_would_accept_flags_that_are_not_secure(tables):
    flag = plain(tables, "vipers").flag
    base = np.floor(flag).astype(int) % 10
    assert ((flag >= 3) & ~base.isin([3, 4])).sum() > 5
    assert (flag % 1).round(3).nunique() == 4  # decimals say how photometry agrees
    assert {10, 20} <= set(flag // 10 * 10)


def test_every_survey_has_stars_failures_and_secure_redshifts_where_there_are_enough(tables):
    for survey in SURVEYS:
        reading = read_survey(tables[survey.name], survey, where="")
        if reading.read > 150:
            assert reading.sentinel > 0, survey.name
            assert reading.insecure > 0, survey.name
            assert reading.table.num_rows > 0.3 * reading.read, survey.name


def test_selections_follow_table_1(tables):
    main = tables["sdss-main"].to_pandas()
    magnitude = main.petroMag_r[main.petroMag_r > 0]
    assert magnitude.max() < 17.8 + 0.25
    vipers = plain(tables, "vipers")
    good = vipers[(vipers.flag.astype(int) % 10).isin([3, 4]) & (vipers.z > 0)]
    assert ((good.z > 0.38) & (good.z < 1.52)).mean() > 0.9
    deep2 = plain(tables, "deep2")
    good = deep2[deep2.ZQUALITY.isin([3, 4])]
    assert ((good.z > 0.68) & (good.z < 1.52)).mean() > 0.5


def test_what_two_surveys_saw_lies_within_their_scatter(tables):
    one, other = (plain(tables, name) for name in ("vipers", "primus"))
    sky = [SkyCoord(t.ra.to_numpy(), t.dec.to_numpy(), unit="deg") for t in (one, other)]
    _, apart, _ = sky[0].match_to_catalog_sky(sky[1])
    near = apart.arcsec[apart.arcsec < 1.0]
    assert near.size > 50
    assert near.max() < 0.55  # both are off by at most a quarter of an arcsecond, or strangers
    assert np.median(near) > 0.05


def test_there_are_enough_of_them(tables):
    readings = [read_survey(tables[s.name], s, where="") for s in SURVEYS]
    merged = compile_redshifts(readings)
    samples = merged.table.to_pandas()["sample"].value_counts()
    assert samples["training"] > 1500 * AREA / 0.3
    assert {"test_3dhst", "test_primus", "test_cosmos2020"} <= set(samples.index)
    assert sum(tally.duplicate for tally in merged.tallies) > 100


def test_a_region_is_the_sum_of_its_halves(tables):
    middle = (REGION.ra_min + REGION.ra_max) / 2
    west = Region(ra_min=REGION.ra_min, ra_max=middle, dec_min=1.0, dec_max=1.26)
    east = Region(ra_min=middle, ra_max=REGION.ra_max, dec_min=1.0, dec_max=1.26)
    halves = [raw_tables(Universe(), half, CFHTLS) for half in (west, east)]
    for name in ("gama", "vipers", "udsz", "primus"):
        both = [plain(half, name) for half in halves]
        whole = plain(tables, name)
        rows = {tuple(row) for part in both for row in part[["ra", "dec", "z"]].to_numpy().tolist()}
        assert rows == {tuple(row) for row in whole[["ra", "dec", "z"]].to_numpy().tolist()}


def test_other_imaging_changes_what_is_observed_only_at_the_limits(tables):
    other = raw_tables(Universe(), REGION, HSC)
    mine, theirs = (set(plain(one, "vipers")["ra"].round(7).tolist()) for one in (tables, other))
    assert len(mine & theirs) > 0.9 * len(mine)
