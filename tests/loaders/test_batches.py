"""The batched loader: order, memory that is used again, and threads that always end."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from galaxyds.errors import UsageError
from galaxyds.loaders import BatchLoader
from galaxyds.loaders.batches import _Job
from galaxyds.loaders.gather import empty_images, gather
from tests.loaders.test_dataset import TinySky
from tests.small_build import images, make_build, table


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    make_build(home, 60)
    return TinySky("all", root=home, columns=["redshift", "kind"])


def prefetchers():
    return [t for t in threading.enumerate() if t.name == "galaxyds-prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert prefetchers() == []


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_an_epoch_is_every_object_once_with_its_own_values(dataset, prefetch):
    loader = BatchLoader(dataset, 7, prefetch=prefetch)
    source, pixels = table(60), images(60)
    ids = source["object_id"].to_numpy()
    seen = []
    for batch in loader:
        rows = np.searchsorted(ids, batch["object_id"].numpy())
        np.testing.assert_array_equal(batch["image"].numpy(), pixels[rows])
        np.testing.assert_array_equal(
            batch["redshift"].numpy(), source["redshift"].to_numpy()[rows]
        )
        assert batch["kind"] == [source["kind"][int(row)].as_py() for row in rows]
        seen.append(rows)
    assert [len(rows) for rows in seen] == [7] * 8 + [4]
    assert sorted(np.concatenate(seen)) == list(range(60))


def test_order_depends_on_seed_and_epoch_only(dataset):
    def ids(loader):
        return torch.cat([batch["object_id"] for batch in loader]).tolist()

    first = BatchLoader(dataset, 16, seed=3)
    epochs = [ids(first), ids(first)]
    assert epochs[0] != epochs[1]
    again = BatchLoader(dataset, 9, seed=3, prefetch=0)
    assert [ids(again), ids(again)] == epochs
    resumed = BatchLoader(dataset, 16, seed=3)
    resumed.epoch = 1
    assert ids(resumed) == epochs[1]
    assert ids(BatchLoader(dataset, 16, seed=4)) != epochs[0]
    assert ids(BatchLoader(dataset, 16, shuffle=False)) == table(60)["object_id"].to_pylist()


@pytest.mark.parametrize(
    ("size", "drop", "expected"),
    [(16, False, [16, 16, 16, 12]), (16, True, [16, 16, 16]), (60, True, [60]), (99, True, []),
     (99, False, [60])],
)  # fmt: skip
def test_lengths(dataset, size, drop, expected):
    loader = BatchLoader(dataset, size, drop_last=drop)
    assert [len(batch["image"]) for batch in loader] == expected
    assert len(loader) == len(expected)


def test_a_batch_that_is_kept_is_never_overwritten(dataset):
    kept = list(BatchLoader(dataset, 4, prefetch=2))
    order = BatchLoader(dataset, 4).order(0)
    together = torch.cat([batch["image"] for batch in kept]).numpy()
    np.testing.assert_array_equal(together, images(60)[order])


def test_a_slice_or_numpy_view_keeps_the_batch(dataset):
    loader = BatchLoader(dataset, 4, prefetch=2, shuffle=False)
    views = []
    for batch in loader:
        views.append(batch["image"][1:2, :1].numpy() if len(views) % 2 else batch["image"][1:2, :1])
    expected = images(60)[1::4, :1]
    for view, pixels in zip(views, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(view)[0], pixels)


def test_memory_is_used_again_over_epochs(dataset):
    loader = BatchLoader(dataset, 4, prefetch=2)
    places = set()
    for _ in range(4):
        for batch in loader:
            places.add(batch["image"].data_ptr())
    assert len(places) <= 4 + 1


def test_an_early_break_ends_the_thread(dataset):
    for batch in BatchLoader(dataset, 2):
        assert len(batch["image"]) == 2
        break
    assert prefetchers() == []


def test_an_exception_in_the_loop_ends_the_thread(dataset):
    def loop():
        for _ in BatchLoader(dataset, 2):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()


def test_an_iterator_that_is_never_advanced_or_dropped_half_way_leaves_no_thread(dataset):
    iter(BatchLoader(dataset, 2))
    half = iter(BatchLoader(dataset, 2))
    next(half)
    del half
    assert prefetchers() == []


def test_an_exception_in_the_thread_surfaces_where_the_batch_is_asked_for(tmp_path):
    make_build(tmp_path, 60)
    calls = []

    def transform(sample):
        calls.append(1)
        if len(calls) == 9:
            raise LookupError("sample nine")
        return sample

    loader = BatchLoader(TinySky("all", root=tmp_path, transform=transform), 4)
    batches = iter(loader)
    assert len(next(batches)["image"]) == 4
    next(batches)
    with pytest.raises(LookupError, match="sample nine"):
        next(batches)
    assert prefetchers() == []


def test_a_waiting_caller_takes_parts_of_the_batch():
    entered, release, seen = threading.Event(), threading.Event(), []

    def slow():
        entered.set()
        release.wait(30)
        seen.append(threading.current_thread().name)

    def fast():
        seen.append(threading.current_thread().name)
        if len(seen) == 3:
            release.set()

    job = _Job({"image": 1}, [slow, fast, fast, fast])
    thread = threading.Thread(target=job.finish, name="other")
    thread.start()
    entered.wait(30)
    assert job.finish() == {"image": 1}  # returns only when the slow part is done, too
    thread.join()
    assert sorted(seen) == ["MainThread"] * 3 + ["other"]


def test_a_part_that_fails_fails_the_batch_for_everyone():
    def fail():
        raise LookupError("part")

    job = _Job({}, [lambda: None, fail, lambda: None])
    for _ in range(2):
        with pytest.raises(LookupError, match="part"):
            job.finish()


def test_two_iterations_at_once_do_not_disturb_each_other(dataset):
    loader = BatchLoader(dataset, 4, shuffle=False)
    for one, other in zip(loader, loader, strict=True):
        torch.testing.assert_close(one["image"], other["image"], equal_nan=True)


def test_a_transform_is_applied_to_each_sample(tmp_path):
    make_build(tmp_path, 60)
    halved = TinySky("all", root=tmp_path, transform=lambda s: {"x": s["image"] / 2})
    found = torch.cat([batch["x"] for batch in BatchLoader(halved, 7, shuffle=False)])
    np.testing.assert_array_equal(found.numpy(), images(60) / np.float32(2))


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"prefetch": -1}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(dataset, options):
    with pytest.raises(UsageError, match="must be positive"):
        BatchLoader(dataset, **options)


def test_bands_are_gathered_in_order():
    pixels = images(20)
    rows, bands = np.array([3, 0, 19, 3]), np.array([2, 0])
    out = empty_images((4, 2, 8, 8))
    gather(pixels, rows, bands=bands, out=out)
    np.testing.assert_array_equal(out, pixels[rows][:, bands])


def test_buffers_begin_half_a_page_from_a_page():
    for shape in ((1, 3, 8, 8), (256, 5, 64, 64), (0, 3, 8, 8)):
        buffer = empty_images(shape)
        assert buffer.shape == shape
        assert buffer.dtype == np.float32
        assert buffer.flags.c_contiguous
        if buffer.size:
            assert buffer.ctypes.data % 4096 == 2048
