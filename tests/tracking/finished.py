"""A workspace in which the pipeline seems to have run: a small model, a card, a summary, and the lock of all three."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
import yaml

from impasto.config.base import read_yaml
from impasto.locked import dvc_md5
from impasto.models.saved import save_model
from tiny import ROOT, architecture, change, model

SIZE = 32
CLASSES = ("cat", "dog", "owl")


def finish(root: Path, seed: int = 0, clean: float = 0.5) -> torch.nn.Module:
    """Fill a folder; returns the model that is to be registered."""
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    change(root / "params.yaml", seeds=[0])
    made = model(len(CLASSES), seed=seed).eval()
    save_model(root / "models" / "tuned" / "0", made, architecture(), CLASSES)
    for folder in ("report", "metrics"):
        (root / folder).mkdir(exist_ok=True)
    (root / "report" / "model_card.md").write_text("\n---\nlanguage: en\n---\n\n# A card\n\nWhat it is.\n")
    (root / "metrics" / "summary.json").write_text(json.dumps({"clean": clean}))
    lock(root)
    return made


def lock(root: Path) -> None:
    """Write dvc.lock for what lies there."""
    names = ("models/tuned", "report", "metrics/summary.json")
    outs = [{"path": name, "md5": dvc_md5(root / name)} for name in names]
    params = {name: value for name, value in read_yaml(root / "params.yaml").items() if name in {"seed", "lambda_s"}}
    stages = {"report": {"cmd": "true", "params": {"params.yaml": params}, "outs": outs}}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
