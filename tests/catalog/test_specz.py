import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyds.archives.redshift_files import read_table
from galaxyds.catalog.specz import (
    RawColumn,
    Reading,
    RedshiftSurvey,
    SurveyTally,
    compile_redshifts,
    read_survey,
)
from galaxyds.catalog.surveys import survey_named
from galaxyds.errors import DataIntegrityError

VVDS, ZCOSMOS = survey_named("vvds"), survey_named("zcosmos")
VVDS_FILE = "vvds_wide_veryreliable.csv"
ZCOSMOS_FILE = "cesam_zcosbrightspec_catalog_1580263543.txt"


def made_up(name: str = "toy", sample: str = "training") -> RedshiftSurvey:
    return RedshiftSurvey(
        name=name, number=0, title=name, reference="", where="here", sample=sample,
        columns=tuple(RawColumn(name=column) for column in ("ra", "dec", "z", "q")),
        ra="ra", dec="dec", redshift="z", flag="CAST(q AS BIGINT)", secure="q >= 3",
        confidence="q",
    )  # fmt: skip


def rows(*cells: tuple[float, float, float, float]) -> pa.Table:
    columns = np.array(cells, dtype=np.float64).reshape(-1, 4).T
    return pa.table(dict(zip(("ra", "dec", "z", "q"), columns, strict=True)))


def compiled(*tables: tuple[RedshiftSurvey, pa.Table], **options):
    return compile_redshifts(
        [read_survey(table, survey, where=survey.name) for survey, table in tables], **options
    )


