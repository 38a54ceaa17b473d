"""The search by a population: its members are trained from comparison to comparison, and take over from each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from impasto.config.schedule import Schedule, at
from impasto.config.tune import Search
from impasto.errors import ImpastoError
from impasto.progress import notice
from impasto.rng import key
from impasto.tuning import space
from impasto.tuning.context import Context
from impasto.tuning.population import Schedules, at_end, beginnings, boundaries, compare, extended
from impasto.tuning.record import Record, Trial
from impasto.tuning.segment import Job, Segment
from impasto.tuning.workers import compute


def population(context: Context, index: int, search: Search, base: Mapping[str, Any]) -> list[Trial]:
    """Run a population, and take up what is on record of it; the arguments are those of ``independent``."""
    return Members(context, index, search, base).run()


class Members:
    """The members of a population.

    Between two comparisons they are trained in any order on any worker; the next one begins when all are there. The
    states and results of the last comparison stay on record until all have come to the next one.
    """

    def __init__(self, context: Context, index: int, search: Search, base: Mapping[str, Any]) -> None:
        self.context, self.index, self.search = context, index, search
        self.record = Record(context.folder / f"{index + 1}-{search.method}")
        tree = space.with_leaves(context.tree, base)
        self.tree = space.without_choosing(tree, context.tune, search.method)
        self.starts = space.starts(tree, search)
        self.seed = key(context.tune.seed, "search", index)

    def run(self) -> list[Trial]:
        """All members after the last epoch.

        Raises:
            ImpastoError: all have failed.
        """
        places = boundaries(self.search, self.context.epochs)
        members, done = self._taken_up(places)
        for place in places:
            if place > done:
                self._train(members, place)
                for member in members:
                    self.record.tidy(member.number, place)
                if place < places[-1]:
                    members = self._compared(members, place)
        for member in members:
            if member.status == "running":
                member.status = "finished"
                self.record.keep(member, None, places[-1])
            self.record.drop(member)
            self._tell(member)
        return members

    def _taken_up(self, places: list[int]) -> tuple[list[Trial], int]:
        """The members as they stand on record, and the comparison that they have all come to; 0 is the beginning."""
        numbers = range(self.search.trials or 0)
        for place in reversed(places):
            found = [self.record.at(number, place) for number in numbers]
            members = [member for member in found if member]
            if len(members) == len(numbers):
                if place < places[-1]:
                    members = self._compared(members, place)
                    members = [self.record.after(member.number, place) or member for member in members]
                return members, place
        begun = [
            Trial(self.index, number, {leaf: {0: value} for leaf, value in shares.items()})
            for number, shares in enumerate(beginnings(self.search, self.starts, self.seed))
        ]
        return [self.record.after(member.number, 0) or member for member in begun], 0

    def _train(self, members: list[Trial], place: int) -> None:
        """Let all members come to an epoch."""
        waiting = [member for member in members if member.epochs < place and member.status == "running"]

        def following() -> tuple[int, Job] | None:
            if not waiting:
                return None
            member = waiting.pop(0)
            return self.context.segment(member, space.with_leaves(self.tree, member.leaves), place, self.record)

        def take(number: int, segment: Segment) -> None:
            member = members[number]
            self.context.take(member, segment)
            failed = member.status == "failed"
            self.record.keep(member, segment.state, place if failed else None)
            self._tell(member)
            if not failed and member.epochs < place:
                waiting.insert(0, member)

        compute(self.context.workers, following, take)
        if all(member.status == "failed" for member in members):
            raise ImpastoError(
                f"all {len(members)} members have failed: {members[0].error}",
                where=f"tune.searches, {self.index + 1}",
                remedy="Train once with these parameters: `impasto train` tells more.",
            )

    def _compared(self, members: list[Trial], place: int) -> list[Trial]:
        """The members after a comparison: some hold what others held."""
        scores = [member.score for member in members]
        moves = compare(self.search, scores, [at_end(member.leaves) for member in members], self.seed, place)
        after = list(members)
        for move in moves:
            donor, member = members[move.donor], members[move.member]
            self.record.give(donor.number, member.number, place)
            after[move.member] = replace(
                donor,
                number=member.number,
                leaves=extended(donor.leaves, move.shares, place),
                rows=list(donor.rows),
                measured=dict(donor.measured),
                seconds=member.seconds,
                machines=member.machines,
                taken={**donor.taken, place: donor.number},
            )
        notice(f"epoch {place}: {', '.join(f'{move.member} takes over {move.donor}' for move in moves)}")
        return after

    def _tell(self, member: Trial) -> None:
        shown = replace(member, rows=[row | shares(member.leaves, epoch) for epoch, row in enumerate(member.rows)])
        self.context.tell(shown, self.search, first=max(member.taken, default=0))


def shares(schedules: Schedules, epoch: int) -> dict[str, float]:
    """The shares in an epoch."""
    return {leaf: at(Schedule(tuple(sorted(steps.items()))), epoch) for leaf, steps in schedules.items()}
