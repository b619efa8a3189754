"""hsc-deep from the simulated sky, and from an archive in memory: masks, zeros, test samples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from galaxyds.archives.base import NO_DATA, Cutout, CutoutObject
from galaxyds.archives.simulated_deep import SimulatedDeep
from galaxyds.build import Request, build
from galaxyds.build.lists import ListUnit
from galaxyds.build.shards import read_shard
from galaxyds.pixels.flags import NAN_PIXELS, mask
from galaxyds.sky import DEFAULT_SEED
from galaxyds.specs import get_spec
from galaxyds.store import image_map, read_columns
from tests.sky.deep_small import BANDS, SMALL, A, B, wanted

SAMPLES = ("training", "test_3dhst", "test_primus", "test_cosmos2020")


@pytest.fixture(scope="module")
def sky():
    pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")
    return SimulatedDeep(footprint=SMALL)


@pytest.fixture(scope="module")
def compiled(sky):
    """The catalogue: it takes some seconds, and every build would make the same one."""
    return sky._objects()


@pytest.fixture(scope="module")
def listed(compiled, tmp_path_factory):
    """Objects of both fields and of every sample."""
    rows, _ = wanted(compiled.table)
    few = rows.groupby(["tract", "sample", "nir_coverage"]).head(3)
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_text("objID\n" + "\n".join(map(str, few.object_id)) + "\n")
    return path


def make(root, config, compiled, **more):
    request = Request(
        address=f"hsc-deep/{config}", archive="simulated", root=root, jobs=1, **more
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as executor:
        patch.setattr(SimulatedDeep.__init__, "__defaults__", (DEFAULT_SEED, SMALL))
        patch.setattr(SimulatedDeep, "_objects", lambda self: compiled)
        return build(request, executor=executor)


@pytest.fixture(scope="module")
def nine(compiled, listed, tmp_path_factory):
    return make(tmp_path_factory.mktemp("nine"), "9band", compiled, objects=listed)


def opened(summary):
    file = summary.path / "images.hdf5"
    return read_columns(file), np.asarray(image_map(file))


def test_what_is_missing_is_zeros_and_a_bit(nine):
    columns, images = opened(nine)
    assert images.shape[1:] == (9, 64, 64)
    bits = columns["band_mask"]
    assert (bits & 0b111111 == 0b111111).all()
    assert np.array_equal(bits >> 6, columns["nir_coverage"])
    assert {0, 1, 7} <= set((bits >> 6).tolist())
    for number in range(6, 9):
        there = (bits >> number) & 1 == 1
        assert 0 < there.sum() < len(bits)
        assert (images[~there, number] == 0).all()
        shown = images[there, number]
        assert (np.nanstd(shown, axis=(1, 2)) > 0).all()
        assert np.isfinite(shown[:, 31:33, 31:33]).all()
    with_nan = np.isnan(images).any(axis=(1, 2, 3))
    assert with_nan.any()  # mosaics end within the fields
    assert np.array_equal(with_nan, columns["cutout_flags"] & mask(NAN_PIXELS) > 0)
    assert np.abs(columns["cutout_x"] - 31.5).max() <= 0.5 + 1e-6


def test_test_samples_are_splits_of_their_own(nine):
    columns, _ = opened(nine)
    spec = get_spec("hsc-deep")
    assert spec.split.names == ("train", "validation", "test", *SAMPLES[1:])
    samples = columns["sample"].astype(str)
    assert set(samples) == set(SAMPLES)
    tested = np.zeros(len(samples), int)
    for fold in range(5):
        codes = columns[f"split_{fold}"]
        for code, name in enumerate(SAMPLES[1:], 3):
            assert np.array_equal(codes == code, samples == name)
        tested += codes == 2
    assert (tested[samples == "training"] == 1).all()
    assert (tested[samples != "training"] == 0).all()


def test_both_configs_hold_the_same_optical_pixels(nine, compiled, listed, tmp_path):
    six = make(tmp_path, "6band", compiled, objects=listed)
    columns, images = opened(six)
    other, all_bands = opened(nine)
    assert images.shape[1:] == (6, 64, 64)
    assert "band_mask" not in columns
    assert np.array_equal(columns["object_id"], other["object_id"])
    assert np.array_equal(images, all_bands[:, :6], equal_nan=True)
    assert [t.name for t in six.manifest.surveys][-1] == "cosmos2020"


def test_the_infrared_is_a_cut_of_9band(compiled, tmp_path):
    """A build with cuts: nothing without any of J, H and Ks, nothing of the Wide's rules."""
    spec = get_spec("hsc-deep")
    names = {config.name: [cut.name for cut in config.cuts] for config in spec.configs}
    assert names["9band"] == [*names["6band"], "infrared"]
    summary = make(tmp_path, "9band", compiled, limit=1)
    columns, images = opened(summary)
    assert len(images) == summary.manifest.rows > 20
    assert (columns["band_mask"] >> 6 > 0).all()
    assert set(columns["tract"].tolist()) <= {A.number, B.number}
    left = {row.name: row.rows_after for row in summary.manifest.cut_flow}
    table = compiled.table.to_pandas()
    kept = table[(table.separation <= 1)]
    bright = (kept.i_cmodel_mag <= 22.5) & (kept.redshift <= 0.9)
    kept = kept[(kept["sample"] != "test_primus") | bright]
    kept = kept[(kept.hsc_coverage == 31) & (kept.u_band != "none")]
    assert left["u-band"] == len(kept)
    assert left["infrared"] == (kept.nir_coverage > 0).sum() < len(kept)


