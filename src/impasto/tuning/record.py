"""What a search has found so far, on disk: a search that is killed goes on from here and repeats no segment.

After every segment a trial has a JSON file and, while it is unfinished, the state with which it goes on; a population
keeps those of its last comparison, from which all its members go on. The folder is named by a digest of all that
decides the results: other parameters are another search.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from impasto.config.base import is_schedule
from impasto.io import atomic, read_json, write_json

Status = Literal["running", "finished", "stopped", "failed"]


@dataclass
class Trial:
    """A trial, or in a population a member of it.

    Attributes:
        search: number of its search, from 0.
        number: its own number within that, from 0.
        leaves: the leaves by which its parameters differ from those with which the search begins.
        rows: one row of numbers for each epoch, those of its ancestors in front.
        measured: the objective and its parts, by the number of epochs after which they were measured.
        seconds: that its segments took.
        machines: where they were computed, one entry for each.
        status: stopped trials were not worth more epochs; failed ones have an ``error``.
        error: in one line.
        asked, told: places in the order of the searcher's calls; None where that does not count.
        taken: of a population, whom it replaced itself by, by epoch: what it holds from then on is theirs.
    """

    search: int
    number: int
    leaves: dict[str, Any]
    rows: list[dict[str, float]] = field(default_factory=list)
    measured: dict[int, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    status: Status = "running"
    error: str | None = None
    asked: int | None = None
    told: int | None = None
    taken: dict[int, int] = field(default_factory=dict)
    machines: list[str] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Epochs so far."""
        return len(self.rows)

    @property
    def parts(self) -> dict[str, float]:
        """The last objective and its parts; empty before the first."""
        return self.measured[max(self.measured)] if self.measured else {}

    @property
    def score(self) -> float:
        """The last objective; NaN before the first, and where the trial has failed."""
        return self.parts.get("objective", float("nan")) if self.status != "failed" else float("nan")


class Record:
    """The folder of one search.

    Args:
        folder: is made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, trial: Trial, state: bytes | None, epochs: int | None = None) -> None:
        """Write down how far a trial has come, the state first: what is on record can go on.

        ``epochs`` is where to, if not after as many as it has: a failed member of a population has fewer.
        """
        place = self._place(trial.number, trial.epochs if epochs is None else epochs)
        if state is not None:
            with atomic(place.with_suffix(".pt")) as part:
                part.write_bytes(state)
        write_json(place.with_suffix(".json"), asdict(trial))

    def tidy(self, number: int, epochs: int) -> None:
        """Forget how a trial was before so many epochs."""
        for path in self.folder.glob(f"{number:04}-*"):
            if int(path.stem.partition("-")[2]) < epochs:
                path.unlink()

    def drop(self, trial: Trial) -> None:
        """Remove the state of a trial that goes on no more."""
        self._place(trial.number, trial.epochs).with_suffix(".pt").unlink(missing_ok=True)

    def state(self, trial: Trial) -> bytes | None:
        """The state with which a trial goes on; None at its beginning."""
        place = self._place(trial.number, trial.epochs).with_suffix(".pt")
        return place.read_bytes() if trial.epochs else None

    def give(self, donor: int, member: int, epochs: int) -> None:
        """Let a member of a population have the state of another one after so many epochs, in place of its own."""
        source, target = (self._place(one, epochs).with_suffix(".pt") for one in (donor, member))
        with atomic(target) as part:
            shutil.copyfile(source, part)

    def latest(self) -> dict[int, Trial]:
        """Every trial on record as it was last, by number."""
        files = {int(path.stem.partition("-")[0]): path for path in sorted(self.folder.glob("*.json"))}
        return {number: _read(path) for number, path in files.items()}

    def after(self, number: int, epochs: int) -> Trial | None:
        """The last record of a trial that is later than after so many epochs."""
        files = sorted(self.folder.glob(f"{number:04}-*.json"))
        return _read(files[-1]) if files and int(files[-1].stem.partition("-")[2]) > epochs else None

    def at(self, number: int, epochs: int) -> Trial | None:
        """A trial as it was after so many epochs, if that is on record."""
        place = self._place(number, epochs).with_suffix(".json")
        return _read(place) if place.exists() else None

    def _place(self, number: int, epochs: int) -> Path:
        return self.folder / f"{number:04}-{epochs:05}"


def _read(path: Path) -> Trial:
    found: dict[str, Any] = read_json(path)
    for name in ("measured", "taken"):
        found[name] = {int(epoch): value for epoch, value in found[name].items()}
    found["leaves"] = {leaf: _numbered(value) for leaf, value in found["leaves"].items()}
    return Trial(**found)


def _numbered(value: Any) -> Any:
    """JSON makes texts of a schedule's epochs, and sorts them as such."""
    return {epoch: value[str(epoch)] for epoch in sorted(map(int, value))} if is_schedule(value) else value
