"""Scores of each class of the tuned classifiers, read from ``metrics/classes.csv``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from impasto.io import read_csv
from impasto.report.data import Score

#: Rows over several classes -> their headings.
OVERALL = {"macro": "mean of the classes", "majority": "majority", "minority": "minority", "gap": "majority - minority"}
MEASURES = {"precision": "precision", "recall": "recall", "f1": "F1", "robust_recall": "recall, corrupted (C)"}


class ClassRow(NamedTuple):
    """A class, or several.

    Attributes:
        name: the class, or one of ``OVERALL``.
        n: test images.
        group: majority or minority; empty for several classes, and where all are alike.
        scores: one of ``MEASURES`` -> mean over seeds, and of one seed the interval over images.
    """

    name: str
    n: int
    group: str
    scores: dict[str, Score]


class ByClass(NamedTuple):
    """The rows of single classes, and those of several."""

    single: list[ClassRow]
    overall: list[ClassRow]


def load_by_class(path: Path, classes: tuple[str, ...]) -> ByClass:
    """Read the table; ``classes`` are the names of the single classes, which come first."""
    rows = [row for row in read_csv(path) if row["model"].startswith("tuned-")]
    models = [list(some) for _, some in groupby(rows, key=lambda row: row["model"])]
    found = [_row(list(seeds)) for seeds in zip(*models, strict=True)]
    return ByClass(found[: len(classes)], found[len(classes) :])


def _row(seeds: list[dict[str, str]]) -> ClassRow:
    first = seeds[0]
    return ClassRow(first["class"], int(first["n"]), first["group"], {name: _score(seeds, name) for name in MEASURES})


def _score(seeds: list[dict[str, str]], name: str) -> Score:
    ends = [seeds[0].get(f"{name}_{end}") for end in ("low", "high")]
    alone = len(seeds) == 1 and all(ends)
    low, high = (float(end) if end else 0.0 for end in ends)
    return Score(float(np.mean([float(row[name]) for row in seeds])), (low, high) if alone else None)
