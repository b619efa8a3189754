"""Foreign text is shown whole, harmless and in one line; numbers as people write them."""

from __future__ import annotations

import unicodedata

import pytest

from galaxyds.errors import UsageError
from galaxyds.shown import LONGEST, gigabytes, share, value, visible, visible_lines, web_link
from galaxyds_cli.console import show_error, show_table


def test_characters_without_a_form_are_spelt_out():
    assert visible("a\u202eb\u2066c\x00\nd\U000e0001") == "a\\u202eb\\u2066c\\u0000 d\\U000e0001"
    assert visible("Σ ü 漢 |dz| ≥ 0.05") == "Σ ü 漢 |dz| ≥ 0.05"
    assert visible("a\n b\x1b[31m") == r"a b\u001b[31m"


def test_no_character_is_left_that_hides_or_reorders():
    ends = (*range(0x20000), *range(0xE0000, 0xE0200), *range(0xF0000, 0xF0100))
    left = {unicodedata.category(char) for char in visible("".join(map(chr, ends)), 9_000_000)}
    assert not left & {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize("limit", [1, 20, LONGEST])
def test_long_text_is_cut_also_where_spelling_makes_it_longer(limit):
    assert visible("x" * 9000, limit) == "x" * (limit - 1) + "…"
    assert len(visible("\x00" * 9000, limit)) == limit


def test_lines_stay_lines_and_begin_where_they_did():
    assert visible_lines("SELECT a,\n    b\x1b\n", 100) == ["SELECT a,", "    b\\u001b", ""]
    assert len("".join(visible_lines("ab\n" * 99, 9))) < 9


@pytest.mark.parametrize(
    ("text", "is_link"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt://example.org/%0aalert(1)", False),
        ("data:text/html,x", False),
        ("java\nscript:alert(1)", False),
        ("https://user@evil.example", False),
        ("https://user:pw@evil.example/", False),
        ("https://", False),
        ("http://[", False),
        ("//example.org", False),
        ("https://example.org/\u202e", False),
        ("https://[broken", False),
        (f"https://example.org/{'a' * LONGEST}", False),
        ("galaxyds 0.5, commit 0123abc", False),
    ],
)
def test_only_addresses_of_the_web_become_links(text, is_link):
    assert web_link(text) == (text if is_link else "")


def test_numbers_for_people():
    assert [share(x) for x in (0, 1, 0.00001, 0.0123, 0.5, None)] == [
        "0 %", "100 %", "< 0.01 %", "1.23 %", "50.0 %", "–",
    ]  # fmt: skip
    assert [gigabytes(n) for n in (999, 1_234_567, 40e9)] == ["999 bytes", "1.2 MB", "40.0 GB"]
    assert [value(x) for x in (0.123456, float("nan"), None)] == ["0.1235", "–", "–"]


def test_a_terminal_shows_what_others_wrote_and_obeys_none_of_it(capsys):
    show_table(("name", "what"), [("a\u202eb", "c\x1b[31md"), ("[red]e[/red]", "f\ng")])
    show_error(UsageError("no \u202edataset\x1b]0;title\x07"))
    done = capsys.readouterr()
    for told in (r"a\u202eb", r"c\u001b[31md", "[red]e[/red]", "f g"):
        assert told in done.out
    assert done.err == "galaxyds: no \\u202edataset\\u001b]0;title\\u0007\n"
