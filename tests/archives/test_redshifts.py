import logging
import shutil

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table

from galaxyds.archives.redshifts import RedshiftSource
from galaxyds.archives.regions import Box, Circle
from galaxyds.archives.vizier import VizieR
from galaxyds.catalog.specz import compile_redshifts, read_survey
from galaxyds.catalog.surveys import SURVEYS
from galaxyds.errors import ArchiveError, DataIntegrityError, UsageError
from tests.servers.vizier import VizieREmulator

REMOTE = [survey for survey in SURVEYS if survey.vizier]


def published(seed: int = 1, n: int = 200) -> dict[str, pa.Table]:
    """Every table at VizieR that is asked for, all in one patch, a third of the rows secure."""
    tables = {}
    for k, (survey, table) in enumerate((s, t) for s in REMOTE for t in s.vizier):
        rng = np.random.default_rng([seed, k])
        columns = {"_RAJ2000": rng.uniform(30, 38, n), "_DEJ2000": rng.uniform(-7, -4, n)}
        for column in survey.columns[2:]:
            if column.dtype == "string":
                columns[column.name] = np.where(np.arange(n) % 3, "STAR", "GALAXY")
            elif column.name.lower().startswith("z") and "f" not in column.name.lower():
                columns[column.name] = rng.uniform(0.1, 0.9, n).round(5)
            elif column.name == "f_zsp":
                columns[column.name] = np.zeros(n)
            else:
                columns[column.name] = rng.choice([1.0, 2.0, 4.0], n)
        tables[table.name] = pa.table(columns)
    return tables


@pytest.fixture
def vizier(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with VizieREmulator(published()) as server:
        monkeypatch.setenv("GALAXYDS_VIZIER_URL", server.url)
        yield server


@pytest.fixture
def client(vizier, http):
    client = VizieR()
    client.http.clock, client.http.rate, client.http.jitter = http.clock, http.rate, http.jitter
    return client


def test_everything_at_vizier_is_read_whole_and_the_rest_is_said(client):
    found = list(RedshiftSource(client).tables())
    names = [(survey.name, where) for survey, _, where in found if not where.startswith("nowhere")]
    assert names == [(s.name, f"VizieR {t.name}") for s in REMOTE for t in s.vizier]
    assert {survey.name for survey, _, _ in found} == {survey.name for survey in SURVEYS}
    readings = [read_survey(table, survey, where=where) for survey, table, where in found]
    by_name = {tally.name: tally for tally in compile_redshifts(readings).tallies}
    assert [tally.read for tally in by_name.values()] == [200 * len(s.vizier) for s in SURVEYS]
    assert by_name["cosmos"].where == "nowhere: no file cosmos.fits, .csv or .txt"
    assert by_name["vipers"].where == (
        "VizieR J/A+A/609/A84/vipersw1; VizieR J/A+A/609/A84/vipersw4"
    )
    raw = published()["J/A+A/609/A84/vipersw1"]
    expected = int((raw.column("zflg").to_numpy() == 4).sum())
    first = next(r for r in readings if r.where.endswith("vipersw1"))
    assert first.table.num_rows == expected > 20


def test_regions_are_asked_one_by_one(client, vizier):
    regions = (Box(31.0, 33.0, -6.0, -5.0), Circle(36.5, -5.5, 1.0))
    surveys = [survey for survey in SURVEYS if survey.name == "wigglez"]
    ((_, table, _),) = RedshiftSource(client, regions=regions, surveys=surveys).tables()
    whole = published()["J/MNRAS/474/4151/wigglez"]
    ra, dec = (whole.column(name).to_numpy() for name in ("_RAJ2000", "_DEJ2000"))
    inside = ((ra >= 31) & (ra <= 33) & (dec >= -6) & (dec <= -5)).sum()
    inside += (np.hypot((ra - 36.5) * np.cos(np.radians(dec)), dec + 5.5) <= 1.0).sum()
    assert table.num_rows == inside > 10
    assert len(vizier.requests) == 2


def test_a_file_goes_before_vizier(client, vizier, tmp_path):
    (tmp_path / "wigglez.csv").write_text("ra,dec,z,q_z\n30.5,-5.5,0.7,5\n")
    (tmp_path / "VVDS.deep.txt").write_text("# alpha delta z zflags\n30 -5 0.5 4\n31 -5 0.0 4\n")
    (tmp_path / "vvds.wide.csv").write_text("RAJ2000,DEJ2000,Z,ZFLAGS\n32,-5,0.5,9\n")
    surveys = [survey for survey in SURVEYS if survey.name in ("wigglez", "vvds")]
    found = list(RedshiftSource(client, tmp_path, surveys=surveys).tables())
    assert [where for _, _, where in found] == ["wigglez.csv", "VVDS.deep.txt", "vvds.wide.csv"]
    assert not vizier.requests
    tallies = compile_redshifts(read_survey(t, s, where=w) for s, t, w in found).tallies
    assert [(t.read, t.sentinel, t.insecure, t.kept) for t in tallies] == [
        (1, 0, 0, 1), (3, 1, 1, 1),
    ]  # fmt: skip


def test_real_files_of_a_folder(survey_data, tmp_path):
    real = survey_data / "specz_surveys"
    shutil.copy(real / "vvds_wide_veryreliable.csv", tmp_path / "vvds.csv")
    shutil.copy(real / "cesam_zcosbrightspec_catalog_1580263543.txt", tmp_path / "zcosmos.txt")
    found = RedshiftSource(None, tmp_path).tables()
    tallies = compile_redshifts(read_survey(t, s, where=w) for s, t, w in found).tallies
    told = {t.name: (t.read, t.sentinel, t.insecure, t.secure) for t in tallies if t.read}
    assert told == {"zcosmos": (10645, 1480, 3151, 6014), "vvds": (18964, 9131, 0, 9833)}
    assert len(tallies) == 17


def test_a_file_of_no_survey_is_told(tmp_path, caplog):
    (tmp_path / "vdvs.csv").write_text("ra,dec\n1,2\n")
    (tmp_path / "README.md").write_text("mine")
    with caplog.at_level(logging.WARNING):
        list(RedshiftSource(None, tmp_path).tables())
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'vdvs.csv'} is not read: no survey has that name"
    ]


