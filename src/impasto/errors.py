"""The one exception for what a user can mend, and the name that was meant by a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ImpastoError(Exception):
    """A fault that the user can mend: what went wrong, where, and the remedy.

    The command line prints it as one line on standard error and exits with code 2.

    Args:
        what: the fault, naming the value or file at fault.
        where: the parameter, file or stage in which it lies.
        remedy: what the user can do about it.
    """

    def __init__(self, what: str, *, where: str, remedy: str) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(f"{what} [{where}]. {remedy}")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, whatever the case of either; None where none is like it."""
    lowered = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), lowered, n=1)
    return lowered[found[0]] if found else None
