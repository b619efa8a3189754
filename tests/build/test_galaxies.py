"""A build of hsc-galaxiesml on the simulated sky: two configs of one download, measured."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from galaxyds.archives.simulated_hsc import SimulatedHSC
from galaxyds.build import Request, build
from galaxyds.datasets import HSCGalaxiesML
from galaxyds.morphology.flags import NOT_DETECTED, OFF_CENTER, mask
from galaxyds.refs import DatasetRef
from galaxyds.specs import get_spec
from galaxyds.store import find_family, image_map, read_columns, read_manifest

pytest.importorskip("galsim")
BANDS = "grizy"


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """Ids of sixty bright galaxies and of ten that are not."""
    table = (
        SimulatedHSC()
        .server.execute(
            "SELECT object_id, i_cmodel_mag FROM pdr2_wide.forced "
            "LEFT JOIN pdr2_wide.specz USING (object_id) "
            "WHERE specz_redshift > 0.1 AND i_cmodel_mag < 22.5 AND tract = 20001 "
            "ORDER BY object_id"
        )
        .to_pandas()
    )
    chosen = table[table.i_cmodel_mag < 20.5].object_id[:60].tolist()
    chosen += table[table.i_cmodel_mag > 22].object_id[:10].tolist()
    path = tmp_path_factory.mktemp("list") / "galaxies.csv"
    path.write_text("object_id\n" + "\n".join(str(i) for i in sorted(set(chosen))) + "\n")
    return path


@pytest.fixture(scope="module")
def built(listed, tmp_path_factory):
    root = tmp_path_factory.mktemp("galaxies")
    request = Request(
        address="hsc-galaxiesml", archive="simulated", objects=listed, root=root, jobs=1
    )  # fmt: skip
    return build(request)


def root_of(summary):
    return summary.path.parents[2]


def test_both_sizes_hold_the_same_objects_one_the_middle_of_the_other(built):
    large, small = (image_map(b.images) for b in built.built)
    assert [b.manifest.config for b in built.built] == ["127", "64"]
    assert large.shape[1:] == (5, 127, 127)
    assert small.shape[1:] == (5, 64, 64)
    assert np.array_equal(small, large[..., 31:95, 31:95])
    columns = [read_columns(b.images) for b in built.built]
    shifted = {"cutout_x", "cutout_y"}
    for name, values in columns[0].items():
        if name in shifted:
            assert np.allclose(values - columns[1][name], 31)
        else:
            assert np.array_equal(values, columns[1][name], equal_nan=values.dtype.kind == "f")


def test_padding_is_zero_and_told(built):
    images = image_map(built.path / "images.hdf5")
    columns = read_columns(built.path / "images.hdf5")
    for n in range(len(images)):
        outside = np.ones((127, 127), bool)
        row, column = columns["pad_rows"][n], columns["pad_columns"][n]
        outside[row : row + columns["raw_rows"][n], column : column + columns["raw_columns"][n]] = 0
        assert (images[n][:, outside] == 0).all()
        assert (images[n][:, ~outside] != 0).mean() > 0.99
        assert row == (127 - columns["raw_rows"][n]) // 2


def test_further_names_are_the_same_data(built):
    with h5py.File(built.path / "images.hdf5") as file:
        assert file["specz_redshift"].id.get_offset() == file["redshift"].id.get_offset()
    dataset = HSCGalaxiesML(
        "all", root=root_of(built), version=built.manifest.version, columns=["specz_redshift"]
    )
    assert dataset[0]["specz_redshift"] == read_columns(dataset.build.images)["redshift"][0]


@pytest.mark.parametrize(("config", "size"), [("127", 127), ("64", 64)])
def test_the_class_loads_both_sizes(built, config, size):
    version = built.manifest.version
    dataset = HSCGalaxiesML("all", root=root_of(built), config=config, version=version, bands="gri")
    assert dataset[0]["image"].shape == (3, size, size)
    assert dataset[0]["image"].dtype == torch.float32
    family = find_family(root_of(built), DatasetRef("hsc-galaxiesml"), get_spec(dataset.name))
    assert [build.manifest.config for build in family] == ["127", "64"]


def test_shapes_are_those_of_the_objects_that_were_asked_for(built):
    """The described source stands where the catalogue says, and is as bright."""
    columns = read_columns(built.path / "images.hdf5")
    images = image_map(built.path / "images.hdf5")
    bright = columns["i_cmodel_mag"] < 20.5
    other = columns["i_morphology_flags"] & mask(NOT_DETECTED, OFF_CENTER) != 0
    assert bright.sum() > 40
    assert other[bright].mean() < 0.05
    good = bright & ~other
    x = columns["i_x_coord"] - 1 + columns["pad_columns"]
    y = columns["i_y_coord"] - 1 + columns["pad_rows"]
    distance = np.hypot(x - columns["cutout_x"], y - columns["cutout_y"])[good]
    assert np.median(distance) < 0.3
    # Half of the light within the half-light radius: the aperture sums of the images themselves.
    flux = 10 ** (0.4 * (27 - columns["i_cmodel_mag"]))
    grid = np.arange(127)
    shares = []
    for n in np.flatnonzero(good):
        near = np.hypot(grid[None] - x[n], grid[:, None] - y[n]) < columns["i_half_light_radius"][n]
        shares.append(images[n, 2][near].sum() / flux[n])
    assert 0.4 < np.median(shares) < 0.6


def test_fits_are_sane_for_bright_galaxies(built):
    columns = read_columns(built.path / "images.hdf5")
    bright = (columns["i_cmodel_mag"] < 20.5) & (columns["i_morphology_flags"] == 0)
    index, radius = columns["i_sersic_index"][bright], columns["i_sersic_radius"][bright]
    assert bright.sum() > 20
    assert np.isfinite(index).all()
    assert 0.7 < np.median(index) < 4
    assert 0.5 < np.median(radius / columns["i_half_light_radius"][bright]) < 1.3
    assert 0.8 < np.median(columns["i_sersic_chi2"][bright]) < 1.5


def test_bytes_do_not_depend_on_workers_nor_on_which_config_was_named(built, listed, tmp_path):
    request = Request(
        address="hsc-galaxiesml/64", archive="simulated", objects=listed, root=tmp_path, jobs=2
    )  # fmt: skip
    again = build(request)
    assert [b.manifest.config for b in again.built] == ["64"]
    assert not (tmp_path / "hsc_galaxiesml" / "127").exists()
    first = read_manifest(built.built[1].path / "manifest.json").files
    assert again.manifest.files == first
    # The other one, asked for later, is made from a new download.
    both = build(Request(**{**vars(request), "address": "hsc-galaxiesml"}))
    assert both.built[0].manifest.files == read_manifest(built.path / "manifest.json").files
    assert both.built[1].manifest.files == first
    third = build(request)
    assert third.skipped == third.stages
