"""A working folder in which stages can be called one by one: parameters, code and pictures, and neither git nor DVC."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from impasto.commands.preset import apply
from impasto.config.base import flatten
from tiny import ROOT

#: Parameters with which every stage takes a few seconds at most.
SMALL = """
seeds: [0, 1]
dataset: {name: folder, root: pictures_of, size: 16, test: 0.25, validation: 0.25}
synthetic: {pool: 160, count: 120, keep: 0.8, generator: {width: 8, iterations: 4, batch: 8, sampler_steps: 2}}
style: {count: 6, size: 16, upscale: 32, refresh: 0.5, decoder: {iterations: 3, batch: 4}}
model: {depth: 10}
train: {epochs: 2, batch: 32, period: 1, averaging: {start: 0.5}}
finetune: {stages: [{open: 1, epochs: 1, learning_rate: 0.01, batch_norm: frozen}]}
evaluate: {corruptions: [gaussian_noise, contrast], c_bar: [], severities: [1, 5], bootstrap: 100}
explain: {ranked: 3, shown: 2, overlap: 20}
fid: {n: 120, points: 3}
"""


def furnish(root: Path, overlay: str) -> None:
    """Fill an empty folder, with 2 x 120 pictures: circles and squares in all colours."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    draws = np.random.default_rng(0)
    for kind in ("disc", "square"):
        (root / "pictures_of" / kind).mkdir(parents=True)
        for number in range(120):
            pixels = np.full((16, 16, 3), draws.integers(0, 256, 3), np.uint8)
            y, x = np.mgrid[:16, :16] - 7.5
            pixels[(np.hypot(x, y) < 5) if kind == "disc" else (np.maximum(abs(x), abs(y)) < 5)] = draws.integers(
                0, 256, 3
            )
            Image.fromarray(pixels).save(root / "pictures_of" / kind / f"{number}.png")
    apply(dict(flatten(yaml.safe_load(overlay))), root / "params.yaml", "small")
