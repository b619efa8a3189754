"""The page for people who open the server in a browser: what is served, and lines to copy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html import escape

from galaxyds.download.names import CARD, MAIN, repo_id
from galaxyds.publish.repository import Repository
from galaxyds.serve.lines import Row, python_lines, rows, shell_line

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .3rem; }
table { border-collapse: collapse; margin: .8rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #8884; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { background: #8881; padding: .7rem; border-radius: .3rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.notice { border-left: .3rem solid #c60; padding: .1rem .7rem; }
.small { font-size: .9rem; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Nothing is loaded from anywhere; the page's own style is known by its hash."""


def front_page(repositories: Iterable[Repository], base: str, *, with_token: bool) -> str:
    """Write the page.

    Parameters
    ----------
    repositories : iterable of Repository
        What is served.
    base : str
        Address under which the browser came.
    with_token : bool
        Whether clients need the token.

    Returns
    -------
    str
        HTML; every text from outside is escaped.
    """
    found = list(repositories)
    count = f"{len(found)} dataset{'' if len(found) == 1 else 's'}"
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>galaxyds serve</title><style>{_STYLE}</style></head><body>",
            "<h1>galaxyds serve</h1>",
            f"<p>{count}, for <code>datasets</code> and <code>huggingface_hub</code>.</p>",
            *(line for one in found for line in _section(one, base, with_token)),
            "</body></html>\n",
        )
    )


def _section(repository: Repository, base: str, with_token: bool) -> Iterator[str]:
    name = repo_id(repository.name)
    card = f"/datasets/{name}/resolve/{MAIN}/{CARD}"
    files = f"/api/datasets/{name}/tree/{MAIN}?recursive=true"
    code = "\n".join(python_lines(base, name, with_token=with_token))
    yield f"<h2>{escape(name)}</h2>"
    if any(build.manifest.archive.simulated for build in repository.main.builds):
        yield '<p class="notice">Simulated: nothing in it was observed.</p>'
    yield from _table(rows(repository))
    yield f'<p class="small"><a href="{escape(card)}">Card</a>, '
    yield f'<a href="{escape(files)}">files</a></p>'
    yield f"<pre>{escape(shell_line(base, name, with_token=with_token))}</pre>"
    yield f"<pre>{escape(code)}</pre>"


def _table(builds: Iterable[Row]) -> Iterator[str]:
    yield (
        '<table><tr><th>config</th><th class="n">objects</th><th class="n">size</th>'
        "<th>nature</th><th>revision</th></tr>"
    )
    for row in builds:
        yield (
            f'<tr><td>{escape(row.config)}</td><td class="n">{row.objects:,}</td>'
            f'<td class="n">{row.bytes / 1e6:,.1f} MB</td><td>{escape(row.nature)}</td>'
            f"<td>{escape(row.revisions)}</td></tr>"
        )
    yield "</table>"
