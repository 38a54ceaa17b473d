"""Measuring a small network on all of -C: every image corrupted on the fly. Run: ``python benchmarks/evaluate.py``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from impasto.config.base import load
from impasto.config.evaluate import Evaluate
from impasto.config.model import Model
from impasto.corrupted.sources import Cell, CorruptedSets, choose, open_sets
from impasto.data.images import Images
from impasto.data.sources.digits import digits
from impasto.evaluation import predict_all
from impasto.models.registry import build
from timing import show

_SETTINGS = {
    "c_bar": [], "severities": [1, 2, 3, 4, 5], "corrupted": "generated", "root": None,
    "frost_bank": None, "table": "cifar", "reference": None, "seed": 0, "bootstrap": 100,
}  # fmt: skip


def measure(n: int = 2000, names: Sequence[str] = ("c",)) -> dict[str, float | int | str]:
    """Corrupt and classify ``n`` coloured digits of 32 px by each of ``names`` in each severity, on all cores, once.

    Returns:
        Wall and CPU seconds of the whole, of which the network's part on clean images alone would take
        ``network_s`` for as many cells.
    """
    from impasto.config.dataset import Dataset

    facts = {
        "name": "digits",
        "root": None,
        "published": True,
        "size": 32,
        "test": 0.5,
        "validation": 0.1,
        "imbalance": 1.0,
        "seed": 0,
    }
    facts |= dict.fromkeys(("version", "task", "split"))
    images: Images = digits(Dataset.model_validate(facts))[1]
    images = images.take(torch.arange(n).numpy() % len(images))
    model, sets, cells = prepared(images, names)
    device = torch.device("cpu")
    network = _seconds(lambda: predict_all({"network": model}, sets, cells[:1] * 3, device, "fp32"))[0] / 3
    wall, cpu = _seconds(lambda: predict_all({"network": model}, sets, cells, device, "fp32"))
    return {
        "n": n,
        "cells": len(cells),
        "threads": torch.get_num_threads(),
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "network_s": round(network * len(cells), 3),
    }


def prepared(images: Images, names: Sequence[str]) -> tuple[nn.Module, CorruptedSets, list[Cell]]:
    """The default network with random weights, and the cells of ``names`` made of images of 32 px, clean first."""
    params = Path(__file__).resolve().parents[1] / "params.yaml"
    model = build(load(params, Model), 10, [0.5] * 3, [0.25] * 3, seed=0).eval()  # the default network
    config, device = Evaluate.model_validate(_SETTINGS | {"corruptions": list(names)}), torch.device("cpu")
    choice = choose(config, 32)
    return model, open_sets(images, config, choice, device), choice.cells(config.severities)


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU time of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    show(measure())
