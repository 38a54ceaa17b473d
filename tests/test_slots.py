"""Slots of a ring: everybody has one of their own, keeps it, and loses it only to somebody who needs one."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.slots import Slots

epochs = st.lists(st.lists(st.integers(0, 40), unique=True, max_size=12), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(epochs, st.integers(0, 30), st.integers(0, 11))
def test_slots_are_unique_kept_and_bounded_also_after_a_restart(
    asked: list[list[int]], limit: int, restart: int
) -> None:
    slots, owner = Slots(), dict[int, int]()
    for number, names in enumerate(asked):
        if number == restart:
            slots = Slots(slots.state())
        found, new = slots.take(torch.tensor(names, dtype=torch.int64), limit)
        had = {name: slot for slot, name in owner.items()}
        assert len(set(found.tolist())) == len(names)
        for name, slot, fresh in zip(names, found.tolist(), new.tolist(), strict=True):
            assert fresh == (name not in had) and (fresh or had[name] == slot)
        owner |= dict(zip(found.tolist(), names, strict=True))
        assert len(slots) == len(owner) <= max(limit, *map(len, asked[: number + 1]))
        assert slots.state()["owner"].tolist() == [owner[slot] for slot in range(len(owner))]


def test_a_slot_is_taken_away_only_when_all_are_taken() -> None:
    slots = Slots()
    slots.take(torch.arange(5), 8)
    assert slots.take(torch.tensor([7, 9, 6]), 8)[0].tolist() == [5, 6, 7]
    assert slots.take(torch.tensor([1, 20]), 8)[0].tolist() == [1, 0], "the oldest goes first"
    assert slots.take(torch.tensor([2, 21, 22]), 8)[0].tolist() == [2, 1, 3], "but nobody who is asked for"
    assert slots.take(torch.tensor([0]), 8)[1].tolist() == [True]


def test_what_is_kept_is_a_copy() -> None:
    slots = Slots()
    slots.take(torch.arange(3), 3)
    state = slots.state()
    Slots(state).take(torch.arange(3, 6), 3)
    assert state["owner"].tolist() == [0, 1, 2]
