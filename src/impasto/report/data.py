"""What a run has found, read from the files that its stages wrote. Scores and shares are fractions in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.fid.curve import FrechetCurve
from impasto.io import read_csv, read_json, read_npy, read_record

SCORES = {
    "clean": "accuracy, clean",
    "C": "accuracy, corrupted (C)",
    "C15": "accuracy, corrupted (C15)",
    "C_bar": "accuracy, corrupted (C-bar)",
    "without_noise": "accuracy, corrupted, without pixel noise",
    "mCE": "mCE against the reference",
    "balanced": "balanced accuracy",
    "worst_class_recall": "recall of the worst class",
    "recall_gap": "recall, best class - worst class",
    "ece_clean": "calibration error, clean",
    "ece_corrupted": "calibration error, corrupted",
}
"""Score -> its heading, in the order in which they are shown."""

SETS = {"C": "C", "C15": "C15", "C_bar": "C-bar", "without_noise": "without pixel noise"}
"""Mean over corruptions -> its name."""

SHARES = ("share_synthetic", "share_stylised_o", "share_stylised_s")
STAGES = ("download", "split", "generate", "select", "style", "fid", "train", "finetune", "evaluate", "explain")
"""In the order in which they run."""

Epoch = dict[str, float]
Curve = dict[int, list[Epoch]]
"""Seed -> one row of numbers per epoch."""


class Score(NamedTuple):
    """One number of one kind of model: the mean over seeds and a 95 % interval, where there is one."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Evaluation:
    """Scores of the trained (``base``) and of the fine-tuned (``tuned``) classifiers on the test split.

    Attributes:
        n: test images.
        classes: their names.
        corruptions: what was measured.
        sets: mean -> the corruptions that enter it.
        severities: of each corruption.
        source: where corrupted images come from.
        seeds: one classifier each.
        scores: kind of model -> one of ``SCORES`` -> score; C15 and others only where they were measured.
        worst: kind of model -> the worst class of each seed.
        unchanged: seeds whose fine-tuned model answers as the trained one does: no epoch of fine-tuning was better.
        recall: kind of model -> class -> recall, mean over seeds.
        table: corruption -> severity -> accuracy of the tuned model, mean over seeds; clean is severity 0.
    """

    n: int
    classes: tuple[str, ...]
    corruptions: tuple[str, ...]
    sets: dict[str, tuple[str, ...]]
    severities: tuple[int, ...]
    source: str
    seeds: tuple[int, ...]
    scores: dict[str, dict[str, Score]]
    worst: dict[str, tuple[str, ...]]
    unchanged: tuple[int, ...]
    recall: dict[str, dict[str, float]]
    table: dict[str, dict[int, float]]


class Cost(NamedTuple):
    """What one stage cost when it last ran."""

    stage: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    cores: int
    threads: int
    device: str


class Material(NamedTuple):
    """The images behind the run."""

    original: str  # where they come from, in words
    training: int
    validation: int
    pool: str  # likewise
    synthetic: int
    size: int  # px
    styles: int


def load_evaluation(scores: Path, corruptions: Path) -> Evaluation:
    """Read ``metrics/evaluate.json`` and ``metrics/corruptions.csv``."""
    found = read_record(scores)
    kinds = {kind: found[kind] for kind in ("base", "tuned")}
    by_seed = {kind: list(one["seeds"].values()) for kind, one in kinds.items()}
    return Evaluation(
        n=found["n"],
        classes=tuple(found["classes"]),
        corruptions=tuple(found["corruptions"]),
        sets={name: tuple(members) for name, members in found["sets"].items()},
        severities=tuple(found["severities"]),
        source=found["source"],
        seeds=tuple(sorted(map(int, kinds["tuned"]["seeds"]))),
        scores={kind: {name: _score(one, name) for name in SCORES if name in one} for kind, one in kinds.items()},
        worst={kind: tuple(dict.fromkeys(one["worst_class"] for one in by_seed[kind])) for kind in kinds},
        unchanged=tuple(int(s) for s, one in found["tuned"]["seeds"].items() if one == found["base"]["seeds"][s]),
        recall={kind: _mean_recall(by_seed[kind], found["classes"]) for kind in kinds},
        table=_table(read_csv(corruptions)),
    )


def load_curve(path: Path) -> Curve:
    """Read ``metrics/train.csv`` or ``metrics/finetune.csv``; no epochs give an empty curve."""
    curve: Curve = {}
    for row in read_csv(path):
        curve.setdefault(int(row["seed"]), []).append({name: float(row[name]) for name in row if name != "seed"})
    return curve


def load_frechet(path: Path) -> FrechetCurve | None:
    """Read ``metrics/fid.json``; None where there were no synthetic images to measure."""
    found = read_record(path)
    return FrechetCurve(**found) if found["points"] else None


def load_costs(folder: Path) -> list[Cost]:
    """Read ``metrics/time/*.json``, in the order in which the stages run."""
    found = [Cost(**read_record(path)) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda cost: STAGES.index(cost.stage) if cost.stage in STAGES else len(STAGES))


def load_material(images: Path, split: Path, pool: Path, synthetic: Path, style: Path) -> Material:
    """Count the images and name their sources, from the folders of earlier stages."""
    return Material(
        original=read_json(images / "meta.json")["source"],
        training=len(read_npy(split / "train.npy")),
        validation=len(read_npy(split / "validation.npy")),
        pool=read_json(pool / "meta.json")["source"],
        synthetic=len(read_npy(synthetic / "index.npy")),
        size=read_npy(images / "images.npy").shape[-1],
        styles=read_json(style / "meta.json")["styles"],
    )


def realised(curve: Curve) -> dict[str, float]:
    """``SHARES`` as they came out in the last epoch, mean over seeds."""
    return {name: float(np.mean([rows[-1][name] for rows in curve.values()])) for name in SHARES}


def _score(kind: Mapping[str, Any], name: str) -> Score:
    """Over seeds a t interval; of a single seed the bootstrap interval over images, which only some scores have."""
    value, interval = kind[name]["mean"], kind[name]["interval"]
    if len(kind["seeds"]) == 1:
        (only,) = kind["seeds"].values()
        interval = only.get(f"{name}_interval")
    return Score(value, (interval[0], interval[1]) if interval else None)


def _mean_recall(by_seed: list[dict[str, Any]], classes: list[str]) -> dict[str, float]:
    return {name: float(np.mean([one["recall"][name] for one in by_seed])) for name in classes}


def _table(rows: list[dict[str, str]]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        if row["model"].startswith("tuned-"):
            cell = found.setdefault(row["corruption"], {}).setdefault(int(row["severity"]), [])
            cell.append(int(row["correct"]) / int(row["n"]))
    return {name: {s: float(np.mean(v)) for s, v in cells.items()} for name, cells in found.items()}
