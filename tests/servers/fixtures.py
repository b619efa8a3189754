"""Fixtures over the loopback servers; ``tests/conftest.py`` loads this module as a plugin."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from galaxyds.archives.hsc_session import Connections, StreamHttp
from galaxyds.archives.http import Http
from galaxyds.archives.rate import Clock, RateLimit
from tests.servers import (
    CasJobsEmulator,
    GridSky,
    HSCEmulator,
    SASEmulator,
    SkyServerEmulator,
    catalogue_rows,
)
from tests.servers.hub import HubEmulator

FIELD = "sdss_field_94-1-12"


@pytest.fixture(scope="session")
def field_rows(survey_data: Path) -> dict[str, pa.Table]:
    """SpecObjAll and PhotoObjAll rows of run 94, camcol 1, field 12."""
    return catalogue_rows(survey_data / FIELD / "photoObj-000094-1-0012.fits")


@pytest.fixture
def skyserver(field_rows: dict[str, pa.Table]) -> Iterator[SkyServerEmulator]:
    """A SkyServer that holds the rows of one real field."""
    with SkyServerEmulator(field_rows) as server:
        yield server


@pytest.fixture
def sas(survey_data: Path) -> Iterator[SASEmulator]:
    """A Science Archive Server that holds the five real frames of one field."""
    with SASEmulator(survey_data / FIELD) as server:
        yield server


@pytest.fixture
def casjobs(field_rows: dict[str, pa.Table]) -> Iterator[CasJobsEmulator]:
    """A CasJobs that holds the rows of one real field."""
    with CasJobsEmulator(field_rows) as server:
        yield server


@pytest.fixture
def sdss_loopback(
    skyserver: SkyServerEmulator, sas: SASEmulator, monkeypatch: pytest.MonkeyPatch
) -> tuple[SkyServerEmulator, SASEmulator]:
    """Both servers, with the archive's settings pointing at them."""
    monkeypatch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", skyserver.url)
    monkeypatch.setenv("GALAXYDS_SDSS_SAS_URL", sas.url)
    return skyserver, sas


class FakeTime:
    """A clock that moves only when somebody sleeps; remembers the pauses."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.pauses: list[float] = []
        self.lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.pauses.append(seconds)
            self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=self.now, sleep=self.sleep)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def http(fake_time: FakeTime) -> Http:
    """A session that never really waits, without a rate limit and without jitter."""
    return Http(
        "Test archive",
        clock=fake_time.clock,
        rate=RateLimit(0.0, clock=fake_time.clock),
        jitter=lambda: 0.0,
    )


@pytest.fixture
def hsc_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HSCEmulator]:
    """HSC services over the toy catalogue and the grid, with the settings pointing at them."""
    from tests.servers.hsc_rows import database

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sky, connection = GridSky(), database()
    with HSCEmulator(
        lambda statement: connection.sql(statement).to_arrow_table(),
        cutout=sky.cutout,
        psf=sky.psf,
    ) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield server
    connection.close()


@pytest.fixture
def stream_http(fake_time: FakeTime) -> StreamHttp:
    """A session for streams that never really waits."""
    return StreamHttp(
        "HSC test",
        clock=fake_time.clock,
        rate=RateLimit(0.0, clock=fake_time.clock),
        jitter=lambda: 0.0,
    )


@pytest.fixture
def closed_url() -> str:
    """Base URL of a port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def connections(tmp_path: Path) -> Connections:
    """Places of one test."""
    return Connections(directory=tmp_path / "places")


@pytest.fixture
def loopback_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubEmulator]:
    """A hub that huggingface_hub speaks to in this process, with a token that may write."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with HubEmulator() as server:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf-cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", server.token)
        yield server
