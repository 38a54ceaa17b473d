"""Noise of -C-bar with a given amplitude spectrum and random phases: blue (as a mask) and brownish (added).

Mintun, Kirillov and Xie, "On Interaction Between Augmentations and Corruptions in Natural Corruption Robustness",
NeurIPS 2021. Amplitudes depend on the distance r to the middle of the spectrum. Phases are drawn for one half of it,
and the other half repeats them point-mirrored without a change of sign, so the spectrum is not Hermitian; the noise
is the real part of its inverse transform, divided by its standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from impasto.corruptions.catalogue import corruption
from impasto.corruptions.cbar.levels import add_noise, mean_side
from impasto.corruptions.counter_rng import CounterRng

_ANGLE_BITS = 12
_SPECTRA: dict[str, Callable[[Tensor], Tensor]] = {
    "blue": lambda square: square.sqrt(),
    "brownish": lambda square: 1 / (square + 1),
}
"""Amplitude by the square of r."""


def draw_phases(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Unit numbers exp(i phase), complex128 [B, 1, H W // 2], for the left half of the spectrum column by column."""
    return _unit_numbers(rng, 1, size)


def draw_phases_of_channels(rng: CounterRng, size: tuple[int, int], parameters: tuple[float, ...]) -> Tensor:
    """Unit numbers exp(i phase), complex128 [B, 3, H W // 2], for the left half of each channel's spectrum."""
    return _unit_numbers(rng, 3, size)


@corruption(draw=draw_phases)
def blue_noise_sample(images: Tensor, phases: Tensor, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Blacken the pixels where blue noise (amplitude r) is at most .3 severity - 2.5."""
    noise = _noise(phases, "blue", images.shape[2:], dtype)
    threshold = (severity * 3 / 10 - 2.5) * _std(noise)
    return images * (noise > threshold).to(torch.uint8)


@corruption(draw=draw_phases_of_channels)
def brownish_noise(images: Tensor, phases: Tensor, severity: float, *, dtype: torch.dtype) -> Tensor:
    """Add noise of amplitude 1 / (r**2 + 1) with a standard deviation of 6.4 severity grey levels, per channel."""
    noise = _noise(phases, "brownish", images.shape[2:], dtype)
    return add_noise(images, noise.mul_(severity * 64 / 10 / _std(noise)))


def _unit_numbers(rng: CounterRng, channels: int, size: tuple[int, int]) -> Tensor:
    half = size[0] * size[1] // 2
    angles = rng.halves(channels * half).bitwise_right_shift(16 - _ANGLE_BITS)
    return _circle(rng.ids.device).index_select(0, angles.view(-1)).view(-1, channels, half)


@lru_cache(maxsize=4)
def _circle(device: torch.device) -> Tensor:
    """Points on the unit circle, complex128 [2**12]."""
    angle = (torch.arange(2**_ANGLE_BITS, dtype=torch.float64) + 0.5) * (2 * math.pi / 2**_ANGLE_BITS)
    return torch.polar(torch.ones_like(angle), angle).to(device)


def _noise(phases: Tensor, spectrum: str, size: torch.Size, dtype: torch.dtype) -> Tensor:
    """Unscaled noise [B, C, H, W]: the real transform of the Hermitian part (F(k) + conj F(-k)) of the spectrum F."""
    height, width = size
    places, opposite, here, there = _half_spectrum(spectrum, height, width, phases.device)
    numbers = phases.to(torch.complex128 if dtype == torch.float64 else torch.complex64)
    if height * width % 2:
        numbers = torch.cat((numbers, torch.ones_like(numbers[..., :1])), dim=-1)
    # Looked up in the flattened batch: far quicker than along the last of several axes.
    start = torch.arange(numbers[..., 0].numel(), device=phases.device)[:, None] * numbers.shape[-1]
    mine, others = (numbers.view(-1).index_select(0, (each + start).view(-1)) for each in (places, opposite))
    hermitian = mine.view(len(start), -1).mul_(here.to(numbers.dtype))
    hermitian += others.conj_physical_().view(len(start), -1).mul_(there.to(numbers.dtype))
    noise: Tensor = torch.fft.irfft2(hermitian.view(*phases.shape[:2], width, height // 2 + 1), s=(width, height))
    return noise.transpose(-1, -2)


@lru_cache(maxsize=8)
def _half_spectrum(spectrum: str, height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
    """For each bin of the half spectrum [width, height // 2 + 1]: which phases F(k) and F(-k) use, and amplitudes.

    The spectrum is laid out with its middle in the middle, column by column, so that the point-mirrored copy of the
    left half is the flipped sequence; then it is rolled by half a side. In an image that is not square r is measured
    in cycles per pixel, times the mean side.
    """
    side = mean_side((height, width))
    x, y = (torch.arange(n, dtype=torch.float64).sub_(n / 2).mul_(side / n) for n in (width, height))
    amplitude = _SPECTRA[spectrum](x[:, None] ** 2 + y**2)
    sequence = torch.arange(height * width)
    phase = torch.minimum(sequence, sequence.flip(0)).view(width, height)
    bins = torch.arange(width)[:, None], torch.arange(height // 2 + 1)
    here = tuple((k - n // 2) % n for k, n in zip(bins, (width, height), strict=True))
    there = tuple((-k - n // 2) % n for k, n in zip(bins, (width, height), strict=True))
    tables = phase[here], phase[there], amplitude[here], amplitude[there]
    return tuple(table.reshape(-1).to(device) for table in tables)


def _std(noise: Tensor) -> Tensor:
    """Standard deviation of each channel, [B, C, 1, 1]."""
    centred = noise - noise.mean(dim=(2, 3), keepdim=True)
    return centred.square_().mean(dim=(2, 3), keepdim=True).sqrt_()
