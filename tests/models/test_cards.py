"""Model cards: generated from recipes and published numbers, and the pages in docs are they."""

from __future__ import annotations

from pathlib import Path

from galaxyds_models.cards import card, pages
from galaxyds_models.registry import get_entry

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
