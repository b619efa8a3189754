"""What may be scored: arrays or tensors in, checked float64 arrays out."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxyds.errors import UsageError

Floats: TypeAlias = NDArray[np.float64]


class Detachable(Protocol):
    """A torch tensor, on any device; torch itself is never imported here."""

    def detach(self) -> Any:
        """Return the values without their history."""


Values: TypeAlias = ArrayLike | Detachable
"""A list, a numpy array, a pandas column or a torch tensor."""


def to_numpy(values: Values, name: str = "values") -> NDArray[Any]:
    """Bring values to numpy, in their own dtype (float32 from half precision).

    Parameters
    ----------
    values : array-like or torch.Tensor
        Of any shape; a tensor may be on any device, of any dtype, and require gradients.
    name : str
        What an error calls them.

    Returns
    -------
    ndarray
        A view where that is possible.

    Raises
    ------
    UsageError
        If entries are masked, or no numbers.
    """
    found: Any = values
    if hasattr(found, "detach"):
        found = _from_tensor(found)
    masked = int(np.ma.getmaskarray(found).sum()) if np.ma.is_masked(found) else 0
    if masked:
        raise UsageError(
            f"{name}: {masked} of {np.size(found)} entries are masked: "
            "select the objects that have both redshifts first",
            name=name,
        )
    array = np.asarray(found)
    if array.dtype.kind in "fiub":
        return array
    try:
        if array.dtype.kind == "c":
            raise TypeError("complex")
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name}: dtype {array.dtype} holds no real numbers: pass an array of floats", name=name
        ) from error


def _from_tensor(tensor: Detachable) -> NDArray[Any]:
    held = tensor.detach().cpu()
    # numpy has no bfloat16.
    short = held.is_floating_point() and held.element_size() < 4
    return np.asarray((held.float() if short else held).numpy())


def vector(values: Values, name: str) -> Floats:
    """Bring one finite number per object to float64, shape (n,).

    Raises
    ------
    UsageError
        If the shape is another, there are no objects, or some numbers are NaN or infinite.
    """
    array = np.asarray(to_numpy(values, name), dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(
            f"{name}: shape {array.shape} is not one number per object: pass shape (objects,), "
            "for example values.reshape(-1)",
            name=name,
            shape=array.shape,
        )
    if array.size == 0:
        raise UsageError(f"{name}: no objects: pass at least one, or skip empty bins", name=name)
    _finite(array, name)
    return array


def redshifts(predicted: Values, true: Values) -> tuple[Floats, Floats]:
    """Check predicted and true redshifts.

    Parameters
    ----------
    predicted, true : array-like or torch.Tensor, shape (n,)
        Point estimates and spectroscopic redshifts.

    Returns
    -------
    tuple of ndarray of float64, shape (n,)
        Predicted, true.

    Raises
    ------
    UsageError
        If shapes differ, there are no objects, or some redshift is NaN, infinite, or (true ones)
        not above -1.
    """
    first, second = to_numpy(predicted, "predicted"), to_numpy(true, "true")
    if first.shape != second.shape:
        raise UsageError(
            f"predicted has shape {first.shape} and true {second.shape}: pass one of each per "
            "object, in the same order",
            predicted=first.shape,
            true=second.shape,
        )
    return vector(first, "predicted"), truth(second)


def truth(true: Values) -> Floats:
    """Check true redshifts alone: finite, above -1, float64 (n,).

    Raises
    ------
    UsageError
        Where they are not.
    """
    array = vector(true, "true")
    wrong = int((array <= -1).sum())
    if wrong:
        raise UsageError(
            f"true: {wrong} of {array.size} redshifts are not above -1, where 1 + z is no scale: "
            "remove sentinels such as -99 first",
            count=wrong,
        )
    return array


def _finite(array: Floats, name: str) -> None:
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        nans = int(np.isnan(array).sum())
        raise UsageError(
            f"{name}: {bad} of {array.size} numbers are not finite ({nans} NaN, {bad - nans} "
            "infinite): a score without them would be another sample's; find their cause, or "
            "select the same objects for every model",
            name=name,
            count=bad,
        )
