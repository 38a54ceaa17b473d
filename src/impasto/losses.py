"""The training loss."""

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
