from __future__ import annotations

import dataclasses
import re

import pytest

from galaxyds.errors import DatasetNotFoundError, UsageError
from galaxyds.spec import Cut, Deduplication, ExtraSplit, Split
from galaxyds.specs import get_spec, spec_names

SPEC = get_spec("sdss-qso")


def test_published_counts_are_the_papers():
    assert SPEC.config("extended").published_total == 465_292
    assert SPEC.config("baseline").published_total == 415_930
    assert 608_451 in [p.count for p in SPEC.config("extended").published]
    assert SPEC.config() is SPEC.config("extended")


def _as_archived(sql: str) -> str:
    """Put a cut into the archive's names, without what stands in for the sentinel."""
    names = {c.name: c.archive.split(".")[1] for c in SPEC.queried_columns()}
    renamed = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), sql)
    return renamed.split(" OR ")[0].lower().replace(" ", "")


def test_the_where_clauses_are_those_of_the_appendices(survey_data):
    """Appendix A is the baseline's, B the extended's (their titles are swapped)."""
    paper = survey_data.parent / "papers" / "000_7ecf865613d7dfff.txt"
    if not paper.exists():
        pytest.skip("the paper's text is not here")
    clauses = re.findall(r"where (a\.class.*?);", paper.read_text(), flags=re.DOTALL)
    for clause, config in zip(clauses, ("baseline", "extended"), strict=True):
        tests = {t.strip() for t in re.split(r"\band\b|(?<=10) (?=a\.)", " ".join(clause.split()))}
        ours = {_as_archived(cut.sql) for cut in SPEC.config(config).cuts}
        theirs = {re.sub(r"\b[ab]\.", "", t).lower().replace(" ", "") for t in tests}
        assert ours == theirs


def test_every_cut_gives_its_reason_and_its_place_in_the_paper():
    for config in SPEC.configs:
        assert all(cut.why and cut.source for cut in config.cuts)
    assert [c.name for c in SPEC.config().cuts if not c.has_effect] == ["flags-known"]


def test_a_cut_on_an_undeclared_column_is_refused():
    config = SPEC.configs[0]
    bad = Cut(name="bad", sql="no_such_column > 1", why="x", source="x")
    with pytest.raises(UsageError, match="bad names no declared column"):
        dataclasses.replace(SPEC, configs=(dataclasses.replace(config, cuts=(bad,)),))
    half = Cut(name="half", sql="redshift > 1 AND typo_column = 2", why="x", source="x")
    with pytest.raises(UsageError, match="typo_column"):
        dataclasses.replace(SPEC, configs=(dataclasses.replace(config, cuts=(half,)),))


def test_prose_does_not_change_the_digest_but_a_cut_does():
    assert dataclasses.replace(SPEC, summary="other words").digest("extended") == SPEC.digest(
        "extended"
    )
    config = dataclasses.replace(SPEC.configs[0], cuts=SPEC.configs[0].cuts[:-1])
    changed = dataclasses.replace(SPEC, configs=(config, SPEC.configs[1]))
    assert changed.digest("extended") != SPEC.digest("extended")
    assert changed.digest("baseline") == SPEC.digest("baseline")


def test_specs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("typo", ["sdss-qsos", "sdss_qs", "sdsqso"])
def test_a_typo_is_answered_with_the_nearest_name(typo):
    with pytest.raises(DatasetNotFoundError, match="did you mean sdss-qso"):
        get_spec(typo)


def test_every_dataset_declares_itself_fully():
    for name in spec_names():
        spec = get_spec(name)
        assert spec.name == name
        assert spec.version in spec.release_notes
        assert spec.licence.redistribution
        assert all(column.description for column in spec.stored_columns())
        names = [column.name for column in spec.stored_columns()]
        assert len(names) == len(set(names))
        assert spec.citations
        assert {c.dtype for c in spec.stored_columns() if c.name == "spec_object_id"} <= {"uint64"}


@pytest.mark.parametrize(
    "words",
    [
        {"folds": -3}, {"folds": 1}, {"folds": 200}, {"folds": 2, "validation": 1.5},
        {"folds": 2, "validation": -0.1}, {"fractions": ((1.5, -0.5, 0.0),)},
        {"folds": 5, "extra": (ExtraSplit(name="train", sql="TRUE", why="x", source="x"),)},
        {"folds": 5, "extra": (ExtraSplit(name="training", sql="TRUE", why="x", source="x"),)},
    ],
)  # fmt: skip
def test_a_split_that_cannot_be_is_refused_in_a_line(words):
    with pytest.raises(UsageError) as caught:
        Split(source="x", **words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(UsageError, match="radius"):
        Deduplication(name="p", key="", order=("a",), why="x", source="x", radius=radius)


def test_an_extra_split_over_an_undeclared_column_is_refused():
    for sql, said in (("nosuch = 1", "no declared"), ("redshift > 1 AND no_such = 1", "no_such")):
        extra = (ExtraSplit(name="test_a", sql=sql, why="x", source="x"),)
        split = dataclasses.replace(SPEC.split, extra=extra)
        with pytest.raises(UsageError, match=f"split test_a names .*{said}|split test_a.*{said}"):
            dataclasses.replace(SPEC, split=split)
