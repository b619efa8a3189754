"""The beginning of a dataset of one's own: a small package, written from templates."""

from galaxyds.scaffold.package import Scaffold, plan_package, write_package

__all__ = ["Scaffold", "plan_package", "write_package"]
