"""DeepAugment with Noise2Net: half of a batch goes through a small random residual network of its own.

Hendrycks et al., "The Many Faces of Robustness" (ICCV 2021), as used by Siedel et al. (arXiv 2512.15675). The
network is a Res2Net of four blocks whose weights are drawn anew for every batch, a set for each image. Kernel sizes
and dilations are drawn once. Batch normalisation in training mode on a batch of one, all images side by side in the
channels, normalises each channel of each image; it also cancels the convolutions' biases, which are left out.

The papers transform images already normalised for the classifier. Here models own their normalisation, so that the
images are normalised on the way in and taken back on the way out: what the classifier sees is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

BLOCKS, HIDDEN, SCALES = 4, 16, 4
_PIXELS = 2**21  # at most so many at once: half a gigabyte per hidden layer


class Layer(NamedTuple):
    """Shape of one of the three inner convolutions of a block: kernel 1 or 3, dilation 1, 2 or 3."""

    kernel: int
    dilation: int


class Noise2NetDraws(NamedTuple):
    """What happens to a batch; tensors on the CPU.

    Attributes:
        chosen: int64 [m], the images that are transformed.
        epsilon: float32 [], weight of each block's output beside its input.
        weights: float32 [m, P], all weights of each image's network before their scaling, in [-1, 1).
    """

    chosen: Tensor
    epsilon: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Noise2Net:
    """The part of the network that stays the same from batch to batch.

    Attributes:
        blocks: the inner convolutions of each block.
        size: the images are enlarged to this height and width on the way, px; 224 in the papers. Bilinear resampling
            there and back changes nothing if it is an odd multiple of the images' size, as 224 is of 32. At other
            sizes it blurs a little, which is part of the papers' method.
    """

    blocks: tuple[tuple[Layer, ...], ...]
    size: int = 224

    def draw(
        self, n: int, generator: torch.Generator, *, share: float = 0.5, epsilon: tuple[float, float] = (0.375, 0.75)
    ) -> Noise2NetDraws:
        """Draw the weights for a batch.

        Args:
            n: images of the batch.
            generator: a CPU generator; keyed by seed, epoch and step, a run replays from any step.
            share: ``int(share * n)`` of the images, drawn without replacement, are transformed.
            epsilon: bounds of the uniform residual weight, which all images share.
        """
        chosen = torch.randperm(n, generator=generator)[: int(share * n)]
        count = sum(math.prod(shape) for block in self.blocks for shape in _shapes(block))
        return Noise2NetDraws(
            chosen,
            torch.empty(()).uniform_(*epsilon, generator=generator),
            torch.empty(len(chosen), count).uniform_(-1, 1, generator=generator),
        )

    @torch.no_grad()
    def apply(self, images: Tensor, draws: Noise2NetDraws, mean: Tensor, std: Tensor) -> Tensor:
        """Transform some of the images, each by its own network; the others stay as they are.

        Args:
            images: float32 [B, 3, H, W] in [0, 1], on any device. Unchanged.
            draws: of this batch.
            mean: of the classifier's normalisation, float32 [1, 3, 1, 1] on the images' device.
            std: likewise.

        Returns:
            A new tensor like ``images``; the transformed images are not clamped and leave [0, 1].
        """
        chosen, epsilon, weights = (column.to(images.device, non_blocking=True) for column in draws)
        results = images.clone()
        at_once = max(1, _PIXELS // self.size**2)
        for rows, numbers in zip(chosen.split(at_once), weights.split(at_once), strict=True):
            if len(rows):
                hidden = _resize((images[rows] - mean) / std, (self.size, self.size))
                hidden = self._network(hidden, epsilon, numbers)
                results[rows] = _resize(hidden, images.shape[-2:]) * std + mean
        return results

    def _network(self, images: Tensor, epsilon: Tensor, numbers: Tensor) -> Tensor:
        """Images float32 [m, 3, S, S] and numbers [m, P] to images."""
        shapes = [_shapes(block) for block in self.blocks]
        parts = iter(numbers.split([math.prod(shape) for block in shapes for shape in block], dim=1))
        for block, layers in zip(shapes, self.blocks, strict=True):
            weights = [_scaled(next(parts), shape) for shape in block]
            images = images + epsilon * _block(images, weights, layers)
        return images


def draw_network(generator: torch.Generator, size: int = 224) -> Noise2Net:
    """A network whose kernel sizes (1 or 3) and dilations (1, 2 or 3) are uniform and independent."""
    shape = (BLOCKS, SCALES - 1)
    kernels = (1 + 2 * torch.randint(2, shape, generator=generator)).tolist()
    dilations = (1 + torch.randint(3, shape, generator=generator)).tolist()
    return Noise2Net(tuple(tuple(map(Layer, *row)) for row in zip(kernels, dilations, strict=True)), size)


def _shapes(block: tuple[Layer, ...]) -> list[tuple[int, int, int, int]]:
    """Weights of a block's convolutions: one into all scales, one for each scale but the last, one back."""
    inner = [(HIDDEN, HIDDEN, layer.kernel, layer.kernel) for layer in block]
    return [(SCALES * HIDDEN, 3, 1, 1), *inner, (3, SCALES * HIDDEN, 1, 1)]


def _scaled(numbers: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Weights in torch's default distribution, U(-1, 1) / sqrt(fan-in); [m, *shape]."""
    return numbers.reshape(-1, *shape) / math.sqrt(math.prod(shape[1:]))


def _block(images: Tensor, weights: list[Tensor], layers: tuple[Layer, ...]) -> Tensor:
    """A Res2Net block (Gao et al. 2019): each scale also receives the result of the one before it."""
    first, *inner, last = weights
    scales = _convolve(images, first).relu_().chunk(SCALES, dim=1)
    results: list[Tensor] = []
    for scale, weight, layer in zip(scales, inner, layers, strict=False):  # the last scale passes through
        received = scale + results[-1] if results else scale
        results.append(_convolve(received, weight, layer.dilation).relu_())
    return _convolve(torch.cat([*results, scales[-1]], dim=1), last)


def _convolve(images: Tensor, weights: Tensor, dilation: int = 1) -> Tensor:
    """Convolve each image with its own weights and normalise each channel; [m, C, S, S] and [m, D, C, k, k]."""
    m, _, height, width = images.shape
    padding = dilation * (weights.shape[-1] // 2)
    packed = images.reshape(1, -1, height, width)
    found = functional.conv2d(packed, weights.flatten(0, 1), padding=padding, dilation=dilation, groups=m)
    return functional.instance_norm(found.view(m, -1, height, width))


def _resize(images: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear, without antialiasing."""
    return functional.interpolate(images, size=tuple(size), mode="bilinear", align_corners=False)
