"""Loopback servers that speak the archives' real protocols, with faults on demand."""

from tests.servers.casjobs import CasJobsEmulator
from tests.servers.hsc import HSCEmulator
from tests.servers.hsc_files import GridSky, RealCutouts
from tests.servers.loopback import Fault, LoopbackServer, Reply, Request
from tests.servers.rows import catalogue_rows
from tests.servers.sas import SASEmulator
from tests.servers.skyserver import SkyServerEmulator

__all__ = [
    "CasJobsEmulator",
    "Fault",
    "GridSky",
    "HSCEmulator",
    "LoopbackServer",
    "RealCutouts",
    "Reply",
    "Request",
    "SASEmulator",
    "SkyServerEmulator",
    "catalogue_rows",
]
