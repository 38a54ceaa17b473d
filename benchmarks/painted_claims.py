"""What ST-SACLF (arXiv 2408.01827) and its predecessor claim, and what the paintings say: effects over the arms.

Scores of an arm: ``clean`` accuracy, ``balanced``, the mean recall of all classes, ``minority`` and ``majority``, that
of the classes with fewer and with more images than the mean, and ``C``, accuracy under corruption. The rule by which
effects decide is that of :mod:`impasto.verdict`. The sides, where the claim leaves them open:

- No cost: the recall of the majority falls by less than a point.
- p1 from 50 to 90 %: 0.8 over 0 and 0.4, in accuracy; p2 from 20 to 60 %: 0.2 over 0 and 0.8, in balanced accuracy.
  Each is the mean over the other's three values.
- Hardest: no claim, but an open question of the paper; its answer is yes where the effects are above 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from impasto.claims import Claim, judged, several
from impasto.verdict import Found

MAKE = "`make paintings` runs them"
GRID_P1, GRID_P2 = (0, 40, 80), (0, 20, 80)
"""Values of the grid in per cent: between them lie the ends of the paper's ranges, and (80, 20) is what it keeps."""
SCORES = {
    "clean": "accuracy", "balanced": "balanced accuracy", "minority": "recall of the minority",
    "majority": "recall of the majority", "C": "robust accuracy",
}  # fmt: skip
OTHERS = ("duplicates", "rules", "reconstruction")
Runs = Mapping[str, Any]


def cell(p1: int, p2: int) -> str:
    """The arm of a cell of the grid; without any copies that of the originals."""
    return f"p{p1}-{p2}" if p1 or p2 else "originals"


def _gains(ours: str, others: Sequence[str], *scores: str, margin: float = 0.0) -> Callable[[Runs], Found]:
    """Gains of an arm over each of some others, in each of some scores; above 0 they speak for the claim."""

    def measure(runs: Runs) -> Found:
        told = f" + {100 * margin:g}" if margin else ""
        gains = {
            f"{SCORES[score]}, {ours} - {other}{told}": (_of(runs, ours, score) - _of(runs, other, score) + margin)
            for score in scores
            for other in others
        }
        return several({name: gain.tolist() for name, gain in gains.items()}, "points")

    return measure


def _along(axis: int, best: int, score: str) -> Callable[[Runs], Found]:
    """Gains of one value of p1 (axis 0) or p2 (axis 1) over the others, means over the other axis."""
    values, name = (GRID_P1, GRID_P2)[axis], f"p{axis + 1}"

    def line(runs: Runs, value: int) -> np.ndarray:
        arms = [cell(value, p2) for p2 in GRID_P2] if axis == 0 else [cell(p1, value) for p1 in GRID_P1]
        mean: np.ndarray = np.mean([_of(runs, arm, score) for arm in arms], axis=0)
        return mean

    def measure(runs: Runs) -> Found:
        gains = {
            f"{SCORES[score]}, {name} {best} % - {value} %": (line(runs, best) - line(runs, value)).tolist()
            for value in values
            if value != best
        }
        return several(gains, "points")

    return measure


def _of(runs: Runs, arm: str, score: str) -> np.ndarray:
    return np.asarray(runs["arms"][arm][score], dtype=np.float64)


CELLS = tuple(cell(p1, p2) for p1 in GRID_P1 for p2 in GRID_P2)
CLAIMS = {
    "bias": Claim(
        "Stylised copies raise the recall of rare classes.", ("class", "originals"), 0,
        _gains("class", ["originals"], "minority"),
    ),
    "no-cost": Claim(
        "They cost the majority less than a point.", ("class", "originals"), 0,
        _gains("class", ["originals"], "majority", margin=0.01),
    ),
    "accuracy": Claim(
        "They raise the accuracy.", ("class", "originals"), 0, _gains("class", ["originals"], "clean")
    ),
    "style": Claim(
        "It is style that raises the recall of rare classes: more than copies without.", ("class", *OTHERS), 0,
        _gains("class", OTHERS, "minority"),
    ),
    "own-class": Claim(
        "Styles of an image's own class are better than others.", ("class", "any", "external"), 0,
        _gains("class", ["any", "external"], "balanced"),
    ),
    "p1": Claim("p1 from 50 to 90 % is best, for accuracy.", CELLS, 0, _along(0, 80, "clean")),
    "p2": Claim("p2 from 20 to 60 % is best, for recall.", CELLS, 0, _along(1, 20, "balanced")),
    "kept": Claim(
        "p1 = 0.8, p2 = 0.2, which is kept, is better than p1 = 0, p2 = 0.8.", ("p80-20", "p0-80"), 0,
        _gains("p80-20", ["p0-80"], "clean", "balanced"),
    ),
    "attention": Claim(
        "Attention is better than pooling.", ("class", "attention-gap"), 0,
        _gains("class", ["attention-gap"], "clean", "balanced"),
    ),
    "hardest": Claim(
        "Open question: stylising the hardest images anew at each stage is better than one pool.",
        ("hardest", "once", "redrawn"), 0, _gains("hardest", ["once", "redrawn"], "minority"),
    ),
}  # fmt: skip


def judge(runs: Runs) -> list[dict[str, Any]]:
    """The verdict on each claim, in the form of :func:`impasto.claims.judge`.

    Args:
        runs: ``arms``, of each arm that was run its scores, lists in the order of the seeds.
    """
    whole = {"curves": {}, **runs}
    return [{"dataset": "paintings", "claim": name} | judged(claim, whole, MAKE) for name, claim in CLAIMS.items()]