class Memory:
    """An archive that delivers cutouts that it was given."""

    def __init__(self, cutouts):
        self.made = {cutout.object_id: cutout for cutout in cutouts}

    def cutouts(self, objects, bands, *, half_size):
        del bands, half_size
        return (self.made[one.object_id] for one in objects)


def cutout(object_id, missing, nan=()):
    pixels = {}
    for band in BANDS:
        if band not in missing:
            pixels[band] = np.full((64, 64), 1.0 + BANDS.index(band), np.float32)
            if band in nan:
                pixels[band][0, :3] = np.nan
    return Cutout(
        object_id=object_id, pixels=pixels, position=dict.fromkeys(pixels, (31.6, 31.4)),
        missing=dict.fromkeys(missing, NO_DATA),
    )  # fmt: skip


@pytest.mark.parametrize("optional", [("J", "H", "Ks"), ()])
def test_optional_bands_of_a_unit(tmp_path, optional):
    made = [
        cutout(1, ()), cutout(2, ("H",)), cutout(3, ("J", "H", "Ks"), nan=("u",)),
        cutout(4, ("y", "J")), cutout(5, (), nan=("Ks",)),
    ]  # fmt: skip
    objects = tuple(CutoutObject(object_id=n, ra=1.0, dec=2.0, tile=(7, 1)) for n in range(1, 6))
    unit = ListUnit(
        objects=objects, archive=Memory(made), bands=BANDS, size=64, half_size=32 * 0.168,
        scale=0.168, psf_size=0, reference="i", directory=tmp_path, optional=frozenset(optional),
    )  # fmt: skip
    told = unit.work()
    shard = read_shard(unit.shard)
    if not optional:
        assert shard["object_id"].tolist() == [1, 5]
        assert "band_mask" not in shard
        return
    assert shard["object_id"].tolist() == [1, 2, 3, 5]
    assert shard["band_mask"].dtype == np.int16
    assert shard["band_mask"].tolist() == [0b111111111, 0b101111111, 0b000111111, 0b111111111]
    assert told == ("4: no data in the archive (y)",)
    image = shard["image"]
    assert (image[1, 7] == 0).all()
    assert (image[1, 6] == 7).all()
    assert (image[2, 6:] == 0).all()
    assert np.isnan(image[2, 0, 0, :3]).all()
    assert (image[2, 0, 1:] == 1).all()
    flagged = shard["cutout_flags"] & mask(NAN_PIXELS) > 0
    assert flagged.tolist() == [False, False, True, True]
