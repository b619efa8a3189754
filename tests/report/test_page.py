"""The report: what it says is in the build, and what it shows cannot run or load anything."""

from __future__ import annotations

import base64
import dataclasses
import io
import re

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace as changed
from PIL import Image

from galaxyds.errors import DataIntegrityError
from galaxyds.report import render, write_report
from galaxyds.spec import Band, Column
from galaxyds.store import BuildDirectory, read_manifest
from tests.models.parsed_page import Page, words
from tests.small_build import SPEC, images, make_build, table

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e'
OPTIONAL = dataclasses.replace(
    SPEC, bands=(*SPEC.bands[:2], dataclasses.replace(SPEC.bands[2], optional=True))
)


def opened(folder):
    return BuildDirectory(path=folder, manifest=read_manifest(folder / "manifest.json"))


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A full build."""
    return opened(make_build(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def text(build):
    """Its report."""
    return render(SPEC, build)


@pytest.fixture(scope="module")
def page(text):
    """Its report, parsed."""
    return Page(text)


def section(page, name):
    """Words of a section, cells of its tables apart."""
    return " ".join(" ".join(page.all("section", id=name)[0].text).split())


def test_the_page_tells_what_the_build_holds(build, page):
    assert words(page.all("h1")[0]) == "A tiny sky | with <markup>"
    assert "tiny-sky/extended:1.2.0" in words(page.all("header")[0])
    assert "Objects 60" in section(page, "figures")
    assert "3: u, g, r" in section(page, "figures")
    flow = section(page, "flow")
    assert "bright mag_g < 22 OR mag_g IS NULL 30 60" in flow
    assert "repeat spectra 3 57" in flow
    assert "no frame 1" in section(page, "dropped")
    assert "all Sect. 2 465 60" in section(page, "counts")
    assert "x <= 1 x < 1" in section(page, "choices")
    hashes = [file.sha256 for file in build.manifest.files.values()]
    assert len(hashes) >= 4
    assert all(each in section(page, "files") for each in hashes)
    assert 'galaxyds.load("tiny-sky/extended:1.2.0", split="train")' in section(page, "use")
    assert "@misc{n}" in section(page, "terms")
    assert not page.all("p", role="note")


def test_the_contents_name_every_section_and_nothing_else(page):
    targets = [each.attributes["href"] for each in page.all("a") if "nav" in each.inside]
    assert targets == [f"#{each.attributes['id']}" for each in page.all("section")]
    missing = {"#sky", "#surveys"}  # the dataset has no declination, and one archive
    assert not missing & set(targets)
    levels = [int(each.tag[1]) for each in page.elements if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1


def test_splits_are_counted_as_the_table_has_them(page):
    codes = table(60)["split_1"].to_numpy()
    told = section(page, "splits")
    for code, name in enumerate(("train", "validation", "test")):
        rows = int((codes == code).sum())
        assert f"1 {name} {rows} {100 * rows / 60:.1f} %" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"simulated": True, "limit": 50}, "Simulated: nothing here was observed."),
        ({"limit": 50}, "This is not the full dataset."),
    ],
)
def test_another_thing_than_the_published_dataset_says_so(tmp_path, options, said):
    page = Page(render(SPEC, opened(make_build(tmp_path, rows=6, **options))))
    assert said in words(page.all("header")[0])
    assert "imited to 50 objects" in words(page.all("header")[0])
    assert ("--archive simulated" in section(page, "use")) == options.get("simulated", False)
    assert "--limit 50" in section(page, "use")


def test_an_older_declaration_is_told(build, text):
    older = changed(build.manifest, spec_digest="0" * 64)
    other = render(SPEC, BuildDirectory(path=build.path, manifest=older))
    assert "Built from another declaration" in other
    assert "Built from another declaration" not in text


def hostile(manifest):
    return changed(
        manifest,
        created=HOSTILE,
        package_version=HOSTILE,
        warnings=(HOSTILE, *manifest.warnings),
        queries=(HOSTILE,),
        duplicates={HOSTILE: 1},
        departures=(HOSTILE,),
        cut_flow=tuple(
            changed(row, name=HOSTILE, sql=HOSTILE, why=HOSTILE, source=HOSTILE, where=HOSTILE)
            for row in manifest.cut_flow
        ),
        dropped=tuple(changed(each, reason=HOSTILE) for each in manifest.dropped),
        published=tuple(changed(each, what=HOSTILE) for each in manifest.published),
        archive=changed(manifest.archive, name=HOSTILE, data_release=HOSTILE),
        files={HOSTILE: next(iter(manifest.files.values()))},
    )


def test_hostile_text_is_shown_and_nothing_else(build, page):
    plain = page
    manifest = hostile(build.manifest)
    shown = render(SPEC, BuildDirectory(path=build.path, manifest=manifest))
    page = Page(shown)
    assert not page.all("script")
    assert [each.tag for each in page.elements if each.tag == "img"] == ["img"] * 3
    known = {(e.tag, tuple(e.attributes)) for e in plain.elements}
    assert {(e.tag, tuple(e.attributes)) for e in page.elements} - known <= {
        ("details", ()),
        ("td", ("class",)),
    }
    seen = r'"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e'
    for place in ("figures", "warnings", "flow", "counts", "dropped", "files"):
        assert seen in section(page, place), place
    assert "\u202e" not in shown


def test_the_page_asks_for_nothing_and_runs_nothing(page):
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0].attributes["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    for each in page.elements:
        assert each.tag not in ("script", "link", "iframe", "object", "embed", "form", "base")
        assert not [name for name in each.attributes if name.startswith("on")]
        assert (each.attributes.get("src") or "data:image/png").startswith("data:image/png")
        if each.tag == "img":
            assert each.attributes["alt"]
        if each.attributes.get("role") == "img":
            assert each.attributes["aria-label"]
    assert not re.search(r"url\(|@import", words(page.all("style")[0]))


def test_the_same_build_gives_the_same_bytes(build, text, tmp_path):
    write_report(tmp_path / "a.html", SPEC, build)
    assert (tmp_path / "a.html").read_bytes() == text.encode()
    assert len(text) < 4_000_000
    assert str(build.path.parents[3]) not in text


def test_the_sheets_are_pictures_of_the_objects_in_the_order_of_redshift(page):
    sheets = page.all("img")
    assert len(sheets) == 3
    ends = [re.search(r"redshift ([\d.]+) to ([\d.]+)", s.attributes["alt"]) for s in sheets]
    span = [float(end) for found in ends for end in found.groups()]
    z = table(60)["redshift"].to_numpy()
    assert span == sorted(span)
    assert span[0] == pytest.approx(z.min(), abs=6e-4)
    assert span[-1] == pytest.approx(z.max(), abs=6e-4)
    for sheet in sheets:
        data = base64.b64decode(sheet.attributes["src"].partition(",")[2])
        assert np.ptp(np.asarray(Image.open(io.BytesIO(data)))) > 100


def test_bands_that_objects_lack_are_counted(tmp_path):
    build = opened(make_build(tmp_path, rows=6, spec=OPTIONAL))
    told = section(Page(render(OPTIONAL, build)), "bands")
    assert "objects without" in told
    assert re.search(r"\br 6261 nanomaggy, 22.5 \S+ \S+ [\d.]+ % [\d.<]+ ?[\d.]* % 33.3 %", told)


def test_what_is_not_there_is_left_out(tmp_path):
    """No positions, bands in different units."""
    columns = tuple(c for c in SPEC.columns if c.name != "ra")
    units = (Band(name="u", unit="count", zero_point=30.0, wavelength=3557.0), *SPEC.bands[1:])
    spec = dataclasses.replace(SPEC, columns=columns, bands=units)
    build = opened(make_build(tmp_path, rows=6, spec=spec))
    page = Page(render(spec, build))
    assert not page.all("section", id="sky")
    assert "composite (" not in page.all("img")[0].attributes["alt"]


def test_a_dataset_of_others_needs_only_its_declaration(tmp_path, monkeypatch):
    """A declination and flags of its own; a file that lacks a column is drawn without it."""
    dec = Column(name="dec", dtype="float64", unit="deg", archive="b.dec", description="Dec")
    spec = dataclasses.replace(SPEC, columns=(*SPEC.columns, dec))
    whole = table

    def with_dec(rows, spec=spec, seed=0):
        known = whole(rows, spec, seed)
        return known.append_column("dec", [np.linspace(-80, 80, rows)])

    monkeypatch.setattr("tests.small_build.table", with_dec)
    build = opened(make_build(tmp_path, rows=6, spec=spec))
    later = dataclasses.replace(
        spec, columns=(*spec.columns, dataclasses.replace(SPEC.columns[7], name="mag_r"))
    )
    page = Page(render(later, build))
    labels = [each.attributes.get("aria-label") or "" for each in page.all("svg")]
    assert "Map of the whole sky with 6 objects, right ascension 180 in the middle" in labels
    told = section(page, "magnitudes")
    assert "mag_g" in told
    assert "mag_r" not in told


def test_a_build_of_another_shape_is_refused(build):
    other = changed(build.manifest, shape=(3, 9, 9))
    with pytest.raises(DataIntegrityError, match=r"galaxyds verify tiny-sky/extended:1\.2\.0"):
        render(SPEC, BuildDirectory(path=build.path, manifest=other))
    fewer = changed(build.manifest, rows=59)
    with pytest.raises(DataIntegrityError, match="59 objects"):
        render(SPEC, BuildDirectory(path=build.path, manifest=fewer))


def test_pixels_are_those_of_the_objects_that_are_drawn(build):
    from galaxyds.report.sheets import draw_from

    columns = {"redshift": table(60)["redshift"].to_numpy()}
    drawn = draw_from(SPEC, build, columns)
    rows = np.concatenate(drawn.groups)
    assert len(rows) == 18
    np.testing.assert_array_equal(drawn.images, images(60)[rows])


def rendered_with(tmp_path, monkeypatch, rows, redshift):
    """The page of a build whose redshifts are these."""
    whole = table

    def changed_table(rows, spec=SPEC, seed=0):
        known = whole(rows, spec, seed)
        column = pa.array(np.full(rows, redshift, "f4"))
        return known.set_column(known.column_names.index("redshift"), "redshift", column)

    monkeypatch.setattr("tests.small_build.table", changed_table)
    if not rows:
        empty = np.empty((0, *SPEC.image_shape()), "f4")
        monkeypatch.setattr("tests.small_build.images", lambda *_: empty)
    return Page(render(SPEC, opened(make_build(tmp_path, rows=rows))))


def test_objects_without_redshifts_are_drawn_by_row(tmp_path, monkeypatch):
    page = rendered_with(tmp_path, monkeypatch, 6, np.nan)
    assert not page.all("section", id="redshifts")
    assert len(page.all("img")) == 3
    assert "in the order of their rows" in section(page, "cutouts")
    assert "Cutouts at 2 objects" in page.all("img")[0].attributes["alt"]


def test_a_build_without_objects_has_a_page(tmp_path, monkeypatch):
    page = rendered_with(tmp_path, monkeypatch, 0, np.nan)
    assert "Objects 0" in section(page, "figures")
    assert not page.all("section", id="cutouts")
    assert not page.all("img")


@pytest.mark.parametrize(
    ("url", "is_link"), [("https://example.org", True), ("https://user:pw@evil.example/", False)]
)
def test_an_address_that_deceives_is_no_link(build, url, is_link):
    licence = dataclasses.replace(SPEC.licence, url=url)
    page = Page(render(dataclasses.replace(SPEC, licence=licence), build))
    targets = [each.attributes["href"] for each in page.all("a")]
    assert [each for each in targets if not each.startswith("#")] == [url] * is_link
    assert url in section(page, "terms")
