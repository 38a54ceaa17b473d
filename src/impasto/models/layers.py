"""Layers that several networks share: nonlinearities by name and the pooled linear head."""

from __future__ import annotations

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}
"""Values of ``model.activation``."""

POOLED = 3
"""How many layers :func:`pooled` has."""


def pooled(inputs: int, classes: int) -> list[nn.Module]:
    """The mean over places and a linear layer: (N, inputs, H, W) to logits (N, classes)."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
