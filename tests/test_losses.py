"""The training losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from torch import Tensor

from impasto.criterion import Criterion
from impasto.losses import cross_entropy, jensen_shannon
from tiny import CPU, train

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


def three_views(spread: float = 3.0, n: int = 16) -> Tensor:
    return spread * torch.randn(3, n, 5, generator=torch.Generator().manual_seed(2)).flatten(0, 1)


@pytest.mark.parametrize("spread", [0.1, 3.0, 12.0])
def test_jensen_shannon_is_the_mean_relative_entropy_to_the_mean(spread: float) -> None:
    logits = three_views(spread)
    odds = np.exp(logits.unflatten(0, (3, -1)).double().numpy())
    p = odds / odds.sum(2, keepdims=True)
    wanted = rel_entr(p, np.clip(p.mean(0), 1e-7, 1)).sum(2).mean()
    assert jensen_shannon(logits).item() == pytest.approx(wanted, rel=2e-5, abs=1e-7)


@pytest.mark.parametrize("count", [2, 3])
def test_jensen_shannon_of_equal_views_is_zero_and_of_certain_contradictions_log_v(count: int) -> None:
    assert jensen_shannon(LOGITS.repeat(count, 1), count).abs() < 1e-6
    certain = 200 * torch.eye(5)[:count]
    assert jensen_shannon(certain, count).item() == pytest.approx(np.log(count), rel=1e-5)


def test_the_mixture_is_clamped() -> None:
    logits = torch.tensor([[0.0, -20.0], [0.0, -20.0]])  # 2e-9 in both: equal views, but below the clamp
    p = logits[0].double().softmax(0).numpy()
    wanted = rel_entr(p, np.clip(p, 1e-7, 1)).sum()
    assert wanted < -7e-9
    assert jensen_shannon(logits, 2).item() == pytest.approx(wanted, abs=1e-10)


def test_jensen_shannon_has_no_order_of_views_and_a_finite_gradient_for_certain_ones() -> None:
    logits = three_views()
    turned = logits.unflatten(0, (3, -1)).flip(0).flatten(0, 1)
    torch.testing.assert_close(jensen_shannon(turned), jensen_shannon(logits))
    certain = (1e4 * three_views()).requires_grad_()
    jensen_shannon(certain).backward()
    assert certain.grad is not None and certain.grad.isfinite().all()


def test_the_clean_view_alone_meets_the_labels() -> None:
    logits = three_views()
    wanted = cross_entropy(logits[:16], LABELS, 0.1) + 5.0 * jensen_shannon(logits)
    torch.testing.assert_close(Criterion(train(consistency=5.0), LABELS, CPU)(logits, LABELS, 3), wanted)
    soft = 0.5 * (torch.eye(5)[LABELS] + torch.eye(5)[LABELS.flip(0)])
    wanted = cross_entropy(logits[:16], soft, 0.1) + 12 * jensen_shannon(logits)
    torch.testing.assert_close(Criterion(train(consistency=12.0), LABELS, CPU)(logits, soft, 3), wanted)


def test_half_precision_views_are_widened() -> None:
    half = three_views().bfloat16()
    assert jensen_shannon(half).dtype == torch.float32 and jensen_shannon(half) == jensen_shannon(half.float())


@pytest.mark.parametrize(("rows", "count"), [(16, 3), (15, 2), (4, 1)])
def test_rows_that_are_not_whole_views_are_refused(rows: int, count: int) -> None:
    with pytest.raises(ValueError, match="views"):
        jensen_shannon(torch.zeros(rows, 5), count)
