"""A build told on one HTML page, from its declaration, its manifest and its columns."""

from galaxyds.report.page import render, write_report

__all__ = ["render", "write_report"]
