from __future__ import annotations

import re

import pytest

from galaxyds_models.leaderboard import collect, markdown, page
from galaxyds_models.results import Interval
from tests.models.parsed_page import Page, words
from tests.models.result_rows import make_entry, make_result


def details(text: str) -> dict[str, str]:
    parsed = Page(text)
    told: dict[str, str] = {}
    for each in parsed.elements:
        if each.tag == "dt":
            term = words(each)
        elif each.tag == "dd":
            told.setdefault(term, words(each))
    return told


def test_what_the_evaluator_cannot_know_of_others_models_is_unknown():
    rows = make_entry(
        recipe="external", preset="external", parameters=0, train_objects=294, members=1,
        wall_seconds=0.0, images_per_second=None, hardware="", software="",
    )  # fmt: skip
    told = page(collect(rows))
    names = ("Objects trained on", "Networks averaged", "Parameters", "Hardware", "Software")
    assert [details(told)[name] for name in names] == ["unknown"] * 5
    assert details(told)["Objects scored"] == "1,000"
    seconds = re.search(r'<th scope="row">training</th>(.*?)</tr>', told, re.S)
    assert re.findall(r">([^<>\n]+)</td>", seconds[1]) == ["unknown"] * 3
    line = re.search(r'<tr class="other" .*?</tr>|<tr class="entry" .*?</tr>', told, re.S)[0]
    assert words(Page(line).all("td")[-2]) == "–"
    assert "294" not in told


def test_models_without_a_network_have_no_parameters_and_networks_have_theirs():
    knn = details(page(collect(make_entry(model="knn", parameters=0, wall_seconds=0.2))))
    names = ("Objects trained on", "Networks averaged", "Parameters")
    assert [knn[name] for name in names] == ["4,000", "–", "–"]
    ours = details(page(collect(make_entry(members=5))))
    assert [ours[name] for name in names] == ["4,000", "5", "9,000,000"]


def test_datasets_with_results_come_first_and_the_others_are_folded():
    order = [board.place.dataset for board in collect([])]
    mine = [*make_entry(dataset=order[-1]), *make_entry(dataset="own/table")]
    smoke = make_entry(dataset=order[3], preset="smoke")
    shown_first = [order[3], order[-1], "own/table"]
    parsed = Page(page(collect([*mine, *smoke])))
    sections = parsed.all("section", **{"class": "dataset"})
    inside = {each.attributes["data-dataset"]: "details" in each.inside for each in sections}
    assert [name for name, folded in inside.items() if not folded] == shown_first
    assert list(inside)[:3] == shown_first
    assert list(inside)[3:] == [n for n in dict.fromkeys(order) if n not in shown_first]
    (fold,) = parsed.all("details", id="without-results")
    assert "open" not in fold.attributes
    assert [words(e) for e in parsed.all("option")] == ["all", *inside]
    headings = re.findall(r"^## (.*)$", markdown(collect(mine)).replace("\\", ""), re.M)
    assert headings[:2] == [order[-1], "own/table"]


def test_without_results_the_published_numbers_stand_open():
    (fold,) = Page(page(collect([]))).all("details", id="without-results")
    assert "open" in fold.attributes


SAME = {"metrics": {"sigma_mad": Interval(value=0.01, low=0.009, high=0.011)}}


@pytest.mark.parametrize(
    ("rows", "is_deterministic"),
    [
        (make_entry(**SAME), True),
        ([*make_entry(**SAME), *make_entry(division=1, **SAME)], True),
        (make_entry(), False),
        (make_entry(**SAME)[:1], False),
        (make_entry(metrics={}), False),
        ([make_result(seed, division=seed, **SAME) for seed in range(3)], False),
        ([*make_entry(**SAME)[:2], make_result(2)], False),
    ],
)
def test_seeds_that_gave_the_same_are_told_to_be_deterministic(rows, is_deterministic):
    row = next(row for board in collect(rows) for row in board.rows if row.runs)
    assert row.deterministic == is_deterministic
    for told in (page(collect(rows)), markdown(collect(rows))):
        assert ("paper, default, deterministic" in told) == is_deterministic
