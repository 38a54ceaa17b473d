"""Which maps a network has, and their scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.data.images import to_unit
from impasto.explain.maps import look
from impasto.models.grad_cam import grad_cam
from impasto.models.tapped import Tapped
from tiny import model

HEAD: dict[str, Any] = {"taps": [2, 8], "head_dropout": 0.1}


def images(n: int = 5) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, 3, 32, 32), generator=draws, dtype=torch.uint8), torch.arange(n) % 4


def test_attention_of_each_tap_and_grad_cam() -> None:
    made = model(attention="dot", **HEAD).eval()
    assert isinstance(made, Tapped)
    pixels, classes = images()
    found = look(made, pixels, classes, batch=2)
    assert {name: values.shape for name, values in found.items()} == {
        "attention_2": (5, 16, 16), "attention_8": (5, 4, 4), "grad_cam": (5, 4, 4)
    }  # fmt: skip
    weights = made.attention(to_unit(pixels))
    for stride, one in weights.items():
        values = found[f"attention_{stride}"]
        np.testing.assert_allclose(values.mean((1, 2)), 1, rtol=1e-5)
        np.testing.assert_allclose(values, one.detach() * one[0].numel(), rtol=1e-4)
    wanted = grad_cam(made, to_unit(pixels), classes)
    assert wanted is not None
    np.testing.assert_allclose(found["grad_cam"], wanted, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("estimator", ["gap", "sigmoid"])
def test_a_mean_is_one_everywhere_and_gates_are_gates(estimator: str) -> None:
    found = look(model(attention=estimator, **HEAD).eval(), *images())["attention_2"]
    if estimator == "gap":
        np.testing.assert_allclose(found, 1, rtol=1e-6)
    else:
        assert 0 < found.min() < found.max() < 1


def test_without_an_attention_head_grad_cam_alone_and_of_some_networks_nothing() -> None:
    assert list(look(model().eval(), *images())) == ["grad_cam"]
    assert look(model(name="timm", timm="test_vit").eval(), *images())["grad_cam"].shape == (5, 10, 10)
    assert look(model(name="timm", timm="test_vit_relpos").eval(), *images()) == {}
