"""The maps that say where a classifier looks: attention of each tap, where it has any, and Grad-CAM."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from impasto.data.images import to_unit
from impasto.models.grad_cam import grad_cam
from impasto.models.tapped import Tapped

GRAD_CAM = "grad_cam"
Maps = dict[str, np.ndarray]
"""Name -> float32 [N, h, w], at least 0; ``attention_STRIDE`` from the first tap to the last, then ``GRAD_CAM``."""


def look(model: nn.Module, pixels: Tensor, classes: Tensor, batch: int = 64) -> Maps:
    """The maps of images.

    Attention is given as multiples of the mean over positions, 1 wherever all positions count alike; gates as they
    are, in [0, 1]. Grad-CAM has no scale of its own.

    Args:
        model: built by :func:`impasto.models.registry.build`, in evaluation mode.
        pixels: uint8 [N, 3, H, W], on the model's device.
        classes: int64 [N], on the same device: the classes whose evidence Grad-CAM shows. Attention knows no classes.
        batch: images at a time.

    Returns:
        Maps of the size that the network has them in. Without an attention head Grad-CAM alone, and nothing for a
        network that has neither.
    """
    parts = [_look(model, to_unit(x), y) for x, y in zip(pixels.split(batch), classes.split(batch), strict=True)]
    return {name: np.concatenate([part[name].cpu().numpy() for part in parts]) for name in parts[0]}


def _look(model: nn.Module, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    if isinstance(model, Tapped):
        with torch.no_grad():
            weights = model.attention(images)
        found = {f"attention_{stride}": one.float() * one[0].numel() for stride, one in weights.items()}
    gradient = grad_cam(model, images, classes)
    return found if gradient is None else found | {GRAD_CAM: gradient}
