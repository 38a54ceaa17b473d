"""The bank of stylised images: what is painted anew, what is kept, and what survives an interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.checkpoint import Resume
from impasto.data.stream import Stream
from impasto.mix import Plan, draw_plan
from impasto.paintings import Paintings, gather
from tiny import CPU, mix, stream, stylise

N, M = 60, 30
FEW = 35 * 3 * 16 * 16  # bytes of 35 paintings; an epoch shows about 20 of 90


class Easel:
    """Paints like :func:`tiny.stylise` and notes how many images it was given."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
        self.calls.append(len(images))
        return stylise(images, styles, alpha)


@pytest.fixture
def streams() -> tuple[Stream, Stream]:
    return stream(N, seed=1), stream(M, seed=2)


def plan(epoch: int, *, strength: float = 0.0, **changes: Any) -> Plan:
    labels = torch.arange(N) % 4, torch.arange(M) % 4
    return draw_plan(*labels, mix(**changes), strength=strength, styles=200, batch=16, seed=0, epoch=epoch)


def places(drawn: Plan) -> Tensor:
    return drawn.stylised.nonzero()[:, 0]


def direct(streams: tuple[Stream, Stream], drawn: Plan, where: Tensor) -> Tensor:
    """The stylised images, straight from their streams."""
    images = gather(streams, drawn.synthetic[where], drawn.row[where])
    return stylise(images, drawn.style[where], drawn.alpha[where])


def test_refresh_1_repaints_all_that_is_shown(streams: tuple[Stream, Stream]) -> None:
    easel = Easel()
    paintings = Paintings(easel, streams, 1.0, CPU, batch=16)
    for epoch in range(3):
        drawn = plan(epoch)
        paintings.paint(drawn)
        where = places(drawn)
        assert paintings.repainted == len(where) == sum(easel.calls)
        assert max(easel.calls) <= 16
        assert torch.equal(paintings.show(where), direct(streams, drawn, where))
        easel.calls.clear()


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_paintings_are_those_of_the_plan_that_was_due_last(streams: tuple[Stream, Stream], strength: float) -> None:
    """A dictionary as the reference: (stream, row, copy) -> the picture as it was painted last."""
    refresh, easel = 0.3, Easel()
    paintings = Paintings(easel, streams, refresh, CPU)
    kept: dict[tuple[bool, int, int], Tensor] = {}
    for epoch in range(6):
        drawn = plan(epoch, strength=strength, lambda_=0.7, lambda_s=0.8)
        paintings.paint(drawn)
        due = 0
        for where in places(drawn):
            name = (bool(drawn.synthetic[where]), int(drawn.row[where]), int(drawn.copy[where]))
            if name not in kept or drawn.fresh[where] < refresh:
                kept[name] = direct(streams, drawn, where[None])[0]
                due += 1
            assert torch.equal(paintings.show(where[None])[0], kept[name])
        assert paintings.repainted == due == sum(easel.calls)
        easel.calls.clear()
    assert due < len(places(drawn)), "by now some are kept"


def test_two_copies_of_a_row_have_two_paintings(streams: tuple[Stream, Stream]) -> None:
    drawn = plan(0, lambda_=0.9, lambda_s=1.0)
    paintings = Paintings(stylise, streams, 0.5, CPU)
    paintings.paint(drawn)
    row = int(drawn.row[drawn.synthetic & (drawn.copy == 1)][0])
    twice = (drawn.synthetic & (drawn.row == row)).nonzero()[:, 0]
    assert len(twice) == 2
    assert torch.equal(paintings.show(twice), direct(streams, drawn, twice))
    assert not torch.equal(*paintings.show(twice))


def test_originals_and_synthetic_images_do_not_share_paintings(streams: tuple[Stream, Stream]) -> None:
    drawn = plan(0, lambda_o=1.0, lambda_s=1.0)
    paintings = Paintings(stylise, streams, 0.5, CPU)
    paintings.paint(drawn)
    assert torch.equal(paintings.show(torch.arange(N)), direct(streams, drawn, torch.arange(N)))


