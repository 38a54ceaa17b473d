"""Fitting the generator to the training images."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.checkpoint import Resume
from impasto.config.synthetic import Generator as Settings
from impasto.errors import ImpastoError
from impasto.precision import autocast, unscaled
from impasto.progress import track
from impasto.rng import generator, key
from impasto.synthetic import edm
from impasto.synthetic.unet import STRIDE, UNet

_WARM_UP = 100  # steps over which the learning rate rises
_MEMORY = 6.94  # exponent of the weight average: its length is about a tenth of the steps so far


class Fitted(NamedTuple):
    """A fitted network, its weights averaged, in eval mode, and its loss per step: float32 [iterations]."""

    network: UNet
    losses: Tensor


class Step(NamedTuple):
    """What is random about one step: rows of the training images, int64 [B], and the diffusion draws."""

    rows: Tensor
    draws: edm.Draws


def draw(images: Tensor, settings: Settings, source: torch.Generator) -> Step:
    """Draw one step for the training images [N, 3, H, W], on the CPU."""
    rows = torch.randint(len(images), (settings.batch,), generator=source)
    shape = (settings.batch, 3, images.shape[2], images.shape[3])
    return Step(rows, edm.draw(shape, settings.label_drop, source))


def fit_generator(
    images: Tensor, labels: Tensor, classes: int, settings: Settings, seed: int, resume: Resume
) -> Fitted:
    """Fit a U-Net with AdamW and average its weights.

    Step ``i`` draws from a generator keyed by (seed, i), so a resumed fit equals an uninterrupted one bit for bit.
    The resume point is left in place: clear it once the samples are written.

    Args:
        images: training images, uint8 [N, 3, H, W]; the network lives on their device.
        labels: int64 [N], on the same device.
        classes: number of classes.
        settings: width, iterations, batch, learning rate and label drop.
        seed: of the initial weights and of all draws.
        resume: where the state of an unfinished fit lives.

    Raises:
        ImpastoError: the sides of the images are no multiples of 8.
    """
    _check_sides(images)
    network = build(classes, settings.width, seed, images.device)
    average = deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), fused=True)
    losses, start = torch.zeros(settings.iterations, device=images.device), 0
    if state := resume.load():
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        losses, start = state["losses"].to(images.device), int(state["step"])
    for step in track(settings.iterations, "fit generator", start=start):
        optimiser.param_groups[0]["lr"] = learning_rate(step, settings)
        drawn = draw(images, settings, generator(seed, "generator", step))
        losses[step] = _descend(network, optimiser, images, labels, drawn)
        _average(average, network, step)
        if resume.due() or step + 1 == settings.iterations:
            nets = {"network": network.state_dict(), "average": average.state_dict()}
            resume.save(nets | {"optimiser": optimiser.state_dict(), "losses": losses, "step": step + 1})
    return Fitted(average.eval().requires_grad_(False), losses.cpu())


def build(classes: int, width: int, seed: int, device: torch.device) -> UNet:
    """A U-Net whose initial weights depend on the arguments alone; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "generator weights"))
        network = UNet(classes, width)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def learning_rate(step: int, settings: Settings) -> float:
    """Up linearly over the first steps, times a cosine that ends in 0."""
    cosine = (1 + math.cos(math.pi * step / settings.iterations)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / _WARM_UP) * cosine


def to_signal(images: Tensor) -> Tensor:
    """uint8 [N, 3, H, W] to float32 in [-1, 1], in the memory format in which convolutions run fastest."""
    return images.to(dtype=torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def _descend(network: UNet, optimiser: torch.optim.Optimizer, images: Tensor, labels: Tensor, step: Step) -> Tensor:
    rows, draws = step.rows.to(images.device), step.draws.to(images.device)
    with autocast(unscaled(images.device), images.device):
        loss = edm.loss(network, to_signal(images[rows]), labels[rows], network.classes, draws)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.detach()


@torch.no_grad()
def _average(average: UNet, network: UNet, step: int) -> None:
    """Let the weights after ``step`` enter a power-function average (Karras et al. 2024, section 3.1)."""
    kept = (1 - 1 / (step + 1)) ** (_MEMORY + 1)
    for mean, current in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(current, 1 - kept)


def _check_sides(images: Tensor) -> None:
    height, width = images.shape[2:]
    if height % STRIDE or width % STRIDE:
        raise ImpastoError(
            f"the generator cannot make images of {height} x {width} px",
            where="dataset.size",
            remedy=f"Choose a multiple of {STRIDE}, or another synthetic.source.",
        )
