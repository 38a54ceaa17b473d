"""The corruptions of -C on batches against imagecorruptions-imaug per image. Run: ``python benchmarks/corruptions.py``.

The peer knows the constants of ImageNet-C alone. At CIFAR constants its times stand beside ours all the same, since
nothing else offers all 19; ``original.py`` has the slowest five of the generator's own functions at these constants.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from impasto.corruptions.catalogue import CATALOGUE
from impasto.corruptions.registry import corrupt
from impasto.corruptions.sets import C19
from impasto.rng import generator
from timing import interleaved, show, single_thread, table

SEVERITY = 3

Ways = dict[str, Callable[[int], int]]
"""Corruption -> what applies it once, given a seed, and returns the number of images."""


def measure(n: int = 1000, repeats: int = 5, large: int = 8, names: Sequence[str] = C19) -> dict[str, Any]:
    """Time each of ``names`` that is declared on ``n`` crops of photographs, severity 3, draws included.

    The peer and the original get a tenth of the images, as ready-made arrays; at 224 px all get ``large`` images.

    Returns:
        CPU time in microseconds per image, single thread, medians of ``repeats`` after one untimed round:

        - ``cifar`` and ``imagenet``: name -> ours at 32 px with the constants of either; ``peer``: the peer's;
        - ``original``: name -> the generator's function, of those that ``original.py`` has;
        - ``imagenet_224`` and ``peer_224``: the same at 224 px;
        - ``ratio_cifar``, ``ratio_imagenet``, ``ratio_original`` and ``ratio_224``: ratios of the totals, and
          ``ratios``, ``ratios_224``: peer over ours at the same constants, per corruption;
        - ``skipped``: those of ``names`` that are not declared.
    """
    present = tuple(name for name in names if name in CATALOGUE)
    with single_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's
        small = _medians(_ways_at_32(photographs(n, 32), present), repeats)
        large = _medians(_ways_at_224(photographs(large, 224), present), repeats)
    return {
        "n": n,
        "repeats": repeats,
        "threads": 1,
        "unit": "microseconds of CPU time per image",
        **small,
        "imagenet_224": large["imagenet"],
        "peer_224": large["peer"],
        "ratios": _ratios(small["peer"], small["imagenet"]),
        "ratios_224": _ratios(large["peer"], large["imagenet"]),
        "ratio_cifar": _ratio(small["peer"], small["cifar"]),
        "ratio_imagenet": _ratio(small["peer"], small["imagenet"]),
        "ratio_original": _ratio(small["original"], small["cifar"]),
        "ratio_224": _ratio(large["peer"], large["imagenet"]),
        "skipped": [name for name in names if name not in present],
    }


def photographs(n: int, side: int) -> Tensor:
    """``n`` random crops of scikit-learn's two photographs, uint8 [n, 3, side, side]."""
    from sklearn.datasets import load_sample_images

    photos = [torch.from_numpy(photo.copy()).permute(2, 0, 1) for photo in load_sample_images().images]
    source = generator(0, "benchmark", "crops")
    crops = []
    for index in range(n):
        photo = photos[index % len(photos)]
        row, column = (int(torch.randint(length - side + 1, (1,), generator=source)) for length in photo.shape[1:])
        crops.append(photo[:, row : row + side, column : column + side])
    return torch.stack(crops)


def _ways_at_32(images: Tensor, names: tuple[str, ...]) -> dict[str, Ways]:
    import original

    some = images[: max(1, len(images) // 10)]
    return {
        "cifar": {name: _ours(images, name, "cifar") for name in names},
        "imagenet": {name: _ours(images, name, "imagenet") for name in names},
        "peer": {name: _peer(some, name) for name in names},
        "original": {
            name: partial(_each, _arrays(some), function, SEVERITY)
            for name, function in original.FUNCTIONS.items()
            if name in names
        },
    }


def _ways_at_224(images: Tensor, names: tuple[str, ...]) -> dict[str, Ways]:
    return {
        "imagenet": {name: _ours(images, name, "imagenet") for name in names},
        "peer": {name: _peer(images, name) for name in names},
    }


def _ours(images: Tensor, name: str, table: str) -> Callable[[int], int]:
    ids = torch.arange(len(images))

    def way(seed: int) -> int:
        corrupt(images, name, SEVERITY, seed, ids, table=table)
        return len(images)

    return way


def _peer(images: Tensor, name: str) -> Callable[[int], int]:
    import imagecorruptions

    return partial(_each, _arrays(images), partial(imagecorruptions.corrupt, corruption_name=name), SEVERITY)


def _arrays(images: Tensor) -> list[Any]:
    return [image.permute(1, 2, 0).contiguous().numpy() for image in images]


def _each(arrays: list[Any], function: Callable[..., object], severity: int, seed: int) -> int:
    for array in arrays:
        function(array, severity=severity)
    return len(arrays)


def _medians(groups: Mapping[str, Ways], repeats: int) -> dict[str, dict[str, float]]:
    """Median CPU time of every way in microseconds per image; all ways to one corruption are timed in turn."""
    names = next(iter(groups.values()))
    flat = {(group, name): ways[name] for name in names for group, ways in groups.items() if name in ways}
    found: dict[str, dict[str, float]] = {group: {} for group in groups}
    for (group, name), timed in interleaved(flat, repeats).items():
        found[group][name] = round(timed.processor / timed.result * 1e6, 1)
    return found


def _ratio(slow: dict[str, float], fast: dict[str, float]) -> float | None:
    """The total of ``slow`` over the total of ``fast`` on the names that ``slow`` has; None if it has none."""
    return round(sum(slow.values()) / sum(fast[name] for name in slow), 1) if slow else None


def _ratios(slow: dict[str, float], fast: dict[str, float]) -> dict[str, float]:
    return {name: round(slow[name] / fast[name], 2) for name in slow}


def main() -> None:
    """Print a table of all ways, the ratios of totals and one line of JSON."""
    result = measure()
    columns = ("cifar", "imagenet", "peer", "original", "ratios", "imagenet_224", "peer_224", "ratios_224")
    table({name: {column: result[column].get(name, "") for column in columns} for name in result["cifar"]})
    show(result)


if __name__ == "__main__":
    main()
