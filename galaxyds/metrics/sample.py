"""Residuals of a set of objects, and of its bootstrap resamples, behind one face.

A metric is written once, on a :class:`Sample`; a :class:`Resample` answers the same questions from
how often each object was drawn, without recomputing or sorting anything per object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from galaxyds.metrics import order
from galaxyds.metrics.order import Ordered
from galaxyds.metrics.values import Floats, Values, redshifts

Term: TypeAlias = "Callable[[Sample], Floats]"
"""A number per object, float64 (n,), whose mean over objects a metric needs; hashable."""


class Sample:
    """Predicted and true redshifts of n objects.

    Parameters
    ----------
    predicted, true : ndarray of float64, shape (n,)
        Checked redshifts; :meth:`of` checks.

    Attributes
    ----------
    columns : dict
        Terms that some metric has asked the mean of, float64 (n,) each.
    """

    def __init__(self, predicted: Floats, true: Floats) -> None:
        self._predicted = predicted
        self._true = true
        self.columns: dict[Term, Floats] = {}

    @classmethod
    def of(cls, predicted: Values, true: Values) -> Sample:
        """Check redshifts and hold them.

        Raises
        ------
        UsageError
            See :func:`galaxyds.metrics.values.redshifts`.
        """
        return cls(*redshifts(predicted, true))

    @property
    def predicted(self) -> Floats:
        """Predicted redshifts, float64 (n,)."""
        return self._predicted

    @property
    def true(self) -> Floats:
        """True redshifts, float64 (n,)."""
        return self._true

    @cached_property
    def d(self) -> Floats:
        """z_phot - z_spec, float64 (n,)."""
        return self.predicted - self.true

    @cached_property
    def dz(self) -> Floats:
        """(z_phot - z_spec) / (1 + z_spec), float64 (n,)."""
        return self.d / (1 + self.true)

    @cached_property
    def true_centre(self) -> float:
        """A constant near the true redshifts, against cancellation in variances."""
        return float(self.true.mean())

    @cached_property
    def d_ordered(self) -> Ordered:
        """d, ascending."""
        return Ordered(self.d[self.d_order])

    @cached_property
    def dz_ordered(self) -> Ordered:
        """dz, ascending."""
        return Ordered(self.dz[self.dz_order])

    @cached_property
    def dz_median(self) -> float:
        """Median of dz."""
        return order.median(self.dz_ordered)

    @cached_property
    def dz_mad(self) -> float:
        """Median of abs(dz - median(dz)), unscaled."""
        return order.median_distance(self.dz_ordered, self.dz_median)

    @cached_property
    def dz_iqr(self) -> float:
        """Interquartile range of dz."""
        return order.quantile(self.dz_ordered, 0.75) - order.quantile(self.dz_ordered, 0.25)

    @cached_property
    def dz_location(self) -> float:
        """Biweight location of dz."""
        return order.biweight_location(self.dz_ordered, self.dz_median, self.dz_mad)

    @cached_property
    def dz_scale(self) -> float:
        """Root of the biweight midvariance of dz."""
        variance = order.biweight_midvariance(self.dz_ordered, self.dz_median, self.dz_mad)
        return float(np.sqrt(variance))

    def mean(self, term: Term) -> float:
        """Mean of a term over the objects."""
        if term not in self.columns:
            self.columns[term] = term(self)
        return float(self.columns[term].mean())

    @cached_property
    def d_order(self) -> NDArray[np.intp]:
        """Which object stands where in :attr:`d_ordered`."""
        return np.argsort(self.d)

    @cached_property
    def dz_order(self) -> NDArray[np.intp]:
        """Which object stands where in :attr:`dz_ordered`."""
        return np.argsort(self.dz)


class Resample(Sample):
    """The same objects, each as often as it was drawn.

    Parameters
    ----------
    base : Sample
        What was drawn from.
    counts : ndarray of float64, shape (n,)
        How often each object was drawn; they sum to n.
    means : mapping
        Mean of every term of the base's ``columns`` over the resample; a term that is not there is
        computed when asked for.
    """

    def __init__(self, base: Sample, counts: Floats, means: Mapping[Term, float]) -> None:
        self._base = base
        self._counts = counts
        self._means = means

    @cached_property
    def predicted(self) -> Floats:
        """Predicted redshifts, repeated, float64 (n,)."""
        return np.repeat(self._base.predicted, self._counts.astype(np.intp))

    @cached_property
    def true(self) -> Floats:
        """True redshifts, repeated, float64 (n,)."""
        return np.repeat(self._base.true, self._counts.astype(np.intp))

    @cached_property
    def true_centre(self) -> float:
        """That of the base."""
        return self._base.true_centre

    @cached_property
    def d_ordered(self) -> Ordered:
        """d, ascending."""
        return Ordered(self._base.d_ordered.values, self._counts[self._base.d_order])

    @cached_property
    def dz_ordered(self) -> Ordered:
        """dz, ascending."""
        return Ordered(self._base.dz_ordered.values, self._counts[self._base.dz_order])

    def mean(self, term: Term) -> float:
        """Mean of a term over the objects drawn."""
        if term in self._means:
            return self._means[term]
        return float(term(self).mean())