def test_a_full_bank_forgets_and_stays_as_large_as_it_may_be(streams: tuple[Stream, Stream]) -> None:
    """A dictionary in the order of arrival as the reference: the first that the epoch does not show make room."""
    refresh, limit = 0.3, 35
    paintings = Paintings(stylise, streams, refresh, CPU, limit=FEW)
    slots: list[tuple[bool, int, int]] = []
    kept: dict[tuple[bool, int, int], Tensor] = {}
    at, forgotten = 0, 0
    for epoch in range(12):
        drawn = plan(epoch, lambda_=0.7)
        paintings.paint(drawn)
        where = places(drawn)
        triples = zip(
            drawn.synthetic[where].tolist(), drawn.row[where].tolist(), drawn.copy[where].tolist(), strict=True
        )
        names = list(triples)
        present = set(slots)
        for name, place in zip(names, where, strict=True):
            if name not in present:
                if len(slots) < limit:
                    slots.append(name)
                else:
                    while slots[at % limit] in names:
                        at += 1
                    del kept[slots[at % limit]]
                    slots[at % limit], at, forgotten = name, at + 1, forgotten + 1
            if name not in present or drawn.fresh[place] < refresh:
                kept[name] = direct(streams, drawn, place[None])[0]
        assert torch.equal(paintings.show(where), torch.stack([kept[name] for name in names]))
        assert len(paintings.state()["owner"]) == len(slots) <= limit
    assert forgotten > 35, "the ring has gone round"


def test_a_bank_smaller_than_an_epoch_grows_to_what_the_epoch_shows(streams: tuple[Stream, Stream]) -> None:
    paintings = Paintings(stylise, streams, 0.5, CPU, limit=0)
    for epoch, share in enumerate((0.2, 1.0, 0.5)):
        drawn = plan(epoch, lambda_o=share, lambda_s=share)
        paintings.paint(drawn)
        where = places(drawn)
        assert paintings.show(where).shape[0] == len(where) and (epoch or paintings.repainted == len(where))
    assert len(paintings.state()["owner"]) == N


def test_no_style_at_all(streams: tuple[Stream, Stream]) -> None:
    paintings = Paintings(stylise, streams, 0.5, CPU)
    drawn = plan(0, lambda_o=0.0, lambda_s=0.0)
    paintings.paint(drawn)
    assert paintings.repainted == 0 and paintings.show(places(drawn)).shape == (0, 3, 16, 16)


def shown(paintings: Paintings, epochs: range, keep: Callable[[int], bool], resume: Resume) -> list[Tensor]:
    """Paint some epochs, save after those that ``keep`` names, and return what was shown."""
    found = []
    for epoch in epochs:
        drawn = plan(epoch, lambda_=0.7)
        paintings.paint(drawn)
        found.append(paintings.show(places(drawn)))
        if keep(epoch):
            resume.save(paintings.state())
            paintings.settle()
    return found


