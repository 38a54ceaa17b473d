"""The easiest and the hardest images of each class, by the probability that the classifier gives the true class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from impasto.data.images import Images, batches, to_unit
from impasto.precision import autocast

KINDS = ("easy", "hard")


class Answers(NamedTuple):
    """What a classifier says of N images.

    Attributes:
        odds: float64 [N], log (p / (1 - p)) of the true class's probability: where all p are 1, these still differ.
        label: int64 [N], most probable class.
        confidence: float64 [N], its probability.
    """

    odds: np.ndarray
    label: np.ndarray
    confidence: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """Float64 [N], probability of the true class."""
        found: np.ndarray = expit(self.odds)
        return found


class Ranked(NamedTuple):
    """One image of the list.

    Attributes:
        label: its true class.
        kind: one of ``KINDS``.
        rank: 1 for the easiest, or the hardest.
        row: where it stands among the test images, from 0 on.
    """

    label: int
    kind: str
    rank: int
    row: int


def answer(
    model: nn.Module, images: Images, device: torch.device, precision: str = "fp32", batch: int = 1000
) -> Answers:
    """Ask a classifier, float images in [0, 1] -> logits, in evaluation mode.

    Precision and batch of the stage evaluate give its answers.
    """
    parts = []
    with torch.inference_mode():
        for rows, pixels in batches(images.pixels, batch, device):
            with autocast(precision, device):
                logits = model(to_unit(pixels)).double()
            confidence, label = logits.softmax(1).max(1)
            truth = torch.from_numpy(images.labels[rows]).to(device)[:, None]
            odds = logits.gather(1, truth)[:, 0] - logits.scatter(1, truth, -torch.inf).logsumexp(1)
            parts.append([one.cpu().numpy() for one in (odds, label, confidence)])
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def ranked(answers: Answers, labels: np.ndarray, count: int) -> list[Ranked]:
    """The images of each class at either end, class by class, easy before hard, from the end on.

    Easy: answered rightly, the most confident first. Hard: the least confident in the true class first, whether
    answered rightly or not. No image is both: of few, the harder half is hard. Equals stand in the order of the images.

    Args:
        answers: of N images.
        labels: int64 [N], true classes.
        count: images at either end of a class.
    """
    return [one for label in np.unique(labels) for one in _of_class(answers, labels, int(label), count)]


def _of_class(answers: Answers, labels: np.ndarray, label: int, count: int) -> Iterator[Ranked]:
    rows = np.flatnonzero(labels == label)
    hard = rows[np.argsort(answers.odds[rows], kind="stable")][: min(count, (len(rows) + 1) // 2)]
    right = np.setdiff1d(rows[answers.label[rows] == label], hard)
    easy = right[np.argsort(-answers.odds[right], kind="stable")][:count]
    for kind, chosen in zip(KINDS, (easy, hard), strict=True):
        yield from (Ranked(label, kind, rank, int(row)) for rank, row in enumerate(chosen, start=1))


def worst(answers: Answers, labels: np.ndarray, most: int) -> list[int]:
    """The classes that have images; of more than ``most`` those of the lowest recall, worst first."""
    classes = np.unique(labels)
    if len(classes) <= most:
        return [int(label) for label in classes]
    recall = [(answers.label[labels == label] == label).mean() for label in classes]
    return [int(label) for label in classes[np.argsort(recall, kind="stable")][:most]]
