"""Normalisation as the first layer: a saved model takes plain images and needs no statistics beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel.

    Args:
        mean: one number per channel, of images in [0, 1].
        std: one positive number per channel, of images in [0, 1].

    Raises:
        ValueError: the two differ in length, or a standard deviation is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f"one mean and one positive std per channel are needed, not {mean} and {std}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Float images (N, C, H, W) in [0, 1] to float (N, C, H, W) of about zero mean and unit variance."""
        return (images - self.mean) / self.std
