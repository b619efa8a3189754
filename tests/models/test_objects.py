"""What models see of a split: held to the catalogue of the build, read another way."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from galaxyds.errors import DatasetNotFoundError, UsageError
from galaxyds.spec import Column
from galaxyds.specs import get_spec, spec_names
from galaxyds.store import find_build
from galaxyds_models.objects import PHOTOMETRY, Photometry, known, open_objects, read_objects
from tests.small_build import SPEC, make_build

FILTERS = Photometry(
    filters=("g", "r"),
    magnitudes="mag_{}",
    errors="",
    extinctions="",
    ebv="",
    redshift_range=(0.5, 7.0),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    make_build(home, 80, simulated=True)
    return home


@pytest.fixture(autouse=True)
def _tiny_sky(monkeypatch):
    """The tests' own dataset is one of galaxyds here."""
    import galaxyds.datasets
    from galaxyds.loaders import GalaxyDataset

    class TinySky(GalaxyDataset):
        @classmethod
        def declaration(cls):
            return SPEC

    monkeypatch.setattr("galaxyds_models.objects.get_spec", lambda name: SPEC)
    monkeypatch.setitem(galaxyds.datasets.DATASETS, SPEC.name, TinySky)


def catalogue(home, split, division=0):
    """Rows of a split, read from the other file of the build, in order."""
    (path,) = home.glob("*/*/*/catalog.parquet")
    frame = pq.read_table(path).to_pandas()
    return frame[frame[f"split_{division}"] == ("train", "validation", "test").index(split)]


@pytest.mark.parametrize("division", [0, 2])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_has_the_rows_of_the_catalogue(home, split, division, monkeypatch):
    seen = replace(FILTERS, filters=("g",))
    monkeypatch.setitem(PHOTOMETRY, SPEC.name, seen)
    objects = open_objects("tiny-sky", split, root=home, division=division)
    theirs = catalogue(home, split, division)
    np.testing.assert_array_equal(objects.object_id, theirs["object_id"])
    np.testing.assert_array_equal(objects.redshift, theirs["redshift"])
    np.testing.assert_array_equal(objects.magnitudes[:, 0], theirs["mag_g"].astype("f4"))
    assert np.isnan(objects.magnitudes).any() == theirs["mag_g"].isna().any()
    assert objects.redshift_range == (0.5, 7.0)
    assert (objects.errors, objects.extinctions, objects.ebv) == (None, None, None)


def test_where_they_are_from(home):
    objects = open_objects("tiny-sky/extended", "test", root=home, division=1)
    (path,) = home.glob("*/*/*/manifest.json")
    assert objects.manifest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (objects.address, objects.version) == ("tiny-sky/extended", "1.2.0+simulated")
    assert objects.simulated
    assert objects.nature == "simulated sky"
    assert objects.bands == ("u", "g", "r")
    assert (objects.split, objects.division) == ("test", 1)


def test_rows_lead_to_the_pixels_of_the_object(home):
    objects = open_objects("tiny-sky", "train", root=home)
    some = objects.take(np.array([7, 3, 11])).take(np.array([2, 0]))
    np.testing.assert_array_equal(some.object_id, objects.object_id[[11, 7]])
    samples = [some.dataset[int(row)] for row in some.rows]
    assert [int(sample["object_id"]) for sample in samples] == some.object_id.tolist()
    batch = some.dataset.batch(some.rows)
    np.testing.assert_array_equal(batch["redshift"].numpy(), some.redshift)


def test_a_limit_is_reproducible_and_nested(home):
    whole = open_objects("tiny-sky", "train", root=home)
    small, large = (open_objects("tiny-sky", "train", root=home, limit=n) for n in (5, 20))
    assert (len(small), len(large)) == (5, 20)
    assert np.isin(small.object_id, large.object_id).all()
    assert not np.array_equal(large.object_id, whole.object_id[:20])
    assert (np.diff(large.rows) > 0).all()
    shuffled = whole.take(np.random.default_rng(0).permutation(len(whole))).first(20)
    assert set(shuffled.object_id) == set(large.object_id)
    assert len(whole.first(10_000)) == len(whole)


