"""``galaxyds push`` and ``galaxyds fetch`` against a loopback hub, as somebody types them."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from galaxyds.errors import CredentialsError, DatasetNotFoundError, UsageError
from galaxyds.loaders import GalaxyDataset
from galaxyds_cli.fetch import fetch
from galaxyds_cli.push import push
from tests.cli.verb import output_of
from tests.small_build import SPEC, make_build

APP = typer.Typer(rich_markup_mode=None)
APP.command("push")(push)
APP.command("fetch")(fetch)


class TinySky(GalaxyDataset):
    @classmethod
    def declaration(cls):
        return SPEC


@pytest.fixture
def built(tmp_path, monkeypatch, loopback_hub):
    """Both configs of the small dataset, built."""
    monkeypatch.setattr("galaxyds.specs.get_spec", lambda name: SPEC)
    make_build(tmp_path / "built")
    make_build(tmp_path / "built", rows=40, config="baseline")
    return tmp_path / "built"


def test_a_rehearsal_shows_what_would_be_sent(built, loopback_hub):
    told = output_of(APP, "push", "tiny-sky", "--root", built, "--dry-run")
    assert "public, https://example.org" in told
    assert "redistribution: free" in told
    assert "thanks" in told
    lines = {line.split()[0]: line.split() for line in told.splitlines() if line.strip()}
    size = (built / "tiny_sky/extended/1.2.0/catalog.parquet").stat().st_size
    assert lines["extended/catalog.parquet"][1:] == [f"{size / 1e3:.1f}", "kB", "new"]
    assert "no such repository yet" in told
    assert lines["tag"] == ["tag", "v1.2.0"]
    assert told.splitlines()[-1] == "Nothing was sent (--dry-run)"
    assert {r.method for r in loopback_hub.requests} == {"GET"}


def test_a_rehearsal_without_a_hub(built, loopback_hub, closed_url, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_url)
    monkeypatch.delenv("HF_TOKEN")
    told = output_of(APP, "push", "tiny-sky", "--root", built, "--dry-run")
    assert "Connection refused" in told
    assert "Nothing was sent" in told


def test_there_and_back(built, loopback_hub, tmp_path):
    told = output_of(APP, "push", "tiny-sky", "--root", built, "--private")
    commit = loopback_hub.repos["galaxyds/tiny_sky"].branches["main"]
    assert f"commit {commit[:12]}, tag v1.2.0" in told.splitlines()[-1]
    assert loopback_hub.repos["galaxyds/tiny_sky"].private
    again = output_of(APP, "push", "tiny-sky", "--root", built)
    assert "with the same contents, nothing to do" in again
    here = tmp_path / "here"
    fetched = output_of(APP, "fetch", "tiny-sky", "--all-configs", "--root", here)
    assert "Fetched tiny-sky/extended:1.2.0, 60 objects, full, verified:" in fetched
    assert "Fetched tiny-sky/baseline:1.2.0, 40 objects, full, verified:" in fetched
    repeated = output_of(APP, "fetch", "tiny-sky:1.2.0", "--root", here)
    assert repeated.startswith("Already here: tiny-sky/extended:1.2.0")
    for text in (told, again, fetched, repeated):
        assert loopback_hub.token not in text


def test_download_fetches_what_is_missing(built, loopback_hub, tmp_path, caplog):
    output_of(APP, "push", "tiny-sky", "--root", built)
    with pytest.raises(DatasetNotFoundError):
        TinySky("train", root=tmp_path / "here")
    mine = TinySky("all", root=tmp_path / "here", download=True)
    theirs = TinySky("all", root=built)
    assert len(mine) == 60
    assert all(
        (mine[k]["image"].nan_to_num(7) == theirs[k]["image"].nan_to_num(7)).all()
        for k in range(60)
    )
    assert "MB of tiny-sky/extended from http://127.0.0.1" in caplog.text
    before = len(loopback_hub.requests)
    assert len(TinySky("train", root=tmp_path / "here", download=True)) == 40
    assert len(loopback_hub.requests) == before


@pytest.mark.parametrize("verb", ["push", "fetch"])
def test_no_traceback_for_a_wrong_token(built, loopback_hub, monkeypatch, tmp_path, verb):
    canary = "hf_anotherCanaryAnotherCanary"
    monkeypatch.setenv("HF_TOKEN", canary)
    root = built if verb == "push" else tmp_path
    done = CliRunner().invoke(APP, [verb, "tiny-sky", "--root", str(root)])
    assert isinstance(done.exception, CredentialsError)
    assert "HF_TOKEN" in done.exception.message
    assert canary not in done.output + done.exception.message


def test_what_is_refused(built, loopback_hub, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="leave --no-create out"):
        output_of(APP, "push", "tiny-sky", "--root", built, "--no-create")
    with pytest.raises(UsageError, match="owner/name"):
        output_of(APP, "push", "tiny-sky", "--root", built, "--repo", "tiny_sky")
    with pytest.raises(DatasetNotFoundError, match="run galaxyds build tiny-sky"):
        output_of(APP, "push", "tiny-sky", "--root", tmp_path / "nothing")
    with pytest.raises(UsageError, match="leave it or --all-configs out"):
        output_of(APP, "fetch", "tiny-sky/extended", "--root", tmp_path, "--all-configs")
