"""-C-bar on batches against numpy image by image, and the authors' loops. Run: ``python benchmarks/cbar.py``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import original_cbar
from impasto.corruptions.registry import corrupt, parameters_of
from impasto.corruptions.sets import C_BAR
from timing import interleaved, show, single_thread

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "corruptions"))

_SEVERITY = 3


class Run(NamedTuple):
    """List of corruptions, table of constants, side in pixels, and images that each way gets per round."""

    names: str
    table: str
    side: int
    images: dict[str, int]


_RUNS = {
    "cifar_32": Run("cifar", "cifar", 32, {"ours": 1000, "numpy": 50, "original": 4}),
    "tin_64": Run("imagenet", "tin", 64, {"ours": 250, "numpy": 12}),
}


def measure(repeats: int = 5, runs: dict[str, Run] = _RUNS) -> dict[str, Any]:
    """Time each corruption of both lists, ours in one call and the others one image after the other, in turn.

    One thread, one process, float64 and draws included on all sides. ``numpy`` are the forms of
    ``tests/corruptions/cbar_reference.py``, which work on a whole image at a time, by scipy.ndimage and scikit-image
    where the original does; ``original`` are those of ``original_cbar.py``, which loop over pixels where it does.

    Returns:
        By run: medians of ``repeats`` in CPU milliseconds per image, and the others' times over ours (``ratio``:
        numpy's), each and in total; ``ratio`` and ``ratio_original`` are the totals of CIFAR's list at 32 px.
    """
    with single_thread():
        found = {name: _rows(run, repeats) for name, run in runs.items()}
    facts = {"repeats": repeats, "threads": 1, "severity": _SEVERITY, "unit": "CPU milliseconds per image"}
    total = found["cifar_32"]["total"]
    return {**facts, **found, "ratio": total["ratio"], "ratio_original": total["ratio_original"]}


def _rows(run: Run, repeats: int) -> dict[str, dict[str, float]]:
    images = photographs(run.images["ours"], run.side)
    times = {name: _medians(run, name, images, repeats) for name in C_BAR[run.names]}
    times["total"] = {way: sum(row[way] for row in times.values()) for way in run.images}
    return {name: {way: round(each, 4) for way, each in row.items()} | _ratios(row) for name, row in times.items()}


def _ratios(row: dict[str, float]) -> dict[str, float]:
    names = {"numpy": "ratio", "original": "ratio_original"}
    return {ratio: round(row[way] / row["ours"], 1) for way, ratio in names.items() if way in row}


def _medians(run: Run, name: str, images: Tensor, repeats: int) -> dict[str, float]:
    """Milliseconds per image by way."""
    import cbar_reference as reference

    ids = torch.arange(len(images))
    functions = {"numpy": getattr(reference, name), "original": original_cbar.FUNCTIONS.get(name)}
    draw, (severity,) = getattr(reference, f"draw_{name}"), parameters_of(name, _SEVERITY, run.table)
    ways: dict[str, Callable[[int], object]] = {
        "ours": lambda seed: corrupt(images, name, _SEVERITY, seed, ids, run.table)
    }
    for way in run.images.keys() & functions.keys():
        ways[way] = partial(_one_by_one, _pictures(images[: run.images[way]]), functions[way], draw, severity)
    seconds = interleaved(ways, repeats)
    return {way: seconds[way].processor / n * 1e3 for way, n in run.images.items()}


def _pictures(images: Tensor) -> np.ndarray[Any, Any]:
    return images.permute(0, 2, 3, 1).contiguous().numpy()


def _one_by_one(
    pictures: np.ndarray[Any, Any],
    operation: Callable[..., object],
    draw: Callable[..., dict[str, Any]],
    severity: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    for picture in pictures:
        operation(picture, severity, **draw(rng, picture.shape[:2], severity))


def photographs(n: int, side: int) -> Tensor:
    """Pictures with the spectrum of natural images (amplitude 1 / frequency), uint8 [n, 3, side, side]."""
    generator = torch.Generator().manual_seed(0)
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)).clamp_min_(1 / side)
    waves = torch.fft.rfft2(torch.randn(n, 3, side, side, generator=generator)) / frequency
    x = torch.fft.irfft2(waves, s=(side, side))
    return (x / x.std(dim=(1, 2, 3), keepdim=True) * 60 + 120).clamp_(0, 255).byte()


if __name__ == "__main__":
    show(measure())
