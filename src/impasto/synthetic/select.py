"""Choosing the synthetic subset: a quota of each class from the images that a scorer is surest of, in part to cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from impasto.data.images import to_device
from impasto.errors import ImpastoError
from impasto.io import read_npy
from impasto.progress import track
from impasto.rng import numpy_generator
from impasto.synthetic.scorer import Scorer
from impasto.synthetic.spread import spread

_CPU = torch.device("cpu")
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Selection:
    """The chosen rows of a pool.

    Attributes:
        rows: int64 [M], sorted.
        scores: float32 [M], the scorer's probability of the image's label; empty where nothing was scored.
        manifest: counts per class, in the pool and chosen, quantiles of the scores and what coverage changed, for JSON.
    """

    rows: np.ndarray
    scores: np.ndarray
    manifest: dict[str, Any]


class Scored(NamedTuple):
    """What the scorer makes of N images of a pool."""

    scores: np.ndarray
    """float32 [N], the probability of the image's own label."""
    answers: np.ndarray
    """int16 [N], the likeliest class."""
    features: np.ndarray | None
    """float16 [N, D], of unit length up to rounding; 128 MB for a million. None where they were not asked for."""


def score(
    file: Path, labels: np.ndarray, scorer: Scorer, device: torch.device, chunk: int = 512,
    rows: np.ndarray | None = None, features: bool = False,
) -> Scored:  # fmt: skip
    """Let the scorer see images of a pool, once.

    The file is mapped anew for each chunk: pages of a mapping that stays open count as memory of the process,
    up to the whole pool.

    Args:
        file: ``.npy``, uint8 [P, 3, H, W].
        labels: int64 [P].
        scorer: what it makes of images on ``device``.
        device: where the scorer lives.
        chunk: images in memory at once.
        rows: int64 [N], the images to score; None: all.
        features: whether to keep their features.
    """
    count = len(labels) if rows is None else len(rows)
    scores, answers, kept = np.empty(count, np.float32), np.empty(count, np.int16), None
    for number in track(-(-count // chunk), "score pool", f"x{chunk} images"):
        part = slice(number * chunk, (number + 1) * chunk)
        here = part if rows is None else rows[part]
        wanted = torch.from_numpy(labels[here]).to(device)
        found = scorer(to_device(read_npy(file)[here], device))
        scores[part] = found.probabilities.gather(1, wanted[:, None])[:, 0].cpu().numpy()
        answers[part] = found.probabilities.argmax(1).cpu().numpy()
        if features:
            kept = np.empty((count, found.features.shape[1]), np.float16) if kept is None else kept
            kept[part] = found.features.cpu().numpy()
    return Scored(scores, answers, kept)


def select(
    labels: np.ndarray, scores: np.ndarray | None, quota: np.ndarray, keep: float, classes: Sequence[str], seed: int,
    coverage: float = 0.0, features: np.ndarray | None = None, device: torch.device = _CPU,
) -> Selection:  # fmt: skip
    """Choose a quota of each class from its best share: at random without replacement, and in part by coverage.

    Where all classes together are to give the whole pool, all rows are chosen, whatever the quota of each; the
    manifest then holds the quotas as ``quota_not_kept``.

    Args:
        labels: int64 [P], of the pool.
        scores: float32 [P], or None to choose from all.
        quota: int64 [C], images wanted of each class.
        keep: share of each class in (0, 1] that may be chosen, best scores first; of equal ones the earlier.
        classes: their names.
        seed: of the choice.
        coverage: share of each quota in [0, 1] that is chosen as farthest; see :func:`impasto.synthetic.spread.spread`.
        features: float [P, D], which it needs above 0.
        device: where it is computed.

    Raises:
        ImpastoError: names the first class of which the pool holds too few images.
    """
    chosen, covered, wanted = [], {}, quota
    if keep == 1 and quota.sum() == len(labels):  # the whole pool, however uneven
        quota = np.bincount(labels, minlength=len(classes))
    for label, name in enumerate(classes):
        rows = np.flatnonzero(labels == label)
        allowed = rows if scores is None or keep == 1 else _best(rows, scores[rows], keep)
        if len(allowed) < quota[label]:
            raise _too_few(name, int(quota[label]), len(allowed), len(rows))
        drawn = numpy_generator(seed, "select", label).choice(allowed, quota[label], replace=False)
        if coverage > 0:
            assert features is not None
            source = numpy_generator(seed, "coverage", label)
            drawn, covered[name] = spread(drawn, allowed, features, coverage, source, device)
        chosen.append(drawn)
    picked = np.sort(np.concatenate(chosen))
    found = np.empty(0, np.float32) if scores is None else scores[picked]
    manifest = _manifest(labels, scores, picked, classes)
    if not np.array_equal(quota, wanted):
        manifest["quota_not_kept"] = dict(zip(classes, wanted.tolist(), strict=True))
    return Selection(picked, found, manifest | ({"coverage": covered} if coverage > 0 else {}))


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
