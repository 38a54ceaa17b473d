"""Patched p-norm noise has the paper's distributions, and touches nothing outside its rectangles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import RandomErasing

from impasto.augment import pnorm_ball, pnorm_noise, words
from impasto.augment.pnorm_noise import Kind, PnormDraws, Sources
from impasto.rng import generator, numpy_generator

CPU = torch.device("cpu")
BALLS = {Kind.L05: 0.5, Kind.L1: 1.0, Kind.L2: 2.0}
_HALF = 2**32 - 1


def images_of(n: int, height: int, width: int) -> Tensor:
    return torch.rand(n, 3, height, width, generator=generator(0, "images"))


def draws_of(n: int, size: tuple[int, int] = (32, 32), seed: int = 0, group: int = 8, **options: float) -> PnormDraws:
    source = generator(seed, "pnorm")
    return pnorm_noise.draw(n, size, limits=pnorm_noise.SMALL, group=group, generator=source, **options)


def plan(
    kind: Kind, n: int, radius: float, sparsity: float, box: tuple[int, int, int, int], hits: int = 0, rest: float = 0.0
) -> PnormDraws:
    """The same noise for n images of one group."""
    return PnormDraws(*(torch.full((n,), value) for value in (0, int(kind), radius, sparsity, hits, rest, *box)))


def noise_of(draws: PnormDraws, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
    """What is added to images of 0.5."""
    grey = torch.full((len(draws.kind), 3, *size), 0.5)
    return pnorm_noise.apply(grey, draws, pnorm_noise.sources(CPU, seed)) - 0.5


# ---- the plan


@pytest.mark.parametrize("group", [1, 3, 8])
def test_groups_share_everything_but_their_hits(group: int) -> None:
    draws = draws_of(200, group=group)
    number = torch.arange(200) // group
    assert torch.equal(draws.group, number)
    first = number * group
    for name in PnormDraws._fields:
        column = getattr(draws, name)
        if name != "hits":
            assert torch.equal(column, column[first]), name
    if group > 1:
        assert not torch.equal(draws.hits, draws.hits[first])
    assert len(draws.radius.unique()) == -(-200 // group)


def test_kinds_strengths_and_sparsities_are_uniform() -> None:
    draws = draws_of(20000, group=1)
    assert stats.chisquare(draws.kind.bincount(minlength=5).numpy()).pvalue > 0.001
    for kind, limit in ((Kind.LINF, 0.1), (Kind.L0, 0.2)):
        assert stats.kstest(draws.radius[draws.kind == kind].numpy() / limit, "uniform").pvalue > 0.001
    assert stats.kstest(draws.sparsity.numpy(), "uniform").pvalue > 0.001
    half = draws_of(2000, group=1, sparsity=0.65).sparsity
    assert stats.kstest(half.numpy() / 0.65, "uniform").pvalue > 0.001
    pairs = torch.stack([draws.kind.float(), draws.sparsity, draws.top.float(), draws.height.float()])
    assert pairs.corrcoef().fill_diagonal_(0).abs()[:2].max() < 0.04


@pytest.mark.parametrize(("kind", "limit"), [(Kind.L05, 4e5), (Kind.L1, 200.0), (Kind.L2, 5.0)])
def test_the_norm_is_the_strength_times_the_radius_of_a_uniform_point(kind: Kind, limit: float) -> None:
    """P(E R <= x) for E uniform and R = U^(1/d): x^d + d / (d - 1) (x - x^d); d = 3 tells it from E well."""
    d = 3
    draws = draws_of(20000, (1, 1), group=1)
    norms = draws.radius[draws.kind == kind].double().numpy() / limit
    assert stats.kstest(norms, lambda x: x**d + d / (d - 1) * (x - x**d)).pvalue > 0.001
    assert stats.kstest(norms, "uniform").pvalue < 1e-6


def test_the_papers_limits() -> None:
    assert pnorm_noise.SMALL == (0.1, 4e5, 200, 5, 0.2)
    assert pnorm_noise.LARGE == (0.2, 1.2e7, 1500, 20, 0.4)
    assert [kind.name.lower() for kind in Kind] == list(pnorm_noise.Limits._fields)


@pytest.mark.parametrize("size", [(32, 32), (12, 40)])
def test_rectangles_have_the_law_of_random_erasing(size: tuple[int, int]) -> None:
    n, image = 2500, torch.zeros(3, *size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        boxes = [RandomErasing.get_params(image, (0.2, 0.7), (0.3, 3.3), [0.0])[:4] for _ in range(n)]
    reference = torch.tensor([box for box in boxes if box[2:] != size]).T
    draws = draws_of(n, size, group=1)
    fitted = draws.height > 0
    for ours, theirs in zip((draws.top, draws.left, draws.height, draws.width), reference, strict=True):
        assert stats.ks_2samp(ours[fitted].numpy(), theirs.numpy()).pvalue > 0.001
    assert (draws.top + draws.height <= size[0]).all() and (draws.left + draws.width <= size[1]).all()
    assert min(draws.top.min(), draws.left.min()) >= 0


def test_hits_are_the_binomial_number_of_impulses_inside_that_are_not_spared() -> None:
    draws = draws_of(20000, group=1)
    assert not draws.hits[draws.kind != Kind.L0].any()
    draws = draws.rows(draws.kind == Kind.L0)
    inside = (draws.height * draws.width).double() / 1024 * (1 - draws.sparsity.double())
    law = stats.binom((3072 * draws.radius.double()).floor().numpy(), inside.numpy())
    hits = draws.hits.numpy()
    ranks = law.cdf(hits - 1) + numpy_generator(0, "ranks").uniform(size=len(hits)) * law.pmf(hits)
    assert stats.kstest(ranks, "uniform").pvalue > 0.001


def test_draws_replay() -> None:
    first, again, other = draws_of(64), draws_of(64), draws_of(64, seed=1)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.radius, other.radius)


def test_golden_draws_and_noise() -> None:
    draws = draws_of(40)
    assert draws.kind[::8].tolist() == [Kind.LINF, Kind.LINF, Kind.L1, Kind.L0, Kind.L0]
    assert draws.hits[24:32].tolist() == [91, 91, 75, 78, 65, 78, 84, 81]
    box = torch.stack([draws.top, draws.left, draws.height, draws.width])
    assert box[:, ::8].T.tolist() == [[1, 6, 17, 20], [3, 1, 13, 26], [8, 4, 24, 25], [15, 2, 16, 25], [2, 9, 30, 19]]
    sums = noise_of(draws).abs().sum((1, 2, 3))[::8]
    assert sums.tolist() == pytest.approx([30.1260204, 0.1107148, 20.7844315, 20.9368668, 8.9199371], rel=1e-5)


# ---- the noise


@pytest.mark.parametrize(("kind", "radius"), [(Kind.L05, 4e5), (Kind.L1, 180.0), (Kind.L2, 4.0)])
def test_a_group_shares_one_noise_image_of_the_drawn_norm(kind: Kind, radius: float) -> None:
    noise = noise_of(plan(kind, 8, radius / 20, 0.0, (0, 0, 32, 32)))
    assert torch.equal(noise, noise[:1].expand_as(noise))
    norm = float((noise[0].double().abs() ** BALLS[kind]).sum() ** (1 / BALLS[kind]))
    assert abs(norm / (radius / 20) - 1) < 2e-3  # of the rounding of 0.5 + noise


@pytest.mark.parametrize("kind", list(BALLS))
def test_the_rest_of_a_norm_is_that_of_the_elements_outside(kind: Kind) -> None:
    """Gamma(1/p) variables of all elements outside in sum; 0 for other kinds."""
    draws = draws_of(20000, (6, 6), group=1)
    assert not draws.rest[~torch.isin(draws.kind, torch.tensor(list(BALLS)))].any()
    draws = draws.rows(draws.kind == kind)
    outside = 108 - 3 * draws.height * draws.width
    ranks = stats.gamma(outside.numpy() / BALLS[kind]).cdf(draws.rest.numpy())
    assert stats.kstest(ranks, "uniform").pvalue > 0.001


@pytest.mark.parametrize("kind", list(BALLS))
def test_noise_in_a_rectangle_has_the_law_of_whole_noise_cut_to_it(kind: Kind) -> None:
    """Groups of one image; the share of the norm that lies inside is Beta(k/p, (d - k)/p)."""
    p, draws = BALLS[kind], draws_of(4000, (8, 8), group=1)
    draws = draws.rows((draws.kind == kind) & (draws.height > 0))
    n, inside = len(draws.kind), 3 * (draws.height * draws.width).numpy()
    scaled = draws._replace(radius=torch.full((n,), 0.4), sparsity=torch.zeros(n))  # nothing is clamped
    noise = noise_of(scaled, (8, 8)).double().abs() / 0.4
    shares = (noise**p).sum((1, 2, 3)).numpy()
    ranks = stats.beta(inside / p, (192 - inside) / p).cdf(np.minimum(shares, 1.0))
    assert stats.kstest(ranks, "uniform").pvalue > 0.001


def test_groups_of_the_same_kind_have_noise_of_their_own() -> None:
    draws = plan(Kind.L2, 16, 1.0, 0.0, (0, 0, 32, 32))._replace(group=torch.arange(16) // 8)
    noise = noise_of(draws)
    for group in noise.split(8):
        assert torch.equal(group, group[:1].expand_as(group))
    assert abs(float(torch.corrcoef(noise[[0, 8]].flatten(1))[0, 1])) < 0.1


def test_a_group_shares_its_noise_in_any_order_of_the_images() -> None:
    order = torch.randperm(16, generator=generator(0, "order"))
    draws = plan(Kind.L1, 16, 50.0, 0.0, (0, 0, 32, 32))._replace(group=torch.arange(16) // 8).rows(order)
    noise = noise_of(draws)
    first, second = noise[draws.group == 0], noise[draws.group == 1]
    assert torch.equal(first, first[:1].expand_as(first)) and torch.equal(second, second[:1].expand_as(second))
    assert not torch.equal(first, second)


def test_linf_noise_is_uniform_and_differs_between_images() -> None:
    noise = noise_of(plan(Kind.LINF, 8, 0.08, 0.0, (0, 0, 32, 32)))
    assert stats.kstest(noise[:, :, ::3].flatten().numpy(), stats.uniform(-0.08, 0.16).cdf).pvalue > 0.001
    off = torch.corrcoef(noise.flatten(1)).fill_diagonal_(0)
    assert off.abs().max() < 0.1


@pytest.mark.parametrize("kind", [Kind.LINF, Kind.L05, Kind.L1, Kind.L2])
@pytest.mark.parametrize("sparsity", [0.25, 0.9])
def test_sparsity_is_the_share_of_spared_elements_image_by_image(kind: Kind, sparsity: float) -> None:
    radius = {Kind.LINF: 0.1, Kind.L05: 4e5, Kind.L1: 200.0, Kind.L2: 5.0}[kind]
    box = (4, 6, 20, 16)
    noise = noise_of(plan(kind, 8, radius, sparsity, box))[:, :, 4:24, 6:22]
    full = noise_of(plan(kind, 8, radius, 0.0, box))[:, :, 4:24, 6:22]
    changed = noise != 0
    candidates = full != 0  # noise below the rounding of 0.5 does not show
    assert torch.equal(noise[changed], full[changed])
    low, high = stats.binom.interval(1 - 1e-5, int(candidates.sum()), 1 - sparsity)
    assert low <= int(changed.sum()) <= high
    masks = torch.corrcoef(changed.flatten(1).float()).fill_diagonal_(0)
    assert masks.abs().max() < 0.15


def test_impulses_are_uniform_in_place_and_value() -> None:
    n, hits, (top, left, height, width) = 400, 40, (3, 5, 6, 8)
    noise = noise_of(plan(Kind.L0, n, 0.2, 0.5, (top, left, height, width), hits), (16, 16))
    inside = noise[:, :, top : top + height, left : left + width]
    struck = inside != 0
    assert int((noise != 0).sum()) == int(struck.sum())
    cells = 3 * height * width
    expected = cells * (1 - (1 - 1 / cells) ** hits)  # distinct elements of so many draws
    assert abs(float(struck.sum((1, 2, 3)).float().mean()) - expected) < 0.5
    counts = struck.sum(0).flatten()
    assert counts.min() > 0 and stats.chisquare(counts.numpy()).statistic < stats.chi2(cells - 1).ppf(0.999)
    assert stats.kstest(inside[struck].numpy() + 0.5, "uniform").pvalue > 0.001


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(2, 20), st.integers(2, 20), st.sampled_from([1, 4, 8]), st.integers(0, 10**6))
def test_equals_the_noise_of_one_image_after_the_other(n: int, height: int, width: int, group: int, seed: int) -> None:
    images, draws = images_of(n, height, width), draws_of(n, (height, width), seed, group)
    before = images.clone()
    result = pnorm_noise.apply(images, draws, pnorm_noise.sources(CPU, seed))
    assert torch.equal(images, before)
    assert result.shape == images.shape and result.dtype == torch.float32 and result.min() >= 0 and result.max() <= 1
    np.testing.assert_allclose(result.numpy(), one_by_one(images, draws, pnorm_noise.sources(CPU, seed)), atol=2e-6)


def one_by_one(images: Tensor, draws: PnormDraws, sources: Sources) -> np.ndarray:
    """The definition: draw what an image needs inside its rectangle, add it and clamp."""
    results, points = [], ball_points(draws, sources)
    for i, image in enumerate(images):
        top, left, height, width = (int(getattr(draws, side)[i]) for side in ("top", "left", "height", "width"))
        kind, radius = int(draws.kind[i]), float(draws.radius[i])
        x = image.permute(1, 2, 0).double().numpy().copy()  # random numbers are laid out row by row, channels last
        results.append(x)
        if not height:
            continue
        patch = x[top : top + height, left : left + width]
        word = words_of(patch, sources.mask)
        if kind == Kind.L0:
            for number in words.long(int(draws.hits[i]), sources.impulse).tolist():
                down, right = (number & _HALF) * height >> 32, (number >> 32 & _HALF) * width * 3 >> 32
                patch[down, right // 3, right % 3] = (word[down, right // 3, right % 3] + 32768.5) / 65536
            continue
        if kind == Kind.LINF:
            noise = (words_of(patch, sources.interval) + 0.5) / 32768
        else:
            noise = points[int(draws.group[i])].double().numpy().reshape(patch.shape)
        kept = (word + 32768) / 65536 >= np.round(float(draws.sparsity[i]) * 65536) / 65536
        patch[:] = np.clip(patch + radius * noise * kept, 0, 1)
    return np.stack(results).transpose(0, 3, 1, 2)


def words_of(patch: np.ndarray, source: torch.Generator) -> np.ndarray:
    """A word for each number; an image takes whole 64-bit draws."""
    drawn = words.long(-(-patch.size // 4), source).view(torch.int16)[: patch.size]
    return drawn.numpy().astype(int).reshape(patch.shape)


def ball_points(draws: PnormDraws, sources: Sources) -> dict[int, Tensor]:
    """The noise image of each group with noise from a ball."""
    found: dict[int, Tensor] = {}
    for group, kind, rest, height, width in zip(
        *(getattr(draws, name).tolist() for name in ("group", "kind", "rest", "height", "width")), strict=True
    ):
        if kind in BALLS and height and group not in found:
            source = getattr(sources, Kind(kind).name.lower())
            found[group] = pnorm_ball.sphere(BALLS[kind], [3 * height * width], torch.tensor([rest]), source)
    return found


def test_pixels_outside_the_rectangle_keep_their_bits() -> None:
    images, draws = images_of(160, 32, 32), draws_of(160)
    y, x = torch.arange(32).view(32, 1), torch.arange(32)
    top, left, height, width = (getattr(draws, side).view(-1, 1, 1) for side in ("top", "left", "height", "width"))
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    outside = ~inside.unsqueeze(1).expand_as(images)
    noisy = pnorm_noise.apply(images, draws, pnorm_noise.sources(CPU, 0))
    assert torch.equal(noisy[outside], images[outside])
    assert (noisy != images).flatten(1).any(1).float().mean() > 0.95


def test_batches_may_be_split_between_groups() -> None:
    images, draws = images_of(96, 10, 14), draws_of(96, (10, 14))
    together = pnorm_noise.apply(images, draws, pnorm_noise.sources(CPU, 0, 3))
    source = pnorm_noise.sources(CPU, 0, 3)
    parts = [torch.arange(*ends) for ends in ((0, 8), (8, 56), (56, 56), (56, 96))]
    split = [pnorm_noise.apply(images[rows], draws.rows(rows), source) for rows in parts]
    assert torch.equal(torch.cat(split), together)


def test_the_same_seed_gives_the_same_bits_in_any_memory_format() -> None:
    images, draws = images_of(64, 32, 32), draws_of(64)
    results = [
        pnorm_noise.apply(form, draws, pnorm_noise.sources(CPU, seed, epoch))
        for form, seed, epoch in (
            (images, 0, 0),
            (images.to(memory_format=torch.channels_last), 0, 0),
            (images, 1, 0),
            (images, 0, 1),
        )
    ]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2]) and not torch.equal(results[0], results[3])
    assert all(result.is_contiguous(memory_format=torch.channels_last) for result in results)


@pytest.mark.parametrize(("kind", "radius"), [(Kind.LINF, 0.6), (Kind.L2, 30.0)])
def test_adding_before_the_normalisation_is_the_papers_noise_after_it(kind: Kind, radius: float) -> None:
    """Noise / std, added to the normalised image and clamped to the normalised range of pixels."""
    images, box = images_of(8, 32, 32), (0, 0, 32, 32)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ([0.49, 0.48, 0.45], [0.25, 0.24, 0.26]))
    noise = 100 * noise_of(plan(kind, 8, radius / 100, 0.3, box))  # unclamped
    theirs = torch.clamp((images - mean) / std + noise / std, -mean / std, (1 - mean) / std)
    ours = pnorm_noise.apply(images, plan(kind, 8, radius, 0.3, box), pnorm_noise.sources(CPU, 0))
    assert torch.allclose((ours - mean) / std, theirs, atol=1e-4)
    assert ((ours == 0) | (ours == 1)).float().mean() > 0.05  # the clamp is at work


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(4, 1, 8, 8),
        torch.zeros(3, 8, 8),
        torch.zeros(5, 3, 8, 8),
    ],
    ids=["uint8", "grey", "single", "one too many"],
)
def test_other_images_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="not float32"):
        pnorm_noise.apply(images, draws_of(4, (8, 8)), pnorm_noise.sources(CPU, 0))


def test_empty_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="groups of 0"):
        draws_of(4, group=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_replays_its_own_noise() -> None:
    images, draws = images_of(64, 32, 32).cuda(), draws_of(64)
    first, again = (pnorm_noise.apply(images, draws, pnorm_noise.sources(images.device, 0)) for _ in range(2))
    assert torch.equal(first, again)
    difference = (first - images).abs().flatten(1).amax(1)
    assert (difference > 0).float().mean() > 0.9


@pytest.mark.parametrize("kind", [Kind.LINF, *BALLS])
def test_spread_limits_are_of_equal_strength_for_each_number(kind: Kind) -> None:
    """Half of the numbers of a point at its limit are beyond the same value, at 16 px and at 56 px."""
    medians = []
    for side in (16, 56):
        limits = pnorm_noise.spread(pnorm_noise.Limits(0.02, 4e5, 20.0, 1.0, 0.4), (side, side), (56, 56))
        draws = plan(kind, 1, limits[kind], 0.0, (0, 0, side, side))
        medians.append(float(noise_of(draws, (side, side), seed=side).abs().median()))
    assert medians[0] == pytest.approx(medians[1], rel=0.2) and 0.001 < medians[1] < 0.4
    assert pnorm_noise.spread(pnorm_noise.SMALL, (32, 32), (32, 32)) == pnorm_noise.SMALL
