"""The site is built once, with its notebooks, and read as a browser would."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.html_pages import Page, css_requests, is_foreign, read_site, target

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted(path.stem for path in DOCS.glob("notebooks/*.md") if path.stem != "index")
NEEDED = ("sphinx", "furo", "myst_nb", "sphinx_copybutton", "sphinx_design", "ipykernel",
          "torch", "galsim", "datasets", "matplotlib")  # fmt: skip
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
PLAIN_HTTP: frozenset[str] = frozenset()
"""Hosts that may be linked without TLS."""

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"galaxyds[docs] is missing {MISSING}"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """The build: small notebooks, warnings as errors, nobody's settings."""
    folder = tmp_path_factory.mktemp("site")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GALAXYDS_")}
    env |= {"GALAXYDS_NOTEBOOK_SCALE": "small", "OMP_NUM_THREADS": "1"}
    strict = ("-W", "--keep-going", "-q")
    command = [sys.executable, "-m", "sphinx", *strict, str(DOCS), str(folder / "html")]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def html(built) -> Path:
    return Path(built.args[-1])


@pytest.fixture(scope="session")
def site(html) -> dict[Path, Page]:
    return read_site(html)


def test_it_builds_without_a_warning(built):
    assert built.returncode == 0, built.stderr[-6000:]


def test_every_page_of_the_folder_is_on_the_site(html):
    sources = [path for kind in ("*.md", "*.rst") for path in DOCS.rglob(kind)]
    names = [path.relative_to(DOCS) for path in sources if "_build" not in path.parts]
    assert not [name for name in names if not (html / name).with_suffix(".html").is_file()]


def test_every_link_within_the_site_has_its_file_and_its_anchor(site, html):
    broken = []
    for path, page in site.items():
        for link in (*page.links, *page.assets):
            if is_foreign(link) or urlsplit(link).scheme in ("mailto", "data"):
                continue
            file, fragment = target(path, link)
            known = site[file].ids if file in site else set()
            if not file.is_file() or (fragment and file in site and fragment not in known):
                broken.append(f"{path.relative_to(html)}: {link}")
    assert not broken


def test_a_page_asks_no_other_host(site, html):
    asked = {asset for page in site.values() for asset in page.assets if is_foreign(asset)}
    for sheet in html.rglob("*.css"):
        asked |= {url for url in css_requests(sheet.read_text("utf-8")) if is_foreign(url)}
    assert not asked


def test_foreign_links_are_encrypted(site):
    links = {urlsplit(link) for page in site.values() for link in page.links if is_foreign(link)}
    plain = {link.geturl() for link in links if link.scheme != "https"}
    assert not {url for url in plain if urlsplit(url).hostname not in PLAIN_HTTP}
    assert all(link.hostname for link in links)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_ran_and_shows_a_picture(site, html, name):
    page = site[(html / "notebooks" / f"{name}.html").resolve()]
    assert page.outputs
    assert page.pictures
    assert "Traceback (most recent call last)" not in page.path.read_text("utf-8")


def test_notebooks_build_beside_the_site(html):
    if not NOTEBOOKS:
        pytest.skip("there are no notebooks")
    manifests = list((html.parent / "data").rglob("manifest.json"))
    assert manifests
    assert all(json.loads(path.read_text("utf-8")) for path in manifests)


def test_the_reader_notices_what_it_looks_for(tmp_path):
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="https://fonts.example/x.css"><a href="b.html#no">b</a>'
        "<style>p { background: url('//cdn.example/p.png') }</style>"
        '<div class="cell_output docutils"><div><img src="p.png"></div></div><img src="q.png">'
    )
    page = Page(tmp_path / "a.html")
    assert page.links == ["b.html#no"]
    assert [asset for asset in page.assets if is_foreign(asset)] == [
        "https://fonts.example/x.css",
        "//cdn.example/p.png",
    ]
    assert (page.outputs, page.pictures) == (1, 1)
    assert target(page.path, page.links[0]) == (tmp_path / "b.html", "no")
