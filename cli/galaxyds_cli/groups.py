"""Mistakes on the command line itself: one line, like every other error.

Unknown verbs and options, missing arguments and values of the wrong kind are found by the parser,
before a verb runs.  Its words take four lines and name no next step; here they become a
:class:`galaxyds.errors.UsageError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from galaxyds.errors import (
    UsageError,
    did_you_mean,
    missing_extra,
    one_line,
)

# The parser's own error: of typer's copy of click, or of click itself in older releases of typer.
_MISTAKE: type[Any] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError"
)
_BEFORE_THE_VERB = ("-q", "--quiet", "-v", "--verbose")
_WORDS = {
    "Input should be a valid integer, unable to parse string as an integer": "no whole number",
    "Input should be a valid number, unable to parse string as a number": "no number",
}


class Verbs(TyperGroup):
    """The verbs of a command; what is wrong with a command line is told in one line."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Parse the options before the verb.

        Raises
        ------
        UsageError
            If they are wrong.
        """
        with _one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse the verb and what follows it, and run it.

        Raises
        ------
        UsageError
            If there is no such verb, its arguments are wrong, or it needs a package that is not
            there; a :class:`~galaxyds.errors.MissingExtraError` where an extra brings that.
        """
        try:
            with _one_line():
                return super().invoke(ctx)
        except ModuleNotFoundError as error:
            absent = _absent(error, f"galaxyds {ctx.invoked_subcommand or ''}".strip())
            if absent is None:
                raise
            raise absent from None


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except _MISTAKE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        raise UsageError(told(error)) from None


def _absent(error: ModuleNotFoundError, what: str) -> UsageError | None:
    """Say what brings a module; None for one that galaxyds does not know."""
    from galaxyds.machine.versions import packages

    root = (error.name or "").partition(".")[0]
    package = next((one for one in packages() if one.module == root), None)
    if package is None:
        return None
    if package.extras:
        return missing_extra(package.name, package.extras[0], what)
    return UsageError(f"{what} needs {package.name}, which cannot be imported: {package.install}, "
                      "then galaxyds doctor")  # fmt: skip


def told(error: Any) -> str:
    """Say in one line what is wrong with a command line.

    Parameters
    ----------
    error : click.UsageError
        As the parser raised it.

    Returns
    -------
    str
        The mistake, what could have been meant, and where to read on.
    """
    names, said = _names(error.ctx), one_line(error.format_message()).rstrip(".")
    command: Any = error.ctx.command if error.ctx else None
    who, more = " ".join(names), " ".join(("galaxyds", *names, "-h"))
    if unknown := re.match(r"No such command '(.*?)'", said):
        hint = did_you_mean(unknown[1], command.list_commands(error.ctx))
        where = f"{who} has" if who else "there is"
        return f"{where} no verb '{unknown[1]}': {hint}all verbs: {more}"
    if unknown := re.match(r"No such option: (\S+)", said):
        if unknown[1] in _BEFORE_THE_VERB and names:
            return f"{unknown[1]} stands before the verb: galaxyds {unknown[1]} {who} ..."
        hint = did_you_mean(unknown[1], _options(command)) if len(unknown[1]) > 2 else ""
        where = f"{who} has" if who else "there is"
        return f"{where} no option {unknown[1]}: {hint}all options: {more}"
    if said.startswith("Missing argument"):
        wanted = said.removeprefix("Missing argument").strip(" '") or "an argument"
        return f"{who} needs {wanted}{_example(command)}; more: {more}"
    for theirs, ours in _WORDS.items():
        said = said.replace(theirs, ours)
    return f"{who}{': ' if who else ''}{said[:1].lower()}{said[1:]}; see {more}"


def _names(context: Any) -> list[str]:
    """The verbs on the way to where the mistake was found, as people write them."""
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    return names


def _options(command: Any) -> list[str]:
    names = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
    return [name for name in names if name.startswith("--")]


def _example(command: Any) -> str:
    """The example of a verb's help, as the end of a sentence."""
    found = re.search(r"Example: ([^\n]+)", (command and command.help) or "")
    return f": for example {found[1]}" if found else ""
