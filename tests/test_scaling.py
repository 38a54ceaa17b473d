"""Half precision trains with a scaled loss: the step stays what it is, and a resumed run keeps the scale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD

from impasto.checkpoint import Resume
from impasto.config.train import Train
from impasto.loop import Loop
from impasto.phase import base_phase
from impasto.runtime import runtime
from impasto.training import fit
from tiny import feed, model, stream, train

SCALE = 2.0**12
REAL = torch.amp.GradScaler


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has a scaler, whatever its precision; the scale doubles after each two steps."""

    def make(device: str, enabled: bool) -> torch.amp.GradScaler:
        return REAL(device, init_scale=SCALE, growth_interval=2, enabled=True)

    monkeypatch.setattr(torch.amp, "GradScaler", make)


def loop(config: Train, fused: bool = False) -> Loop:
    """A run of steps of rate 1 without momentum or decay, so that the weights move by the gradient."""
    found = Loop(model(), feed(batch=48), [base_phase(config)], config, "test")
    found.optimizer = SGD(found.model.parameters(), lr=1.0, fused=fused)
    return found


def step(found: Loop) -> tuple[list[torch.Tensor], float]:
    """One step: how far each parameter moved, and how long the whole way was."""
    before = [p.detach().clone() for p in found.model.parameters()]
    found.open(found.schedule[0][0])
    plan, batches = found.feed.epoch(0)
    images, labels = next(batches)
    found.step(images, labels, plan.synthetic, 0, 0)
    moved = [p.detach() - old for p, old in zip(found.model.parameters(), before, strict=True)]
    return moved, float(torch.cat([each.flatten() for each in moved]).norm())


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("clip", [0.01, 1e9])
@pytest.mark.usefixtures("scaled")
def test_the_scale_leaves_the_step_what_it_is(fused: bool, count: int, clip: float) -> None:
    """The gradient is clipped at its true length: scaled, it is thousands of times as long."""
    config = train(batch=48, accumulate=count, clip=clip)
    found = loop(config, fused)
    moved, norm = step(found)
    assert found.scaler.get_scale() == SCALE
    found = loop(config)
    found.scaler = REAL("cpu", enabled=False)
    wanted, true = step(found)
    assert norm == pytest.approx(true, rel=1e-5) and (norm == pytest.approx(0.01, rel=1e-3)) == (clip == 0.01)
    for one, other in zip(moved, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.usefixtures("scaled")
def test_a_gradient_that_overflows_moves_nothing_and_halves_the_scale(fused: bool) -> None:
    found = loop(train(batch=48), fused)
    next(found.model.parameters()).register_hook(lambda grad: grad * float("inf"))
    moved, _ = step(found)
    assert not any(each.any() for each in moved) and found.scaler.get_scale() == SCALE / 2


class Killed(BaseException):
    """Stands for the signal that ends a process."""


def go(config: Train, resume: Resume, told: Callable[[int, Any], None]) -> dict[str, Any]:
    """A run from its last saved state on; what it has saved at its end."""
    settings = {"purpose": "test", "resume": resume, "on_epoch": told}
    fit(model(), feed(), stream(20, seed=9), [base_phase(config)], config, **settings)
    state = resume.load()
    assert state is not None
    return state


@pytest.mark.usefixtures("scaled")
def test_a_resumed_run_keeps_scale_and_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps an epoch, the scale doubles after two: another scale or count would double at other steps."""
    monkeypatch.setenv("IMPASTO_SAVE_SECONDS", "1e-9")
    runtime.cache_clear()
    config = train(epochs=3)
    wanted = go(config, Resume("whole"), lambda _epoch, _row: None)

    def killing(epoch: int, _row: object) -> None:
        if epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        go(config, Resume("test"), killing)
    saved = Resume("test").load()
    assert saved is not None and saved["scaler"]["scale"] == 2 * SCALE and saved["scaler"]["_growth_tracker"] == 1
    again = Loop(model(), feed(), [base_phase(config)], config, "test")
    again.restore(saved)
    assert again.scaler.state_dict() == saved["scaler"]
    found = go(config, Resume("test"), lambda _epoch, _row: None)
    assert found["scaler"] == wanted["scaler"] and found["scaler"]["scale"] == 16 * SCALE
    assert all(torch.equal(tensor, wanted["model"][name]) for name, tensor in found["model"].items())


@pytest.mark.parametrize(("precision", "enabled"), [("fp16", True), ("bf16", False), ("fp32", False)])
def test_half_precision_alone_is_scaled_also_on_a_cpu(precision: str, enabled: bool) -> None:
    config = train(batch=48, precision=precision)
    found = Loop(model(), feed(batch=48), [base_phase(config)], config, "test")
    assert found.scaler.is_enabled() is enabled
    _, norm = step(found)
    assert norm > 0
