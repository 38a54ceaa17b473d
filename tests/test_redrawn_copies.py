"""Copies that are drawn anew for each stage of fine-tuning: of which images, what is shown, and resumed alike."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from impasto.checkpoint import Resume
from impasto.config.balance import Balance
from impasto.copies import Bank, Copies, Redraw, draw_copies
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.paintings import Paintings
from impasto.phase import Phase
from impasto.runtime import runtime
from impasto.training import Row, fit
from impasto.validation import sureness
from tiny import CPU, STYLES, augment, mix, model, pictures, stream, stylise, train

COUNTS = [3, 5, 14, 0]
LABELS = torch.arange(48) % 4
KINDS = [("random", False), ("hardest", True)]


def balance(**changes: Any) -> Balance:
    values = {"strength": 0.0, "p1": 0.0, "p2": 0.0, "rare": 1.0, "multipliers": [], "copy": "style", "styles": "any"}
    return Balance.model_validate(values | {"replace": True} | changes)


draw = partial(draw_copies, LABELS, COUNTS, Bank(STYLES, None), balance(), (1.0, 1.0), 0)


def by_class(copies: Copies) -> list[list[int]]:
    return [copies.content[LABELS[copies.content] == c].tolist() for c in range(4)]


def test_the_least_sure_images_of_each_class_are_copied_each_before_any_again() -> None:
    sure = torch.rand(48, generator=torch.Generator().manual_seed(0))
    found = draw(1, sure)
    for c, (n, content) in enumerate(zip(COUNTS, by_class(found), strict=True)):
        hardest = sorted((row for row in range(48) if row % 4 == c), key=lambda row: float(sure[row]))
        assert content == (hardest * 2)[:n]
    assert found.replicate[LABELS[found.content] == 2].tolist() == [0] * 12 + [1] * 2
    assert torch.equal(LABELS[found.content], LABELS[draw().content]), "labels stay in their places"


def test_each_stage_draws_anew_and_none_as_before() -> None:
    once, first, second = draw(), draw(0), draw(1)
    for name in ("content", "style"):
        columns = [getattr(each, name) for each in (once, first, second)]
        assert len({tuple(column.tolist()) for column in columns}) == 3
    assert all(map(torch.equal, draw(1)[2:], second[2:])), "the stage decides"
    sure = torch.rand(48)
    assert torch.equal(draw(1, sure).style, second.style), "the same styles for other images"


def test_a_stream_goes_on_with_copies(root: Path) -> None:
    whole = stream(8)
    for one in (whole, Stream(*pictures(8), np.arange(8), CPU, resident=0)):
        longer = one.copied(5, torch.tensor([3, 0, 3]))
        rows = torch.tensor([0, 1, 2, 3, 4, 3, 0, 3])
        assert torch.equal(longer.gather(torch.arange(8)), whole.gather(rows)) and len(longer) == 8
        assert torch.equal(longer.labels, whole.labels[rows]) and len(one) == 8


def fed(kind: str, hardest: bool, file: Path | None = None) -> Feed:
    copies = draw()
    streams = stream(48, seed=1).copied(48, copies.content), stream(40, seed=2)
    return Feed(
        streams=streams,
        paintings=Paintings(stylise, streams, 0.3, CPU, file),
        styles=STYLES,
        mix=mix(lambda_=0.0, lambda_o=0.0),
        augment=augment(flip=True),
        strength=0.0,
        batch=16,
        seed=3,
        device=CPU,
        copies=copies,
        redraw=Redraw(hardest, draw) if kind != "kept" else None,
    )


class Killed(BaseException):
    """The end of a process."""


def run(found: Feed, resume: Resume, killed: int | None = None) -> tuple[nn.Module, list[dict[str, Tensor]], list[Row]]:
    network = model(dropout=0.2)
    states = [{name: tensor.clone() for name, tensor in network.state_dict().items()}]

    def on_epoch(epoch: int, row: Row) -> None:
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        if epoch == killed:
            raise Killed

    plan = [Phase(2, lambda e: 0.05, open=1, batch_norm="frozen"), Phase(2, lambda e: 0.02)]
    settings: dict[str, Any] = {"purpose": "test", "resume": resume, "on_epoch": on_epoch}
    history = fit(network, found, stream(20, seed=9), plan, train(), **settings).rows
    return network, states, history


@pytest.mark.parametrize(("kind", "hardest"), KINDS)
def test_a_stage_shows_the_copies_drawn_at_its_beginning(root: Path, kind: str, hardest: bool) -> None:
    found = fed(kind, hardest)
    _, states, _ = run(found, Resume("test"))
    assert len(found.drawn) == 2 and found.copies is found.drawn[1]
    plain = stream(48, seed=1)
    for stage, copies in enumerate(found.drawn):
        network = model(dropout=0.2)
        network.load_state_dict(states[2 * stage])
        logits = network.eval()(plain.gather(torch.arange(48)).float() / 255).detach()
        sure = logits.softmax(1)[torch.arange(48), LABELS] if hardest else None
        assert all(map(torch.equal, copies[2:], draw(stage, sure)[2:]))
    plan = found.plan(3)
    shown = plan.row >= 48
    at = plan.row[shown] - 48
    assert shown.any() and torch.equal(plan.style[shown], found.drawn[1].style[at])
    found.paintings.paint(plan)
    pixels = found.paintings.show(shown.nonzero()[:, 0])
    originals = plain.gather(found.drawn[1].content[at])
    assert torch.equal(pixels, stylise(originals, plan.style[shown], plan.alpha[shown])), "no painting of another image"


def test_sureness_is_the_probability_of_the_own_class(root: Path) -> None:
    network, images = model(), stream(30)
    wanted = network.eval()(images.gather(torch.arange(20)).float() / 255).softmax(1)[torch.arange(20), LABELS[:20]]
    found = sureness(network, images, 20, train(), CPU, batch=7)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("killed", range(3))
def test_killed_in_any_stage_it_ends_with_the_same_bits(
    root: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    runtime.cache_clear()
    whole = fed("hardest", True, root / "whole" / "paintings.npy")
    network, _, history = run(whole, Resume("whole"))
    with pytest.raises(Killed):
        run(fed("hardest", True, root / "test" / "paintings.npy"), Resume("test"), killed)
    again = fed("hardest", True, root / "test" / "paintings.npy")
    other, _, found = run(again, Resume("test"))
    assert found == history and len(again.drawn) == 2
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in network.state_dict().items())
    for one, same in zip(whole.drawn, again.drawn, strict=True):
        assert one.kind == same.kind and one.first == same.first and all(map(torch.equal, one[2:], same[2:]))
