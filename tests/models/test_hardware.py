"""Choosing where to run, and counting what it costs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Estimator, count_parameters
from galaxyds_models.hardware import Hardware, check_precision, operations_per_object


def test_a_card_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    assert Hardware.choose().device.type == "cpu"
    with pytest.raises(UsageError, match="no CUDA device"):
        Hardware.choose("cuda")
    assert Hardware.choose().peak is None


@pytest.mark.parametrize("device", ["abc", "cpu:x"])
def test_a_device_that_is_none_is_refused(device):
    with pytest.raises(UsageError, match=f"no device '{device}'"):
        Hardware.choose(device)


@pytest.mark.parametrize("device", ["mps", "meta"])
def test_other_devices_are_refused(device):
    with pytest.raises(UsageError, match="choose auto, cpu or cuda"):
        Hardware.choose(device)


def test_precisions_and_modes_that_are_none_are_refused():
    with pytest.raises(UsageError, match="choose auto, fp32, bf16"):
        check_precision("fp64")
    with pytest.raises(UsageError, match="reduce-overhead"):
        Hardware.choose("cpu", compiled="fastest")
    assert Hardware.choose("cpu", compiled="none").compiled is None


def test_autocast_is_on_in_bf16_only():
    layer, x = nn.Linear(3, 3), torch.randn(2, 3)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Hardware(device=torch.device("cpu"), precision=precision).autocast():
            assert layer(x).dtype is dtype


class Two(Estimator):
    """Two dense layers: 2 x (5 x 7 + 7 x 1) operations forward."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 1))

    def forward(self, batch):
        return {"z": self.layers(batch["magnitudes"]).squeeze(1)}

    def objective(self, outputs, batch):
        return {"loss": (outputs["z"] - batch["redshift"]).square().mean()}

    def estimates(self, outputs):
        return {"z": outputs["z"]}


def test_operations_are_those_of_the_layers_and_nothing_is_changed():
    network = Two()
    before = {name: x.clone() for name, x in network.state_dict().items()}
    batch = {"magnitudes": torch.randn(4, 5), "redshift": torch.randn(4)}
    # Forward 2 (35 + 7); gradients of both weights the same; of the second layer's input 2 x 7.
    assert operations_per_object(network, batch) == 2 * (42 + 42 + 7)
    assert all(torch.equal(x, before[name]) for name, x in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert count_parameters(network) == 5 * 7 + 7 + 7 + 1
