"""Work in parts, each of which a run that goes on after a kill takes as it was made."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from impasto.checkpoint import Resume


class Kept:
    """The parts that this process has made, saved now and then beside those of earlier runs and of other processes.

    Each process saves its own in files of their own and finds everybody's when it starts: who makes which part next
    time, and how many they are then, does not matter.

    Args:
        resume: whose folder holds the files; without one nothing is kept.
    """

    def __init__(self, resume: Resume | None = None) -> None:
        self._resume = resume
        self._new: dict[str, Tensor] = {}
        self._found: dict[str, Tensor] = {}
        for file in sorted(resume.folder.glob("parts-*.pt")) if resume else ():
            self._found |= (resume.load(file.name, mapped=True) if resume else None) or {}

    def __call__(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """The part of a name: as it was found, on the CPU, else what ``make`` gives, which is not to be changed."""
        if name in self._found:
            return self._found[name]
        made = make()
        if self._resume:
            self._new[name] = made.cpu()
            if self._resume.due():
                self._resume.save(self._new, f"parts-{next(iter(self._new))}.pt")
                self._new = {}
        return made
