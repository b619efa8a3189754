"""Building datasets: plan, stages, workspace, engine."""

from galaxyds.build.engine import Request, Summary, build
from galaxyds.build.progress import LogReporter, Reporter

__all__ = ["LogReporter", "Reporter", "Request", "Summary", "build"]
