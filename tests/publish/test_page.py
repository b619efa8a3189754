"""Pages of datasets: complete, read by a Markdown parser, and those in docs are they."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from galaxyds.build.archives import open_archive
from galaxyds.build.engine import Request, open_context
from galaxyds.build.pages import folded, page_of, pages, query_of
from galaxyds.build.stages import query as query_stage
from galaxyds.publish.page import render_page
from galaxyds.specs import OWN, get_spec
from tests.small_build import SPEC

DOCS = Path(__file__).parents[2] / "docs" / "datasets"
READER = MarkdownIt("commonmark").enable("table")


def tables(page):
    """Cells of every table row, as a Markdown parser sees them."""
    rows, cells = [], []
    tokens = READER.parse(page)
    for token, following in itertools.pairwise(tokens):
        if token.type == "tr_open":
            cells = []
            rows.append(cells)
        if token.type in ("td_open", "th_open"):
            cells.append("".join(child.content for child in following.children))
    return rows


def test_the_pages_are_those_of_the_generator():
    made = pages()
    assert {path.name for path in DOCS.glob("*.md")} == set(made)
    stale = [name for name, text in made.items() if (DOCS / name).read_text("utf-8") != text]
    assert not stale, "run python -m galaxyds.build.pages"
    for name, text in made.items():
        links = [part.split(")")[0] for part in text.split("](")[1:]]
        local = [link for link in links if not link.startswith("http")]
        assert all((DOCS / link).exists() for link in local), name


@pytest.mark.parametrize("name", OWN)
def test_a_page_tells_the_whole_declaration(name):
    spec = get_spec(name)
    rows = tables(page_of(spec))
    flat = {cell for row in rows for cell in row}
    assert {column.name for column in spec.stored_columns()} <= flat
    assert {band.name for band in spec.bands} <= flat
    for config in spec.configs:
        assert {cut.shown for cut in config.cuts} <= flat
        assert {cut.why for cut in config.cuts if cut.has_effect} <= flat
        assert {f"{published.count:,}" for published in config.published} <= flat
    assert {erratum.choice for erratum in spec.errata} <= flat
    assert {flag.description for flag in spec.flags} <= flat
    assert set(spec.release_notes.values()) <= flat


@pytest.mark.parametrize("name", OWN)
def test_the_query_is_the_one_that_a_build_sends(name, tmp_path, monkeypatch):
    class SentError(Exception):
        pass

    def count(self, query):
        raise SentError(query)

    context = open_context(Request(address=name, root=tmp_path))
    monkeypatch.setattr(type(context.archive), "count", count)
    with pytest.raises(SentError) as sent:
        query_stage(context, tmp_path)
    assert sent.value.args[0] == query_of(context.spec, context.config)


def test_folding_changes_white_space_only():
    spec = get_spec("sdss-mgs")
    sql = "SELECT a.x, b.y FROM t AS a JOIN u AS b ON a.i = b.i WHERE a.x < 5 AND a.y > 2"
    assert folded(f"{sql} ORDER BY a.x").splitlines() == [
        "SELECT a.x, b.y",
        "FROM t AS a",
        "JOIN u AS b ON a.i = b.i",
        "WHERE a.x < 5",
        "    AND a.y > 2",
        "ORDER BY a.x",
    ]
    shown = page_of(spec).split("```sql\n")[1].split("```")[0]
    assert shown.split() == open_archive(spec, "remote").sql(query_of(spec, spec.config())).split()


def test_foreign_texts_cannot_act():
    hostile = "</td> | <script>x</script>\n# out ![i](http://h) `"
    bad = replace(SPEC, title=hostile, summary=hostile, paper=hostile)
    bad = replace(bad, errata=(replace(SPEC.errata[0], choice=hostile),),
                  citations=(replace(SPEC.citations[0], bibtex="```\n# out"),))  # fmt: skip
    page = render_page(bad, queries={"extended": "SELECT 1\n```\n# out"}, needs=[hostile])
    tokens = READER.parse(page)
    headings = [tokens[n + 1].content for n, t in enumerate(tokens) if t.type == "heading_open"]
    assert "out" not in headings
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert "html_block" not in {token.type for token in tokens}
    assert not kinds & {"html_inline", "image"}
    assert hostile.replace("\n", " ") in {cell for row in tables(page) for cell in row}


def test_a_dataset_of_an_archive_that_is_not_ours_has_a_page():
    page = page_of(replace(SPEC, archive="elsewhere"))
    assert "## Query" not in page
    assert "galaxyds build tiny-sky --archive simulated" in page
