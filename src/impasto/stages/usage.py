"""How a program starts and ends; one called in a wrong way is told in one line, like every fault of the user's."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from impasto.errors import ImpastoError

#: Click's UsageError: of click itself, or of the copy of it that newer versions of Typer carry.
_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


#: Exit code of what SIGINT has ended, as a shell has it.
INTERRUPTED = 130


def start(program: Callable[[], object]) -> None:
    """Run a program of Typer. While it ends after an interrupt, further ones would only add tracebacks."""
    try:
        program()
    except SystemExit as done:
        if done.code == INTERRUPTED:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise


@contextmanager
def one_line(ctx: Any) -> Iterator[None]:
    """Turn a usage error into one line on standard error and exit code 2; ``ctx`` knows what was called."""
    try:
        yield
    except _UsageError as error:
        text = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
        text = text.replace("Value error, ", "").replace("Input should", "it must")  # as Typer has them from pydantic
        name = ctx.command_path
        told = ImpastoError(text[:1].lower() + text[1:], where=name, remedy=f"See `{name} --help`.")
        print(f"error: {told}", file=sys.stderr)
        raise typer.Exit(2) from None


class OneLineCommand(TyperCommand):
    """A command whose usage errors take one line, and which takes no empty text for a path."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options and arguments."""
        with one_line(ctx):
            given = list(args)  # the parser uses up its own
            rest = super().parse_args(ctx, args)
            self._refuse_empty_paths(ctx, given)
            return rest

    def _refuse_empty_paths(self, ctx: Any, args: list[str]) -> None:
        """`Path("")` is the current folder, which nobody means by an empty text: often it is an unset variable."""
        words: dict[str, Any] = self.make_parser(ctx).parse_args(args=args)[0]
        for parameter in self.get_params(ctx):
            if words.get(parameter.name or "") == "" and isinstance(ctx.params.get(parameter.name), Path):
                ctx.fail(f"Invalid value for {parameter.opts[0]!r}: it must be a path, not empty text")
