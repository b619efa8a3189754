"""Images per second of training: the engine against the plain eager float32 loop, in one run.

Forward, backward and optimiser step on noise of the papers' shapes.  ``plain`` is what a first
script does: float32 tensors in memory in the default layout, an unfused optimiser, no autocast, no
compiling, modalities in a Python loop.  ``engine`` is ``galaxyds_models.train`` with its feed
(float16 store, standardising, augmentation), as ``galaxyds bench run`` uses it.  ``plain`` copies
each batch to the device from pageable memory and reads the loss in every step, as first scripts do;
matrix products and convolutions are exact float32 in it, without TF32.

    python benchmarks/train_throughput.py                    # every case
    python benchmarks/train_throughput.py --cases multimodal-9 baseline-9 --steps 8
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass

import numpy as np
import torch

from galaxyds_models.estimator import Facts
from galaxyds_models.feed import Feed
from galaxyds_models.hardware import Hardware, operations_per_object
from galaxyds_models.objects import Objects
from galaxyds_models.preparation import Preparation
from galaxyds_models.recipe import Recipe
from galaxyds_models.registry import get_entry
from galaxyds_models.train import Engine, Job, train

UGRIZ, GRIZY = tuple("ugriz"), tuple("grizy")
NINE = (*"ugrizy", "J", "H", "Ks")
GALAXIESML = 204_573 * 200
"""Objects times epochs of paper 002."""


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    recipe: str
    facts: Facts
    batch: int  # on a card; a processor takes at most 32


def _facts(bands: tuple[str, ...], size: int, filters: tuple[str, ...], top: float) -> Facts:
    return Facts(bands=bands, size=size, filters=filters, redshift_range=(0.0, top), objects=1000)


CASES = (
    Case("crossmodal", "crossmodal", "paper", _facts(UGRIZ, 64, UGRIZ, 5), 1024),
    Case("galaxiesml-cnn-127", "galaxiesml-cnn", "standard", _facts(GRIZY, 127, GRIZY, 4), 512),
    Case("galaxiesml-cnn-64", "galaxiesml-cnn", "standard", _facts(GRIZY, 64, GRIZY, 4), 1024),
    Case("multimodal-5", "multimodal", "paper", _facts(UGRIZ, 64, UGRIZ, 0.4), 256),
    Case("multimodal-9", "multimodal", "paper", _facts(NINE, 64, GRIZY, 6), 256),
    Case("multimodal-9-fast", "multimodal", "fast", _facts(NINE, 64, GRIZY, 6), 256),
    Case("baseline-5", "multimodal-baseline", "paper", _facts(UGRIZ, 64, UGRIZ, 0.4), 256),
    Case("baseline-9", "multimodal-baseline", "paper", _facts(NINE, 64, GRIZY, 6), 256),
    Case("pasquet", "pasquet", "paper", _facts(UGRIZ, 64, UGRIZ, 0.4), 512),
)


class Noise:
    """In place of a dataset: float32 noise of the right shape, the same for the same rows."""

    def __init__(self, facts: Facts) -> None:
        self.image_shape = (len(facts.bands), facts.size, facts.size)

    def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(int(rows[0]))
        return {"image": torch.randn(len(rows), *self.image_shape, generator=generator)}


def objects_of(facts: Facts, count: int) -> Objects:
    rng = np.random.default_rng(0)
    shape = (count, len(facts.filters))
    return Objects(
        address="noise",
        version="0.0.0",
        manifest="",
        simulated=True,
        nature="noise",
        split="train",
        division=0,
        object_id=np.arange(count),
        redshift=rng.uniform(*facts.redshift_range, count).astype("f4"),
        filters=facts.filters,
        magnitudes=rng.normal(21, 1, shape).astype("f4"),
        errors=rng.uniform(0.01, 0.1, shape).astype("f4"),
        extinctions=rng.uniform(0.01, 0.2, shape).astype("f4"),
        ebv=rng.uniform(0.01, 0.1, (count, 1)).astype("f4"),
        bands=facts.bands,
        dataset=Noise(facts),
        rows=np.arange(count),
        redshift_range=facts.redshift_range,
    )


def engine_rate(case: Case, recipe: Recipe, objects: Objects, hardware: Hardware) -> float:
    """Objects per second of the last of two epochs; the first one warms up and compiles."""
    preparation = Preparation.fit(objects, recipe.inputs)
    feed = Feed(objects, recipe.inputs, preparation=preparation, device=hardware.device)
    few = Feed(objects.take(np.arange(4)), recipe.inputs, preparation=preparation,
               device=hardware.device)  # fmt: skip
    entry = get_entry(case.model)
    assert entry.network is not None
    rates: list[float] = []
    engine = Engine(hardware=hardware, report=lambda r: rates.append(r.objects_per_second))
    network = entry.network(recipe.config, case.facts)
    train(
        [Job(label=case.name, network=network, recipe=recipe, train=feed, validation=few)], engine
    )
    return rates[-1]


def plain_rate(case: Case, recipe: Recipe, objects: Objects, device: torch.device) -> float:
    """Objects per second of the same steps, eager and in float32."""
    entry = get_entry(case.model)
    assert entry.network is not None
    network = entry.network(plain_config(recipe.config), case.facts).to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, foreach=False, fused=False)
    preparation = Preparation.fit(objects, recipe.inputs)
    columns = preparation.photometry(objects, recipe.inputs)
    columns["redshift"] = torch.from_numpy(objects.redshift)
    columns["image"] = objects.dataset.batch(np.arange(len(objects)))["image"]
    size = recipe.batch_size
    for warm in (True, False):
        starts = range(0, size if warm else len(objects) - size + 1, size)
        started = time.perf_counter()
        for start in starts:
            batch = {name: x[start : start + size].to(device) for name, x in columns.items()}
            loss = network.objective(network(batch), batch)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
        seconds = time.perf_counter() - started
    return len(starts) * size / seconds


def plain_config(config: object) -> object:
    """The same network with its modalities in a loop, where it has any."""
    if dataclasses.is_dataclass(config) and hasattr(config, "route"):
        return dataclasses.replace(config, route="loop")
    return config


def measure(case: Case, steps: int, hardware: Hardware) -> dict[str, object]:
    cuda = hardware.device.type == "cuda"
    batch = case.batch if cuda else min(case.batch, 32)
    recipe = get_entry(case.model).recipe(case.recipe)
    recipe = dataclasses.replace(recipe, batch_size=batch, epochs=2, members=1, patience=None)
    objects = objects_of(case.facts, steps * batch)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(0)
    ours = engine_rate(case, recipe, objects, hardware)
    plain = plain_rate(case, recipe, objects, hardware.device)
    operations = operations_of(case, recipe, objects)
    row: dict[str, object] = {
        "case": case.name, "batch": batch, "engine_per_s": ours, "plain_per_s": plain,
        "ratio": ours / plain, "gflop_per_object": operations / 1e9,
        "engine_tflop_per_s": ours * operations / 1e12,
    }  # fmt: skip
    if hardware.peak:
        row["utilisation"] = ours * operations / hardware.peak
    if case.name == "galaxiesml-cnn-127":
        row["projected_minutes_of_200_epochs"] = GALAXIESML / ours / 60
    return row


def operations_of(case: Case, recipe: Recipe, objects: Objects) -> float:
    entry = get_entry(case.model)
    assert entry.network is not None
    some = objects.take(np.arange(2))
    preparation = Preparation.fit(some, recipe.inputs)
    feed = Feed(some, recipe.inputs, preparation=preparation, device=torch.device("cpu"))
    batch = next(iter(feed.batches([np.arange(2)])))
    return operations_per_object(entry.network(recipe.config, case.facts), batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=[case.name for case in CASES])
    parser.add_argument("--steps", type=int, default=None, help="per epoch (default 40 or 4)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", default="auto", help="a mode of torch.compile, or none")
    options = parser.parse_args()
    hardware = Hardware.choose(options.device, options.precision, compiled=options.compile)
    steps = options.steps or (40 if hardware.device.type == "cuda" else 4)
    print(f"{hardware.name}, {hardware.precision}, compile {hardware.compiled}, "
          f"torch {torch.__version__}, {steps} steps an epoch", flush=True)  # fmt: skip
    rows = {}
    for case in CASES:
        if case.name in options.cases:
            rows[case.name] = measure(case, steps, hardware)
            print(json.dumps({k: v if isinstance(v, str | int) else float(f"{v:.4g}")
                              for k, v in rows[case.name].items()}), flush=True)  # fmt: skip
    if {"multimodal-9", "baseline-9"} <= rows.keys():
        ratio = rows["baseline-9"]["engine_per_s"] / rows["multimodal-9"]["engine_per_s"]
        print(f"time of multimodal-9 over baseline-9: {ratio:.3f}")


if __name__ == "__main__":
    main()
