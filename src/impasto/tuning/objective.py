"""What a trial is worth: numbers of the validation images, plain and corrupted. The test split has no part in it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from impasto.config.evaluate import Evaluate
from impasto.config.train import Train
from impasto.config.tune import Objective, Tune
from impasto.corrupted.sources import choose
from impasto.corruptions.registry import corrupt
from impasto.data.images import Images, to_device, to_unit
from impasto.data.stream import Stream
from impasto.io import read_npy
from impasto.precision import autocast
from impasto.rng import numpy_generator
from impasto.validation import Row, measure


class Corrupted(NamedTuple):
    """Some validation images under each corruption: uint8 [cells, n, 3, H, W], and their labels int64 [n]."""

    pixels: Tensor
    labels: Tensor


def corrupted_validation(images: Path, split: Path, tune: Tune, evaluate: Evaluate, device: torch.device) -> Corrupted:
    """Corrupt ``tune.images`` validation images, keyed by their rows in ``data/raw/train`` as `evaluate` keys its own.

    Which images these are the seed of the search says; corruptions have the constants of ``evaluate.table``.
    """
    whole, rows = Images.load(images), np.array(read_npy(split / "validation.npy"))
    chosen = np.sort(numpy_generator(tune.seed, "validation images").permutation(rows)[: tune.images])
    config = evaluate.model_copy(update={"corruptions": tune.corruptions, "c_bar": [], "corrupted": "generated"})
    names = choose(config, min(whole.pixels.shape[2:])).names
    table = None if evaluate.table == "auto" else evaluate.table
    plain, ids = to_device(np.array(whole.pixels[chosen]), device), torch.from_numpy(chosen.astype(np.int64))
    cells = [corrupt(plain, name, severity, tune.seed, ids, table) for name in names for severity in tune.severities]
    return Corrupted(torch.stack(cells), torch.from_numpy(whole.labels[chosen].astype(np.int64)).to(device))


def robust_accuracy(model: nn.Module, shown: Corrupted, precision: str, batch: int = 1000) -> float:
    """The mean over all corruptions and severities of the accuracy."""
    model.eval()
    right = torch.zeros((), device=shown.labels.device)
    with torch.inference_mode(), autocast(precision, shown.labels.device):
        for cell in shown.pixels:
            for rows in torch.arange(len(cell)).split(batch):
                answer = model(to_unit(cell[rows])).argmax(1)
                right += (answer == shown.labels[rows]).sum()
    return float(right) / (len(shown.pixels) * len(shown.labels))


def parts(
    model: nn.Module, validation: Stream, shown: Corrupted | None, tune: Tune, train: Train, device: torch.device
) -> Row:
    """The objective and what it is made of.

    Returns:
        ``objective``, ``accuracy``, and where they enter it ``balanced_accuracy`` and ``robust_accuracy``; in [0, 1].
    """
    found = measure(model, validation, train, device, balanced=tune.balanced)
    row: Row = {name: found[name] for name in ("accuracy", "balanced_accuracy") if name in found}
    if shown is not None:
        row["robust_accuracy"] = robust_accuracy(model, shown, train.precision)
    return {"objective": objective(tune.objective, row)} | row


def objective(kind: Objective, row: Row) -> float:
    """One number of the parts: one of them, or the mean of two."""
    if not kind.endswith("_and_robust"):
        return row[kind]
    return (row["balanced_accuracy" if kind.startswith("balanced") else "accuracy"] + row["robust_accuracy"]) / 2
