"""Accuracy of classifiers on a clean test set and on every corruption of it, image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from impasto.config.evaluate import Evaluate
from impasto.corruptions.registry import corrupt
from impasto.data.images import Images, batches, to_unit
from impasto.precision import autocast
from impasto.progress import track

#: A clean or corrupted test set: ("clean", 0) or (corruption, severity).
Cell = tuple[str, int]


@dataclass
class Predictions:
    """What one classifier says of every cell.

    Attributes:
        cells: the test sets, clean first.
        predicted: int64 [cells, N], most probable class.
        confidence: float32 [cells, N], its probability.
    """

    cells: list[Cell]
    predicted: np.ndarray
    confidence: np.ndarray


def predict_all(
    models: Mapping[str, nn.Module],
    images: Images,
    config: Evaluate,
    device: torch.device,
    precision: str,
    batch: int = 1000,
) -> dict[str, Predictions]:
    """Run all classifiers over all cells; each corrupted batch is made once and shown to every classifier.

    Args:
        models: classifiers by name, float images [B, 3, H, W] in [0, 1] -> logits.
        images: the test split.
        config: corruptions, severities, their constants and the seed of their noise.
        device: where to work.
        precision: auto, fp32, bf16 or fp16.
        batch: images at a time; the memory needed does not grow with the test set.

    Raises:
        ImpastoError: a corruption is unknown.
    """
    cells: list[Cell] = [("clean", 0), *((name, s) for name in config.corruptions for s in config.severities)]
    shape = (len(cells), len(images))
    found = {name: Predictions(cells, np.zeros(shape, np.int64), np.zeros(shape, np.float32)) for name in models}
    table = None if config.table == "auto" else config.table
    for index in track(len(cells), "corruptions", "set"):
        name, severity = cells[index]
        for rows, pixels in batches(images.pixels, batch, device):
            ids = torch.arange(rows.start, rows.stop)
            shown = corrupt(pixels, name, severity, config.seed, ids, table) if severity else pixels
            for who, model in models.items():
                probability, label = _predict(model, shown, device, precision)
                found[who].predicted[index, rows] = label.cpu().numpy()
                found[who].confidence[index, rows] = probability.cpu().numpy()
    return found


def _predict(model: nn.Module, pixels: Tensor, device: torch.device, precision: str) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(), autocast(precision, device):
        probability, label = model(to_unit(pixels)).float().softmax(1).max(1)
    return probability, label
