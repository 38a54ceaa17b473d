"""A batch in parts: the gradient of the whole, whatever the parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.augment import mixup
from impasto.augment.feature_noise import FeatureNoise
from impasto.batch_augment import BatchAugment, at_once
from impasto.loop import Loop
from impasto.phase import base_phase
from impasto.rng import generator
from tiny import SIZE, augment, feed, mix, model, train

EVERYTHING = {"mixup": 0.5, "cutmix": 0.5, "noise": True, "deepaugment": {"share": 0.5, "size": 48}}


class Smooth(nn.Module):
    """A network of float64 without batch norm, for float32 images."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.normalise = nn.Identity()
            self.body = nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.Softplus(), nn.Flatten(), nn.Linear(8 * 14 * 14, 4)
            ).double()
        self.normalise.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.normalise.register_buffer("std", torch.full((1, 3, 1, 1), 0.25))

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.body(images.double())
        return found


def gradients(count: int, n: int, views: int = 1, clip: float = 1e9, **changes: Any) -> tuple[Tensor, list[Tensor]]:
    """Loss and clipped gradients of one batch of n images in so many parts, by the loop's own step; the rate is 0."""
    config = train(batch=48, accumulate=count, clip=clip, consistency=12.0 if views > 1 else 0.0, learning_rate=1e-30)
    found = feed(n=48, augmented=augment(**changes), batch=48)
    found.views = views
    loop = Loop(Smooth(), found, [base_phase(config)], config, "test")
    plan, batches = found.epoch(0)
    images, labels = next(batches)
    rows = torch.linspace(0, 47, n).long()
    shown = images.unflatten(0, (views, 48))[:, rows].flatten(0, 1)
    loss = loop.step(shown, labels[rows], plan.synthetic[rows], 0, 0)
    return loss, [p.grad for p in loop.model.parameters() if p.grad is not None]


@pytest.mark.parametrize(("n", "changes"), [(48, {}), (13, {}), (2, {}), (1, {}), (48, EVERYTHING), (13, EVERYTHING)])
@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("views", [1, 3])
def test_the_gradient_is_that_of_the_whole_batch(n: int, count: int, views: int, changes: dict[str, Any]) -> None:
    """Of a short last batch too, whose parts differ in size; what acts on the input acts on the batch as ever."""
    loss, wanted = gradients(1, n, views, **changes)
    found, parts = gradients(count, n, views, **changes)
    torch.testing.assert_close(found, loss, rtol=1e-6, atol=1e-6)
    assert len(parts) == len(wanted) == 4
    for part, whole in zip(parts, wanted, strict=True):
        # The loss works in float32, so its rounding is what is left.
        torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_what_is_clipped_is_the_sum_of_the_parts(count: int) -> None:
    """Not each part's gradient, whose directions would then weigh by their order."""
    wanted, found = gradients(1, 48, clip=0.01)[1], gradients(count, 48, clip=0.01)[1]
    assert float(torch.cat([grad.flatten() for grad in found]).norm()) == pytest.approx(0.01, rel=1e-3)
    for part, whole in zip(found, wanted, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-8)


def test_each_part_holds_its_share_of_synthetic_images() -> None:
    """Batch norm sees parts: one of originals and one of synthetic images would be another training."""
    seen: list[Tensor] = []
    network = model()
    network.register_forward_pre_hook(lambda _model, given: seen.append(given[0]))
    images = torch.zeros(16, 3, SIZE, SIZE)
    images[8:] = 1
    synthetic = torch.arange(16) >= 8
    acting = BatchAugment(augment(), network, 0, "fp32")
    targets = [t for _, t in acting.parts(images, torch.arange(16) % 4, synthetic, 0, 0, count=4)]
    assert [int(part[:, 0, 0, 0].sum()) for part in seen] == [2] * 4 and [len(t) for t in targets] == [4] * 4
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in seen)


@pytest.mark.parametrize("method", ["mixup", "cutmix"])
def test_inside_the_network_a_part_is_mixed_in_itself(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """By the lambda and the box of the whole batch, originals with originals."""
    network, place, labels = model().eval(), (3, 1), torch.arange(12) % 4
    synthetic = torch.arange(12) >= 6
    acting = BatchAugment(augment(feature_noise="siedel", **{method: 1.0}), network, 0, "fp32")
    monkeypatch.setattr(acting, "_feature_noise", lambda _place: FeatureNoise(1, 0.0, 0.0, 0.0))
    images = torch.rand(12, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    whole = acting._mixture(synthetic, place)
    found = list(acting.parts(images, labels, synthetic, *place, count=3))
    assert len(found) == 3
    for part, (logits, targets) in enumerate(found):
        drawn = mixup.draw(
            synthetic[part::3],
            **{"mixup": 0.0, "cutmix": 0.0} | {method: 1.0},
            generator=generator(0, "mixup", *place),
        )
        assert drawn[:4] == whole[:4]
        x = images[part::3]
        for name, module in network.named_children():
            x = module(x)
            if name == "stage1":
                size = (x.shape[2], x.shape[3])
                x = mixup.apply(x, drawn)
        torch.testing.assert_close(logits, x, rtol=1e-5, atol=1e-6)
        assert torch.equal(targets, mixup.targets(labels[part::3], 4, drawn, size))


def test_an_epoch_in_parts_learns_and_one_part_changes_nothing() -> None:
    def run(count: int) -> list[float]:
        config = train(epochs=4, accumulate=count)
        found = feed(n=50, augmented=augment(crop=2), mixed=mix(lambda_o=0.1, lambda_s=0.1))
        loop = Loop(model(), found, [base_phase(config)], config, "test")
        return [loop.run(epoch)["loss"] for epoch in range(4)]

    assert run(4)[-1] < run(4)[0] and run(1) == run(1) != run(2)


@pytest.mark.parametrize(("n", "count", "parts"), [(7, 3, 2), (16, 4, 3), (9, 2, 4), (5, 1, 2), (2, 4, 2)])
def test_a_part_of_all_processes_is_shared_like_a_batch(
    monkeypatch: pytest.MonkeyPatch, n: int, count: int, parts: int
) -> None:
    """What a process has of it is the part that it takes of its own images; the parts make up the batch."""
    monkeypatch.setattr(ranks, "count", lambda: count)
    among = [at_once(n, number, parts) for number in range(parts)]
    assert torch.equal(torch.cat(among).sort().values, torch.arange(n))
    for rank in range(count):
        monkeypatch.setattr(ranks, "index", lambda rank=rank: rank)
        for number, rows in enumerate(among):
            assert torch.equal(rows[ranks.share(len(rows))], torch.arange(n)[ranks.share(n)][number::parts])
