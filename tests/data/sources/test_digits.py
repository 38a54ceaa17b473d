"""Coloured digits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.config.dataset import Dataset
from impasto.data.images import Images
from impasto.data.sources import digits
from impasto.data.sources.digits import CONTRAST, LUMA, colour_pairs, paint
from impasto.data.sources.registry import SOURCES, fetch


def dataset(**changes: Any) -> Dataset:
    values = {
        "name": "digits",
        "root": None,
        "published": True,
        "version": None,
        "task": None,
        "split": None,
        "size": 32,
        "test": 0.2,
        "validation": 0.125,
        "imbalance": 1.0,
        "seed": 0,
    }
    return Dataset.model_validate(values | changes)


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """The package's file is a CSV table of two seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "_mnist", cache(digits._mnist))
        yield


@pytest.fixture(scope="module")
def fetched(read_once: None) -> tuple[Images, Images]:
    return fetch(dataset())


def test_sizes_and_classes(fetched: tuple[Images, Images]) -> None:
    train, test = fetched
    assert train.pixels.shape == (4000, 3, 32, 32) and test.pixels.shape == (1000, 3, 32, 32)
    assert train.classes == test.classes == tuple("0123456789")
    assert set(train.counts().values()) == {400} and set(test.counts().values()) == {100}


def test_no_image_is_in_both_parts(fetched: tuple[Images, Images]) -> None:
    train, test = ({image.tobytes() for image in part.pixels} for part in fetched)
    assert len(train) == 4000 and not train & test


def test_background_is_even_and_colours_are_far_apart(fetched: tuple[Images, Images]) -> None:
    """The padding shows the background; the pixel farthest from it in luma is the ink."""
    pixels = fetched[0].pixels[:500].astype(float) / 255
    border = pixels[:, :, [0, 1, 30, 31]].reshape(500, 3, -1)
    assert np.ptp(border, axis=2).max() == 0
    luma = np.einsum("nchw,c->nhw", pixels, LUMA)
    contrast = np.abs(luma - luma[:, :1, :1]).reshape(500, -1).max(1)
    assert contrast.min() > CONTRAST - 0.02
    assert len({tuple(image[:, 0, 0]) for image in pixels}) > 490, "every image has colours of its own"


def test_colours_belong_to_the_seed_of_the_dataset(fetched: tuple[Images, Images]) -> None:
    again, other = fetch(dataset()), fetch(dataset(seed=1))
    assert np.array_equal(again[0].pixels, fetched[0].pixels) and np.array_equal(again[1].labels, fetched[1].labels)
    colours = [{tuple(image[:, 0, 0]) for part in parts for image in part.pixels} for parts in (fetched, other)]
    assert len(colours[0] & colours[1]) < 50


def test_the_share_of_the_test_split_moves_no_colour(fetched: tuple[Images, Images]) -> None:
    """Colours are drawn before the images are divided."""
    train, test = fetch(dataset(test=0.5))
    assert (len(train), len(test)) == (2500, 2500)
    every = {image.tobytes() for part in fetched for image in part.pixels}
    assert every == {image.tobytes() for part in (train, test) for image in part.pixels}


@settings(deadline=None, max_examples=30)
@given(n=st.integers(0, 200), seed=st.integers(0, 2**32))
def test_pairs_of_colours(n: int, seed: int) -> None:
    front, back = colour_pairs(n, np.random.default_rng(seed))
    assert front.shape == back.shape == (n, 3)
    assert (np.abs((front - back) @ LUMA) >= CONTRAST).all() and ((front >= 0) & (front <= 1)).all()


@pytest.mark.parametrize("size", [28, 29, 32, 64])
def test_ink_is_the_front_and_the_rest_the_back(size: int) -> None:
    grey = np.zeros((2, 28, 28))
    grey[:, 3, 5], grey[:, 4, 6] = 1.0, 0.5
    front, back = colour_pairs(2, np.random.default_rng(7))
    pixels = paint(grey, size, np.random.default_rng(7))
    left = (size - 28) // 2
    assert pixels.shape == (2, 3, size, size) and pixels.dtype == np.uint8
    assert np.array_equal(pixels[:, :, left + 3, left + 5], np.rint(255 * front))
    assert np.array_equal(pixels[:, :, left + 4, left + 6], np.rint(255 * (front + back) / 2))
    pixels[:, :, left + 3, left + 5] = pixels[:, :, left + 4, left + 6] = pixels[:, :, 0, 0]
    assert np.array_equal(pixels, np.broadcast_to(np.rint(255 * back)[:, :, None, None], pixels.shape))


def test_every_name_of_the_schema_has_a_source() -> None:
    assert set(SOURCES) == set(Dataset.model_fields["name"].annotation.__args__)  # type: ignore[union-attr]
