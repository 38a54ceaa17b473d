"""AugMix on batches equals torchvision's on single uint8 images, given the same draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.autoaugment as first
import torchvision.transforms.v2._auto_augment as second
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import InterpolationMode

from impasto.augment import augmix
from impasto.augment.augmix import ALL, OFFICIAL, AugMixDraws, Op
from impasto.rng import generator

SIGNED = {Op.SHEAR_X, Op.SHEAR_Y, Op.TRANSLATE_X, Op.TRANSLATE_Y, Op.ROTATE} | set(ALL) - set(OFFICIAL)
PLAIN = {Op.AUTO_CONTRAST, Op.EQUALIZE}
ROUNDED_OTHERWISE_IN_V2 = {Op.AUTO_CONTRAST, Op.BRIGHTNESS, Op.COLOR, Op.CONTRAST, Op.SHARPNESS}


def noise(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Images of several ranges: full noise, a narrow band, a smooth slope, a constant channel."""
    images = torch.randint(256, (n, 3, height, width), dtype=torch.uint8, generator=generator(seed, "images"))
    images[1::4] = images[1::4] // 5 + 90
    images[2::4] = (torch.arange(height * width) * 255 // (height * width)).view(height, width).to(torch.uint8)
    images[3::4, 1] = 77
    return images


def one_step(op: Op, bins: Tensor, signs: Tensor) -> AugMixDraws:
    """Chains of one operation, without any of the original image."""
    n = len(bins)
    ops = torch.full((n, 1, 1), op)
    return AugMixDraws(torch.zeros(n), torch.ones(n, 1), ops, bins.view(n, 1, 1), signs.view(n, 1, 1))


class Scripted:
    """torch, but for random numbers, which are read from a list; ``weights`` come as Dirichlet samples."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = iter(numbers)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def randint(self, *_args: Any, **_kwargs: Any) -> Tensor:
        return torch.tensor(next(self.numbers))

    rand = randint


def script(draws: AugMixDraws, ops: tuple[Op, ...], depth: int, negative: tuple[float, float]) -> Iterator[float]:
    """The numbers that torchvision draws for the first image."""
    for chain in range(draws.op.shape[1]):
        steps = [step for step in zip(*(column[0, chain].tolist() for column in draws[2:]), strict=True) if step[0]]
        if depth == -1:
            yield len(steps)
        for op, magnitude_bin, sign in steps:
            yield ops.index(Op(op))
            if op not in PLAIN:
                yield magnitude_bin
            if op in SIGNED:
                yield negative[sign < 0]


def torchvision_result(
    image: Tensor, draws: AugMixDraws, ops: tuple[Op, ...], depth: int, module: Any, patch: pytest.MonkeyPatch
) -> Tensor:
    """One image [3, H, W] by torchvision's own class, fed with the first row of the draws."""
    # The chains' share is already in our weights: torchvision multiplies them with a share of 1.
    mixture = iter([torch.stack([draws.original, torch.ones(1)], 1), draws.weights])
    transform = module.AugMix(mixture_width=draws.op.shape[1], chain_depth=depth, all_ops=ops == ALL, severity=10)
    transform._sample_dirichlet = lambda _: next(mixture)
    negative = (0, 1) if module is first else (1.0, 0.0)  # what stands for the signs + and -
    with patch.context() as patched:
        patched.setattr(module, "torch", Scripted(list(script(draws, ops, depth, negative))))
        return transform(image)


def test_operations_are_torchvisions() -> None:
    for ops, flag in ((ALL, True), (OFFICIAL, False)):
        names = list(first.AugMix(all_ops=flag)._augmentation_space(10, (8, 8)))
        assert [op.name.replace("_", "").lower() for op in ops] == [name.lower() for name in names]


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.name.lower())
@pytest.mark.parametrize("size", [(32, 32), (24, 17), (5, 9), (2, 7), (1, 1)])
def test_every_magnitude_and_sign_equals_torchvision(op: Op, size: tuple[int, int]) -> None:
    bins, signs = torch.arange(10).repeat(2), torch.tensor([1, -1]).repeat_interleave(10)
    images = noise(20, *size)
    found = augmix.apply(images, one_step(op, bins, signs))
    old, new, v2 = first.AugMix()._augmentation_space(10, size), second.AugMix._AUGMENTATION_SPACE, second.AugMix()
    name = list(old)[ALL.index(op)]
    for image, result, magnitude_bin, sign in zip(images, found, bins.tolist(), signs.tolist(), strict=True):
        magnitudes, signed = old[name]
        magnitude = float(magnitudes[magnitude_bin]) * (sign if signed else 1) if magnitudes.ndim else 0.0
        assert torch.equal(result, first._apply_op(image, name, magnitude, InterpolationMode.BILINEAR, None))
        magnitudes, bilinear = new[name][0](10, *size), InterpolationMode.BILINEAR
        magnitude = 0.0 if magnitudes is None else float(magnitudes[magnitude_bin]) * (sign if signed else 1)
        wanted = v2._apply_image_or_video_transform(image, name, magnitude, bilinear, {Tensor: None})
        away = (result.int() - wanted.int()).abs().max()
        assert away <= (op in ROUNDED_OTHERWISE_IN_V2)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    severity=st.integers(1, 10),
    chains=st.integers(1, 4),
    depth=st.sampled_from([-1, 1, 2, 4]),
    ops=st.sampled_from([ALL, OFFICIAL]),
)
def test_images_equal_those_of_torchvisions_class(
    seed: int, severity: int, chains: int, depth: int, ops: tuple[Op, ...]
) -> None:
    images = noise(6, 16, 13, seed)
    before = images.clone()
    draws = augmix.draw(6, generator(seed, "draws"), severity=severity, chains=chains, depth=depth, ops=ops)
    found = augmix.apply(images, draws)
    assert torch.equal(images, before) and found.dtype == torch.uint8 and found.shape == images.shape
    for i, image in enumerate(images):
        row = draws.rows(torch.tensor([i]))
        with pytest.MonkeyPatch.context() as patch:
            assert torch.equal(torchvision_result(image, row, ops, depth, first, patch), found[i])


