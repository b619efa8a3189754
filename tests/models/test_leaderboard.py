from __future__ import annotations

import base64
import hashlib
import re

import pytest

from galaxyds.shown import visible
from galaxyds_models.histograms import Histogram
from galaxyds_models.leaderboard import collect, figures, markdown, page, write_page
from galaxyds_models.leaderboard.collect import Cell
from galaxyds_models.leaderboard.columns import column, decimals_for, number, printed
from galaxyds_models.leaderboard.words import value
from galaxyds_models.results import Bin, Interval
from tests.models.parsed_page import Page, words
from tests.models.result_rows import make_entry, make_figures, make_result

SIMULATED = {
    "simulated": True,
    "version": "1.0.0+simulated.limit2000",
    "nature": "simulated sky, limited to 2000 objects",
    "manifest": "cd" * 32,
}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onmouseover='alert(3)",
    "</style><svg onload=alert(4)>",
    "javascript:alert(5)",
    "{{ 7 * 7 }}",
    "a|b `c` [x](javascript:alert(6)) ![y](z) <b>\n\n# d\n|---|",
    "a\u202eb\u2066c\x00d\x1be\ud800f",
)


def boards(results, **options):
    return {
        (board.place.dataset, board.place.simulated, board.place.split): board
        for board in collect(results, **options)
    }


def test_seeds_become_a_mean_with_their_spread():
    row = boards(make_entry())["sdss-mgs/main", False, "test"].rows
    ours = next(each for each in row if each.kind == "entry")
    cell = ours.cells["sigma_mad"]
    assert cell.value == pytest.approx(0.0082)
    assert cell.spread == pytest.approx(0.0002)
    assert cell.error == pytest.approx(0.0005)
    assert [n.value for n in cell.printed] == [0.00785]
    assert (ours.seeds, ours.rank, ours.objects) == ((0, 1, 2), 1, 1000)


def test_divisions_are_averaged_before_seeds():
    def value(seed, fold):
        return {"sigma_mad": Interval(value=seed + 10.0 * fold, low=0.0, high=1.0)}

    rows = [
        make_result(seed, division=fold, metrics=value(seed, fold))
        for seed in (1, 2, 3)
        for fold in (0, 1)
    ]
    ours = next(r for r in boards(rows)["sdss-mgs/main", False, "test"].rows if r.runs)
    assert (ours.cells["sigma_mad"].value, ours.cells["sigma_mad"].spread) == (7.0, 1.0)
    assert ours.objects == 2000


def test_real_and_simulated_rows_never_share_a_table():
    mixed = collect(
        [*make_entry(), *make_entry(**SIMULATED), *make_entry(model="knn", **SIMULATED)]
    )
    for board in mixed:
        assert {run.simulated for row in board.rows for run in row.runs} <= {board.place.simulated}
    assert sum(board.place.simulated for board in mixed) == 1


def test_a_row_that_hides_its_simulated_origin_stands_with_the_simulated_ones():
    found = boards(make_entry(**{**SIMULATED, "simulated": False}))
    board = found["sdss-mgs/main", True, "test"]
    assert [row.kind for row in board.rows] == ["other"]
    assert all(row.kind == "published" for row in found["sdss-mgs/main", False, "test"].rows)


def test_published_numbers_stand_beside_whole_real_builds_only():
    found = collect([*make_entry(), *make_entry(**SIMULATED)])
    part = collect(make_entry(version="1.0.0+limit500"))
    for board in [*found, *part]:
        published = [row for row in board.rows if row.kind == "published"]
        assert bool(published) == ("+" not in board.place.version)
        if "+" in board.place.version:
            assert not any(cell.printed for row in board.rows for cell in row.cells.values())


@pytest.mark.parametrize(
    ("address", "trained", "metric", "value"),
    [
        ("sdss-qso/extended", "crossmodal paper", "rmse", 0.0865),
        ("sdss-qso/extended", "crossmodal paper-patterns", "rmse", 0.0865),
        ("sdss-qso/extended", "crossmodal paper generated-image", "rmse", 0.1035),
        ("sdss-qso/extended", "crossmodal photometry", "rmse", None),
        ("sdss-qso/extended", "crossmodal photometry generated-image", "rmse", None),
        ("sdss-qso/extended", "crossmodal paper+epochs5", "rmse", None),
        ("sdss-qso/extended", "crossmodal external", "rmse", None),
        ("sdss-mgs/main", "multimodal early", "sigma_mad", 0.00785),
        ("sdss-mgs/main", "multimodal baseline", "sigma_mad", None),
        ("sdss-mgs/main", "multimodal-baseline sdss", "sigma_mad", 0.008),
        ("hsc-galaxiesml/64", "galaxiesml-nn released", "sigma_mad", 0.0315),
        ("hsc-galaxiesml/64", "galaxiesml-cnn paper", "sigma_mad", None),
        ("hsc-galaxiesml/127", "galaxiesml-cnn paper", "sigma_mad", 0.0167),
    ],
)
def test_a_published_number_stands_beside_the_recipes_that_reproduce_it(
    address, trained, metric, value
):
    model, recipe, pattern = (*trained.split(), "")[:3]
    metrics = {metric: Interval(value=0.1, low=0.05, high=0.15)}
    rows = make_entry(dataset=address, model=model, recipe=recipe, pattern=pattern, metrics=metrics)
    board = boards(rows)[address, False, "test"]
    (ours,) = (row for row in board.rows if row.runs)
    assert [number.value for number in ours.cells[metric].printed] == [value] * (value is not None)


