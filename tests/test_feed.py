"""Batches against a slow reference that composes every image by hand."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from impasto.augment import erase, geometry, trivial
from impasto.config.style import Difference
from impasto.data.stream import Stream
from impasto.errors import ImpastoError
from impasto.feed import Feed
from impasto.mix import Plan
from impasto.rng import generator
from impasto.style.stylize import UNPAINTED
from tiny import CPU, SIZE, augment, feed, mix, pictures, stylise

EVERYTHING = {"flip": True, "crop": 2, "trivial": True, "erase": 0.5}


def by_hand(found: Feed, plan: Plan, epoch: int) -> list[Tensor]:
    """One image after the other, from the plan's table and the modules' own single-image results."""
    n, config, seed = len(plan.row), found.augment, found.seed
    crop = geometry.draw(n, padding=config.crop, flip=0.5 * config.flip, generator=generator(seed, "crop", epoch))
    op = trivial.draw(n, generator(seed, "trivial", epoch))
    gone = erase.draw(n, (SIZE, SIZE), p=config.erase, generator=generator(seed, "erase", epoch))
    images = []
    for index in range(n):
        one = torch.tensor([index])
        image = found.streams[int(plan.synthetic[index])].gather(plan.row[one])
        if plan.stylised[index]:
            image = stylise(image, plan.style[one], plan.alpha[one])
        if config.crop or config.flip:
            image = geometry.apply(image, crop.rows(one))
        if config.trivial and plan.trivial[index]:
            image = trivial.apply(image, op.rows(one))
        if config.erase:
            image = erase.apply(image, gone.rows(one))
        images.append(image[0].float() / 255)
    return images


@pytest.mark.parametrize(
    "changes", [{}, {"flip": True}, {"crop": 3}, {"trivial": True}, {"erase": 1.0}, EVERYTHING], ids=str
)
@pytest.mark.parametrize("combine", ["and", "or"])
def test_batches_equal_images_composed_by_hand(changes: dict[str, object], combine: str) -> None:
    mixed = mix(lambda_=0.4, lambda_o=0.5, lambda_s=0.5, combine_o=combine, combine_s=combine)
    found = feed(mixed=mixed, augmented=augment(**changes), batch=20)
    for epoch in range(2):
        plan, batches = found.epoch(epoch)
        images = torch.cat([part for part, _ in batches])
        assert torch.equal(images, torch.stack(by_hand(found, plan, epoch)))


@pytest.mark.parametrize(
    ("rules", "painted"),
    [({"trivial": True}, 95), ({"trivial": False, "augmix": "all"}, 95), ({"trivial": False}, 100)],
)
def test_faithful_leaves_5_percent_unpainted_where_there_are_rules(rules: dict[str, object], painted: int) -> None:
    """Of two groups of 50 originals; how many of one is chance, 47 or 48, so that 94 to 96 of 100 are painted."""
    found = feed(n=100, synthetic=0, mixed=mix(lambda_=0.0, lambda_o=1.0), augmented=augment(**rules))
    assert (found.plan(0).style != UNPAINTED).all(), "the papers' text paints what it stylises"
    found.faithful, found.styles = get_args(Difference), 50
    for epoch in range(3):
        plan = found.plan(epoch)
        assert plan.stylised.all() and abs(int((plan.style != UNPAINTED).sum()) - painted) <= (painted < 100)


def test_each_difference_changes_its_own_columns_of_the_plan() -> None:
    mixed = mix(lambda_=0.5, lambda_o=0.6, lambda_s=0.6, alpha_o=[0.2, 0.8], alpha_s=[0.1, 1.0])
    found = feed(n=2000, synthetic=900, mixed=mixed, augmented=augment(trivial=True))
    found.styles = 60
    plain = found.plan(1)
    found.faithful = ("aliased",)
    assert all(map(torch.equal, found.plan(1), plain)), "of the paintings, not of the plan"
    found.faithful = ("left_out",)
    left = found.plan(1)
    gone = left.style == UNPAINTED
    assert binomtest(int(gone.sum()), len(gone), 0.05).pvalue * 1000 >= 1
    assert torch.equal(torch.where(gone, plain.style, left.style), plain.style)
    assert all(map(torch.equal, left._replace(style=plain.style), plain))
    assert not torch.equal(found.plan(2).style == UNPAINTED, gone)
    found.faithful = ("groups",)
    grouped = found.plan(1)
    assert (grouped.style != UNPAINTED).all() and len(grouped.alpha[grouped.stylised].unique()) == 2 * 12
    assert int(grouped.stylised.sum()) == 2 * 600 and int(plain.stylised.sum()) != 1200


def test_labels_belong_to_the_images() -> None:
    """Corners give the class away."""
    found = feed(mixed=mix(lambda_o=0.0, lambda_s=0.0), strength=0.7)
    for images, labels in found.epoch(0)[1]:
        corners = torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), SIZE // 2).flatten(1)
        assert torch.equal(corners.argmax(1), labels) and labels.dtype == torch.int64


@pytest.mark.parametrize("batch", [1, 7, 48, 100])
def test_batch_size_moves_images_but_changes_none(batch: int) -> None:
    """Without synthetic images the order does not depend on the batch size, so nothing may."""
    one, other = (feed(mixed=mix(lambda_=0.0), augmented=augment(**EVERYTHING), batch=b) for b in (16, batch))
    images, labels = (torch.cat(column) for column in zip(*other.epoch(3)[1], strict=True))
    wanted = [torch.cat(column) for column in zip(*one.epoch(3)[1], strict=True)]
    assert torch.equal(images, wanted[0]) and torch.equal(labels, wanted[1])


def test_form_of_a_batch() -> None:
    found = feed(n=50, batch=16)
    assert len(found) == 50
    sizes = []
    for images, labels in found.epoch(0)[1]:
        assert images.dtype == torch.float32 and images.shape[1:] == (3, SIZE, SIZE)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert float(images.min()) >= 0 and float(images.max()) <= 1 and len(images) == len(labels)
        sizes.append(len(images))
    assert sizes == [16, 16, 16, 2]


def test_epochs_differ_and_replay() -> None:
    found = feed(refresh=0.3, augmented=augment(**EVERYTHING))
    first = [images for images, _ in found.epoch(0)[1]]
    later = [images for images, _ in found.epoch(1)[1]]
    assert not torch.equal(first[0], later[0])
    again = [images for images, _ in feed(refresh=0.3, augmented=augment(**EVERYTHING)).epoch(0)[1]]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_streams_stay_as_they_are() -> None:
    found = feed(mixed=mix(lambda_o=1.0, lambda_s=1.0), augmented=augment(**EVERYTHING))
    for _ in found.epoch(0)[1]:
        pass
    assert np.array_equal(found.streams[0].gather(torch.arange(48)).numpy(), pictures(48, seed=1)[0])


def test_lambda_without_synthetic_images_is_refused() -> None:
    with pytest.raises(ImpastoError, match=r"lambda is 0\.5, but there are no synthetic images .*synthetic\.source"):
        feed(synthetic=0)
    assert len(feed(synthetic=0, mixed=mix(lambda_=0.0))) == 48


def test_no_synthetic_images_and_full_balance() -> None:
    found = feed(synthetic=0, mixed=mix(lambda_=0.0), strength=1.0)
    labels = torch.cat([labels for _, labels in found.epoch(0)[1]])
    assert labels.bincount().tolist() == [12] * 4


@pytest.mark.parametrize("resident", [0, 1 << 30])
def test_a_stream_gives_the_rows_that_it_was_made_of(tmp_path: Path, resident: int) -> None:
    pixels, labels = pictures(20)
    np.save(tmp_path / "images.npy", pixels)
    rows = np.array([3, 3, 19, 0])
    found = Stream(np.load(tmp_path / "images.npy", mmap_mode="r"), labels, rows, CPU, resident)
    assert len(found) == 4 and found.size == SIZE and found.labels.tolist() == labels[rows].tolist()
    images = found.gather(torch.tensor([2, 0, 2]))
    assert np.array_equal(images.numpy(), pixels[rows[[2, 0, 2]]])
    images.zero_()  # a batch is the caller's own
    assert np.array_equal(found.gather(torch.tensor([2])).numpy(), pixels[19:20])
    assert found.gather(torch.zeros(0, dtype=torch.int64)).shape == (0, 3, SIZE, SIZE)
