"""The principal colours of an image: a frame in which a shape looks alike in whatever colours it is painted.

In raw RGB a network must learn every shape once for each pair of colours, and how to tell the two from noise.
Turned into the axes along which its own colours vary, an image of a dark shape on orange and one of a pink shape
on green are the same picture, up to contrast. The axes are found in the noisy image itself, at every noise level,
and the network is told them, so that what is painted in which colour stays learnable.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Axes(NamedTuple):
    """The colour frames of N images.

    Attributes:
        mean: float32 [N, 3].
        basis: float32 [N, 3, 3], orthonormal columns by falling variance, each pointing to its rarer, farther
            side (positive third moment).
    """

    mean: Tensor
    basis: Tensor

    def flat(self) -> Tensor:
        """Mean and basis as one vector per image, float32 [N, 12]."""
        return torch.cat([self.mean, self.basis.flatten(1)], 1)


@torch.no_grad()
def axes_of(image: Tensor) -> Axes:
    """Find the frame of each image, float32 [N, 3, H, W], after a 3 x 3 mean that quiets the noise."""
    with torch.autocast(image.device.type, enabled=False):
        colours = around(image.float(), 3).flatten(2)
        mean = colours.mean(2)
        colours = colours - mean[:, :, None]
        basis = torch.linalg.eigh(colours @ colours.mT).eigenvectors.flip(2)
        skew = (basis.mT @ colours).pow(3).sum(2)
        return Axes(mean, basis * torch.where(skew < 0, -1.0, 1.0)[:, None])


def turn(image: Tensor, axes: Axes) -> Tensor:
    """The image float32 [N, 3, H, W] in its own frame, the mean taken off."""
    with torch.autocast(image.device.type, enabled=False):
        centred = image - axes.mean[:, :, None, None]
        turned = torch.einsum("nck,nchw->nkhw", axes.basis, centred)
        return turned.contiguous(memory_format=torch.channels_last)


def turn_back(image: Tensor, axes: Axes, share: Tensor) -> Tensor:
    """From the frame back to RGB, with ``share`` [N, 1] times the mean put on again."""
    with torch.autocast(image.device.type, enabled=False):
        return torch.einsum("nck,nkhw->nchw", axes.basis, image) + (share * axes.mean)[:, :, None, None]


def around(image: Tensor, side: int) -> Tensor:
    """The mean of the ``side`` x ``side`` pixels around each one that lie in the image, shape unchanged."""
    rows = functional.avg_pool2d(image, (1, side), stride=1, padding=(0, side // 2), count_include_pad=False)
    return functional.avg_pool2d(rows, (side, 1), stride=1, padding=(side // 2, 0), count_include_pad=False)
