"""The scorer: a small classifier of real images that says how plainly a synthetic image shows its class.

After the selection of Wang et al. 2023 as told in Siedel et al. (section 3): a classifier fitted on real images
keeps, of each class, the synthetic images that it is surest of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.augment import geometry
from impasto.config.model import Model
from impasto.data.images import to_unit
from impasto.models.registry import build
from impasto.precision import autocast, unscaled
from impasto.progress import track
from impasto.rng import generator


class Seen(NamedTuple):
    """What the scorer makes of N images."""

    probabilities: Tensor
    """float32 [N, C], of each class."""
    features: Tensor
    """float32 [N, D], of unit length: the last layer's inputs, in which images lie near that look alike to it."""


Scorer = Callable[[Tensor], Seen]  # of uint8 [N, 3, H, W]

_NETWORK = Model(
    name="wrn", depth=10, width=1, stem_stride=2, stage_stride=1, dropout=0.0, activation="relu", head_momentum=0.1,
    timm=None, weights=None, normalise=True, attention=None, taps=None, projection=None, head_dropout=None,
)  # fmt: skip
_BATCH, _RATE, _PADDING = 128, 0.1, 2
_STEPS, _EPOCHS = 300, 10  # whichever is longer
_MOST = 600  # but no more: half a minute of two cores at 32 px, for CIFAR one and a half epochs


def fit_scorer(images: Tensor, labels: Tensor, classes: int, seed: int) -> Scorer:
    """Fit a WRN-10-1 to the training images, 15 to 40 seconds of one core at 32 px, however many there are.

    Args:
        images: uint8 [N, 3, H, W]; the scorer lives on their device and takes images there.
        labels: int64 [N], on the same device.
        classes: number of classes C.
        seed: of the initial weights, the batches and the crops.

    Returns:
        A function from uint8 [M, 3, H, W] to :class:`Seen`, with softmax probabilities and 64 features.
    """
    device = images.device
    mean, std = _moments(images)
    model = build(_NETWORK, classes, mean, std, seed).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(model.parameters(), lr=_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = steps_for(len(images))
    for step in track(steps, "fit scorer"):
        optimiser.param_groups[0]["lr"] = _RATE * min(1, (step + 1) / 40) * (1 + math.cos(math.pi * step / steps)) / 2
        source = generator(seed, "scorer", step)
        rows = torch.randint(len(images), (_BATCH,), generator=source).to(device)
        crops = geometry.draw(_BATCH, padding=_PADDING, flip=0.0, generator=source)
        with autocast(unscaled(device), device):
            logits = model(to_unit(geometry.apply(images[rows], crops)))
        optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(logits.float(), labels[rows], label_smoothing=0.1).backward()
        optimiser.step()
    model.eval().requires_grad_(False)

    *trunk, head = model.children()
    assert isinstance(head, nn.Sequential)
    body, last = nn.Sequential(*trunk, *head[:-1]), head[-1]

    @torch.inference_mode()
    def look(batch: Tensor) -> Seen:
        with autocast(unscaled(device), device):
            pooled = body(to_unit(batch))
            logits: Tensor = last(pooled)
        return Seen(logits.float().softmax(1), functional.normalize(pooled.float()))

    return look


def steps_for(images: int) -> int:
    """Steps of the fit to so many images: ten epochs, but at least 300 steps and at most 600."""
    return min(max(_STEPS, _EPOCHS * images // _BATCH), _MOST)


def _moments(images: Tensor, sample: int = 10_000) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in [0, 1], of the first images."""
    values = images[:sample].float().div(255)
    return values.mean((0, 2, 3)).tolist(), values.std((0, 2, 3)).clamp_min(1e-3).tolist()
