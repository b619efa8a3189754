"""What a metric is: a function of predicted and true redshifts that says where it is from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from galaxyds.metrics.sample import Sample
from galaxyds.metrics.values import Values

Better = Literal["lower", "higher", "zero"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A number that scores point estimates; call it with predicted and true redshifts.

    Attributes
    ----------
    name : str
        Snake case; one name is one definition.
    function : callable
        From predicted and true redshifts, (n,) each, to a float.
    formula : str
        In terms of d = z_phot - z_spec and dz = d / (1 + z_spec).
    source : str
        Paper and equation, or code.
    better : str
        ``lower``, ``higher``, or ``zero`` for a signed error.
    scale : str
        What the number is counted in: ``dz``, ``z``, ``z^2``, ``fraction``, ``loss`` (0 to 1) or
        ``1`` for a plain number.
    about : str
        One sentence.
    core : callable or None
        The same on a :class:`~galaxyds.metrics.sample.Sample`; without one a bootstrap calls
        ``function`` on the objects of every resample, which is slower.
    quick : bool
        Whether a bootstrap of all metrics includes it.
    """

    name: str
    function: Callable[[Values, Values], float] = field(repr=False)
    formula: str = ""
    source: str = ""
    better: Better = "lower"
    scale: str = "1"
    about: str = ""
    core: Callable[[Sample], float] | None = field(default=None, repr=False)
    quick: bool = True

    def __call__(self, predicted: Values, true: Values) -> float:
        """Score predicted redshifts.

        Parameters
        ----------
        predicted, true : array-like or torch.Tensor, shape (n,)
            Point estimates and spectroscopic redshifts, finite.

        Returns
        -------
        float
            In the unit that ``scale`` names.

        Raises
        ------
        UsageError
            If shapes differ, there are no objects, or some redshift is NaN or infinite.
        """
        return self.function(predicted, true)

    def of(self, sample: Sample) -> float:
        """Score a sample or a resample."""
        if self.core is not None:
            return self.core(sample)
        return float(self.function(sample.predicted, sample.true))

    def loss(self, value: float) -> float:
        """Turn a value into one that is lower where it is better, to rank by."""
        if self.better == "zero":
            return abs(value)
        return value if self.better == "lower" else -value


def metric(
    formula: str, source: str, *, better: Better = "lower", scale: str = "dz", quick: bool = True
) -> Callable[[Callable[[Sample], float]], Metric]:
    """Declare a metric from a function of a sample, whose name and docstring become its own."""

    def declare(core: Callable[[Sample], float]) -> Metric:
        def function(predicted: Values, true: Values) -> float:
            return core(Sample.of(predicted, true))

        return Metric(
            name=core.__name__,
            function=function,
            formula=formula,
            source=source,
            better=better,
            scale=scale,
            about=" ".join((core.__doc__ or "").split()),
            core=core,
            quick=quick,
        )

    return declare
