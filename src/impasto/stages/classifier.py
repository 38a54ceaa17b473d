"""What the stages that train a classifier share: its inputs as streams and a feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.checkpoint import Resume
from impasto.config.augment import Augment
from impasto.config.balance import Balance
from impasto.config.mix import Mix
from impasto.config.seed import Seed, Seeds
from impasto.config.style import Style
from impasto.config.train import Train
from impasto.copies import Bank, Copies, Redraw, draw_copies
from impasto.copies_per_class import copies_per_class
from impasto.data.images import Images
from impasto.data.stream import Stream
from impasto.features import Features
from impasto.feed import Feed
from impasto.io import read_json, read_npy, write_csv, write_record
from impasto.paintings import Paintings
from impasto.precision import resolve
from impasto.runtime import device, first
from impasto.stages.command import Stage
from impasto.style.stylize import Precision, load_painter
from impasto.training import Row, Trained

#: Columns of a training curve.
COLUMNS = (
    "seed", "epoch", "loss", "validation_loss", "validation_accuracy", "learning_rate",
    "share_synthetic", "share_stylised_o", "share_stylised_s",
)  # fmt: skip

#: Columns that a curve has where the stage chooses by them.
CHOSEN = ("validation_balanced_accuracy",)


class Inputs:
    """The images that a classifier sees, opened once for all seeds.

    Args:
        this: a stage with the inputs images, split, pool, synthetic and style.
    """

    def __init__(self, this: Stage) -> None:
        images, pool = Images.load(this.inputs["images"]), Images.load(this.inputs["pool"])
        rows = {name: np.array(read_npy(this.inputs["split"] / f"{name}.npy")) for name in ("train", "validation")}
        index = np.array(read_npy(this.inputs["synthetic"] / "index.npy"))
        self.classes = images.classes
        self._this = this
        style = this.load(Style)
        bank = read_json(this.inputs["style"] / "meta.json")
        self._styles, self._training = bank["styles"], bool(bank.get("training"))
        self._names = images.names
        self._train, self._labels = rows["train"], images.labels[rows["train"]]
        self._features = Features()
        self._draw = self._drawing()
        self.copies = self._draw()
        shown = np.concatenate([rows["train"], rows["train"][self.copies.content]])
        self.original = Stream(images.pixels, images.labels, shown, device())
        self.validation = Stream(images.pixels, images.labels, rows["validation"], device())
        self.synthetic = Stream(pool.pixels, pool.labels, index, device())
        self.statistics = channel_statistics(images.pixels, rows["train"])
        half = resolve(this.load(Train).precision, device()) != "fp32"
        precision: Precision = "bf16" if half else "fp32"
        self._painter = load_painter(this.inputs["style"], style, device(), precision)

    def write_copies(self, file: Path, drawn: Sequence[Copies] = ()) -> None:
        """Write the pairs as a table, unless there are none: images are numbered as in ``data/raw/train``.

        Args:
            file: where to.
            drawn: those of each stage, where they were drawn anew, with the stage's number; else those of all training.
        """
        tables = [self._pairs(each) | {"stage": np.full(len(each.content), n)} for n, each in enumerate(drawn)]
        tables = tables or [self._pairs(self.copies)]
        if not sum(len(table["class"]) for table in tables):
            return
        rows = (dict(zip(table, row, strict=True)) for table in tables for row in zip(*table.values(), strict=True))
        write_csv(file, tuple(tables[0]), rows)
        self._this.run.artifact(file)

    def _pairs(self, copies: Copies) -> dict[str, np.ndarray]:
        """The columns of their table."""
        columns = {name: getattr(copies, name).numpy() for name in Copies._fields[2:]}
        content, style = columns["content"], columns["style"]
        numbers = self._train[style] if self._training and copies.kind == "style" else style
        names, rows = np.array(self.classes)[self._labels[content]], self._train[content]
        files = np.full(len(rows), "") if self._names is None else self._names[rows]
        return {"class": names, **columns, "content": rows, "style": numbers, "file": files}

    def _drawing(self) -> Callable[..., Copies]:
        """How copies are drawn, and drawn anew (see :func:`impasto.copies.draw_copies`)."""
        balance, labels = self._this.load(Balance), torch.from_numpy(self._labels.astype(np.int64))
        counts = np.bincount(self._labels, minlength=len(self.classes)).tolist()
        bank = Bank(self._styles, labels if self._training else None)
        alpha, seed = self._this.load(Mix).alpha_o, self._this.load(Seed).seed
        return partial(draw_copies, labels, copies_per_class(counts, self.classes, balance), bank, balance, alpha, seed)

    def under(self, this: Stage) -> Inputs:
        """The same images under other parameters, which differ in none that decides images, styles or copies."""
        found = copy(self)
        found._this = this
        return found

    def feed(self, seed: int, folder: Path | None, mix: Mix, copies: str = "kept") -> Feed:
        """The batches of one run, drawn by ``seed``; ``folder`` keeps its paintings until the run is done, else memory.

        ``copies`` is ``finetune.copies``, where that counts.
        """
        there = len(self.copies.content) > 0
        streams = (self.original, self.synthetic)
        refresh = self._this.load(Style).refresh
        return Feed(
            streams=streams,
            paintings=Paintings(self._painter, streams, refresh, device(), folder and folder / "paintings.npy"),
            styles=self._styles,
            mix=mix,
            augment=self._this.load(Augment),
            strength=self._this.load(Balance).strength,
            batch=self._this.load(Train).batch,
            seed=seed,
            device=device(),
            faithful=self._this.load(Style).differences,
            views=3 if self._this.load(Train).consistency else 1,
            copies=self.copies if there else None,
            features=self._features,
            redraw=Redraw(copies == "hardest", self._draw) if there and copies != "kept" else None,
        )


def every_seed(this: Stage, one: Callable[[int, Resume], Trained], metrics: Path, curve: Path) -> None:
    """Run ``one`` for each seed and write the numbers of the models as metrics and those of all epochs as a curve.

    A finished seed keeps its resume point until all are done: a run killed in the second seed does not
    train the first one again.
    """
    resumes = {seed: this.resume(f"seed-{seed}", divided=True) for seed in this.load(Seeds).seeds}
    runs = {seed: one(seed, resume) for seed, resume in resumes.items()}
    if not first():
        return
    rows = [{"seed": s, "epoch": e} | row for s, run in runs.items() for e, row in enumerate(run.rows)]
    columns = [*COLUMNS, *(name for name in CHOSEN if all(name in row for row in rows) and rows)]
    write_csv(curve, columns, ({name: row[name] for name in columns} for row in rows))
    write_record(metrics, {"seeds": {str(seed): run.last for seed, run in runs.items()}})
    for resume in resumes.values():
        resume.finish()


def logger(this: Stage, seed: int) -> Callable[[int, Row], None]:
    """A callback that logs each epoch; with several seeds every seed has metrics of its own."""
    prefix = f"seed_{seed}/" if len(this.load(Seeds).seeds) > 1 else ""
    return lambda epoch, row: this.run.metrics({f"{prefix}{name}": value for name, value in row.items()}, step=epoch)


def channel_statistics(pixels: np.ndarray, rows: np.ndarray, chunk: int = 4096) -> dict[str, Any]:
    """Mean and standard deviation of each channel of uint8 images, in [0, 1]: two lists of three floats."""
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(rows), chunk):
        part = pixels[rows[start : start + chunk]].astype(np.float64) / 255
        total += part.sum((0, 2, 3))
        squares += np.square(part).sum((0, 2, 3))
        count += part.size // 3
    mean = total / count
    return {"mean": mean.tolist(), "std": np.sqrt(np.maximum(squares / count - mean**2, 1e-6)).tolist()}
