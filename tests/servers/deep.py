"""HSC-Deep as a user finds it: services of HSC on loopback, mosaics and redshifts in folders."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from galaxyds.archives.base import LocalFiles
from galaxyds.archives.simulated_deep import SimulatedDeep
from galaxyds.sky.deep_mosaics import write_mosaics
from galaxyds.sky.hsc_fits import cutout_fits
from galaxyds.sky.redshift_surveys import raw_tables
from galaxyds.sky.surveys import HSC
from tests.archives.test_dust import write_maps
from tests.servers.hsc import HSCEmulator


def local_files(sky: SimulatedDeep, folder: Path) -> LocalFiles:
    """Write what a user would have downloaded: mosaics, redshift tables, dust maps (``sfd``)."""
    for name in ("mosaics", "redshifts"):
        (folder / name).mkdir()
    write_mosaics(sky.universe, sky.footprint, folder / "mosaics")
    found: dict[str, list[pa.Table]] = {}
    for region in sky.footprint.regions():
        for name, raw in raw_tables(sky.universe, region, HSC).items():
            found.setdefault(name, []).append(raw)
    for name, parts in found.items():
        pyarrow.csv.write_csv(pa.concat_tables(parts), folder / "redshifts" / f"{name}.csv")
    write_maps(folder / "sfd")
    return LocalFiles(mosaics=folder / "mosaics", redshifts=folder / "redshifts")


def deep_emulator(sky: SimulatedDeep) -> HSCEmulator:
    """HSC services over a simulated sky; coadds of another rerun are an error."""

    def cutout(line):
        if line.rerun != "pdr2_dud":
            raise ValueError(f"no rerun {line.rerun}")
        return cutout_fits(
            sky.coadd, line.band, tract=line.tract, ra=line.ra, dec=line.dec,
            half_size=line.semi_width,
        )  # fmt: skip

    return HSCEmulator(sky.server.execute, cutout=cutout, words=())


def point_there(
    server: HSCEmulator, local: LocalFiles, patch: pytest.MonkeyPatch, cache: Path
) -> None:
    """Set the settings, and wait for nothing."""
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.setenv("GALAXYDS_SFD_DIR", str(local.mosaics.parent / "sfd"))
    patch.setattr("galaxyds.archives.rate.RateLimit.wait", lambda self, host: None)
    patch.setattr("galaxyds.archives.http.Http._pause", lambda *args: 0.0)
    patch.setattr("galaxyds.archives.hsc_jobs.FIRST_POLL", 0.0)
    for name, value in server.settings.items():
        patch.setenv(name, value)
    patch.setenv("GALAXYDS_VIZIER_URL", f"{server.url}/vizier")
