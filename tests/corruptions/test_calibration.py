"""Every corruption of -C at CIFAR constants: as far from the clean image as the benchmark's own functions take it."""

import pytest
import torch
from torch import Tensor

from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.registry import corrupt

# Mean PSNR in dB of the benchmark's own functions at severities 1 to 5, on another 200 CIFAR-10 test images.
# Saturate is left out where it maps grey images to themselves: an infinite PSNR has no mean.
PSNR = {
    "gaussian_noise": (28.10, 24.63, 22.21, 21.21, 20.35),
    "shot_noise": (30.46, 27.51, 23.63, 22.42, 20.72),
    "impulse_noise": (25.28, 22.15, 20.36, 18.10, 16.59),
    "speckle_noise": (30.39, 26.08, 24.55, 22.16, 20.34),
    "defocus_blur": (42.55, 34.86, 31.27, 28.97, 25.91),
    "gaussian_blur": (42.83, 31.42, 29.29, 27.84, 25.83),
    "glass_blur": (21.83, 21.96, 22.71, 18.73, 19.27),
    "motion_blur": (27.60, 24.48, 22.54, 22.64, 21.43),
    "zoom_blur": (25.64, 24.32, 22.88, 21.68, 20.69),
    "snow": (25.86, 19.69, 18.58, 15.92, 13.39),
    "frost": (18.39, 15.05, 14.02, 14.59, 14.96),
    "fog": (25.91, 20.19, 17.96, 16.49, 14.76),
    "brightness": (27.88, 21.72, 18.25, 15.88, 12.75),
    "contrast": (26.19, 20.18, 18.60, 17.26, 15.57),
    "elastic_transform": (18.10, 18.74, 19.64, 20.36, 21.81),
    "pixelate": (32.81, 30.61, 29.25, 27.45, 25.81),
    "jpeg_compression": (39.98, 35.02, 31.65, 28.96, 28.60),
    "spatter": (30.64, 26.21, 22.73, 23.80, 21.49),
    "saturate": (None, None, None, 19.26, 15.83),
}

NULL = {
    "gaussian_noise": 0.009,
    "shot_noise": 0.03,
    "impulse_noise": 0.07,
    "speckle_noise": 0.02,
    "glass_blur": 0.04,
    "spatter": 0.04,
    "motion_blur": 0.24,
    "snow": 0.24,
    "fog": 0.30,
    "frost": 0.45,
    "elastic_transform": 0.48,
}
"""Spread in dB between two runs of the benchmark's functions on the same 200 images; 0 where they draw nothing."""


def tolerance(name: str) -> float:
    """Three null spreads, and what two samples of images differ by: little where the noise does not depend on them."""
    images = 0.03 if name == "gaussian_noise" else 0.15 if name.endswith("noise") else 0.4
    return images + 3 * NULL.get(name, 0)


@pytest.mark.parametrize("name", [name for name in PSNR if name in CATALOGUE])
def test_mean_psnr_is_the_benchmarks(real_images: Tensor, name: str) -> None:
    clean = real_images.double()
    for severity, expected in enumerate(PSNR[name], start=1):
        result = corrupt(real_images, name, severity, seed=0, ids=torch.arange(len(clean)))
        error = (result.double() - clean).square().mean(dim=(1, 2, 3))
        if expected is not None:
            psnr = (10 * torch.log10(255**2 / error)).mean().item()
            assert psnr == pytest.approx(expected, abs=tolerance(name)), f"severity {severity}"