def test_scores_of_other_builds_and_splits_have_other_tables():
    rows = [*make_entry(), *make_entry(manifest="ef" * 32), *make_entry(split="validation")]
    mine = [board for board in collect(rows) if board.place.dataset == "sdss-mgs/main"]
    assert [board.place.split for board in mine] == ["test", "test", "validation"]


def test_rows_of_the_preset_smoke_are_left_out_unless_asked_for():
    rows = [*make_entry(), *make_entry(model="knn", preset="smoke")]
    board = boards(rows)["sdss-mgs/main", False, "test"]
    assert (board.smoke, {row.label for row in board.rows if row.runs}) == (1, {"multimodal"})
    assert "1 row of the preset smoke left out" in page(collect(rows))
    told = page(collect(rows, smoke=True))
    assert "smoke, not an entry: preset" in told
    assert "left out" not in told


def test_entries_are_ranked_and_others_are_not():
    better = {"sigma_mad": Interval(value=0.001, low=0.0009, high=0.0011)}
    rows = [*make_entry(), *make_entry(model="knn", metrics=better)[:2]]
    mine = [r for r in boards(rows)["sdss-mgs/main", False, "test"].rows if r.runs]
    assert [(row.label, row.rank) for row in mine] == [("knn", None), ("multimodal", 1)]
    assert "not an entry: seeds" in page(collect(rows))


def scored(model, divisions, value, **changes):
    metrics = {"sigma_mad": Interval(value=value, low=0.9 * value, high=1.1 * value)}
    return [
        make_result(seed, model=model, division=division, metrics=metrics, **changes)
        for seed in range(3)
        for division in divisions
    ]


def ranks(rows):
    board = boards(rows)["sdss-mgs/main", False, "test"]
    return [(row.label, row.rank) for row in board.rows if row.runs]


def test_only_rows_of_the_same_divisions_are_ranked():
    rows = [
        *scored("knn", [0], 0.001),
        *scored("median", [0, 1, 2], 0.002),
        *scored("boosting", [0, 1, 2], 0.003),
        *scored("hong-mlp", [0, 1, 2, 3], 0.004)[:4],
    ]
    placed = [("knn", None), ("median", 1), ("boosting", 2), ("hong-mlp", None)]
    assert ranks(rows) == placed
    for told in (page(collect(rows)), markdown(collect(rows)).replace("\\", "")):
        assert told.count("divisions 0 only, not ranked") == 1
        assert told.count("only, not ranked") == 1


def test_of_sets_of_divisions_of_one_size_the_commonest_is_ranked():
    alone = [*scored("knn", [0], 0.001), *scored("median", [1], 0.002)]
    assert ranks(alone) == [("knn", 1), ("median", None)]
    assert ranks([*alone, *scored("boosting", [1], 0.003)]) == [
        ("knn", None),
        ("median", 1),
        ("boosting", 2),
    ]


def test_a_bias_is_ranked_by_its_size_and_a_share_by_most():
    bias, share, unknown = column("bias_mean"), column("within_10"), column("strange")
    assert bias.rank_key(-0.1) > bias.rank_key(0.05)
    assert share.rank_key(0.9) < share.rank_key(0.8)
    assert share.rank_key(None) == float("inf")
    assert (unknown.better, unknown.label) == ("", "strange")


def test_digits_follow_the_error():
    assert number(7.8512, decimals_for(0.043)) == "7.851"
    assert number(123.4, decimals_for(25.0)) == "123"
    assert number(-0.0004, decimals_for(0.02)) == "0.000"
    assert number(-0.31) == "\N{MINUS SIGN}0.31"
    assert (printed(0.101, 4), printed(92.6, 4), printed(8.0, 3)) == ("0.1010", "92.60", "8.00")


