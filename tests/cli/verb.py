"""Running one verb in the tests' own process."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from galaxyds.errors import GalaxydsError


def output_of(app: typer.Typer, *arguments: object) -> str:
    """Output of a verb; its error where it raised one."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, GalaxydsError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output
