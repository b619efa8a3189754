"""The datasets by name: classes, addresses, and what is said when nothing is built."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

import galaxyds
from galaxyds.datasets import DATASETS, SDSSQuasar, open_dataset
from galaxyds.errors import DatasetNotFoundError, UsageError
from galaxyds.publish import write_product
from galaxyds.specs import get_spec, spec_names
from galaxyds.store.layout import build_path
from galaxyds.store.verify import verify
from tests.small_build import manifest
from tests.small_build import table as small_table

SPEC = get_spec("sdss-qso")


def quasars(rows):
    small = small_table(rows, SPEC)
    rng = np.random.default_rng(0)
    columns = {name: small[name] for name in small.column_names}
    for column in SPEC.stored_columns():
        if column.name not in columns:
            kind = {"string": "U3"}.get(column.dtype, column.dtype)
            columns[column.name] = rng.integers(18, 20, rows).astype(kind)
    columns |= {"spec_class": ["QSO"] * rows, "redshift_err": np.full(rows, 1e-4, "f4")}
    columns |= {"petro_rad_r": pa.nulls(rows, pa.float32()), "z_warning": np.zeros(rows, "i4")}
    return pa.table({**columns, "clean": np.ones(rows, "i4")})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    pixels = np.random.default_rng(1).normal(size=(40, 5, 64, 64)).astype("f4")
    write_product(
        build_path(home, SPEC.name, "extended", SPEC.version),
        spec=SPEC,
        manifest=manifest(SPEC),
        table=quasars(40),
        blocks=iter([pixels]),
    )
    return home


def test_every_declared_dataset_has_a_class():
    assert set(DATASETS) == set(spec_names())
    for name, kind in DATASETS.items():
        assert kind.declaration() is get_spec(name)


def test_a_build_of_the_real_declaration_verifies(home):
    results = list(verify(build_path(home, SPEC.name, "extended", SPEC.version), SPEC))
    assert [result for result in results if not result.ok] == []
    assert sum(result.check.startswith("rows that fail cut") for result in results) == 10


def test_the_class_the_function_and_the_package_open_the_same(home):
    by_class = SDSSQuasar("train", root=home, bands="gri")
    by_address = open_dataset("sdss-qso/extended:1.0.0", "train", root=home, bands="gri")
    by_package = galaxyds.load("galaxyds/sdss_qso", split="train", root=home, bands="gri")
    assert type(by_class) is type(by_address) is type(by_package) is SDSSQuasar
    assert by_class[0]["image"].shape == (3, 64, 64)
    for other in (by_address, by_package):
        torch.testing.assert_close(other[0], by_class[0])


def test_names_that_are_nearly_right_are_answered_with_the_right_one(home):
    with pytest.raises(DatasetNotFoundError, match="did you mean sdss-qso"):
        galaxyds.load("sdss-qsos", split="train", root=home)
    with pytest.raises(DatasetNotFoundError, match="run galaxyds build sdss-qso/baseline"):
        galaxyds.load("sdss-qso/baseline", split="train", root=home)
    with pytest.raises(UsageError, match="no dataset address"):
        galaxyds.load("SDSS QSO", split="train", root=home)
    with pytest.raises(UsageError, match="belongs into the address"):
        galaxyds.load("sdss-qso", split="train", root=home, config="extended")