def test_ids_of_the_other_splits_are_known(home):
    objects = open_objects("tiny-sky", "test", root=home)
    assert set(objects.elsewhere) == {"train", "validation"}
    for split, ids in objects.elsewhere.items():
        np.testing.assert_array_equal(ids, catalogue(home, split)["object_id"])


def test_without_a_declared_range_it_is_that_of_the_training_split(home):
    theirs = catalogue(home, "train")["redshift"].to_numpy()
    for split in ("train", "test"):
        objects = open_objects("tiny-sky", split, root=home)
        assert objects.redshift_range == (theirs.min(), theirs.max())
        assert objects.magnitudes.shape == (len(objects), 0)


def test_bands_that_an_object_lacks_are_told(tmp_path):
    optional = replace(SPEC.bands[2], optional=True)
    mask = Column(name="band_mask", dtype="int16", derived="", description="bits")
    spec = replace(SPEC, bands=(*SPEC.bands[:2], optional))
    make_build(tmp_path, 30, spec)
    from galaxyds.refs import DatasetRef

    found = find_build(tmp_path, DatasetRef.parse("tiny-sky"), spec)
    objects = read_objects(found, spec, "train", division=0)
    (path,) = tmp_path.glob("*/*/*/catalog.parquet")
    frame = pq.read_table(path).to_pandas()
    bits = frame[frame["split_0"] == 0][mask.name].to_numpy()
    expected = [[bool(value >> band & 1) for band in range(3)] for value in bits]
    assert objects.band_mask.tolist() == expected
    assert not objects.band_mask.all()


@pytest.mark.parametrize(
    ("split", "division", "words"),
    [("training", 0, "no split 'training': choose train"), ("test", 3, "divisions 0 to 2, not 3")],
)
def test_splits_and_divisions_that_there_are_not(home, split, division, words):
    with pytest.raises(UsageError, match=words):
        open_objects("tiny-sky", split, root=home, division=division)


def test_what_is_not_built_names_the_command(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="galaxyds build tiny-sky"):
        open_objects("tiny-sky", "test", root=tmp_path)


def test_codes_for_missing_values_are_nan():
    values = known(np.array([22.5, 99.0, -99.0, -9999.0, np.inf, np.nan, 90.0, -90.1]))
    assert np.isnan(values).tolist() == [False, True, True, True, True, True, False, True]
    assert values.dtype == np.float32


@pytest.mark.parametrize("name", spec_names())
def test_the_photometry_of_every_dataset_is_stored(name):
    spec = get_spec(name)
    seen = PHOTOMETRY[name]
    stored = {column.name: column for column in spec.stored_columns()}
    assert set(seen.names()) <= set(stored)
    assert bool(seen.extinctions) == any(n.startswith("extinction_") for n in stored)
    assert bool(seen.ebv) == ("ebv" in stored)
    low, high = seen.redshift_range
    for cut in spec.configs[0].cuts:
        limit = cut.sql.rpartition(" ")[2]
        if cut.name == "redshift-high" and cut.sql.startswith("redshift <"):
            # CFHTLS: classes of the published network end at 4, the cut at 6.
            assert high == (4.0 if name == "cfhtls-wide" else float(limit))
        if cut.name == "redshift-low" and cut.sql.startswith("redshift >"):
            assert low <= float(limit) < low + 0.1


def test_columns_are_read_without_torch(home):
    code = (
        "import sys\nimport galaxyds_models.objects, galaxyds_models.tables\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("dataset", "bins", "top"),
    [("sdss-mgs", 180, 0.4), ("cfhtls-wide", 1000, 4.0), ("hsc-deep", 1500, 6.0)],
)
def test_each_dataset_of_the_multimodal_paper_has_its_classes(dataset, bins, top):
    from galaxyds_models.multimodal.heads import choose_grid

    grid = choose_grid(PHOTOMETRY[dataset].redshift_range)
    assert (grid.bins, grid.low, grid.high) == (bins, 0.0, top)
