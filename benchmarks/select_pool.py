"""Selecting from a pool of a million images. Run: ``python benchmarks/select_pool.py [ROWS]``.

The pool is a temporary file of 3 KB a row (3 GB for a million), deleted afterwards.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from impasto.runtime import device
from impasto.synthetic.quota import quotas
from impasto.synthetic.scorer import fit_scorer
from impasto.synthetic.select import score, select
from timing import show

_CLASSES, _SIZE, _BLOCK = 10, 32, 10_000


def write_pool(file: Path, n: int) -> np.ndarray:
    """Write ``n`` random images, the same 10,000 again and again, as uint8 .npy; returns random labels int64 [n]."""
    draws = np.random.default_rng(0)
    block = draws.integers(256, size=(min(n, _BLOCK), 3, _SIZE, _SIZE), dtype=np.uint8)
    with file.open("wb") as target:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, 3, _SIZE, _SIZE)}
        np.lib.format.write_array_header_1_0(target, header)
        for start in range(0, n, _BLOCK):
            target.write(block[: min(_BLOCK, n - start)].data)
    return draws.integers(_CLASSES, size=n)


def measure(n: int = 1_000_000, train: int = 49_500) -> dict[str, float | int]:
    """Fit a scorer to ``train`` images, score ``n`` in a file, and select half of the best 60 %; all of 32 px.

    Fitting and scoring run on the runtime's device.

    Returns:
        Seconds of wall clock for each part, and the peak resident memory of the process in MB: before, and after.
    """
    here = device()
    draws = np.random.default_rng(1)  # torch would draw words of eight bytes, ten times what is measured below
    real = torch.from_numpy(draws.integers(256, size=(train, 3, _SIZE, _SIZE), dtype=np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        labels = write_pool(file, n)
        before, begun = _peak_mb(), time.perf_counter()
        scorer = fit_scorer(real.to(here), torch.arange(train, device=here) % _CLASSES, _CLASSES, 0)
        fitted = time.perf_counter()
        scores = score(file, labels, scorer, here).scores
        scored = time.perf_counter()
        quota = quotas(np.bincount(labels, minlength=_CLASSES), n // 2)
        rows = select(labels, scores, quota, 0.6, [str(c) for c in range(_CLASSES)], 0).rows
        done = time.perf_counter()
    assert len(rows) == n // 2
    return {
        "n": n,
        "threads": torch.get_num_threads(),
        "fit_scorer_s": round(fitted - begun, 2),
        "score_s": round(scored - fitted, 2),
        "select_s": round(done - scored, 2),
        "total_s": round(done - begun, 2),
        "peak_mb_before": before,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> int:
    per_mb = 1024 * 1024 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb)


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:2])))
