"""The diffusion model of Karras et al. 2022 (EDM), as pure functions of their draws.

Images here are floats in [-1, 1]; noise levels sigma are standard deviations on that scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

SIGMA_DATA = 0.5  # standard deviation of the data that the preconditioning assumes (EDM, table 1)
SIGMA_MAX = 80.0  # where sampling starts (EDM, table 1)
RHO = 7.0  # how far the sampler's steps lean towards low noise (EDM, table 1)

Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # (scaled image, c_noise, label) -> F
Denoiser = Callable[[Tensor, Tensor], Tensor]  # (noisy image, sigma of each image) -> clean image


class Scales(NamedTuple):
    """The preconditioning of EDM's table 1, each [N, 1, 1, 1]: D(x) = skip x + out F(input x, noise)."""

    skip: Tensor
    out: Tensor
    input: Tensor
    noise: Tensor


class Draws(NamedTuple):
    """What one training step draws: sigma [N], noise [N, 3, H, W], dropped bool [N]."""

    sigma: Tensor
    noise: Tensor
    dropped: Tensor


def scales(sigma: Tensor) -> Scales:
    """The preconditioning for noise levels sigma [N]."""
    sigma = sigma.float()[:, None, None, None]
    total = sigma.square() + SIGMA_DATA**2
    return Scales(SIGMA_DATA**2 / total, sigma * SIGMA_DATA * total.rsqrt(), total.rsqrt(), sigma.log() / 4)


def denoise(network: Network, noisy: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
    """The preconditioned denoiser D of EDM's equation 7."""
    scale = scales(sigma)
    inner = network(scale.input * noisy, scale.noise.flatten(), label)
    return scale.skip * noisy + scale.out * inner.float()


P_MEAN, P_STD = -1.2, 1.2

def draw(generator: torch.Generator, shape: tuple[int, ...], label_drop: float) -> Draws:
    """Draw noise levels (log-normal), noise and dropped labels for a batch of this shape, on the CPU."""
    sigma = (torch.randn(shape[0], generator=generator) * P_STD + P_MEAN).exp()
    dropped = torch.rand(shape[0], generator=generator) < label_drop
    return Draws(sigma, torch.randn(shape, generator=generator), dropped)


def loss(network: Network, image: Tensor, label: Tensor, null: int, draws: Draws) -> Tensor:
    """The mean weighted denoising error of EDM's equation 8; the weight makes every sigma count alike.

    Args:
        network: F.
        image: float [N, 3, H, W] in [-1, 1].
        label: int64 [N].
        null: the label that stands for "no label".
        draws: on the device of the images.
    """
    label = torch.where(draws.dropped, null, label)
    clean = denoise(network, image + draws.sigma[:, None, None, None] * draws.noise, draws.sigma, label)
    weight = scales(draws.sigma).out.square().reciprocal()
    return (weight * (clean - image).square()).mean()


def schedule(steps: int, sigma_min: float) -> Tensor:
    """The noise levels [steps + 1] of EDM's equation 5, from SIGMA_MAX to sigma_min and then 0."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / RHO), SIGMA_MAX ** (1 / RHO)
    return torch.cat([(high + ramp * (low - high)) ** RHO, torch.zeros(1, dtype=torch.float64)]).float()


def guided(network: Network, label: Tensor, null: int, guidance: float) -> Denoiser:
    """A denoiser for given labels that leans away from the unconditional one (Ho & Salimans 2022).

    D = D(label) + guidance (D(label) - D(null)); at guidance 0 this is the conditional denoiser.
    """

    def conditional(noisy: Tensor, sigma: Tensor) -> Tensor:
        return denoise(network, noisy, sigma, label)

    def leaning(noisy: Tensor, sigma: Tensor) -> Tensor:
        both = torch.cat([label, torch.full_like(label, null)])
        clean, plain = denoise(network, noisy.repeat(2, 1, 1, 1), sigma.repeat(2), both).chunk(2)
        return clean + guidance * (clean - plain)

    return leaning if guidance else conditional


def heun(denoiser: Denoiser, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Integrate the probability-flow ODE with Heun's rule (EDM, algorithm 1).

    Args:
        denoiser: D.
        noise: standard normal [N, 3, H, W].
        sigmas: falling noise levels that end in 0.
    """
    image = noise * sigmas[0]
    for now, then in zip(sigmas[:-1], sigmas[1:], strict=True):
        slope = (image - denoiser(image, now.expand(len(image)))) / now
        ahead = image + (then - now) * slope
        if then > 0:
            slope = (slope + (ahead - denoiser(ahead, then.expand(len(image)))) / then) / 2
            ahead = image + (then - now) * slope
        image = ahead
    return image
