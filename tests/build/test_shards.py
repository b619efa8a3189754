"""Shards: the pixels of many files in the order of the ids, whatever file they lie in."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.build.shards import Shards, write_shard
from galaxyds.errors import DataIntegrityError


def write(folder, groups):
    """One shard per group of ids; the pixels of an object say its id."""
    for number, group in enumerate(groups):
        ids = np.array(group, np.int64)
        image = (ids[:, None, None, None] + np.arange(2 * 3 * 3).reshape(2, 3, 3) / 100).astype(
            "f4"
        )
        write_shard(folder / "1" / f"{number:03}.npz", {"object_id": ids, "image": image})


@pytest.mark.parametrize("size", [1, 7, 256])
@pytest.mark.parametrize("files", [1, 3, 300])
def test_pixels_come_in_the_order_of_the_ids(tmp_path, files, size):
    ids = np.random.default_rng(files).permutation(900)
    write(tmp_path, [np.sort(part) for part in np.array_split(ids, files)])
    images = np.concatenate(list(Shards(tmp_path).blocks(size)))
    assert np.array_equal(images[:, 0, 0, 0], np.arange(900))
    assert np.allclose(images[:, 1, 2, 2] - images[:, 0, 0, 0], 0.17, atol=1e-4)


def test_a_damaged_shard_is_named_although_its_rows_take_turns_with_others(tmp_path):
    write(tmp_path, [range(0, 40, 2), range(1, 40, 2)])
    path = tmp_path / "1" / "001.npz"
    content = bytearray(path.read_bytes())
    place = content.find(np.float32(21).tobytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataIntegrityError, match=r"001\.npz is damaged"):
        list(Shards(tmp_path).blocks(4))
