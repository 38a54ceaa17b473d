"""Inception-v3 of 5 December 2015 written from its graph: each layer by name, no module, no class.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2016), table 1 and figures 5 to 7.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

CONVOLUTIONS: dict[str, tuple[int, int, int, int]] = {
    "Conv2d_1a_3x3": (32, 3, 3, 3),
    "Conv2d_2a_3x3": (32, 32, 3, 3),
    "Conv2d_2b_3x3": (64, 32, 3, 3),
    "Conv2d_3b_1x1": (80, 64, 1, 1),
    "Conv2d_4a_3x3": (192, 80, 3, 3),
}
"""Name: channels out, channels in, height and width of the kernel."""


def _add(block: str, inputs: int, **branches: list[tuple[int, int, int]]) -> None:
    """Chains of (channels, height, width) named ``branch_1``, ``branch_2``, or ``branch`` alone if there is one."""
    for branch, chain in branches.items():
        before = inputs
        for place, (channels, height, width) in enumerate(chain, 1):
            name = f"{block}.branch{branch}" + (f"_{place}" if len(chain) > 1 else "")
            CONVOLUTIONS[name] = (channels, before, height, width)
            before = channels


for _block, _inputs, _pool in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
    _chains = {"1x1": [(64, 1, 1)], "5x5": [(48, 1, 1), (64, 5, 5)], "3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)]}
    _add(_block, _inputs, **_chains, _pool=[(_pool, 1, 1)])
_add("Mixed_6a", 288, **{"3x3": [(384, 3, 3)], "3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)]})
for _block, _c in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
    _double = [(_c, 1, 1), (_c, 7, 1), (_c, 1, 7), (_c, 7, 1), (192, 1, 7)]
    _chains = {"1x1": [(192, 1, 1)], "7x7": [(_c, 1, 1), (_c, 1, 7), (192, 7, 1)], "7x7dbl": _double}
    _add(_block, 768, **_chains, _pool=[(192, 1, 1)])
_chains = {"3x3": [(192, 1, 1), (320, 3, 3)], "7x7x3": [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)]}
_add("Mixed_7a", 768, **_chains)
for _block, _inputs in (("Mixed_7b", 1280), ("Mixed_7c", 2048)):
    _add(_block, _inputs, **{"1x1": [(320, 1, 1)]}, _pool=[(192, 1, 1)])
    for _name, _size in {
        "3x3_1": (384, _inputs, 1, 1), "3x3_2a": (384, 384, 1, 3), "3x3_2b": (384, 384, 3, 1),
        "3x3dbl_1": (448, _inputs, 1, 1), "3x3dbl_2": (384, 448, 3, 3), "3x3dbl_3a": (384, 384, 1, 3),
        "3x3dbl_3b": (384, 384, 3, 1),
    }.items():  # fmt: skip
        CONVOLUTIONS[f"{_block}.branch{_name}"] = _size


def pool3(weights: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """Features [B, 2048] of pixels [B, 3, 299, 299], (x - 128) / 128."""

    def conv(name: str, x: Tensor, stride: int = 1, same: bool = True) -> Tensor:
        kernel = weights[f"{name}.conv.weight"]
        padding = (kernel.shape[2] // 2, kernel.shape[3] // 2) if same else 0
        x = functional.conv2d(x, kernel, stride=stride, padding=padding)
        norm = {
            leaf: weights[f"{name}.bn.{leaf}"][:, None, None]
            for leaf in ("weight", "bias", "running_mean", "running_var")
        }
        return ((x - norm["running_mean"]) / (norm["running_var"] + 1e-3).sqrt() * norm["weight"] + norm["bias"]).relu()

    def chain(name: str, x: Tensor, length: int, *, shrink: bool = False) -> Tensor:
        for place in range(1, length + 1):
            last = shrink and place == length
            x = conv(f"{name}_{place}" if length > 1 else name, x, stride=1 + last, same=not last)
        return x

    def outer(block: str, x: Tensor) -> Tensor:
        pooled = functional.max_pool2d(x, 3, 1, 1) if block == "Mixed_7c" else average(x)
        single = conv(f"{block}.branch3x3_1", x)
        double = conv(f"{block}.branch3x3dbl_2", conv(f"{block}.branch3x3dbl_1", x))
        parts = [conv(f"{block}.branch1x1", x)]
        parts += [conv(f"{block}.branch3x3_2{side}", single) for side in "ab"]
        parts += [conv(f"{block}.branch3x3dbl_3{side}", double) for side in "ab"]
        return torch.cat([*parts, conv(f"{block}.branch_pool", pooled)], 1)

    x = conv("Conv2d_2a_3x3", conv("Conv2d_1a_3x3", pixels, 2, same=False), same=False)
    x = functional.max_pool2d(conv("Conv2d_2b_3x3", x), 3, 2)
    x = functional.max_pool2d(conv("Conv2d_4a_3x3", conv("Conv2d_3b_1x1", x), same=False), 3, 2)
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        parts = [chain(f"{block}.branch{n}", x, k) for n, k in (("1x1", 1), ("5x5", 2), ("3x3dbl", 3))]
        x = torch.cat([*parts, conv(f"{block}.branch_pool", average(x))], 1)
    parts = [chain(f"Mixed_6a.branch{n}", x, k, shrink=True) for n, k in (("3x3", 1), ("3x3dbl", 3))]
    x = torch.cat([*parts, functional.max_pool2d(x, 3, 2)], 1)
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        parts = [chain(f"{block}.branch{n}", x, k) for n, k in (("1x1", 1), ("7x7", 3), ("7x7dbl", 5))]
        x = torch.cat([*parts, conv(f"{block}.branch_pool", average(x))], 1)
    parts = [chain(f"Mixed_7a.branch{n}", x, k, shrink=True) for n, k in (("3x3", 2), ("7x7x3", 4))]
    x = torch.cat([*parts, functional.max_pool2d(x, 3, 2)], 1)
    return outer("Mixed_7c", outer("Mixed_7b", x)).mean((2, 3))


def average(x: Tensor) -> Tensor:
    """Means of the up to nine places that exist: sums over counts."""
    ones = torch.ones(x.shape[1], 1, 3, 3)
    total = functional.conv2d(x, ones, padding=1, groups=x.shape[1])
    return total / functional.conv2d(torch.ones_like(x), ones, padding=1, groups=x.shape[1])


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """TensorFlow 1's legacy bilinear resizing of one plane [H, W], pixel by pixel, in float64."""
    height, width = image.shape
    out = np.empty((side, side))
    for i in range(side):
        for j in range(side):
            y, x = i * height / side, j * width / side
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            above = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
            below = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * (x - left)
            out[i, j] = above + (below - above) * (y - top)
    return out
