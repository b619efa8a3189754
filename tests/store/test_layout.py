"""Finding builds: which one an address means, and what is said when there is none."""

from __future__ import annotations

import logging

import pytest

from galaxyds.errors import DatasetNotFoundError, UsageError
from galaxyds.refs import DatasetRef
from galaxyds.store.layout import find_build, list_builds
from tests.small_build import SPEC, make_build


def find(home, address="tiny-sky"):
    return find_build(home, DatasetRef.parse(address), SPEC)


def test_the_full_real_build_is_preferred(tmp_path, caplog):
    make_build(tmp_path, 40, simulated=True)
    make_build(tmp_path, 30, limit=30)
    full = make_build(tmp_path, 20)
    found = find(tmp_path)
    assert found.path == full == tmp_path / "tiny_sky" / "extended" / "1.2.0"
    assert found.notice == ""
    assert not caplog.records


def test_another_build_is_taken_aloud(tmp_path, caplog):
    make_build(tmp_path, 40, simulated=True)
    limited = make_build(tmp_path, 30, limit=30)
    with caplog.at_level(logging.WARNING):
        found = find(tmp_path, "tiny-sky/extended")
    assert found.path == limited
    assert "full dataset is not built" in found.notice
    assert "limited to 30 objects" in found.notice
    assert [record.getMessage() for record in caplog.records] == [found.notice]


def test_a_version_never_means_a_partial_build(tmp_path):
    make_build(tmp_path, 40, simulated=True)
    with pytest.raises(DatasetNotFoundError, match=r"built here: 1\.2\.0\+simulated"):
        find(tmp_path, "tiny-sky/extended:1.2.0")


def test_a_version_with_its_label_means_that_build_without_a_warning(tmp_path, caplog):
    make_build(tmp_path, 20)
    simulated = make_build(tmp_path, 40, simulated=True)
    assert find(tmp_path, "tiny-sky:1.2.0+simulated").path == simulated
    assert not caplog.records


def test_what_is_not_built_quotes_the_command(tmp_path):
    make_build(tmp_path, 20)
    with pytest.raises(DatasetNotFoundError, match=r"run galaxyds build tiny-sky/baseline,"):
        find(tmp_path, "tiny-sky/baseline")
    with pytest.raises(
        DatasetNotFoundError, match=r"built here: 1\.2\.0.*galaxyds build tiny-sky,"
    ):
        find(tmp_path, "tiny-sky:9.9.9")
    with pytest.raises(UsageError, match="extended, baseline"):
        find(tmp_path, "tiny-sky/extnded")


def test_unfinished_and_broken_folders_are_passed_over_aloud(tmp_path, caplog):
    good = make_build(tmp_path, 20)
    (good.parent / ".1.2.0.77-aa.tmp").mkdir()
    (good.parent / ".1.2.0.77-aa.tmp" / "manifest.json").write_text("{")
    (good.parent / "9.0.0").mkdir()
    (good.parent / "9.0.0" / "manifest.json").write_text("{")
    (good.parent / "8.0.0").mkdir()
    with caplog.at_level(logging.WARNING):
        assert [build.path for build in list_builds(tmp_path)] == [good]
    (record,) = caplog.records
    assert "9.0.0" in record.getMessage()


def test_an_empty_home_has_no_builds(tmp_path):
    assert list(list_builds(tmp_path / "nowhere")) == []
