"""What acts on whole batches in training, against the parts applied by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.augment import feature_noise, mixup, pnorm_noise
from impasto.augment.deepaugment import draw_network
from impasto.batch_augment import BatchAugment
from impasto.errors import ImpastoError
from impasto.loop import Loop
from impasto.losses import cross_entropy, jensen_shannon
from impasto.phase import base_phase
from impasto.rng import generator, key
from tiny import CPU, augment, feed, mix, train
from tiny import model as network

N, SEED, PLACE = 8, 3, (2, 5)
LABELS = torch.arange(N) % 4
SYNTHETIC = torch.arange(N) >= N // 2


def images(views: int = 1) -> Tensor:
    return torch.rand(views * N, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def act(model: nn.Module, views: int = 1, place: tuple[int, int] = PLACE, **changes: Any) -> tuple[Tensor, Tensor]:
    acting = BatchAugment(augment(**changes), model, SEED, "fp32", views)
    (found,) = acting.parts(images(views), LABELS, SYNTHETIC, *place)
    return found


def mixture(place: tuple[int, int] = PLACE, **p: float) -> mixup.Mixture:
    return mixup.draw(SYNTHETIC, **({"mixup": 0.0, "cutmix": 0.0} | p), generator=generator(SEED, "mixup", *place))


def distorted(given: Tensor, place: tuple[int, int] = PLACE) -> Tensor:
    """By Noise2Net, half of the images."""
    net = draw_network(generator(SEED, "noise2net"), 48)
    draws = net.draw(len(given), generator(SEED, "noise2net", *place), share=0.5)
    return net.apply(given, draws, torch.full((1, 3, 1, 1), 0.5), torch.full((1, 3, 1, 1), 0.25))


def noisy(given: Tensor, place: tuple[int, int] = PLACE) -> Tensor:
    """With p-norm noise."""
    source = generator(SEED, "pnorm-noise", *place)
    draws = pnorm_noise.draw(len(given), (16, 16), limits=pnorm_noise.SMALL, generator=source)
    return pnorm_noise.apply(given, draws, pnorm_noise.sources(CPU, SEED, *place))


def test_with_all_off_it_is_the_network_and_the_labels() -> None:
    model = network().eval()
    logits, targets = act(model)
    assert torch.equal(logits, model(images())) and torch.equal(targets, LABELS)


@pytest.mark.parametrize("method", ["mixup", "cutmix"])
def test_images_are_mixed_within_their_stream(method: str) -> None:
    model = network().eval()
    logits, targets = act(model, **{method: 1.0})
    drawn = mixture(**{method: 1.0})
    assert torch.equal(SYNTHETIC[drawn.partner], SYNTHETIC) and drawn.method != mixup.Method.NONE
    assert torch.equal(logits, model(mixup.apply(images(), drawn)))
    assert torch.equal(targets, mixup.targets(LABELS, 4, drawn, (16, 16))) and targets.shape == (N, 4)


def test_input_noise_comes_after_mixing() -> None:
    model = network().eval()
    logits, _ = act(model, mixup=1.0, noise=True)
    expected = noisy(mixup.apply(images(), mixture(mixup=1.0)))
    assert torch.equal(logits, model(expected)) and not torch.equal(expected, images())


@pytest.mark.parametrize(("side", "limits"), [(32, pnorm_noise.SMALL), (33, pnorm_noise.LARGE)])
def test_input_noise_is_drawn_for_groups_of_8_and_is_stronger_above_32_px(
    side: int, limits: pnorm_noise.Limits
) -> None:
    grey = torch.full((20, 3, side, side), 0.5)
    noisy = BatchAugment(augment(noise=True), network(), SEED, "fp32")._with_noise(grey, PLACE)
    source = generator(SEED, "pnorm-noise", *PLACE)
    draws = pnorm_noise.draw(20, (side, side), limits=limits, group=8, generator=source)
    assert torch.equal(noisy, pnorm_noise.apply(grey, draws, pnorm_noise.sources(CPU, SEED, *PLACE)))
    assert len(set(zip(*(column.tolist() for column in draws[6:]), strict=True))) == 3, (
        "a rectangle for each of 8, 8, 4"
    )


def test_noise2net_acts_on_a_share_before_all_else() -> None:
    model = network().eval()
    logits, _ = act(model, deepaugment={"share": 0.5, "size": 48})
    expected = distorted(images())
    assert torch.equal(logits, model(expected))
    assert int((expected != images()).flatten(1).any(1).sum()) == N // 2


def test_distorted_then_mixed_then_noisy() -> None:
    """Each step acts on what the one before leaves: another order is another image."""
    model = network().eval()
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _model, given: seen.append(given[0]))
    act(model, mixup=1.0, noise=True, deepaugment={"share": 0.5, "size": 48})
    expected = noisy(mixup.apply(distorted(images()), mixture(mixup=1.0)))
    assert torch.equal(seen[0], expected)
    for other in (distorted(noisy(mixup.apply(images(), mixture(mixup=1.0)))), noisy(distorted(images()))):
        assert not torch.allclose(other, expected, atol=1e-2)


@pytest.mark.parametrize("others", [False, True])
def test_feature_noise_acts_at_every_depth(others: bool) -> None:
    """The input gets p-norm noise and Noise2Net where it is the place, in a third of the batches, and nowhere else."""
    model, seen = network().eval(), set()
    for batch in range(20):
        place = (0, batch)
        noise = feature_noise.draw(depths=3, generator=generator(SEED, "feature-noise", *place))
        on = {"noise": True, "deepaugment": {"share": 0.5, "size": 48}} if others else {}
        logits, targets = act(model, place=place, feature_noise="siedel", cutmix=1.0, **on)
        mixed = mixture(place, cutmix=1.0)
        x, size = images(), (16, 16)
        if noise.depth == 0:
            x = mixup.apply(distorted(x, place) if others else x, mixed)
            x = model(noisy(x, place) if others else x)
        else:
            source = torch.Generator().manual_seed(key(SEED, "feature-noise", *map(str, place)))
            for name, part in model.named_children():
                x = part(x)
                if name == f"stage{noise.depth}":
                    size = (x.shape[2], x.shape[3])
                    x = feature_noise.apply(mixup.apply(x, mixed), noise, source)
        assert torch.equal(logits, x)
        assert torch.equal(targets, mixup.targets(LABELS, 4, mixed, size))
        seen.add(noise.depth)
    assert seen == {0, 1, 2}


def test_noisymix_has_four_places_the_input_among_them_and_one_sparsity() -> None:
    """The normalised input is mixed and gets feature noise as the stages do."""
    model, seen = network().eval(), set()
    names = ["normalise", "stage1", "stage2", "stage3"]
    for batch in range(16):
        place = (0, batch)
        source = generator(SEED, "feature-noise", *place)
        noise = feature_noise.draw(depths=4, varied=False, generator=source)
        logits, targets = act(model, place=place, feature_noise="noisymix", mixup=1.0)
        mixed, x = mixture(place, mixup=1.0), images()
        for name, part in model.named_children():
            x = part(x)
            if name == names[noise.depth]:
                source = torch.Generator().manual_seed(key(SEED, "feature-noise", *map(str, place)))
                x = feature_noise.apply(mixup.apply(x, mixed), noise, source)
        assert torch.equal(logits, x) and noise.sparsity == 0.65
        assert torch.equal(targets, mixup.targets(LABELS, 4, mixed, (16, 16)))
        seen.add(noise.depth)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", ["siedel", "noisymix"])
def test_a_network_without_stages_has_no_feature_noise(kind: str) -> None:
    with pytest.raises(ImpastoError, match=rf"no features for augment.feature_noise {kind} .* Set it to none"):
        BatchAugment(augment(feature_noise=kind), network(name="timm"), SEED, "fp32")


def test_noise_on_images_that_the_network_enlarges_is_as_strong_for_each_number() -> None:
    """16 px are seen at 160: the plan is that of the large limits, with norms for a hundredth of the numbers."""
    model = network(name="timm")
    grey = torch.full((20, 3, 16, 16), 0.5)
    found = BatchAugment(augment(noise=True), model, SEED, "fp32")._with_noise(grey, PLACE)
    limits = pnorm_noise.Limits(0.2, 1.2e7 / 100**2, 1500 / 100, 20 / 10, 0.4)
    draws = pnorm_noise.draw(20, (16, 16), limits=limits, generator=generator(SEED, "pnorm-noise", *PLACE))
    torch.testing.assert_close(found, pnorm_noise.apply(grey, draws, pnorm_noise.sources(CPU, SEED, *PLACE)))


def test_views_are_mixed_alike_and_each_has_stronger_feature_noise() -> None:
    model = network().eval()
    _, targets = act(model, views=3, mixup=1.0)
    acting = BatchAugment(augment(mixup=1.0), model, SEED, "fp32", 3)
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda _model, given: seen.append(given[0]))
    list(acting.parts(images(3), LABELS, SYNTHETIC, *PLACE))
    views = [mixup.apply(view, mixture(mixup=1.0)) for view in images(3).chunk(3)]
    assert torch.equal(seen[0], torch.cat(views)) and targets.shape == (N, 4)
    noise = feature_noise.FeatureNoise(1, 0.1, 0.0, 0.0)
    zeros = acting._noisy(torch.zeros(3 * 400, 4, 5, 5), noise, torch.Generator().manual_seed(0), 400)
    spreads = [float(part.std()) for part in zeros.chunk(3)]
    assert spreads == pytest.approx([0.1, 0.2, 0.3], rel=0.02)


def test_a_batch_replays_and_another_one_differs() -> None:
    model, everything = network().eval(), {"mixup": 0.5, "cutmix": 0.5, "noise": True, "feature_noise": "siedel"}
    first, again = act(model, **everything), act(model, **everything)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], act(model, place=(2, 6), **everything)[0])


def test_a_feed_of_views_shows_the_plain_image_first() -> None:
    one = feed(augmented=augment(crop=2, trivial=True, erase=0.5))
    three = feed(augmented=augment(crop=2, trivial=True, erase=0.5))
    three.views = 3
    crops_alone = feed(augmented=augment(crop=2), mixed=one.mix.model_copy(update={"lambda_o": 0.0, "lambda_s": 0.0}))
    for (x, y), (xs, ys), (plain, _) in zip(one.epoch(1)[1], three.epoch(1)[1], crops_alone.epoch(1)[1], strict=True):
        views = xs.chunk(3)
        assert torch.equal(y, ys) and len(xs) == 3 * len(x)
        assert torch.equal(views[0], plain), "neither painted nor augmented"
        assert not torch.equal(views[1], views[2]) and not torch.equal(views[1], views[0])


def test_both_augmented_views_are_painted() -> None:
    """With nothing else switched on, each is the image as a batch of one view shows it."""
    painted = mix(lambda_o=0.5, lambda_s=0.5)
    one, three = feed(mixed=painted), feed(mixed=painted)
    three.views = 3
    plan, batches = three.epoch(1)
    for rows, (x, _), (xs, _) in zip(plan.batches(16), one.epoch(1)[1], batches, strict=True):
        plain, first, second = xs.chunk(3)
        assert torch.equal(first, x) and torch.equal(second, x)
        assert torch.equal((plain != x).flatten(1).any(1), plan.stylised[rows])


def test_the_loss_of_views_and_of_single_images() -> None:
    logits, targets = torch.randn(3 * N, 4, generator=torch.Generator().manual_seed(0)), LABELS
    settings = train(consistency=12.0)
    three = feed()
    three.views = 3
    loop = Loop(network(), three, [base_phase(settings)], settings, "train")
    wanted = cross_entropy(logits[:N], targets, 0.1) + 12 * jensen_shannon(logits)
    assert torch.equal(loop.loss(logits, targets), wanted)
    plain = Loop(network(), feed(), [base_phase(train())], train(), "train")
    assert torch.equal(plain.loss(logits[:N], targets), cross_entropy(logits[:N], targets, 0.1))
