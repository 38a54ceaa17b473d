"""Frost: the photographs are found, verified and scaled as by OpenCV; crops and blends are the benchmark's."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.corruptions import frost_bank
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.frost import draw_frost, frost
from impasto.corruptions.registry import corrupt
from impasto.corruptions.tables import TABLES
from impasto.errors import ImpastoError

CPU = torch.device("cpu")
F64 = torch.float64


@pytest.fixture
def photographs() -> Path:
    if importlib.util.find_spec("imagecorruptions") is None:
        pytest.skip("the photographs are not installed: they come with imagecorruptions-imaug")
    return frost_bank.find()


@pytest.fixture
def no_cache() -> Iterator[None]:
    """No bank from another test, and none left to another."""
    caches = (frost_bank._load, frost_bank._scaled)
    for cache in caches:
        cache.cache_clear()
    yield
    frost_bank.use(None)
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("scale", [0.2, 0.3, 0.4, 0.77, 1])
def test_scaling_equals_opencv(scale: float) -> None:
    generator = np.random.default_rng(1)
    for size in ((60, 90), (63, 112), (71, 33), (99, 132)):
        picture = generator.integers(0, 256, (*size, 3)).astype(np.uint8)
        expected = cv2.resize(picture, (0, 0), fx=scale, fy=scale)
        result = frost_bank.shrink(torch.from_numpy(picture).permute(2, 0, 1), scale)
        assert np.array_equal(result.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("table", TABLES)
def test_frost_is_its_formula_on_the_photographs(photographs: Path, table: str) -> None:
    scale = TABLES[table]["frost"][0][2]
    files = [cv2.imread(str(photographs / name)) for name in frost_bank.FILES]
    bank = [cv2.resize(each, (0, 0), fx=scale, fy=scale)[..., ::-1] for each in files if each is not None]
    images = torch.randint(0, 256, (40, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    places = draw_frost(CounterRng(2, torch.arange(40)), (32, 48), (1, 1, scale))
    assert sorted(places[:, 0].unique().tolist()) == [0, 1, 2, 3, 4]
    for a, b, _ in TABLES[table]["frost"]:
        result = frost(images, places, a, b, scale, dtype=F64).permute(0, 2, 3, 1).numpy()
        for one, image, (which, row, column) in zip(result, images, places.tolist(), strict=True):
            crop = bank[which][row : row + 32, column : column + 48]
            expected = np.uint8(np.clip(a * image.permute(1, 2, 0).numpy() + b * crop, 0, 255))
            assert np.array_equal(one, expected)


def test_positions_are_uniform_and_stay_within_each_photograph(photographs: Path) -> None:
    bank = frost_bank.load(0.2, (32, 32), CPU)
    places = bank.draw(CounterRng(3, torch.arange(20000)))
    counts = torch.bincount(places[:, 0], minlength=5)
    assert (counts - 4000).abs().max() < 4 * 4000**0.5
    for which, (height, width) in enumerate([(120, 180), (63, 112), (63, 112), (70, 105), (99, 132)]):
        rows, columns = places[places[:, 0] == which, 1:].unbind(1)
        assert (rows.min(), rows.max()) == (0, height - 33)
        assert (columns.min(), columns.max()) == (0, width - 33)
        assert rows.double().mean().item() == pytest.approx((height - 33) / 2, rel=0.1)


def test_images_larger_than_a_photograph_see_it_mirrored(photographs: Path) -> None:
    bank = frost_bank.load(0.2, (224, 224), CPU)
    sides = zip(bank.heights.tolist(), bank.widths.tolist(), strict=True)
    assert list(sides) == [(240, 360), (252, 448), (252, 448), (280, 420), (396, 264)]
    picture = bank.pictures[1, :, :252, :448]
    assert torch.equal(picture, picture.flip(1))
    assert torch.equal(picture, picture.flip(2))
    images = torch.zeros(8, 3, 224, 224, dtype=torch.uint8)
    result = corrupt(images, "frost", 3, seed=0, ids=torch.arange(8), table="cifar")
    assert (result.double().mean(dim=(1, 2, 3)) > 20).all()


def test_a_machine_without_photographs_is_told_three_remedies(monkeypatch: pytest.MonkeyPatch, no_cache: None) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(ImpastoError, match=r"not on this machine.*imagecorruptions-imaug.*frost_bank\.use.*procedural"):
        corrupt(images, "frost", 1, seed=0, ids=torch.arange(2))


def test_the_package_is_not_imported(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "imagecorruptions", raising=False)
    assert frost_bank.find() == photographs
    assert "imagecorruptions" not in sys.modules


def test_a_folder_goes_before_the_package(photographs: Path, tmp_path: Path, no_cache: None) -> None:
    for name in frost_bank.FILES:
        (tmp_path / name).symlink_to(photographs / name)
    expected = frost_bank.load(0.2, (32, 32), CPU).pictures
    frost_bank.use(tmp_path)
    assert torch.equal(frost_bank.load(0.2, (32, 32), CPU).pictures, expected)
    (tmp_path / "frost4.jpg").unlink()
    with pytest.raises(ImpastoError, match=r"No such file.*frost4\.jpg.*imagecorruptions-imaug"):
        frost_bank.load(0.3, (32, 32), CPU)
    (tmp_path / "frost4.jpg").write_bytes(b"another")
    with pytest.raises(ImpastoError, match=r"md5 differs.*frost4\.jpg"):
        frost_bank.load(0.3, (32, 32), CPU)
    frost_bank.use(tmp_path / "absent")
    with pytest.raises(ImpastoError, match=r"No such file.*absent.frost1\.png"):
        frost_bank.load(0.2, (32, 32), CPU)


@pytest.mark.parametrize("name", ["frost", "frost_procedural"])
def test_float32_differs_in_few_values(images: Tensor, photographs: Path, name: str) -> None:
    ids = torch.arange(len(images))
    single, double = (corrupt(images, name, 3, 0, ids, work_dtype=each).int() for each in (torch.float32, F64))
    assert (single - double).abs().max() <= 1
    assert (single != double).double().mean() < 0.02
