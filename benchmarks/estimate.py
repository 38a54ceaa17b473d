"""What an epoch of each paper preset should cost on one H100, from counted operations and bytes. Nothing is run.

Run: ``python benchmarks/estimate.py``, then ``make docs``; the presets are read, the networks live on the device
``meta``, and metrics/estimate.json is written. Operations are those that torch's counter sees in one forward pass,
three times as many with the backward pass. The assumptions stand in the file and in docs/performance.md.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from counting import HALF, Cost, distorting, stylising, training
from impasto.commands.preset import apply
from impasto.config.augment import Augment
from impasto.config.base import load
from impasto.config.dataset import Dataset
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.presets import Presets
from impasto.config.style import Style
from impasto.config.synthetic import Synthetic
from impasto.config.train import Train
from impasto.io import write_json
from impasto.models.registry import build

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "metrics" / "estimate.json"
SIZES = {"cifar10": (50_000, 10), "cifar100": (50_000, 100), "tiny_imagenet": (100_000, 200)}  # images, classes
ASSUMED = {
    "tflops": 989,  # H100 SXM, dense fp16 and bf16, data sheet; float32 convolutions (TF32) reach half of it
    "terabytes_per_second": 3.35,  # HBM3, data sheet
    "reached": 0.3,  # of either: small convolutions reach far less than large matrix products
    "passes": 5,  # over each saved activation: written, read forwards and backwards, its gradient written and read
    "bytes": HALF,  # of an activation: half precision
    "chunk": 256,  # images stylised at once on a GPU
    "gigabytes": 80,  # of memory that are free when training starts
}
VIEWS = 3  # of each image where predictions are held consistent


class Run(NamedTuple):
    """The sections of a preset that its cost depends on; one mix for each point of a sweep."""

    data: Dataset
    mixes: list[Mix]
    model: Model
    style: Style
    train: Train
    augment: Augment
    pool: int


def estimate(*names: str) -> dict[str, Any]:
    """Seconds, TFLOP and GB of paper presets, by default of all rows and curves, and what is assumed."""
    rows = [name for name, row in Presets(ROOT / "presets").rows.items() if row.layers]
    return {"assumed": ASSUMED, "presets": {name: _preset(name) for name in names or rows}}


def resident(sizes: list[float]) -> float:
    """Bytes of the streams that stay on the GPU, taken up in turn, each if a quarter of what is free holds it.

    It is the rule of :func:`impasto.data.stream.room`.
    """
    free = whole = ASSUMED["gigabytes"] * 1e9
    for size in sizes:
        free -= size if size <= free // 4 else 0
    return whole - free


def _preset(name: str) -> dict[str, float | int]:
    run = _read(name)
    whole, classes = SIZES[run.data.name]
    images = round(whole * (1 - run.data.validation))
    shown = images * (VIEWS if run.train.consistency else 1)
    epochs = [[_painted(mix, epoch) for epoch in range(run.train.epochs)] for mix in run.mixes]
    painted = images * run.style.refresh * sum(map(sum, epochs)) / (len(epochs) * run.train.epochs)
    distorted = shown * run.augment.deepaugment.share
    step, parameters = _network(run.model.model_dump_json(), classes, run.data.size)
    brush = stylising(run.style.upscale) if painted else Cost(0, 0)
    noise = distorting(run.augment.deepaugment.size, run.data.size) if distorted else Cost(0, 0)
    parts = {
        "training": Cost(3 * step.operations * shown, step.held * ASSUMED["passes"] * shown),
        "stylising": Cost(brush.operations * painted, brush.moved * painted),
        "noise2net": Cost(noise.operations * distorted, noise.moved * distorted),
    }
    seconds = {part: _seconds(c.operations * (1 + (part == "noise2net")), c.moved) for part, c in parts.items()}
    total, image = sum(seconds.values()), 3 * run.data.size**2
    bank = image * images * run.style.refresh * max(map(max, epochs))
    weights = parameters * 4 * 4  # weights, gradients, momentum, average; float32
    return {
        "points": len(run.mixes),
        "images": images,
        "views": shown // images,
        "stylised": round(painted),
        "distorted": round(distorted),
        **{f"{part}_tflop": round(cost.operations / 1e12, 1) for part, cost in parts.items()},
        **{f"{part}_gb_moved": round(cost.moved / 1e9) for part, cost in parts.items()},
        **{f"{part}_s": round(value, 1) for part, value in seconds.items()},
        "epoch_s": round(total, 1),
        "hours_of_run": round(total * run.train.epochs * len(run.mixes) / 3600, 1),
        "memory_images_gb": round((resident([image * images, image * run.pool]) + bank) / 1e9, 2),
        "memory_training_gb": round((step.held * run.train.batch * shown / images + weights) / 1e9, 2),
        "memory_stylising_gb": round(brush.held * ASSUMED["chunk"] / 1e9, 2),
    }


def _read(name: str) -> Run:
    """A preset over the default parameters."""
    found = Presets(ROOT / "presets").compose([name])
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        shutil.copy(ROOT / "params.yaml", params)
        apply(found.leaves | next(found.points()), params, name)
        data, mix, model, style, train, augment = (
            load(params, section) for section in (Dataset, Mix, Model, Style, Train, Augment)
        )
        count = load(params, Synthetic).count
    shares = [{"lambda_" if leaf == "lambda" else leaf: x for leaf, x in point.items()} for point in found.points()]
    mixes = [mix.model_copy(update=share) for share in shares]
    return Run(data, mixes, model, style, train, augment, count if max(m.most_synthetic for m in mixes) else 0)


def _painted(mix: Mix, epoch: int) -> float:
    """The share of the images of an epoch that is stylised."""
    shares = mix.at(epoch)
    return (1 - shares.lambda_) * shares.lambda_o + shares.lambda_ * shares.lambda_s


@cache
def _network(model: str, classes: int, size: int) -> tuple[Cost, int]:
    """What a training step costs for each image, and the number of parameters."""
    config = Model.model_validate_json(model).model_copy(update={"weights": None})
    network = build(config, classes, [0.5] * 3, [0.25] * 3, seed=0).to("meta").train()
    return training(network, size), sum(p.numel() for p in network.parameters())


def _seconds(operations: float, moved: float) -> float:
    """The longer of computing and moving."""
    compute = operations / (ASSUMED["tflops"] * 1e12 * ASSUMED["reached"])
    return max(compute, moved / (ASSUMED["terabytes_per_second"] * 1e12 * ASSUMED["reached"]))


if __name__ == "__main__":
    write_json(OUT, estimate())
