"""docs/metrics.md holds what the declarations say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import galaxyds.metrics
from galaxyds.metrics import METRICS, PDF_METRICS
from galaxyds.metrics.table import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_page_holds_the_generated_tables():
    text = PAGE.read_text(encoding="utf-8")
    between = text.split("<!-- generated: python -m galaxyds.metrics -->\n")[1]
    assert between.split("<!-- end -->")[0] == markdown()


def test_the_module_prints_them():
    command = [sys.executable, "-m", "galaxyds.metrics"]
    out = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    assert out == markdown()


def test_every_metric_has_a_row_of_six_cells():
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    names = [row.split("`")[1] for row in rows]
    assert names == [*METRICS, *PDF_METRICS]
    assert {len(row.replace("\\|", "").split("|")) for row in rows} == {8}


def test_public_names():
    missing = [name for name in galaxyds.metrics.__all__ if not hasattr(galaxyds.metrics, name)]
    assert not missing
    assert set(METRICS) <= set(galaxyds.metrics.__all__)