@pytest.mark.parametrize("filed", [True, False], ids=["file", "no-file"])
@pytest.mark.parametrize(("refresh", "limit"), [(0.2, 1 << 30), (0.2, FEW), (1.0, 1 << 30)])
@pytest.mark.parametrize("killed", [2, 3, 4, 5, 6, 7])
def test_interrupted_equals_uninterrupted(
    streams: tuple[Stream, Stream], root: Path, refresh: float, limit: int, killed: int, filed: bool
) -> None:
    """Saved after epochs 1 and 4; what was painted after the last save must not be seen by the run that goes on."""
    file = root / "paintings.npy" if filed else None
    never = Resume("never")
    whole = shown(Paintings(stylise, streams, refresh, CPU, limit=limit), range(9), lambda epoch: False, never)
    resume, saved = Resume("test"), (1, 4)
    shown(
        Paintings(stylise, streams, refresh, CPU, file, limit=limit),
        range(killed),
        lambda epoch: epoch in saved,
        resume,
    )

    state = resume.load()
    assert state is not None
    again = Paintings(stylise, streams, refresh, CPU, file, limit=limit)
    again.restore(state)
    start = max(epoch for epoch in saved if epoch < killed) + 1
    rest = shown(again, range(start, 9), lambda epoch: epoch % 3 == 0, resume)
    assert all(torch.equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


@pytest.mark.parametrize("written", [0, 3, 1000])
def test_killed_between_saving_and_settling(streams: tuple[Stream, Stream], root: Path, written: int) -> None:
    """The file may lack all, some or none of what the saved state holds besides."""
    file, resume = root / "paintings.npy", Resume("test")
    whole = shown(Paintings(stylise, streams, 0.2, CPU), range(5), lambda epoch: False, resume)
    first = Paintings(stylise, streams, 0.2, CPU, file)
    shown(first, range(2), lambda epoch: True, resume)
    shown(first, range(2, 3), lambda epoch: False, resume)
    state = first.state()
    resume.save(state)
    array = np.load(file, mmap_mode="r+")
    some = [slot for slot in state["slots"].tolist()[:written] if slot < len(array)]
    array[some] = 99  # torn
    array.flush()

    again = Paintings(stylise, streams, 0.2, CPU, file)
    loaded = resume.load()
    assert loaded is not None
    again.restore(loaded)
    rest = shown(again, range(3, 5), lambda epoch: True, resume)
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], rest, strict=True))


def test_a_file_of_a_run_that_saved_nothing_is_not_believed(streams: tuple[Stream, Stream], root: Path) -> None:
    file = root / "paintings.npy"
    np.save(file, np.full((5, 3, 16, 16), 77, np.uint8))
    paintings, drawn = Paintings(stylise, streams, 0.2, CPU, file), plan(0)
    paintings.paint(drawn)
    assert torch.equal(paintings.show(places(drawn)), direct(streams, drawn, places(drawn)))


def test_a_saved_state_holds_only_what_the_file_lacks(streams: tuple[Stream, Stream], root: Path) -> None:
    paintings = Paintings(stylise, streams, 0.2, CPU, root / "paintings.npy")
    shown(paintings, range(4), lambda epoch: True, Resume("test"))
    assert len(paintings.state()["slots"]) == 0
    paintings.paint(plan(4))
    assert len(paintings.state()["slots"]) == paintings.repainted < len(paintings.state()["owner"])


def test_refresh_1_keeps_nothing_on_disk(streams: tuple[Stream, Stream], root: Path) -> None:
    paintings = Paintings(stylise, streams, 1.0, CPU, root / "paintings.npy")
    shown(paintings, range(2), lambda epoch: True, Resume("test"))
    assert not (root / "paintings.npy").exists() and len(paintings.state()["pixels"]) == 0


def test_gather_mixes_streams_in_order(streams: tuple[Stream, Stream]) -> None:
    synthetic, rows = torch.tensor([False, True, True, False]), torch.tensor([5, 0, 29, 59])
    found = gather(streams, synthetic, rows)
    for image, other, row in zip(found, synthetic.tolist(), rows, strict=True):
        assert torch.equal(image, streams[other].gather(row[None])[0])
    for other in (False, True):
        same = torch.full((2,), other)
        assert torch.equal(gather(streams, same, rows[1:3]), streams[other].gather(rows[1:3]))


def test_what_is_shown_can_be_overwritten(streams: tuple[Stream, Stream]) -> None:
    paintings, drawn = Paintings(stylise, streams, 0.5, CPU), plan(0)
    paintings.paint(drawn)
    where = places(drawn)
    paintings.show(where).zero_()
    assert torch.equal(paintings.show(where), direct(streams, drawn, where))
