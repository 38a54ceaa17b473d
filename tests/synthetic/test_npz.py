"""Conversion of an npz file: equal to numpy's reading, bounded in memory, clear about faults."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.synthetic import npz
from impasto.synthetic.npz import convert_npz

LIKE = Images(np.empty((0, 3, 8, 8), np.uint8), np.empty(0, np.int64), ("a", "b", "c"), "test")


def arrays(n: int = 50) -> dict[str, np.ndarray]:
    source = np.random.default_rng(0)
    return {"image": source.integers(256, size=(n, 8, 8, 3), dtype=np.uint8), "label": source.integers(3, size=n)}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("chunk", [7, 50, 64])
def test_equals_numpy(write: Callable[..., None], chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "_CHUNK", chunk)
    write(tmp_path / "pool.npz", **arrays())
    convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool")
    pool = Images.load(tmp_path / "pool")
    assert np.array_equal(pool.pixels, arrays()["image"].transpose(0, 3, 1, 2))
    assert np.array_equal(pool.labels, arrays()["label"]) and pool.labels.dtype == np.int64
    assert pool.classes == LIKE.classes and pool.source == "npz file pool.npz"


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "_CHUNK", 64)
    n = 40_000
    image, label = np.zeros((n, 8, 8, 3), np.uint8), np.arange(n, dtype=np.uint8) % 3
    np.savez(tmp_path / "pool.npz", image=image, label=label)
    tracemalloc.start()
    convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes / 2  # digests are read by the megabyte


BAD = [
    (lambda a: {"images": a["image"], "label": a["label"]}, r"no key 'image' \(it has: images, label\)"),
    (lambda a: {"image": a["image"]}, "no key 'label'"),
    (lambda a: a | {"image": a["image"] / 255}, "image is float64"),
    (lambda a: a | {"image": a["image"].transpose(0, 3, 1, 2)}, r"\[50, 3, 8, 8\], not uint8 \[N, H, W, 3\]"),
    (lambda a: a | {"image": np.asfortranarray(a["image"])}, "C order"),
    (lambda a: a | {"image": a["image"][:, :4, :4]}, "images of 4 x 4 px, the dataset of 8 px"),
    (lambda a: a | {"image": a["image"][:20]}, "20 images, but 50 labels"),
    (lambda a: a | {"label": a["label"].astype(float)}, "label is float64"),
    (lambda a: a | {"label": a["label"] + 1}, "labels from 1 to 3, but the dataset has 3 classes"),
    (lambda a: a | {"label": a["label"] - 1}, "labels from -1 to 1"),
    (lambda a: a | {"label": a["label"].astype(object)}, "label is object"),
    (lambda a: a | {"label": np.where(a["label"] == 1, 0, a["label"])}, r"no image of class 'b' \(label 1\)"),
    (lambda a: {"image": a["image"][:0], "label": a["label"][:0]}, r"no image of class 'a' \(label 0\)"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_faults_are_named(spoil: Callable[..., dict[str, np.ndarray]], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "pool.npz", **spoil(arrays()))
    with pytest.raises(ImpastoError, match=message):
        convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool")
    assert not (tmp_path / "pool" / "meta.json").exists()


@pytest.mark.parametrize(
    ("count", "even", "message"),
    [(51, False, "has 50 images, expected 51"), (50, True, r"has \d+ images of class '[bc]', but \d+ of class 'a'")],
)
def test_published_counts(count: int, even: bool, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "pool.npz", **arrays())
    with pytest.raises(ImpastoError, match=message):
        convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool", count, even)
    assert not (tmp_path / "pool").exists()
    np.savez(tmp_path / "even.npz", image=arrays(48)["image"], label=np.sort(np.arange(48) % 3))
    convert_npz(tmp_path / "even.npz", LIKE, tmp_path / "pool", 48, True)
    assert set(Images.load(tmp_path / "pool").counts().values()) == {16}


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", **arrays())
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    spoiled = bytearray(whole)
    spoiled[2000] ^= 255
    (tmp_path / "spoiled.npz").write_bytes(spoiled)
    for name in ("cut", "spoiled", "missing"):
        with pytest.raises(ImpastoError, match="cannot be read"):
            convert_npz(tmp_path / f"{name}.npz", LIKE, tmp_path / name)
        assert not (tmp_path / name / "images.npy").exists()
