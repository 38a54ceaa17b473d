"""The section ``augment`` as a whole: order, independence of its parts, batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.augment import augmix, erase, geometry, policy, trivial
from impasto.rng import generator
from tiny import SIZE, augment, pictures

N = 40
EVERYTHING: dict[str, Any] = {"flip": True, "crop": 2, "trivial": True, "erase": 0.6}


def images() -> Tensor:
    return torch.from_numpy(pictures(N)[0])


def draws(**changes: Any) -> policy.AugmentDraws:
    return policy.draw(augment(**changes), N, (SIZE, SIZE), seed=3, epoch=5)


def every(value: bool = True) -> Tensor:
    return torch.full((N,), value)


def test_nothing_switched_on_scales_to_one() -> None:
    assert draws() == (None, None, None, None)
    found = policy.apply(images(), draws(), every())
    assert torch.equal(found, images().float() / 255) and found.is_contiguous(memory_format=torch.channels_last)


def test_the_order_is_crop_then_trivial_then_erase() -> None:
    drawn = draws(**EVERYTHING)
    wanted = geometry.apply(images(), drawn.crop)
    wanted = trivial.apply(wanted, drawn.trivial)
    wanted = erase.apply(wanted, drawn.erase)
    found = policy.apply(images(), drawn, every())
    assert torch.equal(found, wanted.float() / 255)
    zeros = (found == 0).all(1).flatten(1).any(1)
    assert zeros[drawn.erase.height > 0].all(), "what is erased stays black: nothing is painted over it"


@pytest.mark.parametrize(("name", "ops"), [("all", 13), ("official", 9), ("noisymix", 10)])
def test_augmix_takes_the_place_of_trivial_augment(name: str, ops: int) -> None:
    drawn = draws(crop=2, augmix=name)
    assert drawn.trivial is None and len(set(drawn.augmix.op.flatten().tolist()) - {trivial.Op.IDENTITY}) == ops
    half = every()
    half[::2] = False
    found = policy.apply(images(), drawn, half)
    cropped = geometry.apply(images(), drawn.crop)
    wanted = torch.where(half[:, None, None, None], augmix.apply(cropped, drawn.augmix), cropped)
    assert torch.equal(found, wanted.float() / 255) and not torch.equal(wanted, cropped)


def test_views_have_draws_of_their_own_and_the_first_those_of_a_single_one() -> None:
    first, second = (policy.draw(augment(**EVERYTHING), N, (SIZE, SIZE), 3, 5, view) for view in (0, 1))
    for one, other, alone in zip(first, second, draws(**EVERYTHING), strict=True):
        if one is not None:
            assert all(torch.equal(a, b) for a, b in zip(one, alone, strict=True))
            assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert policy.clean(first) == (first.crop, None, None, None)


@pytest.mark.parametrize("part", ["crop", "trivial", "erase"])
def test_switching_one_part_off_moves_no_draw_of_another(part: str) -> None:
    off: dict[str, Any] = {"crop": {"crop": 0, "flip": False}, "trivial": {"trivial": False}, "erase": {"erase": 0.0}}[
        part
    ]
    whole, less = draws(**EVERYTHING), draws(**(EVERYTHING | off))
    for name in ("crop", "trivial", "erase"):
        if name == part:
            assert getattr(less, name) is None
        else:
            pairs = zip(getattr(whole, name), getattr(less, name), strict=True)
            assert all(torch.equal(a, b) for a, b in pairs)


def test_draws_are_those_of_named_generators() -> None:
    drawn = draws(**EVERYTHING)
    assert torch.equal(drawn.trivial.op, trivial.draw(N, generator(3, "trivial", 5)).op)
    other = policy.draw(augment(**EVERYTHING), N, (SIZE, SIZE), seed=3, epoch=6)
    assert not torch.equal(drawn.trivial.op, other.trivial.op)


def test_flip_without_crop_flips_half() -> None:
    drawn = policy.draw(augment(flip=True), 2000, (SIZE, SIZE), seed=0, epoch=0).crop
    assert drawn is not None and 900 < int(drawn.flip.sum()) < 1100 and not drawn.down.any() and not drawn.right.any()
    crop = policy.draw(augment(crop=3), 2000, (SIZE, SIZE), seed=0, epoch=0).crop
    assert crop is not None and not crop.flip.any() and crop.down.unique().tolist() == list(range(-3, 4))


def test_images_that_trivial_augment_may_not_touch() -> None:
    drawn = draws(trivial=True)
    allowed = torch.arange(N) % 2 == 0
    found = policy.apply(images(), drawn, allowed)
    touched = policy.apply(images(), drawn, every())
    plain = images().float() / 255
    assert torch.equal(found[~allowed], plain[~allowed]) and torch.equal(found[allowed], touched[allowed])
    assert not torch.equal(touched[~allowed], plain[~allowed])


@pytest.mark.parametrize("changes", [{}, {"crop": 2}, EVERYTHING], ids=str)
def test_one_image_at_a_time_is_the_same(changes: dict[str, Any]) -> None:
    drawn, allowed = draws(**changes), torch.arange(N) % 3 > 0
    whole = policy.apply(images(), drawn, allowed)
    for index in torch.arange(N).split(1):
        assert torch.equal(policy.apply(images()[index], drawn.rows(index), allowed[index]), whole[index])


def test_images_are_left_alone() -> None:
    pixels = images()
    policy.apply(pixels, draws(**EVERYTHING), every())
    assert torch.equal(pixels, images())