@pytest.mark.parametrize(
    ("spread", "error", "told"),
    [
        (0.00017, 0.0025, ("0.0804", "± 0.0002")),
        (0.0, 0.0025, ("0.0804", "")),
        (None, 0.0025, ("0.0804", "")),
        (0.012, 0.0025, ("0.080", "± 0.012")),
        (0.000043, 0.0025, ("0.0804", "± 0.00004")),
    ],
)
def test_digits_are_of_the_larger_error_and_no_spread_is_shown_as_zero(spread, error, told):
    cell = Cell(value=0.08044, spread=spread, error=error)
    assert value(column("rmse"), cell) == told


def test_the_validation_score_has_the_digits_of_the_metric():
    same = {"validation": {"sigma_mad": 0.00859291}}
    rows = boards(make_entry(**same))["sdss-mgs/main", False, "test"].rows
    ours = next(row for row in rows if row.runs)
    assert value(column("sigma_mad"), ours.validation) == ("8.59", "")


@pytest.fixture(scope="module")
def full() -> str:
    rows = [*make_entry(**make_figures()), *make_entry(**SIMULATED), *make_entry(model="knn")[:1]]
    return page(collect(rows))


def test_every_board_has_one_table_and_every_link_on_the_page_a_target(full):
    parsed = Page(full)
    sections = [each for each in parsed.elements if each.tag == "section"]
    boards = [each for each in sections if "board" in (each.attributes.get("class") or "")]
    single = [each for each in sections if each.attributes.get("class") == "seeds"]
    assert len(parsed.all("table")) == len(boards) + len(single)
    assert len(single) == 3
    identifiers = [e.attributes["id"] for e in parsed.elements if "id" in e.attributes]
    assert len(set(identifiers)) == len(identifiers)
    local = [e.attributes["href"] for e in parsed.all("a") if e.attributes["href"].startswith("#")]
    assert {href[1:] for href in local} <= set(identifiers)


def test_tables_say_what_they_hold(full):
    told = [words(each) for each in Page(full).all("p", **{"class": "caption"})]
    assert any(text.startswith("Real data: whole dataset; version 1.0.0") for text in told)
    assert any("Simulated sky, comparable with each other only" in text for text in told)
    assert sum("no result of this kind is recorded yet" in text for text in told) == 10
    assert "8.20" in full
    assert "± 0.20" in full
    assert "published 7.85" in full


def test_rows_of_a_table_have_as_many_cells_as_its_head():
    for text in re.findall(r"<table>.*?</table>", page(collect(make_entry())), re.S):
        counts = {
            len(re.findall(r"<t[hd]\b", row)) for row in re.findall(r"<tr\b.*?</tr>", text, re.S)
        }
        assert len(counts) == 1


def test_headings_are_buttons_and_the_order_is_told(full):
    parsed = Page(full)
    assert all("th" in each.inside for each in parsed.all("button"))
    sorted_by = [words(e) for e in parsed.all("th") if e.attributes.get("aria-sort")]
    assert "σ MAD10⁻³ ↓ better" in sorted_by
    assert parsed.all("th", **{"aria-sort": "ascending", "data-better": "lower"})


def test_unknown_cells_are_empty_with_their_reason(full):
    cells = [e for e in Page(full).all("td") if "is a picture" in (e.attributes.get("title") or "")]
    assert cells
    assert {each.attributes["data-value"] for each in cells} == {""}
    assert any("Table 3 is a picture" in words(each) for each in Page(full).all("li"))


def test_the_page_loads_nothing_and_its_policy_knows_its_script_and_style(full):
    parsed = Page(full)
    assert not [each for each in parsed.elements if "src" in each.attributes]
    assert not {"link", "iframe", "object", "base"} & {each.tag for each in parsed.elements}
    assert not re.search(r"@import|url\(", full)
    policy = parsed.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]
    (script,), (style,) = parsed.all("script"), parsed.all("style")
    for element, directive in ((script, "script-src"), (style, "style-src")):
        digest = hashlib.sha256("".join(element.text).encode()).digest()
        wanted = f"{directive} 'sha256-{base64.b64encode(digest).decode()}'"
        assert wanted in policy.attributes["content"]
    assert policy.attributes["content"].startswith("default-src 'none';")
    assert not [
        e for e in parsed.elements for name in e.attributes if name.startswith(("on", "style"))
    ]


