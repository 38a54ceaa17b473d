"""-C-bar on batches against plain numpy image by image. Run: ``python benchmarks/cbar.py``."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.corruptions.registry import corrupt, parameters_of
from impasto.corruptions.sets import C_BAR

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "corruptions"))

_RUNS = {"cifar_32": ("cifar", "cifar", 32, 1000, 50), "tin_64": ("imagenet", "tin", 64, 250, 12)}
"""List of corruptions, table of constants, side in pixels, images of ours, and images of numpy's per round."""
_SEVERITY = 3


def measure(repeats: int = 5) -> dict[str, object]:
    """Time each corruption of both lists, ours in one call and numpy's one image after the other, in turn.

    One thread, one process, float64 and draws included on both sides. The numpy forms are those of
    ``tests/corruptions/cbar_reference.py``, which work on a whole image at a time, by scipy.ndimage and scikit-image
    where the original does; the original itself loops over pixels in Python for most of them, which is slower by far.

    Returns:
        By run: medians of ``repeats`` in CPU milliseconds per image, and numpy's times over ours, each and in total;
        ``ratio`` is the total of CIFAR's list at 32 px.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {run: _run(*setting, repeats) for run, setting in _RUNS.items()}
    torch.set_num_threads(threads)
    facts = {"repeats": repeats, "threads": 1, "severity": _SEVERITY, "unit": "CPU milliseconds per image"}
    return {**facts, **found, "ratio": found["cifar_32"]["total"]["ratio"]}


def _run(names: str, table: str, side: int, n: int, singles: int, repeats: int) -> dict[str, dict[str, float]]:
    images = photographs(n, side)
    medians = [_compare(name, table, images, singles, repeats) for name in C_BAR[names]]
    rows = {**dict(zip(C_BAR[names], medians, strict=True)), "total": tuple(map(sum, zip(*medians, strict=True)))}
    return {
        name: {"ours": round(ours, 4), "numpy": round(numpy, 4), "ratio": round(numpy / ours, 1)}
        for name, (ours, numpy) in rows.items()
    }


def _compare(name: str, table: str, images: Tensor, singles: int, repeats: int) -> tuple[float, float]:
    """Median milliseconds per image of ours and of numpy's, interleaved, after one untimed round."""
    ids, pictures = torch.arange(len(images)), images[:singles].permute(0, 2, 3, 1).contiguous().numpy()
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        times[0].append(_time(lambda seed: corrupt(images, name, _SEVERITY, seed, ids, table), repeat) / len(images))
        times[1].append(_time(lambda seed: _one_by_one(name, table, pictures, seed), repeat) / len(pictures))
    ours, numpy = (statistics.median(each[1:]) for each in times)
    return ours, numpy


def _time(way: Callable[[int], object], seed: int) -> float:
    begun = time.process_time()
    way(seed)
    return (time.process_time() - begun) * 1e3


def _one_by_one(name: str, table: str, pictures: np.ndarray[Any, Any], seed: int) -> None:
    import cbar_reference as reference

    draw, operation = getattr(reference, f"draw_{name}"), getattr(reference, name)
    (severity,), rng = parameters_of(name, _SEVERITY, table), np.random.default_rng(seed)
    for picture in pictures:
        operation(picture, severity, **draw(rng, picture.shape[:2], severity))


def photographs(n: int, side: int) -> Tensor:
    """Pictures with the spectrum of natural images (amplitude 1 / frequency), uint8 [n, 3, side, side]."""
    generator = torch.Generator().manual_seed(0)
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)).clamp_min_(1 / side)
    waves = torch.fft.rfft2(torch.randn(n, 3, side, side, generator=generator)) / frequency
    x = torch.fft.irfft2(waves, s=(side, side))
    return (x / x.std(dim=(1, 2, 3), keepdim=True) * 60 + 120).clamp_(0, 255).byte()


def main() -> None:
    """Print a table for each run and one line of JSON."""
    result = measure()
    for run in _RUNS:
        for name, row in result[run].items():  # type: ignore[attr-defined]
            print(f"{run:<9} {name:<32} {row['ours']:>8.4f} {row['numpy']:>8.3f} {row['ratio']:>7.1f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
