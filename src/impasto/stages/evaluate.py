"""Measure the classifiers on the test split, clean and corrupted; no stage before this one opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.classes import class_rows, columns
from impasto.config.evaluate import Evaluate
from impasto.config.seed import Seeds
from impasto.config.train import Train
from impasto.corrupted.sources import CLEAN, Choice, CorruptedSets, choose, open_sets
from impasto.data.images import Images, to_device
from impasto.evaluation import Predictions, predict_all
from impasto.io import digest, read_json, write_csv, write_json, write_npy, write_record
from impasto.kept import Kept
from impasto.models.saved import load_model
from impasto.picture import grid, write_png
from impasto.runtime import device, first, runtime
from impasto.scores import Table, counts, reference_table, score, summary
from impasto.stages.command import PARAMS, In, Out, Params, command, run, stage
from impasto.stages.together import together
from impasto.workspace import main_root

SHOWN, LEAST, PIXELS = 8, 2, 2_000_000  # rows of the picture at most and at least, and for how many pixels
KINDS = ("base", "tuned")


@command
@together
def evaluate(
    images: In,
    split: In,
    base: In,
    tuned: In,
    out: Out,
    table: Out,
    classes: Out,
    predictions: Out,
    picture: Out,
    timing: Out,
    params: Params = PARAMS,
) -> None:
    """Write the scores of every model, the corruption x severity table and every single prediction."""
    with stage("evaluate", params, timing, images=images, split=split, base=base, tuned=tuned) as this:
        config, test, seeds = this.load(Evaluate), Images.load(images), this.load(Seeds).seeds
        folders = {f"{kind}-{s}": this.inputs[kind] / str(s) for kind in KINDS for s in seeds}
        weights = {name: digest(folder / "model.safetensors") for name, folder in folders.items()}
        # Without unfreezing stages both kinds are the same models: each is run once.
        models = {weights[name]: load_model(folder, device())[0] for name, folder in folders.items()}
        choice = choose(config, min(test.pixels.shape[2:]))
        sets = open_sets(test, config, choice, device())
        reference, cells = _reference(config, choice), choice.cells(config.severities)
        resume = this.resume("answers", sets.source, sets.state, divided=True)
        answers = predict_all(models, sets, cells, device(), this.load(Train).precision, kept=Kept(resume))
        if not first():
            return
        found = {name: answers[key] for name, key in weights.items()}
        result = _scored(found, test.classes, choice, config, reference)
        facts = {"n": len(test), "classes": list(test.classes), "corruptions": choice.names, "sets": choice.means}
        facts |= {"severities": config.severities, "source": sets.source}
        write_record(out, facts | result)
        _write_tables(found, test, table, predictions)
        sizes = read_json(split / "meta.json")["train"]
        _write_classes(found, {name: sizes[name] for name in test.classes}, choice, config, classes)
        write_png(picture, _sheet(sets, choice, config))
        headlines = ("clean", *choice.means)
        this.run.metrics({f"{kind}/{name}": result[kind][name]["mean"] for kind in KINDS for name in headlines})
        for path in (table, classes, picture):
            this.run.artifact(path)
        if runtime().log_model == "final":
            this.run.model(models[weights[f"tuned-{seeds[0]}"]], to_device(test.pixels[:2], device()).float() / 255)
        resume.finish()


def _scored(
    found: dict[str, Predictions], classes: tuple[str, ...], choice: Choice, config: Evaluate, reference: Table | None
) -> dict[str, dict[str, Any]]:
    """What is reported of each kind of model: of every seed, and over them."""
    by_kind: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for name, one in found.items():
        kind, _, seed = name.partition("-")
        by_kind[kind][int(seed)] = score(one, classes, choice.means, config.bootstrap, config.seed, reference)
    return {kind: summary(by_seed) | {"seeds": by_seed} for kind, by_seed in by_kind.items()}


def _reference(config: Evaluate, choice: Choice) -> Table | None:
    if config.reference is None:
        return None
    return reference_table(main_root() / Path(config.reference).expanduser(), choice.means["C"], config.severities)


def _write_tables(found: dict[str, Predictions], test: Images, table: Path, folder: Path) -> None:
    rows = [{"model": name} | row for name, p in found.items() for row in counts(p, test.classes)]
    write_csv(table, rows[0], rows)
    for name, one in found.items():
        write_npy(folder / f"{name}.npy", one.predicted.astype(np.int16))
    write_json(folder / "meta.json", {"cells": next(iter(found.values())).cells})


def _write_classes(
    found: dict[str, Predictions], trained: dict[str, int], choice: Choice, config: Evaluate, table: Path
) -> None:
    rows = (
        {"model": name} | row
        for name, one in found.items()
        for row in class_rows(one, trained, choice.means["C"], config.bootstrap, config.seed)
    )
    write_csv(table, ("model", *columns(list(trained))), rows)


def _sheet(sets: CorruptedSets, choice: Choice, config: Evaluate) -> np.ndarray:
    """Some test images, plain and under each corruption at the highest severity."""
    n = len(sets.labels(CLEAN))
    cells = [CLEAN, *((name, max(config.severities)) for name in choice.names)]
    count = min(SHOWN, max(LEAST, PIXELS // (len(cells) * sets.batch(CLEAN, slice(0, 1))[0, 0].numel())))
    rows = sorted({i * n // count for i in range(count)})
    return grid([torch.cat([sets.batch(cell, slice(row, row + 1)) for row in rows]) for cell in cells])


if __name__ == "__main__":
    run(evaluate)
