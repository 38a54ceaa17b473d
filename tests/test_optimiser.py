"""The optimisers against their formulas; what a resumed run needs of them is in test_resuming."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.optimiser import build_optimiser
from tiny import train


def adamw(p: Tensor, gradients: list[Tensor], rate: float, decay: float, beta: float) -> Tensor:
    """Loshchilov and Hutter 2019, algorithm 2, in float64."""
    p, m, v = p.double(), torch.zeros_like(p).double(), torch.zeros_like(p).double()
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.double()
        m, v = beta * m + (1 - beta) * g, 0.999 * v + 0.001 * g**2
        p = p - rate * decay * p - rate * (m / (1 - beta**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return p


def nesterov(p: Tensor, gradients: list[Tensor], rate: float, decay: float, beta: float) -> Tensor:
    """SGD as torch documents it."""
    p, velocity = p.double(), torch.zeros_like(p).double()
    for gradient in gradients:
        g = gradient.double() + decay * p
        velocity = beta * velocity + g
        p = p - rate * (g + beta * velocity)
    return p


def adam(p: Tensor, gradients: list[Tensor], rate: float, decay: float, beta: float) -> Tensor:
    """Kingma and Ba 2015, algorithm 1, on the gradient of the penalised loss, in float64."""
    p, m, v = p.double(), torch.zeros_like(p).double(), torch.zeros_like(p).double()
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.double() + decay * p
        m, v = beta * m + (1 - beta) * g, 0.999 * v + 0.001 * g**2
        p = p - rate * (m / (1 - beta**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return p


@pytest.mark.parametrize(("name", "formula"), [("adamw", adamw), ("adam", adam), ("sgd", nesterov)])
@pytest.mark.parametrize("momentum", [0.9, 0.5, 0.0])
@pytest.mark.parametrize("decay", [0.05, 0.0])
def test_five_steps_equal_the_formulas(name: str, formula: Any, momentum: float, decay: float) -> None:
    draws = torch.Generator().manual_seed(1)
    layer = nn.Linear(4, 3)
    before = deepcopy(layer)
    gradients = {n: [torch.randn(p.shape, generator=draws) for _ in range(5)] for n, p in layer.named_parameters()}
    config = train(optimizer=name, momentum=momentum, weight_decay=decay, learning_rate=0.01)
    optimiser = build_optimiser(layer, config)
    for step in range(5):
        for n, p in layer.named_parameters():
            p.grad = gradients[n][step]
        optimiser.step()
    for n, p in before.named_parameters():
        wanted = formula(p.detach(), gradients[n], 0.01, decay, momentum)
        torch.testing.assert_close(layer.get_parameter(n).detach().double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_weight_decay_changes_the_weights(name: str) -> None:
    """It is not enough that the parameter exists: it must reach the optimiser. (Adam's first step is a sign alone.)"""
    after = []
    for decay in (0.0, 0.1):
        torch.manual_seed(0)
        layer = nn.Linear(4, 3)
        optimiser = build_optimiser(layer, train(optimizer=name, weight_decay=decay, learning_rate=0.01))
        for step in range(2 if name == "adam" else 1):
            optimiser.zero_grad()
            layer((step + 1) * torch.ones(1, 4)).sum().backward()
            optimiser.step()
        after.append(layer.weight.detach())
    assert not torch.equal(*after)
