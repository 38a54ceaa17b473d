"""Conversion of an npz file: equal to numpy's reading, bounded in memory, clear about faults."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from damaged import damaged
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


def archive(packed: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """An array as a file, under a header that may tell another shape."""
    buffer = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(array.dtype)
    told = {"descr": descr, "fortran_order": False, "shape": shape or array.shape}
    np.lib.format.write_array_header_1_0(buffer, told)
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize("count", [None, 50])
def test_a_bomb_of_labels_is_not_unpacked(tmp_path: Path, count: int | None) -> None:
    bomb = archive(image=npy(arrays()["image"]), label=npy(np.zeros(16 << 20, np.uint8)))
    assert len(bomb) < 100_000
    (tmp_path / "pool.npz").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(ImpastoError, match=r"has 50 images, but 16777216 labels|has 16,777,216 images, expected 50"):
        convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool", count)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_header_that_claims_more_than_there_is(tmp_path: Path) -> None:
    claims = {"image": npy(arrays()["image"], (10**12, 8, 8, 3)), "label": npy(arrays()["label"], (10**12,))}
    (tmp_path / "pool.npz").write_bytes(archive(**claims))
    with pytest.raises(ImpastoError, match="image has not the length that its header tells"):
        convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool")


@pytest.mark.parametrize("lie", [b"LZMA", b"BZIP2", b"('image', ", b"many keys", b"a web page"])
def test_other_faults_are_one_short_line(tmp_path: Path, lie: bytes) -> None:
    if lie in (b"LZMA", b"BZIP2"):
        packed = zipfile.ZIP_LZMA if lie == b"LZMA" else zipfile.ZIP_BZIP2
        good = archive(packed, **{name: npy(array) for name, array in arrays().items()})
    elif lie == b"many keys":
        good = archive(**{f"key{number}" * 9: b"" for number in range(300)})
    elif lie == b"a web page":
        good = b"<html>\nLog in</html>" * 200
    else:
        good = archive(image=npy(arrays()["image"]).replace(b"{", b"(", 1), label=npy(arrays()["label"]))
    (tmp_path / "pool.npz").write_bytes(good)
    with pytest.raises(ImpastoError, match=r"cannot be read|is no array|has no key") as caught:
        convert_npz(tmp_path / "pool.npz", LIKE, tmp_path / "pool")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@settings(max_examples=60)
@given(damaged(archive(**{name: npy(array) for name, array in arrays(9).items()})))
def test_damage_is_an_error_or_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    try:
        convert_npz(path, LIKE, path.with_suffix(""))
    except ImpastoError as error:
        assert str(error).startswith(f"{path} ") and "\n" not in str(error) and len(str(error)) < 600
