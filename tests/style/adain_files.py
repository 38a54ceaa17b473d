"""Files of the published layout with random weights, and what the published networks compute, written by hand."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from impasto.rng import generator

ENCODER = {0: (3, 3, 1), 2: (64, 3, 3), 5: (64, 64, 3), 9: (128, 64, 3), 12: (128, 128, 3), 16: (256, 128, 3)}
ENCODER |= dict.fromkeys((19, 22, 25), (256, 256, 3)) | {29: (512, 256, 3)}
ENCODER |= dict.fromkeys((32, 35, 38, 42, 45, 48, 51), (512, 512, 3))
DECODER = {1: (256, 512, 3)} | dict.fromkeys((5, 8, 11), (256, 256, 3))
DECODER |= {14: (128, 256, 3), 18: (128, 128, 3), 21: (64, 128, 3), 25: (64, 64, 3), 28: (3, 64, 3)}
"""Number of each convolution in its file: channels out, channels in, side of the kernel."""


def random_weights(layout: dict[int, tuple[int, int, int]], seed: int = 0) -> dict[str, Tensor]:
    """Weights that keep the size of the activations, so that every layer shows in the result."""
    source, found = generator(seed, "test-official"), {}
    for number, (outputs, inputs, side) in layout.items():
        scale = (2 / (inputs * side * side)) ** 0.5
        found[f"{number}.weight"] = torch.randn(outputs, inputs, side, side, generator=source) * scale
        found[f"{number}.bias"] = torch.randn(outputs, generator=source) * 0.1
    return found


def encode(weights: dict[str, Tensor], images: Tensor) -> list[Tensor]:
    """relu1_1, relu2_1, relu3_1 and relu4_1 of float images at the side that the network sees."""
    features, levels = functional.conv2d(images, weights["0.weight"], weights["0.bias"]), []
    for number in (n for n in ENCODER if 0 < n <= 29):
        features = _conv(weights, number, features).relu()
        if number in (2, 9, 16, 29):
            levels.append(features)
        if number in (5, 12, 25):
            features = functional.max_pool2d(features, 2, ceil_mode=True)
    return levels


def decode(weights: dict[str, Tensor], features: Tensor) -> Tensor:
    for number in DECODER:
        features = _conv(weights, number, features)
        if number != 28:
            features = features.relu()
        if number in (1, 14, 21):
            features = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return features


def _conv(weights: dict[str, Tensor], number: int, features: Tensor) -> Tensor:
    padded = functional.pad(features, (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(padded, weights[f"{number}.weight"], weights[f"{number}.bias"])


def write(path: Path, weights: dict[str, Tensor], old: bool = False) -> Path:
    """As the authors write it; ``old`` is the format before torch 1.6, which theirs has."""
    torch.save(weights, path, _use_new_zipfile_serialization=not old)
    return path
