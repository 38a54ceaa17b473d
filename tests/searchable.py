"""A folder in which `impasto tune` can search in seconds: tiny arrays in place of what the stages before train make."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.data.images import Images
from impasto.io import write_json, write_npy
from impasto.style.bank import StyleBank
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.stylize import BANK
from tiny import ROOT, change, pictures

CLASSES = ("a", "b", "c", "d")
TINY: dict[str, Any] = {
    "dataset__name": "folder", "dataset__root": "pictures", "dataset__size": 16, "style__method": "colour",
    "style__refresh": 1.0, "model__depth": 10, "train__batch": 16,
    "train__epochs": 4, "train__period": 2, "train__precision": "fp32", "augment__trivial": False,

    "augment__crop": 1, "synthetic__pool": 150, "synthetic__keep": 0.8, "synthetic__count": 120, "fid__n": 120,
    "tune__corruptions": ["contrast"], "tune__images": 12,
    "tune__searches": [{"method": "grid", "space": [{"parameter": "lambda_s", "values": [0.2, 0.8]}]}],
}  # fmt: skip


def prepare_search(root: Path, **leaves: Any) -> Path:
    """Fill an empty folder; returns its params.yaml. There is no test split."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    for name, seed, n in (("data/raw/train", 0, 64), ("data/pool", 1, 150)):
        Images(*pictures(n, seed=seed), CLASSES, "made").save(root / name)
    for name, rows in {"train": range(48), "validation": range(48, 64)}.items():
        write_npy(root / "data" / "split" / f"{name}.npy", np.array(rows))
    write_npy(root / "data" / "synthetic" / "index.npy", np.arange(120))
    style, width = root / "models" / "style", EfficientNetLite0Encoder.channels
    style.mkdir(parents=True)
    draws = torch.Generator().manual_seed(0)
    columns = [torch.rand(5, each, generator=draws) for each in (width, width, 3, 3)]
    StyleBank(*columns).save(style / BANK)
    write_json(style / "meta.json", {"styles": 5})
    change(root / "params.yaml", **TINY | leaves)
    (root / "src").symlink_to(ROOT / "src")
    return root / "params.yaml"
