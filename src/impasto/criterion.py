"""The loss of a training step, as the section ``train`` describes it."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.config.train import Train
from impasto.errors import ImpastoError
from impasto.focal import effective_number, focal
from impasto.losses import jensen_shannon


class Criterion:
    """Cross-entropy or focal loss, with weights of the classes, and with several views their divergence.

    Args:
        train: which loss.
        labels: int64 [n], of the original stream, copies included: rare is what training sees rarely.
        device: of the logits.

    Raises:
        ImpastoError: there is a factor for more or fewer classes than there are, or a class without images.
    """

    def __init__(self, train: Train, labels: Tensor, device: torch.device) -> None:
        self._train, self._gamma = train, train.gamma or 0.0
        self._weights = _weights(train, labels)
        if self._weights is not None:
            self._weights = self._weights.to(device)

    def __call__(self, logits: Tensor, targets: Tensor, views: int = 1) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (V * N, K), the clean view in the first N rows.
            targets: class indices (N,) int64, or soft targets (N, K).
            views: V; of several their divergence is added, ``train.consistency`` times
                (:func:`impasto.losses.jensen_shannon`), to the loss of the first.

        Returns:
            Scalar float32 tensor, nats.
        """
        clean = logits if views == 1 else logits[: len(logits) // views]
        loss = focal(clean, targets, self._train.label_smoothing, gamma=self._gamma, weights=self._weights)
        return loss if views == 1 else loss + self._train.consistency * jensen_shannon(logits, views)


def _weights(train: Train, labels: Tensor) -> Tensor | None:
    """float32 (K,), or None where every class counts the same and once."""
    if not train.class_balance and train.alpha in (None, 1.0):
        return None
    counts = torch.bincount(labels.cpu())
    if isinstance(train.alpha, list) and len(train.alpha) != len(counts):
        raise ImpastoError(
            f"train.alpha has {len(train.alpha)} factors, but there are {len(counts)} classes",
            where="params.yaml: train.alpha",
            remedy="Give one for each class, in the order of data/raw/train/meta.json, or one number for all.",
        )
    weights = torch.tensor(train.alpha or 1.0)  # a single one for all classes is a scalar
    if train.class_balance:
        if not counts.all():
            raise ImpastoError(
                f"class {int(counts.argmin())} has no training image, so no effective number",
                where="params.yaml: train.class_balance",
                remedy="Set train.class_balance to 0, or give the class images.",
            )
        weights = weights * effective_number(counts, train.class_balance)
    return weights
