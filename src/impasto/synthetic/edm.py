"""The diffusion model of Karras et al. 2022 ("EDM"), as pure functions of their draws.

Images here are floats in [-1, 1]; a noise level sigma is a standard deviation on that scale.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

SIGMA_DATA = 0.5  # standard deviation of the images that the preconditioning assumes (table 1)
# Mean and standard deviation of ln sigma in training. The paper has -1.2 and 1.2 (table 1). Below a sigma of 0.02
# there is nothing to learn from 8 bits, and what an image shows and in which colours is decided above 0.5.
LOG_MEAN, LOG_STD = 0.0, 1.2
SIGMA_MAX = 80.0  # where sampling starts (table 1)
SIGMA_MIN = 0.02  # the last step goes from here to the denoised image; 2.5 grey levels (the paper: 0.002)
GUIDED = (0.3, 20.0)  # noise levels at which guidance acts: outside of them labels say next to nothing
RHO = 7.0  # how far the sampler's steps gather at low noise (table 1)

Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (scaled image, c_noise [N], label [N]) -> F
Denoiser = Callable[[Tensor, Tensor], Tensor]  # (noisy image, sigma [N]) -> expected clean image


class Scales(NamedTuple):
    """The preconditioning of table 1 for N noise levels: D(x) = skip x + out F(input x, noise).

    Attributes:
        skip: float32 [N, 1, 1, 1].
        out: float32 [N, 1, 1, 1].
        input: float32 [N, 1, 1, 1].
        noise: float32 [N], ln(sigma) / 4.
    """

    skip: Tensor
    out: Tensor
    input: Tensor
    noise: Tensor


class Draws(NamedTuple):
    """What is random about one training step of N images.

    Attributes:
        sigma: float32 [N], noise levels.
        noise: float32 [N, 3, H, W], standard normal.
        dropped: bool [N], whose label is withheld.
    """

    sigma: Tensor
    noise: Tensor
    dropped: Tensor

    def to(self, device: torch.device) -> Draws:
        """The same draws on another device."""
        return Draws(*(part.to(device, non_blocking=True) for part in self))


def draw(shape: tuple[int, int, int, int], label_drop: float, source: torch.Generator) -> Draws:
    """Draw log-normal noise levels, noise and withheld labels for a batch of this shape, on the CPU."""
    return Draws(
        sigma=(torch.randn(shape[0], generator=source) * LOG_STD + LOG_MEAN).exp(),
        noise=torch.randn(shape, generator=source),
        dropped=torch.rand(shape[0], generator=source) < label_drop,
    )


def scales(sigma: Tensor) -> Scales:
    """The preconditioning for the noise levels ``sigma`` [N]."""
    level = sigma.float()[:, None, None, None]
    total = level.square() + SIGMA_DATA**2
    return Scales(SIGMA_DATA**2 / total, level * SIGMA_DATA * total.rsqrt(), total.rsqrt(), sigma.float().log() / 4)


def denoise(network: Network, noisy: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
    """The denoiser D of equation 7: float32 [N, 3, H, W].

    Args:
        network: F.
        noisy: float32 [N, 3, H, W].
        sigma: float32 [N].
        label: int64 [N].
    """
    scale = scales(sigma)
    return scale.skip * noisy + scale.out * network(scale.input * noisy, scale.noise, label).float()


def loss(network: Network, image: Tensor, label: Tensor, null: int, draws: Draws) -> Tensor:
    """The mean weighted error of equation 8, whose weight 1 / out^2 makes all noise levels count alike.

    Args:
        network: F.
        image: float32 [N, 3, H, W] in [-1, 1].
        label: int64 [N].
        null: the label that stands for a withheld one.
        draws: on the device of the images.
    """
    given = torch.where(draws.dropped, null, label)
    noisy = image + draws.sigma[:, None, None, None] * draws.noise
    error = denoise(network, noisy, draws.sigma, given) - image
    return (error / scales(draws.sigma).out).square().mean()


def schedule(steps: int) -> Tensor:
    """The noise levels of equation 5, float32 [steps + 1], from ``SIGMA_MAX`` to ``SIGMA_MIN`` and then 0."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return torch.cat([(high + ramp * (low - high)) ** RHO, torch.zeros(1, dtype=torch.float64)]).float()


def guided(network: Network, label: Tensor, null: int, guidance: float) -> Denoiser:
    """A denoiser for given labels that leans away from the unlabelled one (Ho and Salimans 2022).

    It is D(label) + guidance (D(label) - D(null)) at the noise levels ``GUIDED`` (an interval, as Kynkäänniemi et
    al. 2024 advise; all images must be at one level), elsewhere and at guidance 0 the conditional denoiser alone.
    """

    def leaning(noisy: Tensor, sigma: Tensor) -> Tensor:
        if not (guidance and GUIDED[0] <= float(sigma[0]) <= GUIDED[1]):
            return denoise(network, noisy, sigma, label)
        labels = torch.cat([label, torch.full_like(label, null)])
        clean, plain = denoise(network, torch.cat([noisy, noisy]), torch.cat([sigma, sigma]), labels).chunk(2)
        return clean + guidance * (clean - plain)

    return leaning


def heun(denoiser: Denoiser, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Follow the probability-flow equation with Heun's second-order rule (algorithm 1, without churn).

    Args:
        denoiser: D.
        noise: standard normal, float32 [N, 3, H, W].
        sigmas: falling noise levels on the device of the noise, the last of them 0.

    Returns:
        Images, float32 [N, 3, H, W], about [-1, 1].
    """

    def slope(image: Tensor, sigma: Tensor) -> Tensor:
        return (image - denoiser(image, sigma.expand(len(image)))) / sigma

    image = noise * sigmas[0]
    for now, then in pairwise(sigmas[:-1]):
        first = slope(image, now)
        second = slope(image + (then - now) * first, then)
        image = image + (then - now) * (first + second) / 2
    return image - sigmas[-2] * slope(image, sigmas[-2])