def awk(program: str, path: Path, *options: str) -> int:
    done = subprocess.run(
        ["awk", *options, program, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def removed(ra, dec, radius: float = 1.0) -> int:
    """Rows that a merger removes where every row is as good as any: pairs only, counted here."""
    sky = SkyCoord(np.asarray(ra), np.asarray(dec), unit="deg")
    one, two, _, _ = sky.search_around_sky(sky, radius * units.arcsec)
    pairs = [(a, b) for a, b in zip(one, two, strict=True) if a < b]
    members = [member for pair in pairs for member in pair]
    assert len(set(members)) == len(members), "a chain: count it by hand"
    return len(pairs)


# real files -----------------------------------------------------------------------------------


def test_vvds_wide_against_awk_and_astropy(survey_data):
    path = survey_data / "specz_surveys" / VVDS_FILE
    reading = read_survey(read_table(path), VVDS, where=path.name)
    assert reading.read == awk("NR > 1 {n++} END {print n}", path, "-F,") == 18964
    no_redshift = "NR > 1 && ($5 <= 0 || $5 > 9.9) {n++} END {print n}"
    assert reading.sentinel == awk(no_redshift, path, "-F,") == 9131
    secure = "NR > 1 && $5 > 0 && $5 < 9.9 && $6 ~ /^2?[34]$/ {n++} END {print n}"
    assert reading.table.num_rows == awk(secure, path, "-F,") == 9833
    assert reading.insecure == 0

    compilation = compile_redshifts([reading])
    (tally,) = compilation.tallies
    frame = pd.read_csv(path)
    galaxies = frame[frame["ds_spectra.Z"] > 0]
    lost = removed(galaxies["ds_spectra.ALPHA"], galaxies["ds_spectra.DELTA"])
    assert tally == SurveyTally(
        name="vvds", where=VVDS_FILE, read=18964, sentinel=9131, insecure=0, secure=9833,
        duplicate=lost, kept=9833 - lost,
    )  # fmt: skip
    assert compilation.table.num_rows == tally.kept
    assert compilation.table.column("redshift").to_numpy().min() > 0


def test_zcosmos_text_against_awk_and_pandas(survey_data):
    path = survey_data / "specz_surveys" / ZCOSMOS_FILE
    reading = read_survey(read_table(path), ZCOSMOS, where=path.name)
    assert reading.read == awk("NR > 1 {n++} END {print n}", path) == 10645
    no_redshift = "NR > 1 && ($2 <= 0 || $2 > 9.9) {n++} END {print n}"
    assert reading.sentinel == awk(no_redshift, path) == 1480
    # The digit before the point, whatever stands before it: 3.5, 13.4, 23.5, 213.4.
    secure = r"NR > 1 && $2 > 0 && $2 < 9.9 && $3 ~ /^[0-9]*[34](\.|$)/ {n++} END {print n}"
    assert reading.table.num_rows == awk(secure, path) == 6014
    assert reading.insecure == 10645 - 1480 - 6014

    naive = awk("NR > 1 && $2 > 0 && $2 < 9.9 && $3 >= 3 {n++} END {print n}", path)
    assert naive > reading.table.num_rows + 500  # what `flag >= 3` would let in
    flags = {float(flag) for flag in reading.table.column("redshift_flag").to_pylist()}
    assert {3.5, 4.5, 13.4, 23.5, 213.4} <= flags
    assert not flags & {9.5, 11.4, 12.4, 21.5, 22.5, 29.5, 2.5, 18.4}

    (tally,) = compile_redshifts([reading]).tallies
    frame = pd.read_csv(path, sep=r"\s+").rename(columns=lambda name: name.strip("#"))
    assert frame["id"][0] == 9999999  # the dummy
    good = frame[
        (frame.zspec > 0) & (frame.zspec < 9.9) & (frame.zflag.astype(int) % 10).isin([3, 4])
    ]
    lost = removed(good.ra, good.dec)
    assert (tally.duplicate, tally.kept) == (lost, 6014 - lost)


def test_the_two_real_surveys_together(survey_data):
    folder = survey_data / "specz_surveys"
    readings = [
        read_survey(read_table(folder / name), survey, where=name)
        for survey, name in ((VVDS, VVDS_FILE), (ZCOSMOS, ZCOSMOS_FILE))
    ]
    compilation = compile_redshifts(readings)
    sky = SkyCoord(
        compilation.table.column("ra").to_numpy(), compilation.table.column("dec").to_numpy(),
        unit="deg",
    )  # fmt: skip
    _, distance, _ = sky.match_to_catalog_sky(sky, nthneighbor=2)
    assert distance.arcsec.min() > 1.0
    assert [t.secure for t in compilation.tallies] == [9833, 6014]
    assert sum(t.kept for t in compilation.tallies) == compilation.table.num_rows
    backwards = compile_redshifts(readings[::-1])
    assert backwards.table.equals(compilation.table)
    assert set(backwards.tallies) == set(compilation.tallies)


def test_a_compilation_without_positions_is_refused_by_name(survey_data):
    path = survey_data / "specz_surveys" / "combined_catalog.fits"
    with pytest.raises(DataIntegrityError, match=r"combined_catalog.fits: column RA .*is missing"):
        read_survey(read_table(path), survey_named("deep2"), where=path.name)


def test_deep2_and_3dhst_against_pandas(survey_data):
    """The file has redshifts, magnitudes and sources, but no positions and no flags.

    Magnitudes stand in for a place: rows without them have none, equal ones would be at one place.
    """
    path = survey_data / "specz_surveys" / "combined_catalog.fits"
    table = read_table(path)
    bands = ("u", "g", "r", "i", "z")
    columns = (RawColumn(name="redshift"), RawColumn(name="source", dtype="string"),
               *(RawColumn(name=band) for band in bands))  # fmt: skip
    readings = []
    for name, source in (("deep2", "DEEP2/3"), ("3d-hst", "3D-HST")):
        survey = RedshiftSurvey(
            name=name, number=0, title=name, reference="", where="", columns=columns,
            ra="(1e4 * i) % 360", dec="(1e4 * u) % 80", redshift="redshift", flag="source",
            secure="TRUE", confidence="3",
            sentinel=" OR ".join(f"abs({band}) >= 99" for band in bands),
        )  # fmt: skip
        own = table.filter(pa.array([s == source for s in table.column("source").to_pylist()]))
        readings.append(read_survey(own, survey, where=path.name))
    compilation = compile_redshifts(readings)

    frame = table.to_pandas()
    measured = frame[(frame[list(bands)].abs() < 99).all(axis=1)]
    for tally, source in zip(compilation.tallies, ("DEEP2/3", "3D-HST"), strict=True):
        assert tally.read == (frame.source == source).sum()
        assert tally.secure == (measured.source == source).sum()
        assert tally.sentinel == tally.read - tally.secure
        assert tally.insecure == 0
    places = measured.drop_duplicates(list(bands))
    assert compilation.table.num_rows == len(places)
    assert sum(t.duplicate for t in compilation.tallies) == len(measured) - len(places)
    assert [(t.read, t.sentinel, t.kept) for t in compilation.tallies] == [
        (14172, 167, 14005), (1706, 93, 1613),
    ]  # fmt: skip


# one table ------------------------------------------------------------------------------------


def test_rows_without_a_galaxys_redshift_are_counted_apart():
    reading = read_survey(
        rows(
            (10, 0, 0.5, 4), (10, 1, 0.0, 4), (10, 2, -99.9, 4), (10, 3, np.nan, 4),
            (-99.9, -99.9, 0.5, 4), (10, np.nan, 0.5, 4), (400, 0, 0.5, 4),
            (11, 0, 0.5, 2), (12, 0, 0.5, np.nan), (13, 0, np.inf, 4),
        ),
        made_up(), where="here",
    )  # fmt: skip
    assert (reading.read, reading.sentinel, reading.insecure) == (10, 7, 2)
    assert reading.table.to_pylist() == [
        {
            "ra": 10.0, "dec": 0.0, "redshift": 0.5, "redshift_survey": "toy",
            "redshift_flag": "4", "redshift_confidence": 4.0, "sample": "training",
        }
    ]  # fmt: skip


def test_right_ascension_from_minus_180_is_turned():
    reading = read_survey(rows((-10, 0, 1, 4), (360, 1, 1, 4)), made_up(), where="here")
    assert reading.table.column("ra").to_pylist() == [350.0, 0.0]


def test_text_and_numbers_read_the_same():
    text = pa.table(
        {"T.RA": [" 10.5", "11"], "dec": ["-1.25", "2e0"], "Z": ["0.5", "--"], "q": ["4", "null"]}
    )
    numbers = rows((10.5, -1.25, 0.5, 4), (11, 2, np.nan, np.nan))
    one, two = (read_survey(t, made_up(), where="here") for t in (text, numbers))
    assert one == two
    assert one.table.num_rows == one.sentinel == 1


def test_a_missing_column_and_words_for_numbers_are_named():
    with pytest.raises(
        DataIntegrityError, match=r"here: column q of toy is missing among ra, dec, z"
    ):
        read_survey(rows((1, 1, 1, 4)).drop_columns("q"), made_up(), where="here")
    table = pa.table({"ra": ["10:02:03.4"], "dec": ["1"], "z": ["1"], "q": ["4"]})
    with pytest.raises(DataIntegrityError, match=r"here: column ra should hold numbers.*convert"):
        read_survey(table, made_up(), where="here")


def test_a_survey_that_was_not_found_is_in_the_tally():
    compilation = compiled((made_up(), pa.table({})))
    assert compilation.tallies == (
        SurveyTally(name="toy", where="toy", read=0, sentinel=0, insecure=0, secure=0,
                    duplicate=0, kept=0),
    )  # fmt: skip
    assert compilation.table.num_rows == 0
    assert compilation.table.schema.field("redshift").type == pa.float32()


# many tables ----------------------------------------------------------------------------------

NEAR = 0.5 / 3600


def test_the_most_secure_is_kept_and_says_who_it_is():
    compilation = compiled(
        (made_up("weak"), rows((10, 0, 0.5, 3), (20, 0, 0.7, 4))),
        (made_up("strong"), rows((10 + NEAR, 0, 0.6, 4), (20 + NEAR, 0, 0.8, 3))),
    )
    kept = compilation.table.to_pandas()
    assert kept.redshift_survey.tolist() == ["strong", "weak"]
    np.testing.assert_array_equal(kept.redshift, np.float32([0.6, 0.7]))
    assert [(t.secure, t.duplicate, t.kept) for t in compilation.tallies] == [(2, 1, 1)] * 2


def test_a_training_survey_goes_before_tests_and_tests_in_their_order():
    grism, prism = made_up("grism", "test_a"), made_up("prism", "test_b")
    tables = {
        "training": (made_up("slits"), rows((10, 0, 0.1, 3))),
        "grism": (grism, rows((10 + NEAR, 0, 0.2, 4), (20, 0, 0.2, 3))),
        "prism": (prism, rows((10, NEAR, 0.3, 4), (20 + NEAR, 0, 0.3, 4), (30, 0, 0.3, 3))),
    }
    for order in (("training", "grism", "prism"), ("grism", "prism", "training")):
        kept = compiled(*(tables[name] for name in order)).table.to_pandas()
        assert kept["sample"].tolist() == ["training", "test_a", "test_b"]
    swapped = compiled(*(tables[name] for name in ("prism", "grism", "training"))).table
    assert swapped.column("sample").to_pylist() == ["training", "test_b", "test_b"]


def test_an_insecure_training_redshift_keeps_nobody_out():
    kept = compiled(
        (made_up("slits"), rows((10, 0, 0.1, 2))), (made_up("grism", "test"), rows((10, 0, 0.2, 4)))
    ).table
    assert kept.column("sample").to_pylist() == ["test"]


def test_equals_are_drawn_evenly_and_the_seed_matters():
    n = 2000
    ra, dec = np.arange(n) * 0.01, np.zeros(n)
    first = pa.table({"ra": ra, "dec": dec, "z": np.full(n, 0.5), "q": np.full(n, 3.0)})
    second = first.set_column(2, "z", [np.full(n, 0.6)])
    winners = []
    for seed in (0, 1):
        table = compiled((made_up("a"), first), (made_up("b"), second), seed=seed).table
        winners.append(np.array(table.column("redshift_survey").to_pylist()) == "a")
        # Four standard deviations of a fair coin.
        assert abs(winners[-1].sum() - n / 2) < 4 * np.sqrt(n / 4)
    assert abs((winners[0] == winners[1]).sum() - n / 2) < 4 * np.sqrt(n / 4)


def test_a_chain_keeps_its_ends_unless_the_middle_is_better():
    step = 0.8 / 3600
    chain = [(10 + n * step, 0.0, 0.5 + n, 3.0) for n in range(3)]
    kept = compiled((made_up(), rows((*chain[0][:3], 4), chain[1], chain[2])))
    assert kept.table.num_rows == 2
    kept = compiled((made_up(), rows(chain[0], (*chain[1][:3], 4), chain[2])))
    np.testing.assert_allclose(kept.table.column("redshift").to_numpy(), [1.5])


def secure_rows(name: str, cells) -> Reading:
    """A reading of secure rows only, made without SQL."""
    ra, dec, z, q = np.array(cells, dtype=np.float64).reshape(-1, 4).T
    n = len(ra)
    table = pa.table(
        {
            "ra": ra % 360, "dec": dec, "redshift": z.astype(np.float32),
            "redshift_survey": [name] * n, "redshift_flag": [str(int(value)) for value in q],
            "redshift_confidence": q.astype(np.float32), "sample": ["training"] * n,
        }
    )  # fmt: skip
    return Reading(survey=made_up(name), where=name, table=table, read=n, sentinel=0, insecure=0)


cells = st.lists(
    st.tuples(
        st.integers(0, 8), st.integers(-3, 3), st.sampled_from([0.3, 0.4, 0.5]),
        st.sampled_from([3, 4]), st.sampled_from(["a", "b", "c"]),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@given(cells, st.randoms())
@settings(max_examples=100, deadline=None)
def test_merging_does_not_depend_on_order_and_tallies_add_up(cells, random):
    def merge(cells):
        tables = {}
        for x, y, z, q, name in cells:
            tables.setdefault(name, []).append((x * NEAR + 359.9995, y * NEAR, z, q))
        return compile_redshifts([secure_rows(*item) for item in tables.items()])

    shuffled = list(cells)
    random.shuffle(shuffled)
    one, two = merge(cells), merge(shuffled)
    assert one.table.equals(two.table)
    assert set(one.tallies) == set(two.tallies)
    for tally in one.tallies:
        assert tally.secure == sum(cell[4] == tally.name for cell in cells)
        assert tally.secure == tally.duplicate + tally.kept
        assert tally.kept == one.table.column("redshift_survey").to_pylist().count(tally.name)


@given(cells)
@settings(max_examples=50, deadline=None)
def test_rows_far_away_change_nothing_here(cells):
    here = [(x * NEAR + 10, y * NEAR, z, q) for x, y, z, q, _ in cells]
    far = [(x * NEAR + 200, y * NEAR, z, q) for x, y, z, q, _ in cells]
    alone = compile_redshifts([secure_rows("b", here)]).table
    both = compile_redshifts([secure_rows("a", far), secure_rows("b", [*far[::-1], *here])]).table
    assert both.filter(pa.array(both.column("ra").to_numpy() < 100)).equals(alone)


any_rows = st.lists(
    st.tuples(
        st.sampled_from([10.0, -99.9, np.nan]), st.sampled_from([0.0, 99.0]),
        st.sampled_from([0.5, 0.0, -99.9, np.nan]), st.sampled_from([0.0, 2.0, 3.0, 4.0, np.nan]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@given(any_rows)
@settings(max_examples=25, deadline=None)
def test_every_row_read_is_counted_once(table):
    reading = read_survey(rows(*table), made_up(), where="here")
    good = [r for r in table if r[0] in (10.0, -99.9) and r[1] == 0.0 and r[2] == 0.5]
    assert reading.read == len(table)
    assert reading.sentinel == len(table) - len(good)
    assert reading.table.num_rows == sum(row[3] >= 3 for row in good)
    assert reading.insecure == len(good) - reading.table.num_rows


def test_several_tables_of_one_survey_share_a_tally():
    survey = made_up()
    readings = [
        read_survey(rows((10, 0, 0.5, 4)), survey, where="one.csv"),
        read_survey(rows((10, NEAR, 0.5, 4), (11, 0, 0, 4)), survey, where="two.csv"),
    ]
    (tally,) = compile_redshifts(readings).tallies
    assert re.fullmatch(r"one.csv; two.csv", tally.where)
    assert (tally.read, tally.sentinel, tally.secure, tally.kept) == (3, 1, 2, 1)


# codes that fit no type -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vvds", "wigglez", "gama", "zcosmos"])
@pytest.mark.parametrize("code", [1e20, 9.99e37, 1e300, None])
def test_a_flag_that_fits_no_type_is_not_secure(name, code):
    survey = survey_named(name)
    columns = dict(
        zip((c.name for c in survey.columns), ([1.0], [0.0], [0.5], [code]), strict=False)
    )
    raw = pa.table({key: pa.array(cells, pa.float64()) for key, cells in columns.items()})
    reading = read_survey(raw, survey, where="x")
    assert (reading.insecure, reading.table.num_rows) == (1, 0)


@pytest.mark.parametrize("redshift", [9.99e37, 1e39, 1e300])
def test_a_redshift_that_fits_no_type_is_none(redshift):
    raw = pa.table({"_RAJ2000": [1.0], "_DEJ2000": [0.0], "Z": [redshift], "ZFLAGS": [3.0]})
    assert read_survey(raw, VVDS, where="x").sentinel == 1


def test_right_ascension_is_below_360():
    reading = read_survey(
        rows((-1e-20, 0, 0.5, 3), (360, 0, 0.5, 3), (-90, 0, 0.5, 3)), made_up(), where="x"
    )
    assert reading.table.column("ra").to_pylist() == [0, 0, 270]


def test_a_rule_that_fails_names_the_table():
    broken = replace(made_up(), secure="CAST(q AS TINYINT) = 3")
    with pytest.raises(DataIntegrityError, match=r"^mine\.csv: cannot be read as toy") as caught:
        read_survey(rows((1, 0, 0.5, 1e30)), broken, where="mine.csv")
    assert "\n" not in str(caught.value)