def test_images_equal_those_of_the_second_version_where_operations_do() -> None:
    exact = [op for op in ALL if op not in ROUNDED_OTHERWISE_IN_V2]
    images, draws = noise(40, 16, 16), augmix.draw(40, generator(1, "draws"), severity=10, ops=exact)
    found = augmix.apply(images, draws)
    for i, image in enumerate(images):
        with pytest.MonkeyPatch.context() as patch:
            wanted = torchvision_result(image, draws.rows(torch.tensor([i])), ALL, -1, second, patch)
        assert torch.equal(wanted, found[i])


def test_the_mixture_follows_its_formula() -> None:
    images = noise(50, 8, 8)
    draws = augmix.draw(50, generator(2, "draws"), depth=2, chains=2, severity=1, ops=[Op.POSTERIZE])
    draws.op[:, 1, 1] = Op.SOLARIZE  # bin 0: inverts nothing but 255, which no step before leaves
    draws.op[:, 0] = Op.IDENTITY
    x, w = images.numpy().astype(np.float64), draws.weights.double().numpy().reshape(50, 2, 1, 1, 1)
    wanted = draws.original.double().numpy().reshape(50, 1, 1, 1) * x + w[:, 0] * x + w[:, 1] * (x // 16 * 16)
    below = wanted - augmix.apply(images, draws).numpy()
    assert below.min() > -1e-3 and below.max() < 1 + 1e-3  # truncated


def test_known_results() -> None:
    image = noise(1, 27, 27)

    def result(op: Op, magnitude_bin: int, sign: int) -> Tensor:
        return augmix.apply(image, one_step(op, torch.tensor([magnitude_bin]), torch.tensor([sign])))

    right, up = result(Op.TRANSLATE_X, 2, 1), result(Op.TRANSLATE_Y, 9, -1)  # bins of a ninth of 9 px
    assert torch.equal(right[..., 2:], image[..., :-2]) and not right[..., :2].any()
    assert torch.equal(up[..., :-9, :], image[..., 9:, :]) and not up[..., -9:, :].any()
    assert torch.equal(result(Op.POSTERIZE, 0, 1), image & 0b11110000) and not result(Op.POSTERIZE, 9, 1).any()
    assert torch.equal(result(Op.SOLARIZE, 9, 1), 255 - image)
    there, back = (one_step(Op.ROTATE, torch.tensor([9]), torch.tensor([sign])) for sign in (1, -1))
    assert torch.equal(augmix.apply(image, there), augmix.apply(image.flip(3), back).flip(3))


def test_an_image_does_not_depend_on_its_batch() -> None:
    images, draws = noise(40, 32, 32), augmix.draw(40, generator(3, "draws"), severity=8)
    together = augmix.apply(images, draws)
    alone = [augmix.apply(images[i : i + 1], draws.rows(torch.tensor([i]))) for i in range(40)]
    assert torch.equal(together, torch.cat(alone))
    mask = torch.arange(40) % 3 == 0
    assert torch.equal(augmix.apply(images[mask], draws.rows(mask)), together[mask])
    channels_last = images.to(memory_format=torch.channels_last)
    assert torch.equal(augmix.apply(channels_last, draws), together)
    assert augmix.apply(images[:0], draws.rows(torch.arange(0))).shape == (0, 3, 32, 32)


def test_images_that_augmix_may_not_touch() -> None:
    images, draws, allowed = noise(40, 16, 16), augmix.draw(40, generator(4, "draws")), torch.arange(40) % 2 == 0
    found, touched = augmix.apply(images, draws.only(allowed)), augmix.apply(images, draws)
    assert torch.equal(found[~allowed], images[~allowed]) and torch.equal(found[allowed], touched[allowed])
    assert not torch.equal(touched[~allowed], images[~allowed])


def test_draws_are_uniform() -> None:
    draws = augmix.draw(6000, generator(5, "draws"), severity=4)
    assert draws.op.dtype == draws.bin.dtype == draws.sign.dtype == torch.int64
    taken = draws.op != Op.IDENTITY
    ops = draws.op[taken].bincount(minlength=14)[list(ALL)]
    cell = draws.bin * 2 + (draws.sign + 1) // 2
    assert int(ops.sum()) == int(taken.sum()) and draws.sign.unique().tolist() == [-1, 1]
    assert stats.chisquare(ops.numpy()).pvalue > 0.001
    assert stats.chisquare(cell.flatten().bincount(minlength=8).numpy()).pvalue > 0.001


def test_each_chain_has_a_depth_of_its_own() -> None:
    taken = augmix.draw(5400, generator(6, "draws")).op != Op.IDENTITY
    depths = taken.sum(2)
    assert torch.equal(taken, torch.arange(3) < depths[..., None]), "what is left out comes last"
    cells = ((depths[:, 0] - 1) * 3 + depths[:, 1] - 1) * 3 + depths[:, 2] - 1
    assert stats.chisquare(cells.bincount(minlength=27).numpy()).pvalue > 0.001
    fixed = augmix.draw(50, generator(6, "draws"), depth=5)
    assert fixed.op.shape == (50, 3, 5) and (fixed.op != Op.IDENTITY).all()


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_weights_are_beta_and_dirichlet(alpha: float) -> None:
    draws = augmix.draw(4000, generator(7, "draws"), alpha=alpha, chains=4)
    torch.testing.assert_close(draws.original + draws.weights.sum(1), torch.ones(4000))
    assert stats.kstest(draws.original.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.001
    parts = (draws.weights / draws.weights.sum(1, keepdim=True)).double()
    for part in parts.T:
        assert stats.kstest(part.numpy(), stats.beta(alpha, 3 * alpha).cdf).pvalue > 0.001
    pair = parts[:, 0] / (parts[:, 0] + parts[:, 1])  # Dirichlet: independent of what the others take
    assert stats.kstest(pair.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.001
    assert abs(stats.spearmanr(draws.original.numpy(), parts[:, 0].numpy()).statistic) < 3.3 / 4000**0.5


def test_official_operations_leave_out_those_of_the_corruptions() -> None:
    draws = augmix.draw(500, generator(8, "draws"), ops=OFFICIAL)
    assert set(draws.op.unique().tolist()) == {Op.IDENTITY, *OFFICIAL}
    left_out = {Op.BRIGHTNESS, Op.COLOR, Op.CONTRAST, Op.SHARPNESS}
    assert set(ALL) - set(OFFICIAL) == left_out


def test_draws_replay() -> None:
    one, again, other = (augmix.draw(50, generator(seed, "draws")) for seed in (9, 9, 10))
    assert all(map(torch.equal, one, again))
    assert not torch.equal(one.op, other.op) and not torch.equal(one.original, other.original)


@pytest.mark.parametrize(
    "wrong",
    [{"severity": 0}, {"severity": 11}, {"chains": 0}, {"depth": 0}, {"depth": -2}, {"alpha": 0.0}, {"ops": ()}],
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        augmix.draw(2, generator(0, "draws"), **wrong)


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8).byte(), torch.zeros(3, 3, 8, 8).byte()]
)
def test_wrong_batches_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        augmix.apply(images, augmix.draw(2, generator(0, "draws")))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_bytes_but_for_a_grey_level_where_it_interpolates() -> None:
    images = noise(200, 32, 32)
    for op in ALL:
        bins, signs = torch.arange(200) % 10, 1 - 2 * (torch.arange(200) // 10 % 2)
        draws = one_step(op, bins, signs)
        away = (augmix.apply(images.cuda(), draws).cpu().int() - augmix.apply(images, draws).int()).abs().max()
        assert away <= (op <= Op.ROTATE)
