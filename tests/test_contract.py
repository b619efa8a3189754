"""The contract, for every dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest

from galaxyds.build import Request, Summary, build
from galaxyds.errors import ResumeConflictError
from galaxyds.specs import get_spec
from galaxyds.testing import DatasetContract


def small_build(factory: pytest.TempPathFactory, name: str, limit: int) -> Summary:
    """One small simulated build for all tests that only read it."""
    pytest.importorskip("galsim")
    root = factory.mktemp("simulated")
    return build(Request(address=name, archive="simulated", limit=limit, root=root, jobs=1))


@pytest.fixture(scope="module")
def quasars(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return small_build(tmp_path_factory, "sdss-qso", 60)


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return small_build(tmp_path_factory, "hsc-galaxiesml", 1)


class TestQuasars(DatasetContract):
    name = "sdss-qso"
    golden_integers = "428d92a6af571d52517e83a507cef60fd533e1cd987ee7196ef797716bb322d3"
    golden_pixels: ClassVar = {
        "u": (0.0017366, 0.04312),
        "g": (0.0034153, 0.05677),
        "r": (0.0072758, 0.19142),
        "i": (0.0122705, 0.40759),
        "z": (0.017782, 0.62895),
    }

    @pytest.fixture
    def built(self, quasars: Summary) -> Summary:
        return quasars


class TestGalaxies(DatasetContract):
    name = "hsc-galaxiesml"
    golden_integers = "06517cdf426dc9605d638fca018d625798d6a75de6600970bd50c731b7ec8713"
    golden_pixels: ClassVar = {
        "g": (0.10337, 7.3026),
        "r": (0.19568, 12.611),
        "i": (0.30393, 29.627),
        "z": (0.37602, 30.541),
        "y": (0.43313, 33.801),
    }

    @pytest.fixture
    def built(self, galaxies: Summary) -> Summary:
        return galaxies


class TestSmallerGalaxies(DatasetContract):
    name = "hsc-galaxiesml"
    config = "64"
    golden_integers = "06517cdf426dc9605d638fca018d625798d6a75de6600970bd50c731b7ec8713"
    golden_pixels: ClassVar = {
        "g": (0.10713, 4.5686),
        "r": (0.28725, 13.948),
        "i": (0.56404, 43.851),
        "z": (0.7608, 49.634),
        "y": (0.91986, 57.937),
    }

    @pytest.fixture
    def built(self, galaxies: Summary) -> Summary:
        return Summary(
            path=galaxies.built[1].path,
            manifest=galaxies.built[1].manifest,
            built=galaxies.built[1:],
            stages=galaxies.stages,
            skipped=(),
            seconds=0,
            log=galaxies.log,
        )


def test_a_build_of_another_declaration_is_not_taken_for_done(quasars, monkeypatch):
    spec = get_spec("sdss-qso")
    first, *others = spec.config("extended").cuts
    renamed = replace(
        spec.config("extended"), cuts=(replace(first, name="of-another-name"), *others)
    )
    monkeypatch.setattr(
        "galaxyds.build.engine.get_spec",
        lambda name: replace(spec, configs=(renamed, *spec.configs[1:])),
    )
    root = quasars.path.parents[2]
    with pytest.raises(ResumeConflictError, match=r"another declaration.*--from cutouts"):
        build(Request(address="sdss-qso", archive="simulated", limit=60, root=root, jobs=1))
