from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from style_doubles import RandomEncoder
from torch import Tensor

from impasto.config.style import Style
from impasto.errors import ImpastoError
from impasto.style.bank import encode_styles, load_bank, style_images
from impasto.style.procedural import procedural_styles


def _style(**changes: Any) -> Style:
    values = {
        "method": "adain",
        "bank": "procedural",
        "root": None,
        "count": 5,
        "size": 16,
        "min_std": 0.08,
        "encoder": "efficientnet_lite0",
        "upscale": 32,
        "refresh": 1.0,
        "encoder_weights": None,
        "faithful": False,
        "decoder": {
            "source": "fitted",
            "weights": None,
            "iterations": 1,
            "batch": 4,
            "learning_rate": 1e-3,
            "style_weight": 1.0,
            "reconstruction_weight": 1.0,
        },
    }
    return Style.model_validate(values | changes)


def test_statistics_equal_direct_computation(encoder: RandomEncoder, styles: Tensor) -> None:
    bank = encode_styles(styles.repeat(20, 1, 1, 1), encoder)  # more than one chunk
    assert bank.mean.shape == bank.std.shape == (100, 10) and bank.rgb_mean.shape == (100, 3)
    for index, image in enumerate(styles):
        features = encoder.levels(image[None].float() / 255)[-1][0].flatten(1)
        torch.testing.assert_close(bank.mean[index], features.mean(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(bank.std[index + 95], (features.var(1) + 1e-5).sqrt(), rtol=1e-4, atol=1e-5)
        pixels = image.double().flatten(1) / 255
        torch.testing.assert_close(bank.rgb_mean[index].double(), pixels.mean(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(bank.rgb_std[index].double(), (pixels.var(1) + 1e-5).sqrt(), rtol=1e-4, atol=1e-5)


def test_save_and_load_keep_every_bit(tmp_path: Path, encoder: RandomEncoder, styles: Tensor) -> None:
    bank = encode_styles(styles, encoder)
    bank.save(tmp_path / "bank.safetensors")
    loaded = load_bank(tmp_path / "bank.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(bank, loaded, strict=True))


def test_missing_and_damaged_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match="does not exist"):
        load_bank(tmp_path / "bank.safetensors")
    (tmp_path / "bank.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ImpastoError, match="no style bank"):
        load_bank(tmp_path / "bank.safetensors")


def test_style_images_follow_the_parameters(tmp_path: Path) -> None:
    assert torch.equal(style_images(_style(), 7), procedural_styles(5, 16, 0.08, 7))
    with pytest.raises(ImpastoError, match=r"style\.root is null"):
        style_images(_style(bank="folder"), 7)
    with pytest.raises(ImpastoError, match="holds 0 pictures, but style.count asks for 5"):
        style_images(_style(bank="folder", root=str(tmp_path)), 7)
