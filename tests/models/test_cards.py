"""Model cards: generated from recipes and published numbers, and the pages in docs are they."""

from __future__ import annotations

from pathlib import Path

from galaxyds_models.cards import card, pages
from galaxyds_models.measured import measured
from galaxyds_models.registry import get_entry, names

DOCS = Path(__file__).parents[2] / "docs" / "models"


def test_the_pages_are_those_of_the_generator():
    made = pages()
    assert {path.name for path in DOCS.glob("*.md")} == set(made)
    stale = [name for name, text in made.items() if (DOCS / name).read_text("utf-8") != text]
    assert not stale, "run python -m galaxyds_models.cards"


def test_a_card_has_counts_differences_and_published_numbers():
    text = card(get_entry("galaxiesml-cnn"))
    assert "7,151,073" in text
    assert "0.0577" in text  # paper 002, Table 2
    assert "What differs from the paper" in text
    assert "27,596,372" in card(get_entry("pasquet"))
    assert "0.00785" in card(get_entry("multimodal"))  # paper 003, Table 2


def test_what_was_measured_is_what_the_benchmarks_page_says():
    page = (DOCS.parent / "benchmarks.md").read_text("utf-8").replace("**", "").splitlines()
    for row in measured():
        assert row.model in names()
        wanted = list(row.numbers.values())
        fitting = [line for line in page if all(f"| {number} |" in line for number in wanted)]
        assert fitting, row
        assert any(row.model in line or row.pattern in line for line in fitting)


def test_numbers_measured_here_stand_beside_the_published_ones():
    text = card(get_entry("multimodal"))
    assert text.index("## Published numbers") < text.index("## Measured here")
    assert "0.0612 ± 0.0084 [0.0090]" in text
    assert "simulated sky, 2,287 objects to learn from; 569 scored" in text
