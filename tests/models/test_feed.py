"""Batches: the same values from memory and from the file, in the order that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxyds_models.feed import Feed, Part, epoch_order, in_batches
from galaxyds_models.preparation import Preparation
from tests.models.tiny import INPUTS, tiny_objects

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return tiny_objects(tmp_path_factory.mktemp("home"))


def feed_of(objects, **options):
    preparation = Preparation.fit(objects, INPUTS)
    return Feed(objects, INPUTS, preparation=preparation, device=CPU, **options)


def test_memory_and_file_give_the_same_bits(train):
    places = in_batches(epoch_order(len(train), 3, 1), 13)
    resident = list(feed_of(train, resident=True).batches(places))
    streamed = [
        {k: v.clone() for k, v in batch.items()}
        for batch in feed_of(train, resident=False).batches(places)
    ]
    assert len(resident) == len(streamed) == len(places)
    for one, other in zip(resident, streamed, strict=True):
        assert one.keys() == other.keys() == {"image", "magnitudes", "redshift"}
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_subset_reads_its_own_pixels(train):
    chosen = np.array([5, 3, 40])
    some = train.take(chosen)
    preparation = Preparation.fit(train, INPUTS)
    whole = Feed(train, INPUTS, preparation=preparation, device=CPU, resident=True)
    part = Feed(some, INPUTS, preparation=preparation, device=CPU, resident=False)
    (expected,) = whole.batches([chosen])
    (found,) = part.batches([np.arange(3)])
    assert torch.equal(found["image"], expected["image"])
    assert found["redshift"].tolist() == train.redshift[chosen].tolist()


def test_every_object_comes_once_an_epoch_and_each_epoch_has_its_order():
    first, again, next_ = epoch_order(50, 1, 0), epoch_order(50, 1, 0), epoch_order(50, 1, 1)
    assert sorted(first) == list(range(50))
    assert (first == again).all()
    assert (first != next_).any()
    assert [len(b) for b in in_batches(first, 16)] == [16, 16, 16, 2]
    assert [len(b) for b in in_batches(first, 16, whole=True)] == [16, 16, 16]
    assert [len(b) for b in in_batches(first, 64, whole=True)] == [50]


def test_processes_share_a_batch_without_overlap():
    batches = in_batches(np.arange(50), 16)
    shares = [Part(rank=rank, of=2)(batches) for rank in range(2)]
    for one, other, whole in zip(*shares, batches, strict=True):
        assert len(one) == len(other)
        assert sorted([*one, *other]) == sorted(whole)
