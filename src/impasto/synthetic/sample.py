"""Sampling the pool in chunks, each a function of its number, so that an interrupted run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.config.synthetic import Generator as Settings
from impasto.io import read_npy, write_npy
from impasto.precision import autocast, unscaled
from impasto.progress import track
from impasto.rng import generator
from impasto.synthetic import edm
from impasto.synthetic.clean import clean
from impasto.synthetic.unet import UNet

CHUNK = 250


def sample_pool(
    network: UNet, labels: np.ndarray, size: int, settings: Settings, seed: int, folder: Path
) -> np.ndarray:
    """Sample one image per label.

    Args:
        network: fitted, in eval mode.
        labels: int64 [P]; chunk ``i`` holds images 250 i to 250 i + 249.
        size: side of the images, px, a multiple of 8.
        settings: guidance, sampler steps and tolerance of the cleaning.
        seed: of the noise; chunk ``i`` draws from a generator keyed by (seed, i).
        folder: keeps finished chunks, which are not sampled again; it must belong to this network, these labels
            and these settings alone. It is left in place: remove it once the pool is written.

    Returns:
        uint8 [P, 3, size, size].
    """
    starts = range(0, len(labels), CHUNK)
    files = [folder / f"chunk-{number:06d}.npy" for number in range(len(starts))]
    for number in track(len(files), "sample pool", f"x{CHUNK} images"):
        if not files[number].exists():
            wanted = torch.from_numpy(labels[starts[number] : starts[number] + CHUNK])
            noise = torch.randn(len(wanted), 3, size, size, generator=generator(seed, "samples", number))
            write_npy(files[number], sample(network, wanted, noise, settings).cpu().numpy())
    return np.concatenate([read_npy(file) for file in files])


@torch.inference_mode()
def sample(network: UNet, labels: Tensor, noise: Tensor, settings: Settings) -> Tensor:
    """Turn noise into cleaned images.

    Args:
        network: fitted, in eval mode.
        labels: int64 [N].
        noise: standard normal, float32 [N, 3, H, W].
        settings: guidance, sampler steps and tolerance of the cleaning.

    Returns:
        uint8 [N, 3, H, W] on the network's device.
    """
    device = next(network.parameters()).device
    denoiser = edm.guided(network, labels.to(device), network.classes, settings.guidance)
    noise = noise.to(device, memory_format=torch.channels_last)
    with autocast(unscaled(device), device):
        images = edm.heun(denoiser, noise, edm.schedule(settings.sampler_steps).to(device))
    return clean(to_pixels(images), settings.clean_tolerance)


def to_pixels(signal: Tensor) -> Tensor:
    """float32 [N, 3, H, W] about [-1, 1] to uint8, rounded and clipped."""
    return signal.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).contiguous()
