"""Pages that people wrote: their code runs, and their facts are those of the package."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import galaxyds
from galaxyds_cli.reference import settings_page
from galaxyds_models.estimator import count_parameters
from galaxyds_models.predictions import read_predictions

ROOT = Path(__file__).parents[2]
CODE = ("galaxyds", "cli/galaxyds_cli", "reference_models/galaxyds_models")
PROSE = ("docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def blocks(name: str) -> list[str]:
    """Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text("utf-8"), re.M | re.S)


def run_blocks(name: str, *which: int) -> dict[str, object]:
    names: dict[str, object] = {}
    for k in which:
        exec(compile(blocks(name)[k], name, "exec"), names)
    return names


def test_the_predictions_of_the_page_are_read(tmp_path):
    pdf, edges = np.full((3, 4), 0.25, "f4"), np.linspace(0, 2, 5)
    write = run_blocks("docs/adding_a_model.md", 0)["write"]
    write(tmp_path / "p.parquet", [7, 8, 9], [0.1, 0.2, 0.3], pdf, edges)
    read = read_predictions(tmp_path / "p.parquet")
    assert read.object_id.tolist() == [7, 8, 9]
    np.testing.assert_array_equal(read.pdf, pdf)
    np.testing.assert_array_equal(read.edges, edges)


def test_the_model_of_the_page_learns():
    entry = run_blocks("docs/adding_a_model.md", 1, 2)["ENTRIES"][0]
    torch.manual_seed(0)
    network = entry.network(entry.recipe().config, entry.reference)
    assert count_parameters(network) == 6
    magnitudes = torch.rand(64, 5)
    batch = {"magnitudes": magnitudes, "redshift": magnitudes @ torch.arange(5.0) / 10}
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    losses = []
    for _ in range(300):
        loss = network.objective(network(batch), batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    assert network.estimates(network(batch))["z"].shape == (64,)


def test_the_citation_file_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    top = dict(re.findall(r"^([a-z-]+): ?(.*)$", text, re.M))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(top)
    assert top["cff-version"] == "1.2.0"
    assert top["version"] == galaxyds.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert top["license"] == project["license"]
    assert top["title"].strip('"').partition(":")[0] == project["name"]
    assert f"version = {{{galaxyds.__version__}}}" in (ROOT / "docs/citing.md").read_text("utf-8")


def test_files_that_the_security_page_names_are_there():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?|\w+/\w+\.py)`", text)
    assert len(named) > 8
    assert not [name for name in named if not any((ROOT / base / name).exists() for base in
                (*CODE, "reference_models", "."))]  # fmt: skip


def test_every_setting_of_the_code_is_in_the_table():
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    code = "".join(path.read_text("utf-8") for path in files)
    used = set(re.findall(r"GALAXYDS_[A-Z]+(?:_[A-Z]+)*\b", code))
    table = (ROOT / "docs/settings.md").read_text("utf-8")
    assert not {name for name in used if name not in table}


def test_the_table_of_settings_is_that_of_the_generator():
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    assert page == settings_page(), "run python -m galaxyds_cli.reference"
    assert str(Path.home()) not in page


def test_spelling():
    pytest.importorskip("codespell_lib", reason="spelling needs codespell: galaxyds[docs]")
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words", "docs/words.txt",
               "--skip", "docs/_build,*.png,*.pyc,*.svg", *PROSE, *CODE]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
