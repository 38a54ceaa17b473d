"""Mixup and CutMix equal torchvision's for the same draws, and mix each sort of images with its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from impasto.augment import mixup
from impasto.augment.mixup import Method, Mixture
from impasto.losses import cross_entropy
from impasto.rng import generator


def images_of(n: int, height: int, width: int) -> Tensor:
    return torch.rand(n, 3, height, width, generator=generator(0, "images"))


def draw(n: int, p: tuple[float, float], seed: int, alpha: float = 1.0, synthetic: Tensor | None = None) -> Mixture:
    mask = torch.zeros(n, dtype=torch.bool) if synthetic is None else synthetic
    return mixup.draw(
        mask, mixup=p[0], cutmix=p[1], mixup_alpha=alpha, cutmix_alpha=alpha, generator=generator(seed, "mixup")
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Method.MIXUP, Method.CUTMIX]),
    st.tuples(st.integers(1, 9), st.integers(1, 30), st.integers(1, 30)),
    st.tuples(*(st.floats(0, 1, exclude_max=True) for _ in range(3))),
)
def test_equals_torchvision(method: Method, shape: tuple[int, int, int], draws: tuple[float, float, float]) -> None:
    n, height, width = shape
    images, labels = images_of(*shape), torch.randint(10, (n,), generator=generator(1, "labels"))
    mixture = Mixture(method, *draws, torch.arange(n).roll(1))  # torchvision's partner is the image before
    theirs = torchvision_result(mixture, images, labels)
    before = images.clone()
    assert torch.equal(mixup.apply(images, mixture), theirs[0])
    assert torch.equal(mixup.targets(labels, 10, mixture, (height, width)), theirs[1])
    assert torch.equal(images, before)


def torchvision_result(mixture: Mixture, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """torchvision with our lambda in place of its Beta distribution, and our centre in place of torch.randint."""

    class Fixed:
        def sample(self, _shape: tuple[()]) -> Tensor:
            return torch.tensor(mixture.share, dtype=torch.float64)

    transform = v2.MixUp(num_classes=10) if mixture.method == Method.MIXUP else v2.CutMix(num_classes=10)
    transform._dist = Fixed()
    height, width = images.shape[-2:]
    centre = iter([int(mixture.x * width), int(mixture.y * height)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", lambda _high, size: torch.full(size, next(centre)))
        result: tuple[Tensor, Tensor] = transform(images, labels)
    return result


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_mixed_loss_of_both_labels(method: Method, smoothing: float) -> None:
    logits = torch.randn(12, 7, generator=generator(2, "logits"))
    labels = torch.randint(7, (12,), generator=generator(3, "labels"))
    mixture = Mixture(method, 0.3, 0.6, 0.2, torch.randperm(12, generator=generator(4, "partner")))
    size = (32, 24)
    own = mixup.weight(mixture, size)
    targets = mixup.targets(labels, 7, mixture, size)
    loss = cross_entropy(logits, targets, smoothing)
    parts = [functional.cross_entropy(logits, y, label_smoothing=smoothing) for y in (labels, labels[mixture.partner])]
    assert torch.allclose(loss, own * parts[0] + (1 - own) * parts[1], atol=1e-6)
    soft = targets if targets.ndim == 2 else functional.one_hot(targets, 7).float()
    smooth = (1 - smoothing) * soft + smoothing / 7
    assert torch.allclose(loss, functional.cross_entropy(logits, smooth), atol=1e-6)
    assert torch.allclose(soft.sum(1), torch.ones(12))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_the_weight_is_the_share_of_pixels_that_stay(height: int, width: int, seed: int) -> None:
    mixture = draw(2, (0, 1), seed)._replace(partner=torch.tensor([1, 0]))
    pair = torch.stack([torch.zeros(1, height, width), torch.ones(1, height, width)])
    mixed = mixup.apply(pair, mixture)
    assert float(1 - mixed[0].mean(dtype=torch.float64)) == pytest.approx(mixup.weight(mixture, (height, width)))
    assert torch.equal(mixed[1], 1 - mixed[0])


def test_the_box_is_clipped_at_the_border() -> None:
    corner = Mixture(Method.CUTMIX, 0.75, 0.0, 0.999, torch.tensor([0]))  # a box of half of each side
    assert mixup.box(corner, (32, 64)) == (0, 63 - 16, 8, 64)
    assert mixup.weight(corner, (32, 64)) == 1 - 8 * 17 / (32 * 64) > corner.share


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.integers(0, 10**6))
def test_originals_and_synthetic_images_are_permuted_separately(mask: list[bool], seed: int) -> None:
    synthetic = torch.tensor(mask, dtype=torch.bool)
    partner = draw(len(mask), (1, 0), seed, synthetic=synthetic).partner
    assert torch.equal(partner.sort().values, torch.arange(len(mask)))
    assert torch.equal(synthetic[partner], synthetic)


def test_every_permutation_of_a_part_is_equally_likely() -> None:
    source, synthetic = generator(5, "mixup"), torch.tensor([True, False, True, False, True])
    draws = [mixup.draw(synthetic, mixup=1, cutmix=0, generator=source).partner for _ in range(1800)]
    partner = torch.stack(draws)
    codes = partner[:, [0, 2]] @ torch.tensor([5, 1])
    counts = codes.unique(return_counts=True)[1]
    assert len(counts) == 6 and stats.chisquare(counts.numpy()).pvalue > 0.001
    low, high = stats.binom.interval(0.999, 1800, 0.5)
    assert low <= int((partner[:, 1] == 1).sum()) <= high
    swapped = torch.stack([(partner[:, 1] == 1).float(), (partner[:, 0] == 0).float()])
    assert abs(float(swapped.corrcoef()[0, 1])) < 0.08


@pytest.mark.parametrize(
    ("p", "expected"),
    [((0, 0), (1, 0, 0)), ((0.2, 0.3), (0.5, 0.2, 0.3)), ((0.5, 0.5), (0, 0.5, 0.5)), ((1, 3), (0, 0.25, 0.75))],
)
def test_a_batch_gets_one_of_the_two_or_neither(p: tuple[float, float], expected: tuple[float, ...]) -> None:
    n, source = 1500, generator(6, "mixup")
    none = torch.zeros(0, dtype=torch.bool)
    methods = [mixup.draw(none, mixup=p[0], cutmix=p[1], generator=source).method for _ in range(n)]
    for method, share in zip(Method, expected, strict=True):
        low, high = stats.binom.interval(0.9999, n, share) if 0 < share < 1 else (n * share, n * share)
        assert low <= methods.count(method) <= high


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_lambda_is_beta_and_the_centre_uniform(alpha: float) -> None:
    source, none = generator(7, "mixup"), torch.zeros(0, dtype=torch.bool)
    draws = [
        mixup.draw(none, mixup=0.5, cutmix=0.5, mixup_alpha=alpha, cutmix_alpha=1.0, generator=source)
        for _ in range(2000)
    ]
    shares = {method: [each.share for each in draws if each.method == method] for method in Method}
    assert stats.kstest(shares[Method.MIXUP], stats.beta(alpha, alpha).cdf).pvalue > 0.001
    assert stats.kstest(shares[Method.CUTMIX], "uniform").pvalue > 0.001
    for centre in ([each.y for each in draws], [each.x for each in draws]):
        assert stats.kstest(centre, "uniform").pvalue > 0.001


def test_nothing_is_touched_where_nothing_is_mixed() -> None:
    images, labels, mixture = images_of(4, 8, 8), torch.arange(4), draw(4, (0, 0), 8)
    assert mixup.apply(images, mixture) is images and mixup.targets(labels, 4, mixture, (8, 8)) is labels


@pytest.mark.parametrize("method", [Method.MIXUP, Method.CUTMIX])
def test_features_keep_precision_and_memory_format_and_pass_gradients(method: Method) -> None:
    mixture = Mixture(method, 0.4, 0.5, 0.5, torch.tensor([1, 2, 0]))
    features = images_of(3, 8, 8).to(torch.bfloat16, memory_format=torch.channels_last).requires_grad_()
    mixed = mixup.apply(features, mixture)
    assert mixed.dtype == torch.bfloat16 and mixed.is_contiguous(memory_format=torch.channels_last)
    mixed[0].sum().backward()
    assert features.grad is not None
    reached = features.grad.flatten(1).any(1)
    assert reached.tolist() == [True, True, False]


def test_draws_replay() -> None:
    first, again, other = (draw(16, (0.5, 0.5), seed, synthetic=torch.arange(16) > 6) for seed in (9, 9, 10))
    assert first[:4] == again[:4] and torch.equal(first.partner, again.partner)
    assert first[:4] != other[:4]
    assert first[:4] == pytest.approx((Method.MIXUP, 0.11404862782907177, 0.7206772326746027, 0.4766848230740063))
    assert first.partner.tolist() == [0, 4, 1, 3, 2, 6, 5, 12, 9, 13, 10, 8, 15, 11, 14, 7]


@pytest.mark.parametrize("options", [{"mixup": -0.1}, {"cutmix": -1}, {"mixup_alpha": 0}, {"cutmix_alpha": -2}])
def test_impossible_distributions_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        mixup.draw(
            torch.zeros(2, dtype=torch.bool), **{"mixup": 0.5, "cutmix": 0.5} | options, generator=generator(0, "x")
        )


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3, 3, 4, 4)])
def test_other_images_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="with 2 partners"):
        mixup.apply(images, draw(2, (1, 0), 0))
