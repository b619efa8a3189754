"""What a browser would ask for and could jump to, read from HTML by the standard library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ASSETS = {
    "stylesheet",
    "icon",
    "shortcut icon",
    "preload",
    "prefetch",
    "preconnect",
    "modulepreload",
}
CSS_REQUEST = re.compile(r"@import\s+[\"']?([^\"';]+)|url\(\s*[\"']?([^\"')]+)")


@dataclass
class Page(HTMLParser):
    """Ids, links and assets of one page."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    outputs: int = 0
    pictures: int = 0
    depth: int = 0  # of divisions below the output of a cell

    def __post_init__(self) -> None:
        super().__init__()
        text = self.path.read_text("utf-8")
        self.feed(text)
        for style in re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL):
            self.assets += css_requests(style)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") in ASSETS:
            self.assets.append(found["href"])
        self.assets += [found[name] for name in ("src", "data", "poster") if found.get(name)]
        self.assets += [part.split()[0] for part in found.get("srcset", "").split(",") if part]
        self._outputs(tag, found)

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and self.depth:
            self.depth -= 1

    def _outputs(self, tag: str, found: dict[str, str]) -> None:
        if tag == "div" and self.depth:
            self.depth += 1
        elif tag == "div" and "cell_output" in found.get("class", "").split():
            self.depth, self.outputs = 1, self.outputs + 1
        self.pictures += bool(self.depth) and tag in ("img", "svg")


def read_site(folder: Path) -> dict[Path, Page]:
    """Every page of a site by its path."""
    return {path.resolve(): Page(path.resolve()) for path in folder.rglob("*.html")}


def css_requests(text: str) -> list[str]:
    """What a style sheet asks for, embedded data apart."""
    found = (imported or url for imported, url in CSS_REQUEST.findall(text))
    return [url for url in found if not url.startswith("data:")]


def is_foreign(link: str) -> bool:
    parts = urlsplit(link)
    return bool(parts.netloc) or parts.scheme in ("http", "https")


def target(page: Path, link: str) -> tuple[Path, str]:
    """File and fragment that a link within the site means."""
    parts = urlsplit(link)
    file = page if not parts.path else (page.parent / unquote(parts.path)).resolve()
    return (file / "index.html" if file.is_dir() else file), unquote(parts.fragment)
