"""Sphinx configuration of the site: ``make docs`` builds it into docs/_build/html.

Notebooks run while the site is built, each in its own kernel, with ``GALAXYDS_HOME`` beside the
HTML.  ``GALAXYDS_DOCS_NOTEBOOKS`` chooses how: ``force`` (default) runs all, ``cache`` only those
whose code changed, ``off`` none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myst_nb.core import render
from myst_nb.core.utils import coalesce_streams

from galaxyds import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

project = "galaxyds"
author = "The galaxyds developers"
copyright = author
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "examples", "images", "README.md"]
templates_path = ["_templates"]
language = "en"
smartquotes = False  # "--root" stays two hyphens
highlight_language = "none"

# -- Markdown and notebooks
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
nb_execution_mode = os.environ.get("GALAXYDS_DOCS_NOTEBOOKS", "force")
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # the default asks two foreign hosts

# Without a kernel nobody says that a cell beginning with %%sh is not Python.
suppress_warnings = ["misc.highlighting_failure"] if nb_execution_mode == "off" else []

# -- Docstrings
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_use_ivar = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Names of other packages cannot be looked up without a network; ours all have to be found, but for
# classes of inner modules, which only stand in signatures.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!galaxyds).*"),
    ("py:class", r"galaxyds\w*\.\w+\.\w+\.\w+"),
]

# -- HTML
html_theme = "furo"
html_title = f"galaxyds {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#2b4c8c",
        "color-brand-content": "#2b5cb0",
        "color-brand-visited": "#2b5cb0",
    },
    "dark_css_variables": {
        "color-brand-primary": "#9db8ee",
        "color-brand-content": "#8fb0f2",
        "color-brand-visited": "#8fb0f2",
    },
}

# -- Links: `make linkcheck`, with a network
linkcheck_timeout = 30
linkcheck_retries = 2
linkcheck_workers = 4
linkcheck_anchors = False

CHILDREN = {"models/index": "models/*", "datasets/index": "datasets/*"}
"""Generated lists of pages, and what the site hangs below each."""


def hang_children(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give a generated list of pages the toctree that only the site needs."""
    if docname in CHILDREN:
        pages = Path(CHILDREN[docname]).name
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{pages}\n```\n"


def isolate(app: Sphinx, config: Config) -> None:
    """Let notebooks write beside the HTML and see nobody's settings, archives or accounts."""
    scale = os.environ.get("GALAXYDS_NOTEBOOK_SCALE")
    for name in [name for name in os.environ if name.startswith("GALAXYDS_")]:
        del os.environ[name]
    beside = Path(app.outdir).parent
    os.environ["GALAXYDS_HOME"] = str(beside / "data")
    os.environ["GALAXYDS_CONFIG"] = str(beside / "no-config.toml")
    if scale:
        os.environ["GALAXYDS_NOTEBOOK_SCALE"] = scale


def plain_types(app: Sphinx, what: str, name: str, *rest: Any) -> None:
    """Show types of attributes as they are written: words such as ``bins`` are no names to link."""
    lines = rest[-1]
    lines[:] = [line.replace(":type: ", ":Type: ", 1) for line in lines]


def joined(outputs: Sequence[Any]) -> list[Any]:
    """Put together what a cell printed in pieces: myst-nb ends each piece with a new line."""
    kept: list[Any] = []
    streams: dict[str, Any] = {}
    for output in map(copy, outputs):
        name = output.get("name") if output["output_type"] == "stream" else None
        if name in streams:
            streams[name]["text"] += output["text"]
            continue
        if name:
            streams[name] = output
        kept.append(output)
    return kept


def setup(app: Sphinx) -> None:
    """Connect the hooks above."""
    render.coalesce_streams = lambda outputs: coalesce_streams(joined(outputs))
    app.connect("autodoc-process-docstring", plain_types, priority=900)  # after napoleon
    app.connect("config-inited", isolate)
    app.connect("source-read", hang_children)
