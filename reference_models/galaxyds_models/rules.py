"""What makes rows of a results file an entry of the leaderboard.

The seeds of one model, trained one way and scored on one split of one build, are a group.  A group
is an entry when every rule of :data:`RULES` holds; a rule that does not says what to do.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from galaxyds.errors import one_line
from galaxyds_models.evaluate import EXTERNAL
from galaxyds_models.results import Interval, Result

SEEDS = 3
"""Fewest seeds of an entry: the spread of a training is not known from fewer."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Place:
    """What was scored: rows of one place may be compared.

    Attributes
    ----------
    dataset, split : str
        ``name/config``, and which of its objects.
    simulated : bool
        Whether it is simulated: by the rows' own word or by the version's label.
    version, manifest : str
        Of the build; empty where only published numbers are known.
    """

    dataset: str
    split: str
    simulated: bool
    version: str = ""
    manifest: str = ""

    @classmethod
    def of(cls, result: Result) -> Place:
        """Return what a row scored."""
        return cls(
            dataset=result.dataset,
            split=result.split,
            simulated=result.simulated or labelled_simulated(result.version),
            version=result.version,
            manifest=result.manifest,
        )

    @property
    def has_published(self) -> bool:
        """Whether published numbers belong here: real data, no local label (a part, a list)."""
        return not self.simulated and "+" not in self.version


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Group:
    """What the rows of one entry have in common.

    Attributes
    ----------
    place : Place
        What was scored.
    model, recipe, preset, pattern : str
        What scored it.
    """

    place: Place
    model: str
    recipe: str
    preset: str
    pattern: str

    @classmethod
    def of(cls, result: Result) -> Group:
        """Return the group of a row."""
        return cls(
            place=Place.of(result),
            model=result.model,
            recipe=result.recipe,
            preset=result.preset,
            pattern=result.pattern,
        )

    def label(self) -> str:
        """One line for tables and messages."""
        place = self.place
        pattern = f", {self.pattern}" if self.pattern else ""
        return one_line(
            f"{self.model} ({self.recipe}, {self.preset}{pattern}) on "
            f"{place.dataset}:{place.version} {place.split} [{place.manifest[:8]}]"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One rule, applied to one group.

    Attributes
    ----------
    entry : str
        :meth:`Group.label` of the group.
    rule : str
        Name of the rule.
    passed : bool
        Whether it holds.
    message : str
        What is wrong and what to do; empty when it holds.
    """

    entry: str
    rule: str
    passed: bool
    message: str


def is_external(result: Result) -> bool:
    """Whether ``bench evaluate`` scored predictions of a model that galaxyds did not train."""
    return result.recipe == EXTERNAL


def labelled_simulated(version: str) -> bool:
    """Whether the local label of a version says that the build is simulated."""
    return "simulated" in version.partition("+")[2]


def grouped(results: Iterable[Result]) -> dict[Group, list[Result]]:
    """Gather rows by group: groups sorted, rows by seed, division and time."""
    groups: dict[Group, list[Result]] = {}
    for result in results:
        groups.setdefault(Group.of(result), []).append(result)
    return {
        group: sorted(groups[group], key=lambda row: (row.seed, row.division, row.created))
        for group in sorted(groups)
    }


def check(results: Iterable[Result]) -> list[Finding]:
    """Apply every rule to every group.

    Parameters
    ----------
    results : iterable of Result
        Of one file or several.

    Returns
    -------
    list of Finding
        Groups in sorted order, rules in the order of :data:`RULES`.
    """
    groups = grouped(results)
    return [
        Finding(entry=group.label(), rule=name, passed=not message, message=message)
        for group in groups
        for name, message in findings(group, groups).items()
    ]


def findings(group: Group, groups: Mapping[Group, Sequence[Result]]) -> dict[str, str]:
    """Apply every rule to one group.

    Parameters
    ----------
    group : Group
        One of ``groups``.
    groups : mapping
        All groups, as :func:`grouped` returns them.

    Returns
    -------
    dict of str to str
        By rule: what is wrong and what to do, empty where the rule holds.
    """
    said = {name: rule(groups[group]) for name, rule in RULES.items()}
    if said["seeds"]:
        said["seeds"] += _elsewhere(group, groups)
    return said


def _seeds(rows: Sequence[Result]) -> str:
    seeds = sorted({row.seed for row in rows})
    if len(seeds) >= SEEDS:
        return ""
    wanted = [*seeds, *(seed for seed in range(SEEDS) if seed not in seeds)][:SEEDS]
    options = [f"--seed {seed}" for seed in sorted(wanted)]
    how = (
        f"train it {SEEDS} times and score each training: {', '.join(options)} of bench evaluate"
        if is_external(rows[0])
        else f"run it with {' '.join(options)}"
    )
    return f"{len(seeds)} of {SEEDS} seeds ({', '.join(map(str, seeds))}): {how}"


def _elsewhere(group: Group, groups: Mapping[Group, Sequence[Result]]) -> str:
    """Say whether the missing seeds were scored on another build."""
    here = group.place
    others = [
        other.place
        for other in groups
        if other.place != here
        and replace(other.place, version=here.version, manifest=here.manifest) == here
        and replace(other, place=here) == group
    ]
    if not others:
        return ""
    names = ", ".join(f"{place.version} [{place.manifest[:8]}]" for place in others)
    return f"; rows on another build of the same address do not count: {names}"


def _repeats(rows: Sequence[Result]) -> str:
    counts = Counter((row.seed, row.division) for row in rows)
    repeated = [key for key, count in counts.items() if count > 1]
    if not repeated:
        return ""
    seed, division = repeated[0]
    said = f"seed {seed}, division {division} stands {counts[repeated[0]]} times: keep one row"
    if is_external(rows[0]):
        said += ", or score other trainings with --seed N and other models with --model NAME"
    return said


def _divisions(rows: Sequence[Result]) -> str:
    divisions: dict[int, set[int]] = {}
    for row in rows:
        divisions.setdefault(row.seed, set()).add(row.division)
    wanted = set.union(*divisions.values())
    for seed, has in divisions.items():
        if has != wanted:
            missing = ", ".join(map(str, sorted(wanted - has)))
            return (
                f"seed {seed} lacks division {missing}: run every seed on the same divisions "
                "(--division N)"
            )
    return ""


def _manifest(rows: Sequence[Result]) -> str:
    if all(_SHA256.fullmatch(row.manifest) for row in rows):
        return ""
    return "manifest is no sha256: record the hash of manifest.json, or of the scored table"


def _objects(rows: Sequence[Result]) -> str:
    for division, found in _by_division(rows, lambda row: row.objects).items():
        if len(found) > 1 or found[0] < 1:
            return (
                f"division {division} was scored on {_told(found)} objects: "
                "score every seed on the whole split"
            )
    return ""


def _training(rows: Sequence[Result]) -> str:
    """Find seeds of two trainings under one name, as a recipe that was changed leaves them."""
    sizes = sorted({row.parameters for row in rows})
    if len(sizes) > 1:
        return (
            f"networks of {_told(sizes)} parameters under one name: train every seed with the same "
            "code, or name the changed recipe anew"
        )
    for division, found in _by_division(rows, lambda row: row.train_objects).items():
        if len(found) > 1:
            return (
                f"division {division} was trained on {_told(found)} objects: "
                "train every seed on the same ones"
            )
    return ""


def _by_division(rows: Sequence[Result], count: Callable[[Result], int]) -> dict[int, list[int]]:
    """Return the distinct counts of each division, sorted."""
    counts: dict[int, set[int]] = {}
    for row in rows:
        counts.setdefault(row.division, set()).add(count(row))
    return {division: sorted(found) for division, found in counts.items()}


def _told(counts: Sequence[int]) -> str:
    return " and ".join(f"{count:,}" for count in counts)


def _origin(rows: Sequence[Result]) -> str:
    if any(labelled_simulated(row.version) and not row.simulated for row in rows):
        return "the version's label says simulated, the row does not: record simulated=true"
    if len({(row.simulated, row.nature) for row in rows}) > 1:
        return "rows of one manifest say different things of the data: record the same nature"
    if not rows[0].nature.strip():
        return "the nature of the data is empty: record what they are, in words"
    return ""


def _preset(rows: Sequence[Result]) -> str:
    if rows[0].preset != "smoke":
        return ""
    return "the preset smoke only shows that a model runs: use --preset default or paper"


def _same_size(rows: Sequence[Result]) -> str:
    members = sorted({row.members for row in rows})
    if len(members) == 1 and members[0] >= 1:
        return ""
    return f"networks averaged: {', '.join(map(str, members))}; average as many for every seed"


def _intervals(rows: Sequence[Result]) -> str:
    if not all(row.metrics for row in rows):
        return "a row has no metrics: score it again"
    for row in rows:
        for name, interval in row.metrics.items():
            if not _is_interval(interval):
                said = f"{name} of seed {row.seed} has no interval: score with the bootstrap"
                return said + (_again("--resamples 1000") if is_external(row) else "")
    if len({frozenset(row.metrics) for row in rows}) > 1:
        return "rows have different metrics: score every seed with the same galaxyds"
    return ""


def _is_interval(interval: Interval) -> bool:
    numbers = (interval.value, interval.low, interval.high)
    if any(number is None or not math.isfinite(number) for number in numbers):
        return False
    return (interval.low or 0.0) <= (interval.high or 0.0)


def _validation(rows: Sequence[Result]) -> str:
    for row in rows:
        if not any(x is not None and math.isfinite(x) for x in row.validation.values()):
            return (
                f"seed {row.seed} has no validation score: record what the split validation gave"
                + (_again("--validation FILE") if is_external(row) else "")
            )
    return ""


def _written(
    field: str, advice: str, *, external: str = "", run: str = ""
) -> Callable[[Sequence[Result]], str]:
    """Make the rule of a field that may not be empty.

    ``external`` and ``run`` are the options of ``bench evaluate`` and ``bench run`` that fill it.
    """

    def rule(rows: Sequence[Result]) -> str:
        if all(getattr(row, field).strip() for row in rows):
            return ""
        option = external if is_external(rows[0]) else run
        return f"{field} is empty: {advice}{_again(option) if option else ''}"

    return rule


def _again(option: str) -> str:
    """Name an option; a second row of the same seed would be a repeat."""
    return f" (take the row out and make it again with {option})"


def _created(rows: Sequence[Result]) -> str:
    for row in rows:
        if not _is_utc(row.created):
            return (
                f"created of seed {row.seed} is no UTC time: write it as 2026-01-31T12:00:00+00:00"
            )
    return ""


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


RULES: dict[str, Callable[[Sequence[Result]], str]] = {
    "seeds": _seeds,
    "repeats": _repeats,
    "divisions": _divisions,
    "manifest": _manifest,
    "objects": _objects,
    "training": _training,
    "origin": _origin,
    "preset": _preset,
    "members": _same_size,
    "intervals": _intervals,
    "validation": _validation,
    "hardware": _written(
        "hardware",
        "record processor, accelerator and their number",
        external="--hardware TEXT",
    ),
    "software": _written(
        "software",
        "record the versions of torch, numpy and galaxyds",
        external="--software TEXT",
    ),
    "code": _written(
        "code",
        "give a link to the code, or package version and commit",
        external="--code LINK",
        run="--code LINK and another --output",
    ),
    "command": _written("command", "record the command that reproduces the row"),
    "created": _created,
}
"""By name, in the order of reports: from the rows of a group to what is wrong, empty if nothing."""
