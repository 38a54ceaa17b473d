"""Images and their twins: drawn without looking, painted with the style and the strength that are told."""

from __future__ import annotations

import numpy as np
import torch

from impasto.data.images import Images
from impasto.explain.twins import Twins, draw_twins
from tiny import CPU, STYLES, pictures, stylise

PIXELS, LABELS = pictures(40)
TEST = Images(PIXELS, LABELS, tuple("abcd"), "made")


def twins(count: int = 30, seed: int = 0, alpha: tuple[float, float] = (0.2, 0.6)) -> Twins:
    return draw_twins(TEST, count, stylise, STYLES, alpha, seed, CPU)


def test_every_twin_is_its_own_image_painted_as_told() -> None:
    """The stand-in writes style, strength and the image into the three channels."""
    found = twins()
    assert np.array_equal(found.originals.numpy(), PIXELS[found.rows]) and len(set(found.rows.tolist())) == 30
    assert (found.painted[:, 0] == found.styles[:, None, None]).all()
    assert (found.painted[:, 1] == (255 * found.alpha).round()[:, None, None]).all()
    assert (found.painted[:, 2] == 255 - found.originals[:, 2]).all()
    assert set(found.styles.tolist()) == set(range(STYLES))
    assert 0.2 <= found.alpha.min() < 0.3 and 0.5 < found.alpha.max() <= 0.6


def test_the_seed_decides_and_more_begin_with_the_same_images() -> None:
    first, again, other, fewer = twins(), twins(), twins(seed=1), twins(count=7)
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(first, again, strict=True))
    assert first.rows.tolist() != other.rows.tolist()
    assert first.rows[:7].tolist() == fewer.rows.tolist()


def test_a_small_set_is_taken_whole() -> None:
    assert sorted(twins(count=1000).rows.tolist()) == list(range(40))
