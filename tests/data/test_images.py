"""Labelled images on disk, and their division into parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.data.images import Images, batches, stratified, to_device
from impasto.errors import ImpastoError
from tiny import CPU, pictures


def images(n: int = 12) -> Images:
    return Images(*pictures(n), ("a", "b", "ü", "d"), "made here")


def test_a_folder_comes_back(tmp_path: Path) -> None:
    images().save(tmp_path / "train")
    found = Images.load(tmp_path / "train")
    assert np.array_equal(found.pixels, images().pixels) and np.array_equal(found.labels, images().labels)
    assert (found.classes, found.source, len(found)) == (("a", "b", "ü", "d"), "made here", 12)
    assert isinstance(found.pixels, np.memmap) and found.labels.dtype == np.int64


def test_an_empty_folder_comes_back(tmp_path: Path) -> None:
    images().take(np.zeros(0, np.int64)).save(tmp_path)
    assert len(Images.load(tmp_path)) == 0 and Images.load(tmp_path).pixels.shape == (0, 3, 16, 16)


def test_meta_describes_the_content(tmp_path: Path) -> None:
    images().save(tmp_path / "a")
    images().save(tmp_path / "b")
    images(13).save(tmp_path / "c")
    a, b, c = (json.loads((tmp_path / name / "meta.json").read_text()) for name in "abc")
    assert a == b and a["n"] == 12 and a["counts"] == {"a": 3, "b": 3, "ü": 3, "d": 3}
    assert c["digest"] != a["digest"]


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "meta.json"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    images().save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ImpastoError, match=rf"{name} does not exist"):
        Images.load(tmp_path)


def test_rows_are_taken_with_their_labels() -> None:
    found = images().take(np.array([5, 0]))
    assert np.array_equal(found.pixels, images().pixels[[5, 0]]) and found.labels.tolist() == [1, 0]
    assert found.counts() == {"a": 1, "b": 1, "ü": 0, "d": 0}


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 3, 4, 4), np.float32),
        np.zeros((3, 4, 4, 3), np.uint8),
        np.zeros((2, 3, 4, 4), np.uint8),
        np.zeros((3, 3, 4), np.uint8),
    ],
    ids=["float", "channels last", "too few", "no batch"],
)
def test_other_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[3, 3, H, W\]"):
        Images(pixels, np.zeros(3, np.int64), ("a",), "")


@given(sizes=st.lists(st.integers(4, 60), min_size=1, max_size=5), share=st.floats(0.2, 0.8), seed=st.integers(0, 99))
def test_each_class_gives_its_share(sizes: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    first, second = stratified(labels, share, np.random.default_rng(seed))
    assert np.array_equal(np.sort(np.concatenate([first, second])), np.arange(len(labels)))
    for part in (first, second):
        assert (np.diff(part) > 0).all() and part.dtype == np.int64
    assert np.bincount(labels[second]).tolist() == [round(share * size) for size in sizes]


def test_the_division_is_random_and_replays() -> None:
    labels = np.arange(100) % 2
    one, again, other = (stratified(labels, 0.5, np.random.default_rng(seed))[1] for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.mark.parametrize(("size", "share"), [(1, 0.5), (3, 0.1), (3, 0.9)])
def test_a_class_too_small_to_divide(size: int, share: float) -> None:
    labels = np.repeat([0, 1], [50, size])
    with pytest.raises(ImpastoError, match=rf"class 1 has {size} images, too few"):
        stratified(labels, share, np.random.default_rng(0))


@pytest.mark.parametrize("size", [1, 5, 12, 50])
def test_batches_are_the_images_in_order(size: int) -> None:
    pixels, parts = images().pixels, list(batches(images().pixels, size, CPU))
    assert [len(part) for _, part in parts[:-1]] == [size] * (len(parts) - 1)
    for rows, part in parts:
        assert np.array_equal(part.numpy(), pixels[rows])
    assert sum(len(part) for _, part in parts) == 12
    assert list(batches(pixels[:0], size, CPU)) == []


def test_a_tensor_does_not_share_memory_with_its_array() -> None:
    array = np.zeros(3, np.uint8)
    to_device(array, CPU)[0] = 1
    assert array[0] == 0
