"""Closed forms for Gaussian predictions and mixtures of Gaussians: a number per object.

``mu`` and ``sigma`` are (n,), those of a mixture (n, components); ``true`` is (n,).  All raise
:class:`~galaxyds.errors.UsageError` where shapes differ or some ``sigma`` is not above 0.
"""

from __future__ import annotations

import numpy as np

from galaxyds.errors import UsageError
from galaxyds.metrics.values import Floats, Values, to_numpy, truth

_ROOT_PI = float(np.sqrt(np.pi))
_ROOT_2PI = float(np.sqrt(2 * np.pi))


def gaussian_crps(mu: Values, sigma: Values, true: Values) -> Floats:
    """CRPS of a Gaussian, sigma (w (2 Phi(w) - 1) + 2 phi(w) - 1 / sqrt(pi)), w = (z - mu) / sigma.

    Gneiting et al. 2005.

    Returns
    -------
    ndarray of float64, shape (n,)
        In redshift.
    """
    mean, scale, z = _single(mu, sigma, true)
    return _absolute(z - mean, scale) - scale / _ROOT_PI


def gaussian_nll(mu: Values, sigma: Values, true: Values) -> Floats:
    """Negative log density ln(sigma sqrt(2 pi)) + w^2 / 2, nats, float64 (n,)."""
    mean, scale, z = _single(mu, sigma, true)
    return np.asarray(np.log(scale * _ROOT_2PI) + ((z - mean) / scale) ** 2 / 2)


def gaussian_pit(mu: Values, sigma: Values, true: Values) -> Floats:
    """Phi((z - mu) / sigma), float64 (n,), for ``pit_statistics`` and ``coverage``."""
    mean, scale, z = _single(mu, sigma, true)
    return _phi((z - mean) / scale)


def mixture_crps(weights: Values, mu: Values, sigma: Values, true: Values) -> Floats:
    """CRPS of a mixture of Gaussians (Grimit et al. 2006).

    With A(m, s) the mean distance from 0 of a Gaussian, sum_i w_i A(z - mu_i, sigma_i) -
    1/2 sum_ij w_i w_j A(mu_i - mu_j, sqrt(sigma_i^2 + sigma_j^2)).

    Parameters
    ----------
    weights, mu, sigma : array-like or torch.Tensor, shape (n, components)
        Weights of an object sum to 1 within 0.001 and are divided by their sum.
    true : array-like or torch.Tensor, shape (n,)
        True redshifts.

    Returns
    -------
    ndarray of float64, shape (n,)
        In redshift; at most :func:`mixture_crps_bound`.
    """
    w, mean, scale, z = _mixture(weights, mu, sigma, true)
    first = (w * _absolute(z[:, None] - mean, scale)).sum(axis=1)
    second = np.zeros_like(first)
    for i in range(w.shape[1]):  # a pass per component, not an (n, c, c) array
        spread = np.hypot(scale[:, i : i + 1], scale)
        second += w[:, i] * (w * _absolute(mean[:, i : i + 1] - mean, spread)).sum(axis=1)
    return np.asarray(first - second / 2)


def mixture_crps_bound(weights: Values, mu: Values, sigma: Values, true: Values) -> Floats:
    """Weighted sum of the CRPS of the components: an upper bound, *not* the CRPS of the mixture.

    What the code published as MMLPhoto-z calls CRPS.  Equal to :func:`mixture_crps` only where all
    components are the same; never put both in one column.

    Returns
    -------
    ndarray of float64, shape (n,)
        In redshift.
    """
    w, mean, scale, z = _mixture(weights, mu, sigma, true)
    parts = _absolute(z[:, None] - mean, scale) - scale / _ROOT_PI
    return np.asarray((w * parts).sum(axis=1))


def _absolute(mean: Floats, scale: Floats) -> Floats:
    """Mean of abs(x) of a Gaussian x."""
    ratio = mean / scale
    density = np.exp(-0.5 * ratio**2) / _ROOT_2PI
    return np.asarray(2 * scale * density + mean * (2 * _phi(ratio) - 1))


def _phi(x: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr(x), dtype=np.float64)


def _single(mu: Values, sigma: Values, true: Values) -> tuple[Floats, Floats, Floats]:
    z = truth(true)
    return _table(mu, "mu", z.shape), _scale(sigma, z.shape), z


def _mixture(
    weights: Values, mu: Values, sigma: Values, true: Values
) -> tuple[Floats, Floats, Floats, Floats]:
    z = truth(true)
    components = np.shape(to_numpy(weights, "weights"))[-1:]
    shape = (z.size, *components)
    w = _table(weights, "weights", shape)
    total = w.sum(axis=-1)
    wrong = int(((w < 0).any(axis=-1) | (np.abs(total - 1) > 1e-3)).sum())
    if wrong:
        raise UsageError(
            f"weights: {wrong} of {z.size} rows are negative or do not sum to 1: divide them by "
            "their sum, or apply softmax",
            count=wrong,
        )
    return w / total[:, None], _table(mu, "mu", shape), _scale(sigma, shape), z


def _scale(sigma: Values, shape: tuple[int, ...]) -> Floats:
    scale = _table(sigma, "sigma", shape)
    wrong = int((scale <= 0).sum())
    if wrong:
        raise UsageError(
            f"sigma: {wrong} of {scale.size} are not above 0: pass standard deviations, not their "
            "logarithms",
            count=wrong,
        )
    return scale


def _table(values: Values, name: str, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(to_numpy(values, name), dtype=np.float64)
    if array.shape != shape:
        raise UsageError(
            f"{name} has shape {array.shape}, expected {shape}: pass one row per object",
            shape=array.shape,
            expected=shape,
        )
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise UsageError(
            f"{name}: {bad} of {array.size} numbers are not finite: find their cause before "
            "scoring",
            count=bad,
        )
    return array
