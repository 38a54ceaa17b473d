"""The training losses."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with label smoothing (Szegedy et al. 2016), averaged over the batch.

    The target of an image is ``(1 - smoothing) * t + smoothing / K``, t being one-hot or the soft target.

    Args:
        logits: (N, K); half precision is widened to float32 first.
        targets: class indices (N,) int64, or soft targets (N, K) float whose rows sum to 1.
        smoothing: share of the target spread evenly over all K classes, in [0, 1).

    Returns:
        Scalar float32 tensor, nats.
    """
    return functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)


def jensen_shannon(logits: Tensor, views: int = 3) -> Tensor:
    """How far the predictions for the views of an image lie apart (Hendrycks et al., AugMix, ICLR 2020).

    The mean over images and views of KL(p_v || M), where p_v are a view's probabilities and M is their mean over the
    views, clamped to [1e-7, 1].

    Args:
        logits: (V * N, K), row v * N + i for view v of image i; widened to float32 first.
        views: V, at least 2.

    Returns:
        Scalar float32 tensor, nats; 0 for equal views, at most ln V.

    Raises:
        ValueError: the rows do not divide by the number of views.
    """
    if views < 2 or len(logits) % views:
        raise ValueError(f"{len(logits)} rows are not {views} views")
    logs = functional.log_softmax(logits.float(), dim=1).unflatten(0, (views, -1))
    mixture = logs.exp().mean(0).clamp(1e-7, 1).log()
    return functional.kl_div(mixture.expand_as(logs), logs, reduction="sum", log_target=True) / len(logits)
