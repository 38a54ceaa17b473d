"""Stand-ins for style transfer tests: a small random encoder and pictures drawn from a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from impasto.rng import generator
from impasto.style.encoders import resized


class RandomEncoder(nn.Module):
    """Two levels at half and at a quarter of 32 px, 6 and 10 channels."""

    channels = 10

    def __init__(self) -> None:
        super().__init__()
        source = generator(0, "test-encoder")
        self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.second = nn.Conv2d(6, self.channels, 3, stride=2, padding=1)
        for weights in self.parameters():
            nn.init.uniform_(weights, -0.4, 0.6, generator=source)
        self.requires_grad_(False)

    def levels(self, images: Tensor) -> list[Tensor]:
        first = self.first(resized(images, 32)).relu()
        return [first, self.second(first).relu()]


def pictures(count: int, side: int = 16, seed: int = 0) -> Tensor:
    """Random smooth pictures with edges, uint8."""
    coarse = torch.randint(0, 256, (count, 3, 4, 4), generator=generator(seed, "test-pictures"))
    return coarse.repeat_interleave(side // 4, 2).repeat_interleave(side // 4, 3).to(torch.uint8)
