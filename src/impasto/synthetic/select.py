"""Choosing the synthetic subset: a quota of each class from the images that a scorer is surest of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.data.images import to_device
from impasto.errors import ImpastoError
from impasto.io import read_npy
from impasto.progress import track
from impasto.rng import numpy_generator
from impasto.synthetic.scorer import Scorer

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Selection:
    """The chosen rows of a pool.

    Attributes:
        rows: int64 [M], sorted.
        scores: float32 [M], the scorer's probability of the image's label; empty where nothing was scored.
        manifest: counts per class, in the pool and chosen, and quantiles of the scores, for JSON.
    """

    rows: np.ndarray
    scores: np.ndarray
    manifest: dict[str, Any]


def score(file: Path, labels: np.ndarray, scorer: Scorer, device: torch.device, chunk: int = 512) -> np.ndarray:
    """The scorer's probability of each image's own label, float32 [P].

    The file is mapped anew for each chunk: pages of a mapping that stays open count as memory of the process,
    up to the whole pool.

    Args:
        file: ``.npy``, uint8 [P, 3, H, W].
        labels: int64 [P].
        scorer: images on ``device`` -> probabilities.
        device: where the scorer lives.
        chunk: images in memory at once.
    """
    scores = np.empty(len(labels), np.float32)
    starts = range(0, len(labels), chunk)
    for number in track(len(starts), "score pool", f"x{chunk} images"):
        rows = slice(starts[number], starts[number] + chunk)
        wanted = torch.from_numpy(labels[rows]).to(device)
        found = scorer(to_device(read_npy(file)[rows], device))
        scores[rows] = found.gather(1, wanted[:, None])[:, 0].cpu().numpy()
    return scores


def select(
    labels: np.ndarray, scores: np.ndarray | None, quota: np.ndarray, keep: float, classes: Sequence[str], seed: int
) -> Selection:
    """Choose at random, without replacement, a quota of each class from its best share.

    Args:
        labels: int64 [P], of the pool.
        scores: float32 [P], or None to choose from all.
        quota: int64 [C], images wanted of each class.
        keep: share of each class in (0, 1] that may be chosen, best scores first; of equal ones the earlier.
        classes: their names.
        seed: of the choice.

    Raises:
        ImpastoError: names the first class of which the pool holds too few images.
    """
    chosen = []
    for label, name in enumerate(classes):
        rows = np.flatnonzero(labels == label)
        allowed = rows if scores is None else _best(rows, scores[rows], keep)
        if len(allowed) < quota[label]:
            raise _too_few(name, int(quota[label]), len(allowed), len(rows))
        chosen.append(numpy_generator(seed, "select", label).choice(allowed, quota[label], replace=False))
    picked = np.sort(np.concatenate(chosen))
    found = np.empty(0, np.float32) if scores is None else scores[picked]
    return Selection(picked, found, _manifest(labels, scores, picked, classes))


def _best(rows: np.ndarray, scores: np.ndarray, keep: float) -> np.ndarray:
    return rows[np.argsort(-scores, kind="stable")[: round(keep * len(rows))]]


def _manifest(
    labels: np.ndarray, scores: np.ndarray | None, picked: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    def counts(some: np.ndarray) -> dict[str, int]:
        return dict(zip(classes, np.bincount(some, minlength=len(classes)).tolist(), strict=True))

    manifest: dict[str, Any] = {
        "pool": counts(labels), "selected": counts(labels[picked]), "n": len(picked), "scored": scores is not None
    }  # fmt: skip
    if scores is not None:
        manifest["pool_scores"] = _quantiles(scores)
        manifest["selected_scores"] = _quantiles(scores[picked])
    return manifest


def _quantiles(scores: np.ndarray) -> dict[str, float]:
    values = np.quantile(scores, _QUANTILES).tolist() if len(scores) else []
    return {f"{level:g}": round(value, 6) for level, value in zip(_QUANTILES, values, strict=False)}


def _too_few(name: str, wanted: int, allowed: int, pool: int) -> ImpastoError:
    return ImpastoError(
        f"class {name!r} needs {wanted} synthetic images, but the pool has {pool}, of which {allowed} may be chosen",
        where="synthetic.count",
        remedy="Lower synthetic.count, or raise synthetic.pool or synthetic.keep.",
    )
