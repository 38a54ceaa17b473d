"""The focal loss (Lin et al. 2017) for one label of several, and class weights for rare classes (Cui et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from impasto.losses import cross_entropy

_EPS = torch.finfo(torch.float32).eps


def focal(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, *, gamma: float, weights: Tensor | None = None
) -> Tensor:
    """The mean over the batch of ``sum_k q_k w_k (1 - p_k)^gamma (-log p_k)``.

    q is ``(1 - smoothing) * t + smoothing / K``, t being one-hot or the soft target: with hard targets and no smoothing
    ``w_t (1 - p_t)^gamma (-log p_t)``. Nothing is divided by the sum of the weights, so that a scalar scales the loss.
    At gamma 0 without weights it is :func:`impasto.losses.cross_entropy`, bit for bit.

    Args:
        logits: (N, K); half precision is widened to float32 first.
        targets: class indices (N,) int64, or soft targets (N, K) float whose rows sum to 1.
        smoothing: share of the target spread evenly over all K classes, in [0, 1).
        gamma: how much less an image counts that is answered well, at least 0.
        weights: float (K,), of the classes; None is 1 each.

    Returns:
        Scalar float32 tensor, nats.
    """
    if gamma == 0 and weights is None:
        return cross_entropy(logits, targets, smoothing)
    logs = functional.log_softmax(logits.float(), dim=1)
    hot = targets if targets.dim() == 2 else functional.one_hot(targets, logs.shape[1])
    wanted = hot.to(logs.dtype) * (1 - smoothing) + smoothing / logs.shape[1]
    # 1 - p; at 0 a power below 1 would have an infinite slope
    cost = -logs if gamma == 0 else -logs * (-torch.expm1(logs)).clamp(min=_EPS).pow(gamma)
    cost = cost if weights is None else cost * weights
    return (wanted * cost).sum(1).mean()


def effective_number(counts: Tensor, beta: float) -> Tensor:
    """Class-balanced weights, by the effective number of images of a class (Cui et al. 2019, section 4).

    Args:
        counts: int64 (K,), images of each class, none 0.
        beta: in [0, 1); 0 gives every class the weight 1, towards 1 the weights approach 1 / n.

    Returns:
        float32 (K,), ``(1 - beta) / (1 - beta^n)`` scaled to a mean of 1.
    """
    weights = (1 - beta) / (1 - torch.full_like(counts, beta, dtype=torch.float64) ** counts)
    return (weights / weights.mean()).float()
