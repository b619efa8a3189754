"""``galaxyds push`` and ``galaxyds fetch`` against a loopback hub, as somebody types them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from galaxyds.errors import ArchiveError, CredentialsError, DatasetNotFoundError, UsageError
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


def test_a_partial_build_does_not_stand_for_the_published_one(built, loopback_hub, tmp_path):
    output_of(APP, "push", "tiny-sky", "--root", built)
    for name in ("tiny-sky:1.2.0", None):
        root = tmp_path / f"here {name}"
        make_build(root, simulated=True, limit=60)
        given = {} if name is None else {"version": "1.2.0"}
        assert TinySky("all", root=root, download=True, **given).manifest.is_full
    label = "1.2.0+simulated.limit60"
    before = len(loopback_hub.requests)
    assert TinySky("all", root=root, version=label, download=True).manifest.version == label
    assert len(loopback_hub.requests) == before


def test_without_a_hub_a_partial_build_serves_and_says_both(
    loopback_hub, closed_url, tmp_path, caplog, monkeypatch
):
    make_build(tmp_path, simulated=True, limit=60)
    for words in ("no repository galaxyds/tiny_sky", "Connection refused"):
        caplog.clear()
        assert len(TinySky("all", root=tmp_path, download=True)) == 60
        line = caplog.messages[0]
        assert "the full dataset is not built here, using tiny-sky/extended:1.2.0+sim" in line
        assert words in line
        assert len(caplog.messages) == 1
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed_url)
    with pytest.raises(ArchiveError, match="Connection refused"):
        TinySky("all", root=tmp_path, version="1.2.0", download=True)


def test_all_configs_come_from_one_commit(built, loopback_hub, tmp_path):
    output_of(APP, "push", "tiny-sky", "--root", built)
    commit = loopback_hub.repos["galaxyds/tiny_sky"].branches["main"]
    loopback_hub.requests.clear()
    output_of(APP, "fetch", "tiny-sky", "--all-configs", "--root", tmp_path / "here")
    paths = [request.path for request in loopback_hub.requests]
    assert [path for path in paths if "/resolve/" not in path] == [
        "/api/datasets/galaxyds/tiny_sky/revision/main"
    ]
    assert all(f"/resolve/{commit}/" in path for path in paths[1:])


def test_words_of_a_hub_are_shown_on_one_line(built, loopback_hub, tmp_path):
    output_of(APP, "push", "tiny-sky", "--root", built)
    repo = loopback_hub.repos["galaxyds/tiny_sky"]
    files = repo.commits[repo.branches["main"]]
    manifest = json.loads(files["extended/manifest.json"].data)
    manifest["warnings"] = ["\x1b]0;owned\x07\nFetched everything, verified"]
    files["extended/manifest.json"] = replace(
        files["extended/manifest.json"], data=json.dumps(manifest).encode()
    )
    repo.tags["v0\x1b[31m"] = repo.branches["main"]
    told = output_of(APP, "fetch", "tiny-sky", "--root", tmp_path / "here")
    told += output_of(APP, "push", "tiny-sky", "--root", built, "--dry-run", "--repo", "a/b")
    assert "note         ]0;owned Fetched everything, verified" in told.splitlines()
    with pytest.raises(UsageError):  # the tag is there with another manifest
        output_of(APP, "push", "tiny-sky", "--root", built)
    shown = CliRunner().invoke(APP, ["push", "tiny-sky", "--root", str(built)]).output
    assert "v0 [31m, v1.2.0" in shown
    assert "\x1b" not in told + shown


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
