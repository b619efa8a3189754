"""Real photometric tables: counted independently with pandas and astropy, divided, refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyds.errors import DataIntegrityError, UsageError
from galaxyds_models.tables import TABLES, open_any, open_table
from galaxyds_models.tables.reading import numbers, read_frame

QUASARS, GALAXIES = "sdss-dr17-quasars", "deep2-3dhst-cfhtls"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="session")
def quasar_file(survey_data):
    return survey_data / "sdss_tables" / "sdss_dr17_star_classification_first20000.csv"


@pytest.fixture(scope="session")
def galaxy_file(survey_data):
    return survey_data / "specz_surveys" / "combined_catalog.fits"


@pytest.fixture(scope="session")
def listed(quasar_file):
    """The quasars as pandas reads them."""
    frame = pd.read_csv(quasar_file)
    return frame[(frame["class"] == "QSO") & frame["redshift"].between(1, 5)]


@pytest.fixture(scope="session")
def galaxies(galaxy_file):
    """The galaxies as astropy reads them."""
    from astropy.table import Table

    return Table.read(galaxy_file).to_pandas()


@cache
def all_splits(name, path, division=0):
    return {split: open_table(name, path, split, division=division) for split in SPLITS}


def packed(frame):
    """The upper 40 bits of specObjID, digit by digit."""
    return np.array(
        [
            (int(p) << 26) | (int(f) << 14) | (int(m) - 50_000)
            for p, f, m in zip(frame["plate"], frame["fiber_ID"], frame["MJD"], strict=True)
        ]
    )


def test_3034_quasars_with_the_values_of_the_file(quasar_file, listed):
    opened = all_splits(QUASARS, quasar_file)
    assert sum(map(len, opened.values())) == len(listed) == 3034
    by_id = listed.set_index(packed(listed))
    for objects in opened.values():
        theirs = by_id.loc[objects.object_id]
        np.testing.assert_allclose(objects.redshift, theirs["redshift"], rtol=1e-6)
        np.testing.assert_allclose(objects.magnitudes, theirs[list("ugriz")], rtol=1e-6)
        assert (objects.errors, objects.extinctions, objects.ebv, objects.dataset) == (None,) * 4
        assert objects.nature == "real table, 3,034 of 20,000 rows of the declared file"
        assert objects.redshift_range == (1, 5)


def test_ids_of_quasars_are_the_upper_bits_of_spec_obj_id(quasar_file):
    frame = pd.read_csv(quasar_file)
    ours = packed(frame).astype(np.float64) * 2**24
    off = np.abs(ours / frame["spec_obj_ID"] - 1)
    assert (off < 5e-6).mean() > 0.97  # six digits
    assert (off < 5e-3).all()  # the others have three


def test_galaxies_with_photometry_are_counted_as_astropy_counts_them(galaxy_file, galaxies):
    opened = all_splits(GALAXIES, galaxy_file)
    assert len(galaxies) == 15_878
    seen = galaxies["i"].abs() < 90
    assert sum(map(len, opened.values())) == seen.sum() == 15_650
    y = np.concatenate([o.magnitudes[:, 5] for o in opened.values()])
    assert np.isnan(y).sum() == (seen & (galaxies["y"].abs() > 90)).sum()
    for objects in opened.values():
        theirs = galaxies.iloc[objects.object_id]
        for place, band in enumerate("ugrizy"):
            known = (theirs[band].abs() < 90).to_numpy()
            ours = objects.magnitudes[:, place]
            np.testing.assert_allclose(ours[known], theirs[band][known], rtol=1e-6)
            assert np.isnan(ours[~known]).all()
            assert np.isnan(objects.errors[~known, place]).all()
        assert np.nanmax(objects.errors) < 90
        assert np.nanmin(objects.errors) > 0


def test_i2_is_never_there_without_i(galaxies):
    alone = (galaxies["i"].abs() > 90) & (galaxies["i2"].abs() < 90)
    assert alone.sum() == 0


def test_i2_stands_in_for_i_with_its_own_error(tmp_path, galaxies):
    galaxies = galaxies.copy()
    galaxies["source"] = "x"
    galaxies.loc[0, ["i", "ierr", "i2", "i2err"]] = (99.0, 99.0, 21.5, 0.25)
    galaxies.loc[1, ["i", "ierr", "i2", "i2err"]] = (21.0, 99.0, 20.0, 0.25)
    path = tmp_path / "other.parquet"
    galaxies.to_parquet(path)
    found = {}
    for objects in all_splits(GALAXIES, path).values():
        for k in np.flatnonzero(objects.object_id < 2):
            found[int(objects.object_id[k])] = (objects.magnitudes[k, 3], objects.errors[k, 3])
    assert found[0] == (21.5, 0.25)
    assert found[1][0] == 21
    assert np.isnan(found[1][1])


@pytest.mark.parametrize("name", [QUASARS, GALAXIES])
@pytest.mark.parametrize("division", [0, 4])
def test_splits_are_disjoint_and_of_the_stated_size(name, division, quasar_file, galaxy_file):
    opened = all_splits(name, {QUASARS: quasar_file, GALAXIES: galaxy_file}[name], division)
    total = sum(map(len, opened.values()))
    ids = np.concatenate([o.object_id for o in opened.values()])
    assert len(np.unique(ids)) == total
    for split, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
        expected, scatter = share * total, np.sqrt(share * (1 - share) * total)
        assert abs(len(opened[split]) - expected) < 4 * scatter
    others = opened["test"].elsewhere
    np.testing.assert_array_equal(others["train"], opened["train"].object_id)
    assert set(others) == {"train", "validation"}


def test_rows_that_are_shuffled_or_fewer_keep_their_split(tmp_path, quasar_file):
    whole = all_splits(QUASARS, quasar_file)
    frame = pd.read_csv(quasar_file, dtype=str).sample(frac=0.5, random_state=1)
    path = tmp_path / "half.csv"
    frame.to_csv(path, index=False)
    half = all_splits(QUASARS, path)
    assert 1300 < sum(map(len, half.values())) < 1700
    for split in SPLITS:
        assert np.isin(half[split].object_id, whole[split].object_id).all()
    assert "another file" in half["test"].nature
    assert half["test"].version.startswith("1.0.0+file.")


def test_one_galaxy_of_two_surveys_stands_on_one_side(galaxy_file, galaxies):
    """Found here by position in magnitudes: the pairs differ by 1e-5 mag, not exactly equal."""
    from scipy.spatial import cKDTree

    seen = np.flatnonzero(galaxies["i"].abs() < 90)
    points = galaxies.iloc[seen][list("griz")].to_numpy()
    pairs = seen[cKDTree(points).query_pairs(1e-3, p=np.inf, output_type="ndarray")]
    assert len(pairs) == 4
    assert not (
        galaxies["g"].to_numpy()[pairs[:, 0]] == galaxies["g"].to_numpy()[pairs[:, 1]]
    ).all()
    for division in (0, 4):
        for objects in all_splits(GALAXIES, galaxy_file, division).values():
            inside = np.isin(pairs, objects.object_id)
            assert (inside[:, 0] == inside[:, 1]).all()


def test_a_second_spectrum_of_a_quasar_shares_its_split(tmp_path, quasar_file, listed):
    frame = pd.read_csv(quasar_file, dtype=str).loc[listed.index[:40]]
    again = frame.assign(MJD="55555", redshift="1.5")
    path = tmp_path / "repeats.csv"
    pd.concat([frame, again]).to_csv(path, index=False)
    fibre = {}
    for split, objects in all_splits(QUASARS, path).items():
        for object_id in objects.object_id:
            fibre.setdefault(int(object_id) >> 14, set()).add(split)
    assert len(fibre) == 40
    assert all(len(splits) == 1 for splits in fibre.values())


@pytest.mark.parametrize("column", ["obj_ID", "spec_obj_ID"])
def test_rounded_ids_are_refused(column, quasar_file):
    with pytest.raises(UsageError, match=f"{column}.* were rounded .*told apart.*plate"):
        open_table(QUASARS, quasar_file, "test", key=column)


def test_ids_that_occur_twice_are_refused(quasar_file):
    with pytest.raises(DataIntegrityError, match=r"ids occur more than once"):
        open_table(QUASARS, quasar_file, "test", key="plate")


def test_columns_that_are_missing_are_named_with_what_was_meant(tmp_path, quasar_file):
    frame = pd.read_csv(quasar_file, dtype=str, nrows=20)
    path = tmp_path / "renamed.csv"
    frame.rename(columns={"fiber_ID": "fiberID", "g": "gmag"}).to_csv(path, index=False)
    with pytest.raises(UsageError, match=r"no column g, fiber_ID \(did you mean .*fiberID"):
        open_table(QUASARS, path, "test")


def test_text_among_numbers_is_named_with_its_row(tmp_path, quasar_file):
    frame = pd.read_csv(quasar_file, dtype=str, nrows=20)
    frame.loc[6, "g"] = "faint"
    path = tmp_path / "text.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(UsageError, match="column g holds 'faint' on row 7"):
        open_table(QUASARS, path, "test")


def test_codes_and_empty_cells_are_missing(tmp_path, quasar_file, listed):
    frame = pd.read_csv(quasar_file, dtype=str).loc[listed.index[:30]]
    for row, code in enumerate(("-9999", "99.0", "-99", "inf", "", "nan")):
        frame.iloc[row, frame.columns.get_loc("u")] = code
    path = tmp_path / "codes.csv"
    frame.to_csv(path, index=False)
    u = np.concatenate([o.magnitudes[:, 0] for o in all_splits(QUASARS, path).values()])
    assert len(u) == 30
    assert np.isnan(u).sum() == 6


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"<!DOCTYPE html><html>moved</html>", DataIntegrityError, "is a web page"),
        (b"", UsageError, "is empty"),
        (b"PAR1 and nothing else", DataIntegrityError, "cannot read the table"),
        (b"SIMPLE  = nonsense", DataIntegrityError, "cannot read the table"),
        (b"\x00\xff\xfe binary", DataIntegrityError, "cannot read the table"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, content, kind, words):
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(kind, match=words):
        open_table(QUASARS, path, "test")


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        (QUASARS, None, "give its file with --table"),
        ("sdss-dr17-quasar", "some.csv", "did you mean sdss-dr17-quasars"),
        ("sdss-qso", "some.csv", "leave --table out"),
        (QUASARS, "absent.csv", "cannot read absent.csv"),
    ],
)
def test_names_and_files_that_do_not_fit_each_other(name, table, words):
    with pytest.raises(UsageError, match=words):
        open_any(name, "test", table=Path(table) if table else None)


def test_splits_and_divisions_that_there_are_not(quasar_file):
    with pytest.raises(UsageError, match="has no split 'training': choose train"):
        open_table(QUASARS, quasar_file, "training")
    with pytest.raises(UsageError, match="has divisions 0 to 4"):
        open_table(QUASARS, quasar_file, "test", division=5)


def test_a_limit_takes_what_a_smaller_one_takes_too(quasar_file):
    ten, fifty = (open_table(QUASARS, quasar_file, "train", limit=n) for n in (10, 50))
    assert (len(ten), len(fifty)) == (10, 50)
    assert np.isin(ten.object_id, fifty.object_id).all()


def test_declarations_are_complete():
    for table in TABLES.values():
        assert len(table.magnitudes) == len(table.filters)
        assert len(table.errors) in (0, len(table.filters))
        assert set(table.alike) <= set(table.columns())


@pytest.mark.parametrize("separator", [",", "\t", " ", ";"])
def test_text_is_read_whatever_separates_it(tmp_path, separator):
    path = tmp_path / "table.dat"
    lines = (("# a", "b"), ("1", "2.5"), ("3", "nan"))
    path.write_text("\n".join(separator.join(line) for line in lines) + "\n")
    frame = read_frame(path, ("b", "a"))
    np.testing.assert_array_equal(numbers(frame, "a", path), [1, 3])
    np.testing.assert_array_equal(numbers(frame, "b", path), [2.5, np.nan])
