from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import ImpastoError
from impasto.style.folder import folder_styles


def _paint(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (3, 5, 3), dtype=np.uint8)
        large = pixels.repeat(10, 0).repeat(10, 1)
        Image.fromarray(large).save(folder / f"{index}.{'jpg' if index % 2 else 'png'}")


def test_chooses_by_seed_and_replays(tmp_path: Path) -> None:
    _paint(tmp_path / "a", 6)
    _paint(tmp_path / "b" / "deeper", 6)
    first, again, other = (folder_styles(tmp_path, 4, 16, 0.0, seed) for seed in (0, 0, 1))
    assert first.shape == (4, 3, 16, 16) and first.dtype == torch.uint8
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_takes_the_centre_square(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = (10, 200, 30)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    styles = folder_styles(tmp_path, 1, 20, 0.0, 0)
    assert torch.equal(styles[0, :, 5, 5], torch.tensor([10, 200, 30], dtype=torch.uint8))
    assert (styles[0, 1] > 150).all()


def test_shrinking_averages(tmp_path: Path) -> None:
    checker = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)
    Image.fromarray(np.stack([checker] * 3, -1)).save(tmp_path / "checker.png")
    styles = folder_styles(tmp_path, 1, 8, 0.0, 0).float()
    assert (styles - 127.5).abs().max() < 8


def test_flat_pictures_are_passed_over(tmp_path: Path) -> None:
    _paint(tmp_path, 4)
    for index in range(4):
        Image.new("RGB", (30, 30), (200, 10 * index, 0)).save(tmp_path / f"flat{index}.png")
    styles = folder_styles(tmp_path, 4, 16, 0.08, 0)
    assert (styles.float().flatten(2).std(2).mean(1) / 255 > 0.08).all()
    with pytest.raises(ImpastoError, match=r"4 pictures with a contrast.*of 8.*asks for 5"):
        folder_styles(tmp_path, 5, 16, 0.08, 0)


def test_too_few_pictures_names_both_numbers_and_the_folder(tmp_path: Path) -> None:
    _paint(tmp_path, 3)
    with pytest.raises(ImpastoError, match=rf"{tmp_path} holds 3 pictures, but style.count asks for 9"):
        folder_styles(tmp_path, 9, 16, 0.0, 0)


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    _paint(tmp_path / "a", 3)
    (tmp_path / "a" / "lost.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(ImpastoError, match=r"a/lost\.jpg is a link that leads nowhere"):
        folder_styles(tmp_path, 2, 16, 0.0, 0)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match=r"nowhere does not exist"):
        folder_styles(tmp_path / "nowhere", 1, 16, 0.0, 0)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged.png").write_bytes(content)
    with pytest.raises(ImpastoError, match=r"damaged\.png cannot be read"):
        folder_styles(tmp_path, 1, 16, 0.0, 0)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    _paint(tmp_path, 2)
    (tmp_path / "0.png").unlink()
    whole = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImpastoError, match=r"1\.jpg cannot be read"):
        folder_styles(tmp_path, 1, 16, 0.0, 0)
