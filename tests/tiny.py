"""Small stand-ins that tests of the core share: sections, labelled images, a style transfer one can read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from impasto.config.augment import Augment
from impasto.config.base import read_yaml
from impasto.config.evaluate import Evaluate
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.train import Train
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.models.registry import build
from impasto.paintings import Paintings

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
STYLES = 7
SIZE = 16
SMALLEST: dict[str, dict[str, Any]] = {
    "wrn": {
        "depth": 10, "width": 1, "stem_stride": 2, "stage_stride": 1, "dropout": 0.0, "activation": "relu",
        "head_momentum": 0.1,
    },
    "densenet": {"depth": 121, "width": 2, "stem_stride": 1, "activation": "relu"},
    "resnext": {"depth": 11, "width": 1, "stage_stride": 1, "activation": "relu"},
    "timm": {"timm": "test_vit"},
}  # fmt: skip


def mix(**changes: Any) -> Mix:
    """The section of the papers' symbols; ``lambda_`` stands for ``lambda``."""
    values = {"lambda": 0.5, "lambda_o": 0.3, "lambda_s": 0.6, "combine_o": "and", "combine_s": "or"}
    values |= {"alpha_o": [1.0, 1.0], "alpha_s": [0.1, 0.9]}
    return Mix.model_validate(values | {("lambda" if k == "lambda_" else k): v for k, v in changes.items()})


def augment(**changes: Any) -> Augment:
    """The section ``augment``, everything off."""
    values = {"flip": False, "crop": 0, "trivial": False, "augmix": "none", "erase": 0.0, "mixup": 0.0, "cutmix": 0.0}
    values |= {"noise": False, "feature_noise": "none", "deepaugment": {"share": 0.0, "size": 48}}
    return Augment.model_validate(values | changes)


def train(**changes: Any) -> Train:
    """The section ``train`` for a run of a few steps, without averaging."""
    averaging = {"start": 1.0, "learning_rate": 0.02, "anneal": 2} | changes.pop("averaging", {})
    values = {"epochs": 4, "batch": 16, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "clip": 1.0}
    values |= {
        "label_smoothing": 0.1,
        "consistency": 0.0,
        "period": 2,
        "period_factor": 2,
        "precision": "fp32",
        "averaging": averaging,
        "accumulate": 1,
        "optimizer": "sgd",
        "compile": False,
        "selection": {"metric": "none", "patience": 0},
        "loss": "cross_entropy",
        "class_balance": 0.0,
        "batch_norm": "train",
    }
    return Train.model_validate(dict.fromkeys(("open", "gamma", "alpha", "steps")) | values | changes)


def architecture(name: str = "wrn", **changes: Any) -> Model:
    """The section ``model`` of the smallest network of a kind; what it does not have is null."""
    return Model.model_validate(
        dict.fromkeys(Model.model_fields) | {"name": name, "normalise": True} | SMALLEST[name] | changes
    )


def model(classes: int = 4, seed: int = 0, **changes: Any) -> nn.Sequential:
    """A freshly drawn network of the smallest size, a wide residual one unless ``name`` says otherwise."""
    return build(architecture(**changes), classes, [0.5] * 3, [0.25] * 3, seed)


def pictures(n: int, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one bright corner per class: uint8 [n, 3, SIZE, SIZE] and int64 [n], classes in turn."""
    labels = np.arange(n) % classes
    pixels = np.random.default_rng(seed).integers(0, 120, (n, 3, SIZE, SIZE), dtype=np.uint8)
    half = SIZE // 2
    for image, label in zip(pixels, labels, strict=True):
        top, left = half * (label % 4 // 2), half * (label % 2)
        image[:, top : top + half, left : left + half] += 100
    return pixels, labels


def change(params: Path, **leaves: Any) -> None:
    """Set leaves of a parameter file, whose comments go; ``__`` stands for the dot in ``train.epochs``."""
    tree = read_yaml(params)
    for leaf, value in leaves.items():
        *sections, name = leaf.split("__")
        inner = tree
        for section in sections:
            inner = inner[section]
        assert name in inner, leaf
        inner[name] = value
    params.write_text(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False))


def stream(n: int, classes: int = 4, seed: int = 0) -> Stream:
    """A stream of :func:`pictures`."""
    return Stream(*pictures(n, classes, seed), np.arange(n), CPU)


def stylise(images: Tensor, styles: Tensor, alpha: Tensor) -> Tensor:
    """A style transfer that writes what it was given into the pixels: style, strength, and a digest of the image."""
    out = torch.empty_like(images)
    out[:, 0] = styles.to(torch.uint8)[:, None, None]
    out[:, 1] = (alpha * 255).round().to(torch.uint8)[:, None, None]
    out[:, 2] = 255 - images[:, 2]
    return out


def feed(
    n: int = 48,
    synthetic: int = 40,
    *,
    refresh: float = 1.0,
    file: Path | None = None,
    strength: float = 0.0,
    batch: int = 16,
    seed: int = 0,
    mixed: Mix | None = None,
    augmented: Augment | None = None,
) -> Feed:
    """Batches of a small run."""
    streams = stream(n, seed=1), stream(synthetic, seed=2)
    return Feed(
        streams=streams,
        paintings=Paintings(stylise, streams, refresh, CPU, file),
        styles=STYLES,
        mix=mixed or mix(),
        augment=augmented or augment(),
        strength=strength,
        batch=batch,
        seed=seed,
        device=CPU,
    )


def evaluate(**changes: Any) -> Evaluate:
    """Two corruptions at two severities."""
    values = {
        "corruptions": ["gaussian_noise", "contrast"], "c_bar": [], "severities": [1, 5], "corrupted": "generated",
        "root": None, "frost_bank": None, "table": "cifar", "reference": None, "seed": 4, "bootstrap": 100,
    }  # fmt: skip
    return Evaluate.model_validate(values | changes)
