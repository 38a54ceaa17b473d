"""A small class-conditional U-Net: the network F of the diffusion model.

Three things make it learn in minutes. The stem folds 2 x 2 pixels into channels, so that the widest layers
work at half the resolution. The network sees each image in that image's own principal colours. And it is
handed how each pixel differs from its surroundings in units of the noise: white noise is almost all detail,
which narrow convolutions learn to carry through last.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.synthetic.colour import around, axes_of, turn, turn_back
from impasto.synthetic.edm import SIGMA_DATA

STRIDE = 8  # image sides must be multiples of this: the fold and two halvings
_FOLD = 2  # side of the pixel block that the stem folds into channels
_PLANES = 3 * _FOLD**2  # channels of a folded image
_WAVES = 32  # sine and cosine pairs that embed the noise level
_WINDOWS = (3, 7)  # sides of the surroundings that a pixel is compared with
_LIMIT = 3.0  # differences above so many standard deviations of the noise are rather edges


class UNet(nn.Module):
    """Residual blocks at 1/2, 1/4 and 1/8 of the resolution, joined by sums.

    Args:
        classes: number of classes; the label ``classes`` stands for a withheld one.
        width: channels at half resolution; the lower levels have twice as many.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        features, double = 4 * width, 2 * width
        self.noise = nn.Linear(2 * _WAVES, features)
        self.label = nn.Embedding(classes + 1, features)
        self.colour = nn.Linear(12, features)
        self.mingle = nn.Linear(features, features)
        self.context = nn.Linear(double, features)
        self.stem = nn.Conv2d((1 + len(_WINDOWS)) * _PLANES, width, 3, padding=1)
        self.high = _blocks(1, width, features)
        self.to_middle = nn.Conv2d(width, double, 3, stride=2, padding=1)
        self.middle = _blocks(2, double, features)
        self.to_low = nn.Conv2d(double, double, 3, stride=2, padding=1)
        self.low = _blocks(2, double, features)
        self.from_low = nn.Conv2d(double, double, 1)
        self.middle_up = _blocks(2, double, features)
        self.from_middle = nn.Conv2d(double, width, 1)
        self.high_up = _blocks(1, width, features)
        self.norm = nn.GroupNorm(1, width)
        self.film = nn.Linear(features, 2 * width)
        self.head = nn.Conv2d(width, _PLANES, 3, padding=1, bias=False)
        self.gate = nn.Linear(features, 3 * len(_WINDOWS))
        self.mean_gate = nn.Linear(features, 1)
        self._initialise()

    def _initialise(self) -> None:
        """Conditions of unit size; what is added to the residual streams and to F starts at 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        nn.init.zeros_(self.head.weight)
        for layer in (self.context, self.gate, self.mean_gate):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, noise: Tensor, label: Tensor) -> Tensor:
        """F of the preconditioned denoiser.

        Args:
            image: the scaled noisy image, float32 [N, 3, H, W], H and W multiples of ``STRIDE``.
            noise: the noise level, float32 [N], ln(sigma) / 4.
            label: int64 [N] in 0 .. classes.

        Returns:
            float32 [N, 3, H, W].
        """
        axes = axes_of(image)
        image = turn(image, axes)
        told = self.noise(waves(noise)) + self.label(label) + self.colour(axes.flat())
        told = self.mingle(functional.silu(told))
        condition = functional.silu(told)
        fine = detail(image, noise)
        gated = self.gate(condition)[:, :, None, None] * fine
        turned = self._body(torch.cat([image, fine], 1), told) + gated.unflatten(1, (len(_WINDOWS), 3)).sum(1)
        return turn_back(turned.float(), axes, self.mean_gate(condition).float())

    def _body(self, planes: Tensor, told: Tensor) -> Tensor:
        """The U itself, [N, 9, H, W] to [N, 3, H, W]; its way up is told what the lowest level sees as a whole."""
        condition = functional.silu(told)
        high = _run(self.high, self.stem(functional.pixel_unshuffle(planes, _FOLD)), condition)
        middle = _run(self.middle, self.to_middle(high), condition)
        low = _run(self.low, self.to_low(middle), condition)
        condition = functional.silu(told + self.context(low.mean((2, 3))))
        middle = _run(self.middle_up, middle + _double(self.from_low(low)), condition)
        high = _run(self.high_up, high + _double(self.from_middle(middle)), condition)
        return functional.pixel_shuffle(self.head(functional.silu(_film(self.norm(high), self.film(condition)))), _FOLD)


class Block(nn.Module):
    """A residual block, modulated between its convolutions; it starts as the identity.

    Args:
        channels: of the input and the output.
        features: length of the condition.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(features, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Map [N, channels, H, W] under the condition [N, features] to the same shape."""
        inner = self.first(functional.silu(self.norm(image)))
        added: Tensor = self.second(functional.silu(_film(inner, self.film(condition))))
        return image + added


def waves(noise: Tensor) -> Tensor:
    """Sines and cosines, float32 [N, 64], of a noise level [N] at frequencies from 1/4 to 32 in geometric steps."""
    frequencies = torch.logspace(-2, 5, _WAVES, base=2.0, device=noise.device)
    angles = noise.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def detail(image: Tensor, noise: Tensor) -> Tensor:
    """How each pixel differs from the mean around it, in standard deviations of the noise, softly limited.

    Args:
        image: the scaled noisy image, float32 [N, 3, H, W].
        noise: float32 [N], ln(sigma) / 4.

    Returns:
        float32 [N, 6, H, W] in (-3, 3): three colours for each of the two windows.
    """
    sigma = torch.exp(4 * noise.float())[:, None, None, None]
    level = sigma * torch.rsqrt(sigma.square() + SIGMA_DATA**2)  # of the noise in the scaled image
    units = torch.cat([(image - around(image, side)) / level for side in _WINDOWS], 1)
    return _LIMIT * torch.tanh(units / _LIMIT)


def _blocks(count: int, channels: int, features: int) -> nn.ModuleList:
    return nn.ModuleList(Block(channels, features) for _ in range(count))


def _run(blocks: nn.ModuleList, image: Tensor, condition: Tensor) -> Tensor:
    for block in blocks:
        image = block(image, condition)
    return image


def _film(image: Tensor, affine: Tensor) -> Tensor:
    """Scale and shift each channel (FiLM, Perez et al. 2018)."""
    scale, shift = affine[:, :, None, None].chunk(2, 1)
    return torch.addcmul(image + shift, image, scale)


def _double(image: Tensor) -> Tensor:
    return functional.interpolate(image, scale_factor=2, mode="nearest")
