import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galaxyds.catalog.parts import join_parts
from galaxyds.catalog.specz import RedshiftSurvey, read_survey
from galaxyds.catalog.survey_page import page
from galaxyds.catalog.surveys import SURVEYS, survey_named

PAGE = Path(__file__).resolve().parents[2] / "docs" / "redshift_surveys.md"
BY_NAME = {survey.name: survey for survey in SURVEYS}
FAMILY = ("zcosmos", "vandels", "vvds", "vipers", "vuds", "cosmos")


def verdicts(name: str, **columns) -> list[str]:
    """What becomes of rows of a survey, given by columns; positions are filled in."""
    survey = BY_NAME[name]
    n = len(next(iter(columns.values())))
    for column, start in zip(survey.columns[:2], (10.0, 1.0), strict=True):
        columns.setdefault(column.name, [start + k for k in range(n)])
    # Numbers and texts of one column may be mixed here.
    table = pa.table(
        {key: pa.array([None if v is None else str(v) for v in values]) if key in _words(survey)
         else pa.array(values) for key, values in columns.items()}
    )  # fmt: skip
    secure = read_survey(table, survey, where=name)
    lax = read_survey(table, replace(survey, secure="TRUE", limits="TRUE"), where=name)
    assert lax.sentinel == secure.sentinel
    places = {k: set(r.table.column("ra").to_pylist()) for k, r in (("s", secure), ("l", lax))}
    return [
        "secure" if ra in places["s"] else "insecure" if ra in places["l"] else "none"
        for ra in columns[survey.columns[0].name]
    ]


def _words(survey: RedshiftSurvey) -> set[str]:
    return {column.name for column in survey.columns if column.dtype == "string"}


def test_the_table_of_the_paper():
    assert [survey.number for survey in SURVEYS] == list(range(1, 18))
    assert [survey.test_only for survey in SURVEYS] == [False] * 14 + [True] * 3
    assert [survey.sample for survey in SURVEYS[14:]] == [
        "test_3dhst", "test_primus", "test_cosmos2020",
    ]  # fmt: skip
    # Order and spelling of Table 1.
    titles = ["SDSS", "BOSS", "GAMA", "WiggleZ", "zCOSMOS", "VANDELS", "UDSz", "DEEP2", "VVDS",
              "VIPERS", "VUDS", "CLAMATO", "C3R2", "COSMOS", "3D-HST", "PRIMUS",
              "COSMOS20"]  # fmt: skip
    assert all(title in survey.title for title, survey in zip(titles, SURVEYS, strict=True))


@pytest.mark.parametrize("survey", SURVEYS, ids=lambda survey: survey.name)
def test_a_description_is_complete(survey):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", survey.name)
    assert survey.reference
    assert survey.where
    facts = (*survey.verified, *survey.unverified)
    assert facts
    assert all(len(fact) > 5 for fact in facts)  # no text taken for a list of them
    names = [column.name for column in survey.columns]
    assert len(set(names)) == len(names)
    assert (survey.ra, survey.dec) == tuple(names[:2])
    # Every column is used, and nothing else: SQL over an empty table of these columns runs.
    text = " ".join([survey.redshift, survey.flag, survey.sentinel, survey.secure, survey.limits,
                     survey.confidence])  # fmt: skip
    assert all(re.search(rf"\b{re.escape(name)}\b", text) for name in names[2:])
    empty = pa.table({name: pa.array([], pa.string()) for name in names})
    assert read_survey(empty, survey, where="x").read == 0


def test_what_was_private_or_elsewhere_is_a_file_only():
    assert not BY_NAME["cosmos"].vizier
    assert "private" in BY_NAME["cosmos"].where
    assert "DR1" in BY_NAME["clamato"].title
    assert [table.name[-2:] for table in BY_NAME["vipers"].vizier] == ["w1", "w4"]


# The mapping that J/ApJ/858/77's ReadMe states, and what follows from it for three digits.
RELIABLE = [3, 4, 13, 14, 23, 24, 213, 214, 3.5, 4.2, 13.4, 24.1]
UNCERTAIN = [0, 1, 2, 9, 11, 12, 19, 21, 22, 29, 2.5, 9.5, 11.4, 18.4, 22.5, 20]


