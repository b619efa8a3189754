"""Spectroscopic redshifts of many surveys, made one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyTally:
    """What a spectroscopic survey brought and lost.

    Attributes
    ----------
    name : str
        Of the survey.
    where : str
        Where its table came from.
    read, sentinel, insecure, secure, duplicate, kept : int
        Rows read; without a redshift (sentinels, dummies, stars); with one that is not secure;
        secure; lost to a duplicate; kept.  ``read = sentinel + insecure + secure`` and
        ``secure = duplicate + kept``.
    """

    name: str
    where: str
    read: int
    sentinel: int
    insecure: int
    secure: int
    duplicate: int
    kept: int