def everywhere(text: str):
    """An entry with a text in every field that may hold one."""
    fields = ("model", "recipe", "nature", "hardware", "software", "code", "command", "created")
    changes = dict.fromkeys(fields, text) | {"dataset": f"sdss-mgs/{text}", "split": text}
    metrics = {text: Interval(value=0.1, low=0.0, high=0.2)}
    bins = [Bin(low=0, high=1, count=3, metrics={text: 0.5})]
    figures = make_figures()["figures"]
    return make_entry(
        **changes, version=text, manifest=text, pattern=text, metrics=metrics,
        validation={text: 0.1}, bins=bins, figures=figures,
    )  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_and_no_attribute(text):
    plain, hostile = (Page(page(collect(everywhere(word)))) for word in ("plain", text))
    assert hostile.shape() == plain.shape()
    assert visible(text) in words(hostile.all("main")[0])
    assert not [e for e in hostile.all("a") if not e.attributes["href"].startswith("#")]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_no_markdown(text):
    told = markdown(collect(everywhere(text)))
    plain = markdown(collect(everywhere("plain")))
    bars = [[len(re.findall(r"(?<!\\)\|", line)) for line in t.splitlines()] for t in (told, plain)]
    assert bars[0] == bars[1]
    assert not re.search(r"<(?!/?sup>|https?:)", told)
    assert "](" not in told
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", told)


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
        ("https://", False),
        ("//example.org", False),
        ("https://example.org/\u202e", False),
        ("https://[broken", False),
        ("galaxyds 0.5, commit 0123abc", False),
    ],
)
def test_only_addresses_of_the_web_become_links(text, is_link):
    parsed = Page(page(collect(make_entry(code=text))))
    away = [e for e in parsed.all("a") if not e.attributes["href"].startswith("#")]
    assert bool(away) == is_link


def test_links_cannot_end_a_markdown_cell():
    told = markdown(collect(make_entry(code="https://example.org/a|b>c)d")))
    assert "[code](<https://example.org/a%7Cb%3Ec%29d>)" in told


def test_markdown_has_the_same_numbers():
    told = markdown(collect([*make_entry(), *make_entry(**SIMULATED)]))
    assert "| 1 | **multimodal** paper, default | 8.20 ± 0.20 |" in told
    assert "### simulated sky, split test" in told


def test_the_same_results_in_another_order_are_the_same_page():
    rows = [*make_entry(**make_figures()), *make_entry(**SIMULATED), *make_entry(model="knn")]
    assert page(collect(rows)) == page(collect(rows[::-1]))
    assert markdown(collect(rows)) == markdown(collect(rows[::-1]))


def test_figures_are_drawn_for_the_results_that_have_them(full):
    drawn = Page(full).all("svg")
    labels = [each.attributes["aria-label"] for each in drawn]
    assert labels[:3] == [
        "Photometric against spectroscopic redshift",
        "Residuals",
        "Probability integral transform",
    ]
    assert "σ MAD by redshift" in labels
    assert "nan" not in "".join(each.attributes.get("d") or "" for each in Page(full).all("path"))


def test_a_histogram_is_drawn_to_scale():
    svg = figures.pit(Histogram(edges=[0.0, 0.5, 1.0], counts=[1, 3]))
    path = next(each for each in Page(svg).all("path") if each.attributes["class"] == "bars")
    floor, *tops = (float(y) for y in re.findall(r"[ V]([\d.]+)", path.attributes["d"]))
    assert (floor - tops[1]) / (floor - tops[0]) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(
    "broken",
    [
        Histogram(edges=[0.0, 1.0], counts=[]),
        Histogram(edges=[1.0, 0.0], counts=[3]),
        Histogram(edges=[0.0, 1e300], counts=[3]),
        Histogram(edges=[0.0, 1.0], counts=[-3]),
        Histogram(edges=[0.0, 1.0], counts=[0]),
        Histogram(edges=[], counts=[]),
    ],
)
def test_histograms_that_make_no_sense_are_not_drawn(broken):
    assert figures.residuals(broken) == ""
    assert figures.pit(broken) == ""


def test_absurd_numbers_do_not_spoil_the_page():
    huge = {"sigma_mad": Interval(value=1e308, low=-1e308, high=1e308)}
    bins = [Bin(low=0, high=1, count=1, metrics={"sigma_mad": 1e308})]
    told = page(collect(make_entry(metrics=huge, bins=bins, validation={"sigma_mad": -1e308})))
    assert "seed 0 has no finite value" in told


def test_a_hundred_models_stay_below_three_megabytes():
    drawn = make_figures()
    rows = [row for k in range(100) for row in make_entry(model=f"m{k}", **drawn)]
    told = page(collect(rows))
    assert len(told.encode()) < 3_000_000
    assert told.count("<svg") > 100


def test_without_results_the_page_has_the_published_numbers(tmp_path):
    path = write_page(tmp_path / "public", collect([]))
    assert path.name == "index.html"
    assert "Pasquet et al. 2019" in path.read_text(encoding="utf-8")