@pytest.mark.parametrize("name", FAMILY)
def test_flags_of_the_vvds_family(name):
    survey = BY_NAME[name]
    redshift, flag = (column.name for column in survey.columns[2:4])
    flags = [float(f) for f in RELIABLE + UNCERTAIN]
    told = verdicts(name, **{redshift: [0.7] * len(flags), flag: flags})
    assert told == ["secure"] * len(RELIABLE) + ["insecure"] * len(UNCERTAIN)
    codes = verdicts(name, **{redshift: [0.0, 9.9999, -99.9, 99.99, 0.7], flag: [4.0] * 4 + [-1.0]})
    assert codes == ["none"] * 5
    table = pa.table({column.name: [1.0] for column in survey.columns[:2]}
                     | {redshift: [0.7], flag: [13.5]})  # fmt: skip
    rows = read_survey(table, survey, where="x").table
    assert rows.column("redshift_confidence").to_pylist() == [3.0]
    assert rows.column("redshift_flag").to_pylist() == ["13.5"]


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("sdss-main",
         {"z": [0.1, 0.1, 0.1, 0.5, 0.1, 0.1], "zWarning": [0, 4, 0, 0, 0, 0],
          "class": ["GALAXY", "GALAXY", "STAR", "GALAXY", "QSO", "GALAXY"],
          "petroMag_r": [17.0, 17.0, 17.0, 17.0, 17.0, -9999.0]},
         ["secure", "insecure", "none", "insecure", "insecure", "insecure"]),
        ("sdss-boss",
         {"zsp": [0.5, 0.5, 0.0001, 2.0, None], "f_zsp": [0, 4, 0, 0, None],
          "spCl": ["GALAXY", "GALAXY", "STAR", "QSO", None]},
         ["secure", "insecure", "none", "insecure", "none"]),
        ("gama",
         {"z": [0.2, 0.2, 0.2, 0.001, -9.99], "q_z": [4, 3, 2, 4, 0],
          "IsBest": [True, True, True, True, False]},
         ["secure", "secure", "insecure", "none", "none"]),
        ("gama", {"z": [0.2, 0.2], "q_z": [4, 4], "IsBest": [0, 1]}, ["insecure", "secure"]),
        ("wigglez", {"z": [0.6] * 6, "q_z": [1, 2, 3, 4, 5, 6]},
         ["insecure"] * 2 + ["secure"] * 3 + ["none"]),
        ("deep2",
         {"ZBEST": [0.8] * 6 + [0.0005], "ZQUALITY": [-2, -1, 1, 2, 3, 4, 4],
          "CLASS": ["GALAXY"] * 6 + ["STAR"]},
         ["none"] * 2 + ["insecure"] * 2 + ["secure"] * 2 + ["none"]),
        ("udsz", {"z": [1.5] * 6, "flag": ["A", "b", "C", "4", "3.0", "2"]},
         ["secure", "secure", "insecure", "secure", "secure", "insecure"]),
        ("clamato", {"zspec": [2.4] * 4 + [-1.0], "conf": [1, 2, 3, 4, 4]},
         ["insecure"] * 2 + ["secure"] * 2 + ["none"]),
        ("c3r2", {"zspec": [1.2] * 6, "Qual": [4.0, 3.5, 3.0, 2.0, 0.0, -91.0]},
         ["secure"] * 3 + ["insecure"] * 3),
        ("3d-hst",
         {"z_best": [1.1] * 6, "z_best_s": [2, 1, 3, 0, 2, 2], "use_zgrism": [1, 1, 1, 1, 0, 1],
          "use_phot": [1] * 6, "jh_mag": [23.0] * 5 + [24.5]},
         ["secure", "insecure", "insecure", "none", "insecure", "insecure"]),
        ("primus",
         {"Z": [0.5, 0.5, 0.95, 0.5, 0.5], "ZQUALITY": [4, 3, 4, 4, 4],
          "CLASS": ["GALAXY", "GALAXY", "GALAXY", "STAR", "GALAXY"],
          "imag": [22.0, 22.0, 22.0, 22.0, 22.6]},
         ["secure", "insecure", "insecure", "none", "insecure"]),
    ],
)  # fmt: skip
def test_rules_row_by_row(name, columns, expected):
    assert verdicts(name, **columns) == expected


def test_cosmos2020_against_numpy():
    rng = np.random.default_rng(8)
    n = 500
    redshifts = rng.uniform(0.1, 5, n)[:, None] * (1 + rng.normal(0, 0.25, (n, 4)))
    redshifts[:20, 2] = np.nan
    redshifts[20:40, 1] = -99.0
    survey = survey_named("cosmos2020")
    names = [column.name for column in survey.columns]
    table = pa.table(
        {names[0]: np.full(n, 150.0), names[1]: 2 + np.arange(n) / 100}
        | dict(zip(names[2:6], redshifts.T, strict=True))
    )
    reading = read_survey(table, survey, where="x")
    valid = (redshifts > 0).all(axis=1)
    mean, sigma = redshifts.mean(axis=1), redshifts.std(axis=1)
    good = valid & (sigma <= 0.1 * (1 + mean))
    assert 100 < good.sum() < 450
    assert reading.sentinel == n - valid.sum()
    np.testing.assert_allclose(
        reading.table.column("redshift").to_numpy(), mean[good].astype(np.float32), rtol=1e-6
    )
    shown = [float(flag) for flag in reading.table.column("redshift_flag").to_pylist()]
    np.testing.assert_allclose(shown, sigma[good], atol=6e-5)


def test_parts_are_joined_where_each_is_the_others_nearest():
    step = 0.2 / 3600
    classic = pa.table({"RA": [10.0, 20.0, 30.0, None], "DEC": [0.0, 0, 0, 0], "z": [1, 2, 3, 4]})
    # Two near the first, the nearer first; none near the third; one without a position.
    farmer = pa.table(
        {
            "ra": [20.0, 10.0 + step, 10.0 + 2 * step, None],
            "dec": [step, 0, 0, 0],
            "z": [5, 6, 7, 8],
        }
    )
    places = {"classic": ("RA", "DEC"), "farmer": ("ra", "dec")}
    joined = join_parts({"classic": classic, "farmer": farmer}, places)
    assert joined.select(["z_classic", "z_farmer"]).to_pylist() == [
        {"z_classic": 1, "z_farmer": 6}, {"z_classic": 2, "z_farmer": 5},
    ]  # fmt: skip
    assert "ra_farmer" in joined.column_names
    assert join_parts({"classic": classic, "farmer": farmer.slice(0, 0)}, places).num_rows == 0


def test_the_page_is_current():
    assert PAGE.read_text() == page(), (
        "write it: python -m galaxyds.catalog.survey_page > docs/redshift_surveys.md"
    )


def test_the_page_tells_what_is_not_verified():
    told = page()
    for survey in SURVEYS:
        assert survey.title in told
        assert all(f"**not verified**: {fact}" in told for fact in survey.unverified)
    assert told.count("**not verified**") == sum(len(survey.unverified) for survey in SURVEYS)
