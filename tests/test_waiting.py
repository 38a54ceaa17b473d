"""Nothing in an epoch makes the host wait for the device but the number that is logged at its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from impasto.feed import Feed
from impasto.loop import Loop
from impasto.optimiser import build_optimiser
from impasto.phase import base_phase
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.stylize import Stylizer
from style.style_doubles import RandomEncoder
from tiny import CPU, STYLES, augment, feed, mix, model, train
from waiting import WaitError, never_waiting

EVERYTHING = {
    "flip": True, "crop": 2, "erase": 0.5, "mixup": 0.5, "cutmix": 0.5, "noise": True,
    "deepaugment": {"share": 0.5, "size": 48},
}  # fmt: skip


def made(name: str, config: Any, **changes: Any) -> tuple[Loop, Feed]:
    found = feed(n=50, refresh=0.5, augmented=augment(**EVERYTHING | changes), mixed=mix(combine_s="and"))
    found.views = 3 if config.consistency else 1
    loop = Loop(model(name=name), found, [base_phase(config)], config, "test")
    loop.open(loop.schedule[0][0])
    return loop, found


def residents(loop: Loop, found: Feed) -> list[Tensor]:
    """What lies on the device before an epoch begins."""
    held = [stream._held for stream in found.streams]
    tensors = [*loop.model.parameters(), *loop.model.buffers(), found.paintings._store, *held]
    return [tensor for tensor in tensors if tensor is not None]


@pytest.mark.parametrize(
    ("name", "changes", "settings"),
    [
        ("wrn", {"trivial": True}, {}),
        ("wrn", {"trivial": True, "feature_noise": "siedel"}, {}),
        ("wrn", {"augmix": "all", "feature_noise": "siedel"}, {"accumulate": 4}),
        ("wrn", {"augmix": "official"}, {"consistency": 12.0}),
        ("densenet", {"trivial": True}, {"precision": "bf16"}),
        ("timm", {"trivial": True}, {"optimizer": "adamw"}),
    ],
    ids=str,
)
def test_an_epoch_waits_for_nothing(name: str, changes: dict[str, Any], settings: dict[str, Any]) -> None:
    config = train(**settings)
    loop, found = made(name, config, **changes)
    plan = found.plan(0)
    found.paintings.paint(plan)  # tables that are made once and kept, by the side of the images
    for _ in found._batches(plan, 0):
        pass
    with never_waiting(*residents(loop, found)) as device:
        found.paintings.paint(found.plan(1))
        found.paintings.paint(plan)
        for number, (rows, (images, labels)) in enumerate(
            zip(plan.batches(found.batch), found._batches(plan, 0), strict=True)
        ):
            assert device.holds(images) and device.holds(labels)
            loss = loop.step(images, labels, plan.synthetic[rows], 0, number)
            assert device.holds(loss)
            with pytest.raises(WaitError):
                float(loss)
    assert number == 3 and torch.isfinite(loss)


def test_painting_and_streamed_images_wait_for_nothing() -> None:
    """The real style transfer, and streams too large for the device."""
    loop, found = made("wrn", train(), trivial=True)
    encoder = RandomEncoder()
    bank = encode_styles(torch.randint(0, 256, (STYLES, 3, 16, 16), dtype=torch.uint8), encoder)
    painter = Stylizer(encoder, Decoder(encoder.channels, generator(0, "test")), bank)
    for stream in found.streams:
        stream._held = None
    found.paintings._stylise = painter
    weights = [*encoder.parameters(), *encoder.buffers(), *painter.decoder.parameters(), *painter.decoder.buffers()]
    with never_waiting(*residents(loop, found), *weights, *bank) as device:
        plan, batches = found.epoch(0)
        assert found.paintings.repainted > 10
        for number, (rows, (images, labels)) in enumerate(zip(plan.batches(found.batch), batches, strict=True)):
            assert device.holds(images)
            loop.step(images, labels, plan.synthetic[rows], 0, number)


@pytest.mark.parametrize("fused", [True, False])
def test_the_scaler_of_fp16_waits_for_nothing_where_the_optimiser_is_fused(fused: bool) -> None:
    """As on CUDA; otherwise the scaler reads whether the gradient is finite."""
    loop, found = made("wrn", train(), trivial=True)
    loop.optimizer = SGD(loop.model.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=fused)
    loop.scaler = torch.amp.GradScaler("cpu", enabled=True)
    plan = found.plan(0)
    found.paintings.paint(plan)
    images, labels = next(iter(found._batches(plan, 0)))
    loop.step(images, labels, plan.synthetic[:16], 0, 0)  # the scale is made in the first step
    there = (*residents(loop, found), images, labels, loop.scaler._scale)
    with never_waiting(*there), nullcontext() if fused else pytest.raises(WaitError, match="_local_scalar_dense"):
        loop.step(images, labels, plan.synthetic[:16], 0, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="fused for CUDA alone")
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_optimiser_is_fused_on_a_gpu(name: str) -> None:
    assert build_optimiser(model().to("cuda"), train(optimizer=name)).defaults["fused"]


READS: list[Callable[[Tensor], object]] = [
    float,
    bool,
    Tensor.item,
    Tensor.tolist,
    Tensor.cpu,
    Tensor.nonzero,
    torch.unique,
    lambda x: x[x > 0],
    lambda x: x.masked_fill_(x > 0, 0).sum().item(),
    lambda x: torch.zeros(4)[: int((x * 2).sum())],
    lambda x: x.repeat_interleave((x * 0).long() + 1),
    lambda x: torch.equal(x, x.clone()),
    lambda x: torch.arange(3).to(CPU),
    lambda x: torch.tensor([1, 2], device=CPU),
    lambda x: nn.functional.one_hot((x * 0).long()),
]


@pytest.mark.parametrize("read", READS)
def test_what_waits_is_refused(read: Callable[[Tensor], object]) -> None:
    here = torch.ones(1)
    there = torch.ones(1)
    with never_waiting(there), pytest.raises(WaitError):
        read(there)
    read(here)


def test_plans_are_read_freely_and_gradients_live_on_the_device() -> None:
    plan, weight = torch.arange(4), torch.ones(4, requires_grad=True)
    with never_waiting(weight) as device:
        assert int(plan.sum()) == 6 and plan[plan > 1].tolist() == [2, 3]
        moved = plan.to(CPU, non_blocking=True)
        assert device.holds(moved) and not device.holds(plan)
        assert device.holds(torch.zeros(2, device=CPU)) and not device.holds(torch.zeros(2))
        (weight * moved).sum().backward()  # type: ignore[no-untyped-call]
        with pytest.raises(WaitError):
            bool(weight.grad.any())  # type: ignore[union-attr]
    assert plan.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch tells of a wait on CUDA alone")
def test_a_gpu_is_not_waited_for() -> None:
    """The same by torch's own account, where there is a GPU."""
    cuda, config = torch.device("cuda"), train()
    loop, found = made("wrn", config, trivial=True, feature_noise="siedel")
    loop.model.to(cuda)
    found.device = found.paintings._device = cuda
    found.paintings._store = found.paintings._store.to(cuda)
    for stream in found.streams:
        stream._device, stream._held = cuda, stream._held.to(cuda)  # type: ignore[union-attr]
    plan = found.plan(0)
    found.paintings.paint(plan)
    mode = torch.cuda.get_sync_debug_mode()
    try:
        for epoch in range(2):  # tables are made in the first
            for number, (images, labels) in enumerate(found._batches(plan, 0)):
                loop.step(images, labels, plan.synthetic[plan.batches(found.batch)[number]], 0, number)
            torch.cuda.set_sync_debug_mode("error" if epoch == 0 else mode)
    finally:
        torch.cuda.set_sync_debug_mode(mode)