def test_backups_and_notes_are_no_tables(tmp_path, caplog):
    table = "ra,dec,z,q_z\n30.5,-5.5,0.7,5\n"
    for name in ("wigglez.csv", "wigglez.csv~", "wigglez.csv.bak", "wigglez.README.md"):
        (tmp_path / name).write_text(table)
    found = list(RedshiftSource(None, tmp_path).tables())
    assert [where for survey, _, where in found if survey.name == "wigglez"] == ["wigglez.csv"]
    told = [r.getMessage().partition(" is not read: tables end in")[0] for r in caplog.records]
    assert told == [
        str(tmp_path / n) for n in ("wigglez.README.md", "wigglez.csv.bak", "wigglez.csv~")
    ]


@pytest.mark.parametrize("name", ["wigglez.csv.gz", "wigglez.fits.gz"])
def test_a_packed_table_is_not_passed_over(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(DataIntegrityError, match=rf"{name}.*unpack it"):
        list(RedshiftSource(None, tmp_path).tables())


def test_two_forms_of_one_table_are_an_error(tmp_path):
    for name in ("wigglez.csv", "WiggleZ.txt"):
        (tmp_path / name).write_text("ra,dec,z,q_z\n30.5,-5.5,0.7,5\n")
    with pytest.raises(DataIntegrityError, match=r"WiggleZ\.txt and wigglez\.csv are two forms"):
        list(RedshiftSource(None, tmp_path).tables())


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"no folder of redshift tables .*nowhere"):
        RedshiftSource(None, tmp_path / "nowhere")


def part(path, seed, shift=0.0):
    rng = np.random.default_rng(3)
    ra, dec, z = (
        rng.uniform(149.5, 150.5, 300),
        rng.uniform(1.7, 2.7, 300),
        rng.uniform(0.2, 4, 300),
    )
    noise = np.random.default_rng(seed)
    order = noise.permutation(300)
    Table(
        {
            "ALPHA_J2000": (ra + shift / 3600)[order], "DELTA_J2000": dec[order],
            "lp_zBEST": (z * (1 + noise.normal(0, 0.1, 300)))[order], "ez_z_phot": z[order],
            "FLUX": noise.normal(0, 1, (300, 2)), "lp_type": np.zeros(300, int),
        }
    ).write(path)  # fmt: skip
    return z


def test_cosmos2020_is_joined_from_its_two_catalogues(tmp_path):
    z = part(tmp_path / "cosmos2020-classic.fits", 1)
    part(tmp_path / "cosmos2020-farmer.fits", 2, shift=0.2)
    surveys = [survey for survey in SURVEYS if survey.name == "cosmos2020"]
    ((survey, table, where),) = RedshiftSource(None, tmp_path, surveys=surveys).tables()
    assert where == "cosmos2020-classic.fits and cosmos2020-farmer.fits"
    assert table.num_rows == 300
    # Other noise and order: the same true value in both says that the rows belong together.
    first, second = (table.column(f"ez_z_phot_{name}").to_numpy() for name in ("classic", "farmer"))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(z))
    reading = read_survey(table, survey, where=where)
    assert 200 < reading.table.num_rows <= 300


def test_half_of_a_survey_in_parts_is_an_error(tmp_path):
    part(tmp_path / "cosmos2020-classic.fits", 1)
    with pytest.raises(DataIntegrityError, match=r"needs one file cosmos2020-farmer.fits beside "):
        list(RedshiftSource(None, tmp_path).tables())


def test_a_table_that_is_not_at_vizier_names_the_file_that_would_do(client, vizier):
    del vizier.tables["J/MNRAS/474/3875/gamadr3"]
    with pytest.raises(
        ArchiveError, match=r"a file gama\.fits, \.csv or \.txt given by --redshifts"
    ):
        list(RedshiftSource(client).tables())
