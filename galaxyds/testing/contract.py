"""What any dataset of galaxyds promises, as tests.

A subclass names the dataset and inherits them::

    class TestQuasars(DatasetContract):
        name = "sdss-qso"
        golden_integers = "4f1d..."
        golden_pixels = {"u": (0.0012, 0.21), ...}

Checked, on a small build from the simulated archive:

* the spec declares everything, and nothing in it is left to be filled in;
* every cut with an effect removes at least one row;
* the manifest's cut flow is without gaps and ends at the number of rows before duplicates;
* ``verify`` finds nothing;
* splits are disjoint by object, by content and by position, and every division holds every object;
* with folds, every object is tested in exactly one of them;
* a band that an object lacks is zeros and said so, and no other band is;
* the object stands at pixel (N-1)/2, within what the spec allows;
* the torch Dataset gives the declared shapes and dtypes, equal to the HDF5 values;
* the content is that of last time (``golden_...``), so that no change of it goes unnoticed; the
  first time the test fails and says which lines to paste.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galaxyds.spec import SPLITS
from galaxyds.specs import get_spec
from galaxyds.store import image_map, read_columns, verify
from galaxyds.testing.filled import unfilled

if TYPE_CHECKING:
    from galaxyds.build import Summary
    from galaxyds.spec import DatasetSpec


class DatasetContract:
    """Inherit to get the tests; a fixture ``built`` gives the build (a ``Summary``).

    Attributes
    ----------
    name : str
        The dataset.
    golden_integers : str
        :func:`fingerprint` of the small build; left empty until the first run has told it.
    golden_pixels : dict of str to (float, float)
        Mean and standard deviation of every band of the small build.
    config : str
        The config that ``built`` is of; empty for the default one.
    """

    name: ClassVar[str]
    golden_integers: ClassVar[str] = ""
    golden_pixels: ClassVar[dict[str, tuple[float, float]]] = {}
    config: ClassVar[str] = ""

    @property
    def spec(self) -> DatasetSpec:
        """The declaration under test."""
        return get_spec(self.name).of(self.config or get_spec(self.name).configs[0].name)

    def test_nothing_is_left_to_fill_in(self) -> None:
        """Texts that ``galaxyds new`` marked are written, and the published counts are known."""
        left = unfilled(get_spec(self.name))
        assert not left, f"fill in these places of the spec of {self.name}: {', '.join(left)}"

    def test_every_cut_removes_something(self, built: Summary) -> None:
        """A cut that never bites is not tested by anything else here."""
        idle = [c.name for c in self.spec.config(built.manifest.config).cuts if not c.has_effect]
        for row in built.manifest.cut_flow:
            told = f"cut '{row.name}' ({row.sql}) removed {row.removed} rows of {row.rows_before}"
            assert row.removed > 0 or row.name in idle, f"{told}: drop it, or has_effect=False"
            assert row.removed == 0 or row.name not in idle, f"{told}, against has_effect=False"

    def test_the_cut_flow_has_no_gaps(self, built: Summary) -> None:
        """Each cut begins where the one before ended."""
        flow = built.manifest.cut_flow
        names = [cut.name for cut in self.spec.config(built.manifest.config).cuts]
        counted = [row.name for row in flow]
        assert counted == names, f"declare the cuts with pushdown first, as they count: {counted}"
        for before, after in itertools.pairwise(flow):
            assert before.rows_after == after.rows_before
        assert all(row.rows_before - row.removed == row.rows_after for row in flow)

    def test_verify_finds_nothing(self, built: Summary) -> None:
        """Every file reads back as declared."""
        results = list(verify(built.path, self.spec))
        assert results
        assert [result for result in results if not result.ok] == []

    def test_splits_are_disjoint_by_object_and_by_content(self, built: Summary) -> None:
        """No object, and no pixel content, stands twice."""
        columns = read_columns(built.path / "images.hdf5")
        ids = columns[self.spec.object_id]
        assert len(np.unique(ids)) == len(ids) == built.manifest.rows
        images = image_map(built.path / "images.hdf5")
        contents = {hashlib.sha256(image.tobytes()).digest() for image in images}
        assert len(contents) == len(ids)
        for division, counts in built.manifest.splits.items():
            codes = columns[f"split_{division}"]
            assert sum(counts.values()) == len(ids)
            names = self.spec.split.names
            assert list(counts) == list(names)
            assert np.bincount(codes, minlength=len(names)).tolist() == list(counts.values())

    def test_no_position_stands_twice(self, built: Summary) -> None:
        """Where the declaration removes repeats by position, none is left, in any split."""
        from galaxyds.catalog.positions import nearest

        columns = read_columns(built.path / "images.hdf5")
        for rule in self.spec.duplicates:
            for k in range(1, len(columns["ra"]) if rule.radius else 0):
                index, _ = nearest(
                    columns["ra"][k : k + 1], columns["dec"][k : k + 1],
                    to_ra=columns["ra"][:k], to_dec=columns["dec"][:k], radius=rule.radius,
                )  # fmt: skip
                assert index.tolist() == [-1]

    def test_every_object_is_tested_in_exactly_one_fold(self, built: Summary) -> None:
        """Further test samples stand outside of the folds, in all of them."""
        rule = self.spec.split
        columns = read_columns(built.path / "images.hdf5")
        codes = np.stack([columns[f"split_{k}"] for k in range(rule.divisions)])
        apart = codes >= len(SPLITS)
        assert (apart.all(axis=0) == apart.any(axis=0)).all()
        if rule.folds:
            tested = (codes == SPLITS.index("test")).sum(axis=0)
            assert tested[~apart.any(axis=0)].tolist() == [1] * int((~apart.any(axis=0)).sum())

    def test_a_missing_band_is_zeros_and_said_so(self, built: Summary) -> None:
        """The mask and the pixels agree, band by band."""
        if not self.spec.has_optional_bands():
            return
        images = image_map(built.path / "images.hdf5")
        mask = read_columns(built.path / "images.hdf5", ("band_mask",))["band_mask"]
        for k, band in enumerate(self.spec.bands):
            has_data = (mask >> k & 1).astype(bool)
            empty = (np.asarray(images[:, k]) == 0).all(axis=(1, 2))
            assert np.array_equal(has_data, ~empty), band.name
            assert band.optional or has_data.all()

    def test_the_object_stands_in_the_middle(self, built: Summary) -> None:
        """Flips and rotations keep it there."""
        columns = read_columns(built.path / "images.hdf5")
        middle = (self.spec.pixels.size - 1) / 2
        most = self.spec.pixels.off_centre + 1e-3
        assert np.abs(columns["cutout_x"] - middle).max() <= most
        assert np.abs(columns["cutout_y"] - middle).max() <= most

    def test_the_torch_dataset_equals_the_file(self, built: Summary) -> None:
        """Shapes, dtypes, values."""
        import torch

        from galaxyds.datasets import open_dataset

        root = _root(built.path)
        address = f"{self.name}/{built.manifest.config}:{built.manifest.version}"
        dataset = open_dataset(address, "all", root=root)
        sample = dataset[len(dataset) - 1]
        assert sample["image"].shape == self.spec.image_shape()
        assert sample["image"].dtype == torch.float32
        pixels = image_map(built.path / "images.hdf5")
        assert np.array_equal(sample["image"].numpy(), pixels[-1], equal_nan=True)
        parts = [len(open_dataset(address, s, root=root)) for s in self.spec.split.names]
        assert sum(parts) == len(dataset)

    def test_the_content_is_that_of_last_time(self, built: Summary) -> None:
        """A change here needs a change of the dataset's version.

        Whole numbers are compared by their sha256, pixels by mean and scatter to one part in a
        thousand: transcendental functions differ in the last bit between kinds of processor.
        """
        lines = f"golden values for {type(self).__name__}:\n{golden_lines(built, self.spec)}"
        assert self.golden_integers, f"there are none yet: read the build, then paste the {lines}"
        assert self.golden_pixels, f"the pixels have none yet: paste the {lines}"
        found_integers = fingerprint(built.path, self.spec)
        changed = f"the content of {self.name} has changed: if it should, give it a new version, "
        assert found_integers == self.golden_integers, f"{changed}then paste the {lines}"
        for band, (mean, std) in self.golden_pixels.items():
            found = built.manifest.bands[band]
            assert found.mean is not None
            assert found.std is not None
            assert abs(found.mean - mean) <= 1e-3 * abs(mean), (band, found.mean)
            assert abs(found.std - std) <= 1e-3 * std, (band, found.std)


def golden_lines(built: Summary, spec: DatasetSpec) -> str:
    """Write the golden values of a build as the lines of a subclass.

    Parameters
    ----------
    built : Summary
        The small build.
    spec : DatasetSpec
        Its declaration, narrowed to its config.

    Returns
    -------
    str
        Python, indented by four spaces.
    """
    bands = "".join(
        f'        "{band}": ({found.mean:.6g}, {found.std:.6g}),\n'
        for band, found in built.manifest.bands.items()
        if found.mean is not None and found.std is not None
    )
    integers = fingerprint(built.path, spec)
    return f'    golden_integers = "{integers}"\n    golden_pixels: ClassVar = {{\n{bands}    }}'


def fingerprint(path: Path, spec: DatasetSpec) -> str:
    """Sha256 over the whole-number columns of a build: ids, tiles, flags, splits.

    What is counted in pixels is left out: a threshold may fall on another side elsewhere.

    Parameters
    ----------
    path : pathlib.Path
        The build.
    spec : DatasetSpec
        Its declaration.

    Returns
    -------
    str
        Hexadecimal; the same on every machine.
    """
    digest = hashlib.sha256()
    columns = read_columns(path / "images.hdf5")
    measured = {column.name for column in spec.measured}
    for column in spec.stored_columns():
        if column.dtype.startswith(("int", "uint")) and column.name not in measured:
            values = columns[column.name]
            digest.update(f"{column.name} {values.dtype.name} {len(values)}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _root(path: Path) -> Path:
    return path.parents[2]
