from __future__ import annotations

import numpy as np
import pyarrow as pa

from galaxyds.catalog import chains, take_tiles, tiles_of

NAMES = ("run", "camcol", "field")


def table(n: int = 3000, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "run": rng.integers(94, 97, n),
            "camcol": rng.integers(1, 7, n),
            "field": rng.integers(11, 40, n),
            "object_id": rng.permutation(n),
        }
    )


def test_every_row_stands_in_its_tile_once():
    rows = table()
    tiles = tiles_of(rows, NAMES)
    assert sorted(np.concatenate(list(tiles.values()))) == list(range(rows.num_rows))
    for tile, chosen in tiles.items():
        part = rows.take(chosen)
        assert all(set(part.column(n).to_pylist()) == {v} for n, v in zip(NAMES, tile, strict=True))


def test_a_limit_takes_whole_tiles_whatever_the_order_and_grows_by_adding():
    rows = table()
    shuffled = rows.take(np.random.default_rng(2).permutation(rows.num_rows))
    small, large = take_tiles(rows, NAMES, 200), take_tiles(rows, NAMES, 500)
    ids = lambda t: set(t.column("object_id").to_pylist())  # noqa: E731
    assert 200 <= small.num_rows < 200 + 60
    assert ids(small) == ids(take_tiles(shuffled, NAMES, 200))
    assert ids(small) < ids(large)
    whole = tiles_of(rows, NAMES)
    for tile, chosen in tiles_of(small, NAMES).items():
        assert len(chosen) == len(whole[tile])
    assert ids(take_tiles(rows, NAMES, 10**9)) == ids(rows)


def test_chains_join_tiles_that_read_the_same_frames():
    tiles = [(1, 1, f) for f in (3, 4, 5, 7, 9)] + [(1, 2, 4), (2, 1, 6)]
    joined = chains(tiles, needs_previous={(1, 1, 5)}, needs_next={(1, 1, 7)})
    assert joined == [
        ((1, 1, 3),),
        ((1, 1, 4), (1, 1, 5)),
        ((1, 1, 7),),
        ((1, 1, 9),),
        ((1, 2, 4),),
        ((2, 1, 6),),
    ]
    # 7 needs 8 and 9 needs 8: both read tile 8, so they share a chain.
    assert ((1, 1, 7), (1, 1, 9)) in chains(tiles, {(1, 1, 9)}, {(1, 1, 7)})


def test_no_frame_is_read_by_two_chains():
    rng = np.random.default_rng(3)
    tiles = sorted({(1, int(c), int(f)) for c, f in rng.integers(1, 30, (200, 2))})
    previous = {t for t in tiles if rng.random() < 0.3}
    following = {t for t in tiles if rng.random() < 0.3}
    readers: dict[tuple[int, ...], int] = {}
    for number, chain in enumerate(chains(tiles, previous, following)):
        for tile in chain:
            wanted = {tile}
            wanted |= {(*tile[:-1], tile[-1] - 1)} if tile in previous else set()
            wanted |= {(*tile[:-1], tile[-1] + 1)} if tile in following else set()
            assert all(readers.setdefault(frame, number) == number for frame in wanted)
