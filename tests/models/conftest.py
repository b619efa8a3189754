"""One small simulated build for the tests that run models on a real dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from galaxyds.build import Request, build

torch.set_num_threads(1)  # two workers share two cores; threads of both would wait for each other


@pytest.fixture(scope="session")
def cfhtls_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a simulated ``cfhtls-wide`` of one tile."""
    pytest.importorskip("galsim")
    root = tmp_path_factory.mktemp("cfhtls")
    build(Request(address="cfhtls-wide", archive="simulated", limit=1, root=root, jobs=1))
    return root
