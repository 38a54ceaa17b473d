"""The training loss against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.losses import cross_entropy

LOGITS = 3 * torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % 5


def formula(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """-mean_i sum_k q_ik log p_ik, with exp and log written out in double precision."""
    odds = logits.double().exp()
    q = (1 - smoothing) * targets.double() + smoothing / logits.shape[1]
    return -(q * (odds / odds.sum(1, keepdim=True)).log()).sum(1).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_hard_targets_equal_the_formula(smoothing: float) -> None:
    expected = formula(LOGITS, torch.eye(5)[LABELS], smoothing).float()
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS, smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_targets_equal_the_formula(smoothing: float) -> None:
    soft = torch.rand(16, 5, generator=torch.Generator().manual_seed(1))
    soft /= soft.sum(1, keepdim=True)
    torch.testing.assert_close(cross_entropy(LOGITS, soft, smoothing), formula(LOGITS, soft, smoothing).float())


def test_one_hot_targets_equal_class_indices() -> None:
    one_hot = torch.eye(5)[LABELS]
    torch.testing.assert_close(cross_entropy(LOGITS, one_hot, 0.1), cross_entropy(LOGITS, LABELS, 0.1))


def test_smoothing_is_off_by_default_and_uniform_logits_cost_log_k() -> None:
    assert cross_entropy(LOGITS, LABELS) == cross_entropy(LOGITS, LABELS, 0.0)
    assert cross_entropy(torch.zeros(3, 7), LABELS[:3], 0.3).item() == pytest.approx(1.9459101)  # ln 7


def test_half_precision_logits_lose_nothing_after_widening() -> None:
    half = LOGITS.bfloat16()
    loss = cross_entropy(half, LABELS, 0.1)
    assert loss.dtype == torch.float32
    assert loss == cross_entropy(half.float(), LABELS, 0.1)


def test_gradient_is_probability_minus_target() -> None:
    logits = LOGITS.clone().requires_grad_()
    cross_entropy(logits, LABELS, 0.1).backward()
    expected = (LOGITS.softmax(1) - (0.9 * torch.eye(5)[LABELS] + 0.02)) / 16
    torch.testing.assert_close(logits.grad, expected)
