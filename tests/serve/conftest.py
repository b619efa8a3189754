"""One root and one server for all tests of the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxyds.publish import repository
from galaxyds.specs import get_spec
from tests.serve.running import Running, make_root, make_specs, running
from tests.small_build import SPEC


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a package that brings the small datasets."""
    return make_specs(tmp_path_factory.mktemp("specs"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds, and canaries around them."""
    return make_root(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def hub(root: Path, specs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over the root that logs its requests."""
    with running(root, specs, tmp_path_factory.mktemp("hub"), "-v") as server:
        yield server


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiny-sky is a dataset, in this process."""
    monkeypatch.setattr(
        repository, "get_spec", lambda name: SPEC if name == SPEC.name else get_spec(name)
    )
