"""How objects are divided into train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

from galaxyds.errors import UsageError
from galaxyds.spec.words import Column, sql_words

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtraSplit:
    """Objects that are kept for testing only, whatever the division.

    Attributes
    ----------
    name : str
        ``test_...``, in snake case.
    sql : str
        Predicate in DuckDB's dialect over column names; of several that hold the first one counts.
    why, source : str
        Reason, and where the paper says so.
    """

    name: str
    sql: str
    why: str
    source: str

    def names(self) -> frozenset[str]:
        """Words of the predicate outside of string literals: columns, functions, keywords."""
        return sql_words(self.sql)


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Divisions into train, validation and test, by a hash of a whole number and a seed.

    Either independent random divisions (``fractions``), or folds: with ``folds`` set every object
    is tested in exactly one of that many divisions, and division ``k`` is fold ``k``.

    Attributes
    ----------
    source : str
        Where the paper says so.
    fractions : tuple of tuple of float
        Per division: train, validation, test; they sum to 1.  Division ``k`` has seed ``k``.
    folds : int
        Number of folds; 0 for independent divisions.
    validation : float
        Share of a fold's training objects that serves for validation.
    key : str
        Column that is hashed; the object id by default.
    extra : tuple of ExtraSplit
        Objects outside of the divisions.

    Raises
    ------
    UsageError
        If shares, the number of folds or names of splits cannot be.
    """

    source: str
    fractions: tuple[tuple[float, float, float], ...] = ()
    folds: int = 0
    validation: float = 0.05
    key: str = ""
    extra: tuple[ExtraSplit, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.fractions) == bool(self.folds):
            raise UsageError("a split has either fractions or folds")
        for shares in self.fractions:
            if abs(sum(shares) - 1) > 1e-12:
                raise UsageError(f"split fractions {shares} do not sum to 1")
            if not all(0 <= share <= 1 for share in shares):
                raise UsageError(f"split fractions {shares} are not all from 0 to 1")
        if self.folds and not 2 <= self.folds <= 127:
            raise UsageError(f"a split has from 2 to 127 folds, not {self.folds}")
        if not 0 <= self.validation < 1:
            raise UsageError(f"a share of {self.validation} for validation is not in [0, 1)")
        if len(set(self.names)) < len(self.names) or "training" in self.names:
            raise UsageError(f"names of splits that are taken, or occur twice: {self.names}")

    @property
    def divisions(self) -> int:
        """How many divisions there are."""
        return self.folds or len(self.fractions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits; the code of a split is its place here."""
        return (*SPLITS, *(extra.name for extra in self.extra))

    def shares(self, division: int) -> tuple[float, float, float]:
        """Shares of train, validation and test that a division aims at."""
        if not self.folds:
            return self.fractions[division]
        test = 1 / self.folds
        return (1 - test) * (1 - self.validation), (1 - test) * self.validation, test

    def rule(self) -> str:
        """What decides the codes, as text."""
        extra = "; ".join(f"{extra.name}: {extra.sql}" for extra in self.extra)
        key = f" of {self.key}" if self.key else ""
        if not self.folds:
            return f"{self.fractions}{key}{extra and '; '}{extra}"
        return f"{self.folds} folds, validation {self.validation}{key}{extra and '; '}{extra}"

    def columns(self) -> tuple[Column, ...]:
        """The ``split_0``, ``split_1`` ... columns that hold the divisions."""
        codes = ", ".join(f"{code} {name}" for code, name in enumerate(self.names))
        what = "fold" if self.folds else "division"
        return tuple(
            Column(
                name=f"split_{k}",
                dtype="int8",
                description=f"split of the object in {what} {k}: {codes}",
            )
            for k in range(self.divisions)
        )
