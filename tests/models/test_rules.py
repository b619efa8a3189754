from __future__ import annotations

import re

import pytest
import typer
from msgspec import structs

from galaxyds_cli.bench import run
from galaxyds_cli.bench_evaluate import evaluate
from galaxyds_models.evaluate import EXTERNAL
from galaxyds_models.results import Interval
from galaxyds_models.rules import RULES, check
from tests.models.result_rows import MANIFEST, make_entry, make_result


def failing(rows) -> dict[str, str]:
    return {finding.rule: finding.message for finding in check(rows) if not finding.passed}


def test_three_good_seeds_pass_every_rule():
    findings = check(make_entry())
    assert [finding.rule for finding in findings] == list(RULES)
    assert failing(make_entry()) == {}
    assert findings[0].entry.startswith("multimodal (paper, default) on sdss-mgs/main:1.0.0 test")


def with_last(**changes):
    return [make_result(0), make_result(1), make_result(2, **changes)]


_NO_HIGH = {"sigma_mad": Interval(value=0.1, low=0.1, high=None)}
_OTHER = {"rmse": Interval(value=0.1, low=0.1, high=0.1)}
_TURNED = {"sigma_mad": Interval(value=0.1, low=0.2, high=0.1)}


@pytest.mark.parametrize(
    ("rule", "rows", "words"),
    [
        ("seeds", make_entry()[:2], "2 of 3 seeds (0, 1)"),
        ("seeds", [make_result(s, division=d) for s in (0, 1) for d in (0, 1)], "2 of 3"),
        ("repeats", [*make_entry(), make_result(1)], "seed 1, division 0 stands 2 times"),
        ("divisions", [*make_entry(), make_result(0, division=1)], "seed 1 lacks division 1"),
        ("manifest", make_entry(manifest="1234"), "sha256"),
        ("objects", with_last(objects=999), "999 and 1,000 objects"),
        ("objects", make_entry(objects=0), "0 objects"),
        ("training", with_last(parameters=9_000_001), "9,000,000 and 9,000,001 parameters"),
        ("training", with_last(train_objects=3999), "division 0 was trained on 3,999 and 4,000"),
        ("origin", make_entry(version="1.0.0+simulated"), "simulated=true"),
        ("origin", with_last(nature="real table"), "different things"),
        ("origin", make_entry(nature=" "), "nature"),
        ("preset", make_entry(preset="smoke"), "--preset default"),
        ("members", with_last(members=5), "1, 5"),
        ("intervals", make_entry(metrics={}), "no metrics"),
        ("intervals", make_entry(metrics=_NO_HIGH), "sigma_mad of seed 0"),
        ("intervals", make_entry(metrics=_TURNED), "sigma_mad of seed 0"),
        ("intervals", with_last(metrics=_OTHER), "different metrics"),
        ("validation", with_last(validation={}), "seed 2"),
        ("validation", with_last(validation={"loss": None}), "seed 2"),
        ("hardware", with_last(hardware=""), "processor"),
        ("software", with_last(software=" "), "versions"),
        ("code", with_last(code=""), "link to the code"),
        ("command", with_last(command=""), "command"),
        ("created", with_last(created="yesterday"), "seed 2"),
        ("created", with_last(created="2026-01-31T12:00:00"), "UTC"),
        ("created", with_last(created="2026-01-31T12:00:00+02:00"), "UTC"),
    ],
)
def test_each_rule_fails_alone(rule, rows, words):
    assert list(failing(rows)) == [rule]
    assert words in failing(rows)[rule]


def test_utc_may_be_written_with_a_z():
    assert failing(make_entry(created="2026-01-31T12:00:00Z")) == {}


def test_divisions_of_different_size_are_one_entry():
    folds = [
        make_result(seed, division=fold, objects=1000 + fold, train_objects=4000 - fold)
        for seed in range(3)
        for fold in range(2)
    ]
    assert failing(folds) == {}


def test_a_network_of_another_size_in_one_division_is_another_recipe():
    folds = [
        make_result(seed, division=fold, parameters=5 + fold)
        for seed in range(3)
        for fold in range(2)
    ]
    assert list(failing(folds)) == ["training"]


def test_rows_of_others_have_no_parameters_and_pass():
    assert failing(make_entry(recipe="external", parameters=0, train_objects=0)) == {}


def options_of(function) -> set[str]:
    """Return the options of a command, as typer has them."""
    command = typer.main.get_command(_app(function))
    return {option for parameter in command.params for option in parameter.opts}


def _app(function) -> typer.Typer:
    app = typer.Typer()
    app.command()(function)
    return app


_SPOILT = {
    "seeds": make_entry()[:1],
    "repeats": [*make_entry(), make_result(0)],
    "intervals": make_entry(metrics=_NO_HIGH),
    "validation": make_entry(validation={}),
    "hardware": make_entry(hardware=""),
    "software": make_entry(software=""),
    "code": make_entry(code=""),
}


@pytest.mark.parametrize(
    ("recipe", "command", "wanted"),
    [
        (
            EXTERNAL,
            evaluate,
            {
                "seeds": {"--seed"},
                "repeats": {"--seed", "--model"},
                "intervals": {"--resamples"},
                "validation": {"--validation"},
                "hardware": {"--hardware"},
                "software": {"--software"},
                "code": {"--code"},
            },
        ),
        ("paper", run, {"seeds": {"--seed"}, "code": {"--code", "--output"}}),
    ],
)
def test_messages_name_the_options_of_the_command_that_made_the_rows(recipe, command, wanted):
    for rule, rows in _SPOILT.items():
        said = failing([structs.replace(row, recipe=recipe) for row in rows])[rule]
        assert set(re.findall(r"--[a-z]+", said)) == wanted.get(rule, set())
        assert "\n" not in said
    assert set().union(*wanted.values()) <= options_of(command)


def test_seeds_that_are_there_are_kept_and_the_lowest_others_named():
    (said,) = failing([make_result(5), make_result(1)]).values()
    assert said == "2 of 3 seeds (1, 5): run it with --seed 0 --seed 1 --seed 5"


def test_seeds_on_another_build_do_not_count_and_are_named():
    rows = [make_result(0), make_result(1), make_result(2, manifest="ab" * 32)]
    said = [finding.message for finding in check(rows) if finding.rule == "seeds"]
    words = "on another build of the same address do not count: 1.0.0"
    again = "run it with --seed 0 --seed 1 --seed 2"
    assert sorted(said) == [
        f"1 of 3 seeds (2): {again}; rows {words} [{MANIFEST[:8]}]",
        f"2 of 3 seeds (0, 1): {again}; rows {words} [abababab]",
    ]


def test_real_and_simulated_rows_are_different_groups():
    rows = [*make_entry(), *make_entry(simulated=True)]
    assert len({(finding.entry, finding.rule) for finding in check(rows)}) == len(RULES)
    assert len(check(rows)) == 2 * len(RULES)
    assert failing(rows) == {}


def test_no_rows_no_findings():
    assert check([]) == []
