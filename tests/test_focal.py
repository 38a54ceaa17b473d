"""The focal loss and class weights against formulas written out, and the criterion that the parameters make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.criterion import Criterion
from impasto.errors import ImpastoError
from impasto.focal import effective_number, focal
from impasto.losses import cross_entropy, jensen_shannon
from tiny import CPU, train

K = 5
LOGITS = 3 * torch.randn(16, K, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % K
FACTORS = [0.5, 1.0, 2.0, 3.0, 0.25]


def by_hand(logits: Tensor, hot: np.ndarray, smoothing: float, gamma: float, factors: list[float]) -> float:
    """Image by image and class by class, in double precision."""
    total = 0.0
    for z, t in zip(logits.double().numpy(), hot, strict=True):
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        for k in range(K):
            q = (1 - smoothing) * t[k] + smoothing / K
            total -= q * factors[k] * (1 - p[k]) ** gamma * np.log(p[k])
    return total / len(logits)


def soft() -> Tensor:
    mixed = torch.rand(16, K, generator=torch.Generator().manual_seed(1))
    return mixed / mixed.sum(1, keepdim=True)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("factors", [[1.0] * K, FACTORS])
@pytest.mark.parametrize("mixed", [False, True], ids=["hard", "soft"])
def test_it_equals_the_formula(gamma: float, smoothing: float, factors: list[float], mixed: bool) -> None:
    targets, hot = (soft(), soft().numpy()) if mixed else (LABELS, np.eye(K)[LABELS])
    found = focal(LOGITS, targets, smoothing, gamma=gamma, weights=torch.tensor(factors))
    assert found.item() == pytest.approx(by_hand(LOGITS, hot, smoothing, gamma, factors), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [LABELS, soft()], ids=["hard", "soft"])
def test_gamma_0_and_factor_1_is_cross_entropy_bit_for_bit(smoothing: float, targets: Tensor) -> None:
    losses = []
    for config in (
        train(label_smoothing=smoothing),
        train(label_smoothing=smoothing, loss="focal", gamma=0.0, alpha=1.0),
    ):
        logits = LOGITS.clone().requires_grad_()
        loss = Criterion(config, LABELS, CPU)(logits, targets)
        loss.backward()
        losses.append((loss.detach(), logits.grad))
    wanted = cross_entropy(LOGITS, targets, smoothing)
    assert torch.equal(losses[0][0], wanted) and torch.equal(losses[1][0], wanted)
    assert losses[0][1] is not None and losses[1][1] is not None and torch.equal(losses[0][1], losses[1][1])


def gradient(gamma: float, factors: list[float]) -> Tensor:
    logits = LOGITS.clone().requires_grad_()
    focal(logits, LABELS, gamma=gamma, weights=torch.tensor(factors)).backward()
    assert logits.grad is not None
    return logits.grad


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("changed", range(K))
def test_a_classs_factor_changes_the_gradients_of_its_images_alone(gamma: float, changed: int) -> None:
    plain = gradient(gamma, [1.0] * K)
    other = gradient(gamma, [3.0 if k == changed else 1.0 for k in range(K)])
    torch.testing.assert_close(other, torch.where((changed == LABELS)[:, None], 3 * plain, plain))
    assert torch.equal(other[changed != LABELS], plain[changed != LABELS])


def test_what_is_answered_well_counts_less() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 0.0], [-4.0, 0.0]])
    share = [
        focal(row[None], LABELS[:1], gamma=2.0).item() / cross_entropy(row[None], LABELS[:1]).item() for row in logits
    ]
    assert share == pytest.approx([(1 - torch.sigmoid(row[0] - row[1]).item()) ** 2 for row in logits], rel=1e-4)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_certain_answers_have_finite_gradients(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [-200.0, 0.0]], requires_grad=True)
    focal(logits, torch.zeros(2, dtype=torch.int64), gamma=gamma).backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad[1].abs().max() > 0.1


def test_half_precision_is_widened() -> None:
    half = LOGITS.bfloat16()
    assert torch.equal(focal(half, LABELS, gamma=2.0), focal(half.float(), LABELS, gamma=2.0))


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999])
def test_weights_by_effective_number(beta: float) -> None:
    """Cui et al.: E_n = 1 + beta + .. + beta^(n - 1), weights proportional to 1 / E_n with a sum of K."""
    counts = [1, 7, 40, 1000]
    inverse = [1 / sum(beta**i for i in range(n)) for n in counts]
    wanted = [len(counts) * w / sum(inverse) for w in inverse]
    assert effective_number(torch.tensor(counts), beta).tolist() == pytest.approx(wanted, rel=1e-5)


def test_a_beta_of_zero_weighs_nothing_and_one_near_1_by_frequency() -> None:
    counts = torch.tensor([3, 30, 300])
    assert effective_number(counts, 0.0).tolist() == [1, 1, 1]
    inverse = 1 / counts
    torch.testing.assert_close(effective_number(counts, 1 - 1e-9), 3 * inverse / inverse.sum(), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("changes", "gamma", "factors"),
    [
        ({"loss": "focal", "gamma": 2.0, "alpha": 2.0}, 2.0, [2.0] * K),
        ({"loss": "focal", "gamma": 2.0, "alpha": FACTORS}, 2.0, FACTORS),
        ({"class_balance": 0.9}, 0.0, None),
        ({"loss": "focal", "gamma": 1.0, "alpha": 2.0, "class_balance": 0.9}, 1.0, None),
    ],
    ids=str,
)
def test_the_criterion_takes_the_parameters(changes: dict[str, Any], gamma: float, factors: list[float] | None) -> None:
    rare = torch.arange(K).repeat_interleave(torch.tensor([1, 2, 5, 10, 20]))
    found = Criterion(train(label_smoothing=0.1, **changes), rare, CPU)(LOGITS, LABELS)
    balanced = (changes.get("alpha", 1.0) * effective_number(torch.bincount(rare), 0.9)).tolist() if not factors else []
    wanted = by_hand(LOGITS, np.eye(K)[LABELS], 0.1, gamma, factors or balanced)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_the_first_of_several_views_meets_the_labels() -> None:
    views = torch.cat([LOGITS, LOGITS.flip(1), LOGITS / 2])
    config = train(consistency=5.0, loss="focal", gamma=2.0, alpha=1.0)
    wanted = focal(LOGITS, LABELS, 0.1, gamma=2.0) + 5 * jensen_shannon(views)
    torch.testing.assert_close(Criterion(config, LABELS, CPU)(views, LABELS, 3), wanted)


def test_factors_that_do_not_fit_the_classes_and_a_class_without_images() -> None:
    with pytest.raises(ImpastoError, match=r"train\.alpha has 2 factors, but there are 5 classes"):
        Criterion(train(loss="focal", gamma=2.0, alpha=[1.0, 2.0]), LABELS, CPU)
    with pytest.raises(ImpastoError, match="class 1 has no training image"):
        Criterion(train(class_balance=0.9), torch.tensor([0, 2]), CPU)
