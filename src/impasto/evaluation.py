"""Predictions of classifiers on a clean test set and on every corruption of it, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.corrupted.sources import Cell, CorruptedSets
from impasto.data.images import to_unit
from impasto.kept import Kept
from impasto.models.parted import parted
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
    kept: Kept | None = None,
) -> dict[str, Predictions]:
    """Run all classifiers over all cells; each corrupted batch is made or read once and shown to every classifier.

    Classifiers that differ in their heads alone share what comes before: their network sees a batch once. Of several
    processes (:mod:`impasto.ranks`) each takes some of the batches, which are those of one process, and all have all
    answers, which are then the same bits. Eight bytes an answer go over the network, and no images.

    Args:
        models: classifiers by name, float images [B, 3, H, W] in [0, 1] -> logits.
        sets: the test sets; all have as many images as the clean one.
        cells: which of them, clean first.
        device: where the classifiers work.
        precision: auto, fp32, bf16 or fp16.
        batch: images at a time; the memory needed does not grow with the test set.
        kept: where answers stay for a run that goes on after a kill.

    Raises:
        ImpastoError: a set is missing, or a corruption is unknown.
    """
    labels = np.stack([sets.labels(cell).astype(np.int16) for cell in cells])
    found = {
        name: Predictions(list(cells), labels, np.zeros(labels.shape, np.int16), np.zeros(labels.shape, np.float32))
        for name in models
    }
    groups, keep = _alike(models), kept or Kept()

    def made(part: _Part) -> Tensor:
        cell, rows = cells[part[0]], part[1]
        who = f"{cell[0]}-{cell[1]}-{rows.start}"
        return keep(who, lambda: _asked(groups, list(models), sets.batch(cell, rows), device, precision))

    n = labels.shape[1]
    parts = [(i, slice(at, min(at + batch, n))) for i in range(len(cells)) for at in range(0, n, batch)]
    for (index, rows), answers in _dealt(parts, made, len(models)):
        for one, (label, probability) in zip(found.values(), answers.numpy(), strict=True):
            one.predicted[index, rows], one.confidence[index, rows] = label, probability
    return found


_Part = tuple[int, slice]
"""A batch: the number of its cell, and its rows."""


def _dealt(parts: Sequence[_Part], made: Callable[[_Part], Tensor], models: int) -> Iterator[tuple[_Part, Tensor]]:
    """The answers [models, 2, B] to every batch, each asked by one of the processes."""
    dealt = ranks.dealt(parts, made, lambda part: torch.empty(models, 2, part[1].stop - part[1].start))
    for _, found in zip(track(len(parts), "corruptions", "batch"), dealt, strict=True):
        yield found


def _asked(
    groups: list[dict[str, nn.Module]], order: list[str], pixels: Tensor, device: torch.device, precision: str
) -> Tensor:
    """The most probable class of each image, a whole number that float32 holds, and its probability: [models, 2, B]."""
    found = {}
    for group in groups:
        for who, logits in _answers(group, pixels, device, precision):
            probability, label = logits.softmax(1).max(1)
            found[who] = torch.stack([label.float(), probability]).cpu()
    return torch.stack([found[who] for who in order])


def _alike(models: Mapping[str, nn.Module]) -> list[dict[str, nn.Module]]:
    """The classifiers by the numbers of their bodies; one that cannot be cut stands alone."""
    found: dict[str, dict[str, nn.Module]] = {}
    for name, model in models.items():
        cut = parted(model)
        found.setdefault(cut.digest() if cut else f"alone: {name}", {})[name] = model
    return list(found.values())


def _answers(
    group: Mapping[str, nn.Module], pixels: Tensor, device: torch.device, precision: str
) -> Iterator[tuple[str, Tensor]]:
    """Name and logits float32 [B, K] of each classifier of a group; the first one's body stands for all."""
    with torch.inference_mode(), autocast(precision, device):
        images = to_unit(pixels)
        cuts = {name: parted(model) for name, model in group.items()}
        first = next(iter(cuts.values()))
        features = first.body(images) if first and len(cuts) > 1 else None
        for name, cut in cuts.items():
            logits: Tensor = cut.head(features) if cut and features else group[name](images)
            yield name, logits.float()
