"""The one exception for what a user can mend."""

from __future__ import annotations


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
