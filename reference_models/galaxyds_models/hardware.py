"""The device: which one, how precisely, how fast it could be."""

from __future__ import annotations

import copy
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from galaxyds.errors import UsageError
from galaxyds_models.estimator import Estimator

Precision = Literal["auto", "fp32", "bf16"]
DENSE_PEAK: dict[str, float] = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX A6000": 155e12,
}
"""Dense bf16 operations per second that the makers state, by a part of the device's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """Where and how precisely networks run.

    Attributes
    ----------
    device : torch.device
        ``cpu`` or a CUDA device.
    precision : str
        ``bf16``: convolutions and large products under autocast; ``fp32``.
    compiled : str or None
        Mode of ``torch.compile``; None does without.
    """

    device: torch.device
    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: str | None = None

    @classmethod
    def choose(
        cls, device: str = "auto", precision: Precision = "auto", *, compiled: str = "auto"
    ) -> Hardware:
        """Choose what is not named: CUDA before the processor, bf16 and compiling where they pay.

        Parameters
        ----------
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision : str
            ``auto``, ``fp32`` or ``bf16``.
        compiled : str
            ``auto``, ``none``, or a mode of ``torch.compile``.

        Raises
        ------
        UsageError
            If the device or the mode is not there.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError(f"no CUDA device for --device {device}: use --device cpu")
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise UsageError(f"no device '{device}': choose auto, cpu or cuda") from error
        if chosen.type not in ("cpu", "cuda"):
            raise UsageError(f"device '{device}' is not supported: choose auto, cpu or cuda")
        if (chosen.index or 0) >= max(torch.cuda.device_count(), 1):
            raise UsageError(f"no device '{device}': there are {torch.cuda.device_count()} cards")
        if precision == "auto":
            precision = "bf16" if _has_fast_bf16(chosen) else "fp32"
        modes = ("none", "default", "reduce-overhead", "max-autotune")
        if compiled == "auto":
            compiled = "default" if chosen.type == "cuda" else "none"
        if compiled not in modes:
            raise UsageError(f"no mode '{compiled}' of compiling: choose auto, {', '.join(modes)}")
        mode = None if compiled == "none" else compiled
        return cls(device=chosen, precision=precision, compiled=mode)

    def autocast(self) -> AbstractContextManager[object]:
        """Context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    @property
    def name(self) -> str:
        """The device's name, for the results."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{_processor()} ({torch.get_num_threads()} threads)"

    @property
    def peak(self) -> float | None:
        """Dense bf16 operations per second, where they are known."""
        known = (peak for part, peak in DENSE_PEAK.items() if part in self.name)
        return next(known, None) if self.device.type == "cuda" else None


def check_precision(text: str) -> Precision:
    """Return a precision as such.

    Raises
    ------
    UsageError
        If it is none.
    """
    if text not in get_args(Precision):
        raise UsageError(f"no precision '{text}': choose {', '.join(get_args(Precision))}")
    return cast(Precision, text)


def operations_per_object(network: Estimator, batch: Mapping[str, Tensor]) -> float:
    """Floating-point operations of one object, forward and backward, counted without computing.

    Parameters
    ----------
    network : Estimator
        Left as it is: a copy without values is counted.
    batch : mapping
        Any batch that the network takes.

    Returns
    -------
    float
        Twice the multiply-adds of convolutions and matrix products.
    """
    empty = copy.deepcopy(network).to("meta").train()
    inputs = {name: value.to("meta") for name, value in batch.items()}
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(empty.objective(empty(inputs), inputs)["loss"])
    return float(counter.get_total_flops()) / len(batch["redshift"])


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return "amx_bf16" in _processor_flags()


def _processor_flags() -> set[str]:
    return set(_cpuinfo("flags").split())


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return ""
    found = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in found if name.strip() == key), "")
