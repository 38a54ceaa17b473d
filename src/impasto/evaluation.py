"""Predictions of classifiers on a clean test set and on every corruption of it, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from impasto.corrupted.sources import Cell, CorruptedSets
from impasto.data.images import to_unit
from impasto.precision import autocast
from impasto.progress import track


@dataclass
class Predictions:
    """What one classifier says of every cell.

    Attributes:
        cells: the test sets, clean first.
        labels: int16 [cells, N], true classes; the same row for every cell whose images are those of the clean set.
        predicted: int16 [cells, N], most probable class.
        confidence: float32 [cells, N], its probability.
    """

    cells: list[Cell]
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Bool [cells, N], whether the predicted class is the true one."""
        right: np.ndarray = self.predicted == self.labels
        return right


def predict_all(
    models: Mapping[str, nn.Module],
    sets: CorruptedSets,
    cells: Sequence[Cell],
    device: torch.device,
    precision: str,
    batch: int = 1000,
) -> dict[str, Predictions]:
    """Run all classifiers over all cells; each corrupted batch is made or read once and shown to every classifier.

    Args:
        models: classifiers by name, float images [B, 3, H, W] in [0, 1] -> logits.
        sets: the test sets; all have as many images as the clean one.
        cells: which of them, clean first.
        device: where the classifiers work.
        precision: auto, fp32, bf16 or fp16.
        batch: images at a time; the memory needed does not grow with the test set.

    Raises:
        ImpastoError: a set is missing, or a corruption is unknown.
    """
    labels = np.stack([sets.labels(cell).astype(np.int16) for cell in cells])
    found = {
        name: Predictions(list(cells), labels, np.zeros(labels.shape, np.int16), np.zeros(labels.shape, np.float32))
        for name in models
    }
    for index in track(len(cells), "corruptions", "set"):
        for start in range(0, labels.shape[1], batch):
            rows = slice(start, min(start + batch, labels.shape[1]))
            shown = sets.batch(cells[index], rows)
            for who, model in models.items():
                probability, label = _predict(model, shown, device, precision)
                found[who].predicted[index, rows] = label.cpu().numpy()
                found[who].confidence[index, rows] = probability.cpu().numpy()
    return found


def _predict(model: nn.Module, pixels: Tensor, device: torch.device, precision: str) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(), autocast(precision, device):
        probability, label = model(to_unit(pixels)).float().softmax(1).max(1)
    return probability, label
