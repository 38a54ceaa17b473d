"""Epochs under a schedule of shares: each is, bit for bit, the epoch of a run that has its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from impasto.checkpoint import Resume
from impasto.config.style import Difference
from impasto.errors import ImpastoError
from impasto.mix import Plan
from impasto.phase import base_phase
from impasto.training import Row, fit
from tiny import augment, feed, mix, model, stream, train

POLICY = {"lambda_": {0: 0.0, 2: 0.75, 3: 0.25}, "lambda_o": {0: 0.5, 1: 0.0}, "lambda_s": {0: 0.2, 3: 1.0}}
BY_EPOCH = [(0.0, 0.5, 0.2), (0.0, 0.0, 0.2), (0.75, 0.0, 0.2), (0.25, 0.0, 1.0), (0.25, 0.0, 1.0)]


def equal(one: Plan, other: Plan) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def numbers(epoch: int) -> dict[str, float]:
    return dict(zip(POLICY, BY_EPOCH[epoch], strict=True))


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("epoch", range(5))
def test_a_plan_is_that_of_the_numbers_of_its_epoch(epoch: int, faithful: bool) -> None:
    scheduled, plain = feed(mixed=mix(**POLICY)), feed(mixed=mix(**numbers(epoch)))
    for one in (scheduled, plain):
        one.faithful, one.styles = get_args(Difference) if faithful else (), 60
    found = scheduled.plan(epoch)
    assert equal(found, plain.plan(epoch))
    for rows in found.batches(16):
        assert int(found.synthetic[rows].sum()) == 16 * BY_EPOCH[epoch][0], "each batch holds the share of its epoch"


@pytest.mark.parametrize("refresh", [1.0, 0.3])
def test_images_follow(refresh: float) -> None:
    """The bank grows when synthetic images come in late, and what it keeps is shown again."""
    found = feed(mixed=mix(**POLICY), refresh=refresh, augmented=augment(crop=2))
    for epoch in range(5):
        plan, batches = found.epoch(epoch)
        shown = torch.cat([images for images, _ in batches])
        fresh = feed(mixed=mix(**numbers(epoch)), refresh=1.0, augmented=augment(crop=2))
        wanted = torch.cat([images for images, _ in fresh.epoch(epoch)[1]])
        plain = ~plan.stylised
        assert torch.equal(shown[plain], wanted[plain])
        # Of a painting that is kept, style and strength may be older; which image it shows may not (channel 2).
        assert torch.equal(shown[:, 2], wanted[:, 2]) and (refresh < 1 or torch.equal(shown, wanted))


def go(folder: Path, mixed: Any, kill: int | None = None) -> tuple[list[Row], dict[str, torch.Tensor]]:
    class Killed(BaseException):
        """Stands for the signal that ends a process."""

    def on_epoch(epoch: int, row: Row) -> None:
        if epoch == kill:
            raise Killed

    resume = Resume("test")
    resume.folder, resume._file = folder, folder / "state.pt"
    network, config = model(), train(epochs=5)
    found = feed(mixed=mixed, refresh=0.4, file=folder / "paintings.npy", augmented=augment(trivial=True))
    resume.due = lambda: True  # type: ignore[method-assign]
    plan = [base_phase(config)]
    try:
        fit(network, found, stream(20, seed=9), plan, config, purpose="test", resume=resume, on_epoch=on_epoch)
    except Killed:
        return go(folder, mixed)
    state = resume.load()
    assert state is not None
    return state["history"], {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one: tuple[list[Row], dict[str, torch.Tensor]], other: tuple[list[Row], dict[str, torch.Tensor]]) -> bool:
    return one[0] == other[0] and all(torch.equal(tensor, other[1][name]) for name, tensor in one[1].items())


def test_a_schedule_of_one_value_is_the_number(tmp_path: Path) -> None:
    one = go(tmp_path / "1", mix(lambda_={0: 0.5}, lambda_o={0: 0.3}, lambda_s={"0": 0.6}))
    assert same(one, go(tmp_path / "2", mix(lambda_=0.5, lambda_o=0.3, lambda_s=0.6)))
    assert not same(one, go(tmp_path / "3", mix(lambda_={0: 0.5, 4: 0.6}, lambda_o=0.3, lambda_s=0.6)))


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_a_killed_run_ends_alike_and_its_curve_follows_the_policy(tmp_path: Path, killed: int) -> None:
    whole = go(tmp_path / "whole", mix(**POLICY))
    assert same(go(tmp_path / "killed", mix(**POLICY), kill=killed), whole)
    assert [row["share_synthetic"] for row in whole[0]] == [share for share, _, _ in BY_EPOCH]
    assert [row["share_stylised_s"] for row in whole[0]][3:] == [1.0, 1.0]
    assert [row["share_stylised_o"] > 0 for row in whole[0]] == [True] + 4 * [False]


def test_synthetic_images_are_missed_before_the_epoch_that_wants_them() -> None:
    with pytest.raises(
        ImpastoError, match=r"lambda is \{0: 0, 2: 0\.75, 3: 0\.25\}, but there are no synthetic images"
    ):
        feed(synthetic=0, mixed=mix(**POLICY))
    assert len(feed(synthetic=0, mixed=mix(lambda_={0: 0.0, 2: 0.0}))) == 48
