"""docs/cli.md is what the verbs' own ``--help`` says, and every verb is in it with an example."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from galaxyds_cli.main import app
from galaxyds_cli.reference import page, verbs

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
VERBS = [verb for verb in verbs(app) if not verb.is_group]


def registered(application: typer.Typer, words: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Verbs as typer has them registered, without its command tree."""
    found = {
        (*words, command.name or command.callback.__name__.replace("_", "-"))
        for command in application.registered_commands
        if not command.hidden
    }
    for group in application.registered_groups:
        found |= registered(group.typer_instance, (*words, group.name))
    return found


def test_the_page_is_that_of_the_generator():
    assert PAGE.read_text("utf-8") == page(app), "run python -m galaxyds_cli.reference"


def test_no_verb_is_left_out():
    assert {verb.words for verb in VERBS} == registered(app)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.title)
def test_a_verb_has_an_example_that_calls_it(verb):
    text = " ".join(verb.help.split())
    assert f"Example: galaxyds {verb.title}" in text or f'"$(galaxyds {verb.title}' in text


def test_the_words_are_those_of_the_command():
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["bench", "run", "--help"]).output
    section = PAGE.read_text("utf-8").split("\n### bench run\n")[1].split("```")[1]
    assert " ".join(section.split()[1:]) == " ".join(shown.split())


def test_hidden_verbs_stay_hidden_and_pipes_do_not_break_the_table():
    toy = typer.Typer(rich_markup_mode=None)
    toy.command("one", help="Either | or.")(lambda: None)
    toy.command("two", hidden=True)(lambda: None)
    toy.add_typer(typer.Typer(), name="group")
    assert [verb.title for verb in verbs(toy)] == ["galaxyds", "one", "group"]
    assert "| [one](#one) | Either \\| or. |" in page(toy)
