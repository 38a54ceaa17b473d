"""Patched p-norm noise on batches against two loops over groups of 8. Run: ``python benchmarks/pnorm_noise.py``.

One loop is as lean as a loop can be. The other has the shape of the code of Siedel et al. (arXiv 2512.15675): images
already normalised, noise divided by the standard deviation, clamped to the range of each channel, and 16-bit floats
from the generator for masks, intervals and impulses. It too takes the impulses of an image in one piece, as theirs
does, which only waits for two scalars for each image: on a CPU that costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from impasto.augment import pnorm_noise
from impasto.augment.pnorm_noise import SMALL, Kind
from impasto.data.images import to_unit
from impasto.rng import generator
from impasto.runtime import device
from timing import interleaved, per_image, show, single_thread
from trivial_augment import digits

_RATIOS = {"loop_ratio": ("loop", "ours"), "half_ratio": ("loop_half", "ours")}
_MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)  # of CIFAR-10
_STD = torch.tensor([0.247, 0.243, 0.261]).view(3, 1, 1)
_BALLS = {Kind.L05: 0.5, Kind.L1: 1.0, Kind.L2: 2.0}


def measure(n: int = 2048, batch: int = 256, repeats: int = 5) -> dict[str, float | int | str]:
    """Time both ways in turn on ``n`` digits, RGB 32 px in [0, 1], single thread; draws included.

    Each way gets the batches in the memory format that its training has: channels last here, channels first there.

    Returns:
        Medians of ``repeats`` in microseconds per image (on a CPU of the processor, on a GPU by the wall clock), and
        the time of the lean loop (``loop_ratio``) and of the other one (``half_ratio``) over ours; ``ratio`` is the
        smaller of these.
    """
    here = device()
    clock: Literal["wall", "processor"] = "processor" if here.type == "cpu" else "wall"
    batches = [to_unit(part.to(here)) for part in digits(n).split(batch)]
    ours = [images.contiguous(memory_format=torch.channels_last) for images in batches]
    normalised = [(images - _MEAN.to(here)) / _STD.to(here) for images in batches]
    ways: dict[str, Callable[[int], object]] = {
        "ours": partial(_batched, ours),
        "loop": partial(_looped, batches, loop),
        "loop_half": partial(_looped, normalised, reference),
    }
    with single_thread(), torch.random.fork_rng():  # the loop draws from the global generators
        timed = interleaved(ways, repeats)
    found = per_image(timed, n, repeats, _RATIOS, clock=clock)
    return found | {"batch": batch, "device": here.type, "clock": clock}


def loop(images: Tensor, group: int = 8) -> Tensor:
    """The same noise, one group after the other and, for impulses, one image after the other.

    Args:
        images: float32 [n, 3, H, W] in [0, 1]. Unchanged.
        group: images that share kind, strength, sparsity and rectangle.
    """
    noisy = images.clone()
    for part, target in zip(images.split(group), noisy.split(group), strict=True):
        kind = Kind(int(torch.randint(len(Kind), ())))
        strength, sparsity = SMALL[kind] * float(torch.rand(())), float(torch.rand(()))
        if kind == Kind.L0:
            changed = _impulses(part, strength, sparsity)
        else:
            whole = _interval(part, strength) if kind == Kind.LINF else _ball(part, _BALLS[kind], strength)
            changed = (part + whole * (torch.rand_like(part) >= sparsity)).clamp(0, 1)
        rows, columns = _rectangle(*images.shape[-2:])
        target[..., rows, columns] = changed[..., rows, columns]
    _wait(images)
    return noisy


def reference(images: Tensor, group: int = 8) -> Tensor:
    """The same noise on normalised images, whole images at a time, with draws of 16 bits; see the top of the file.

    Args:
        images: float32 [n, 3, H, W], normalised by the mean and deviation of CIFAR-10. Unchanged.
        group: see :func:`loop`.
    """
    mean, std = _MEAN.to(images.device), _STD.to(images.device)
    lowest, highest = -mean / std, (1 - mean) / std
    noisy = images.clone()
    for part, target in zip(images.split(group), noisy.split(group), strict=True):
        kind = Kind(int(torch.randint(len(Kind), ())))
        strength, sparsity = SMALL[kind] * float(torch.rand(())), float(torch.rand(()))
        if kind == Kind.L0:
            changed = _impulses(part * std + mean, strength, sparsity, torch.float16).sub_(mean).div_(std)
        else:
            interval = kind == Kind.LINF
            whole = _interval(part, strength, torch.float16) if interval else _ball(part, _BALLS[kind], strength)
            kept = torch.rand(part.shape, dtype=torch.float16, device=part.device) >= sparsity
            changed = torch.minimum(torch.maximum(part + whole * kept / std, lowest), highest)
        rows, columns = _rectangle(*images.shape[-2:])
        target[..., rows, columns] = changed[..., rows, columns]
    _wait(images)
    return noisy


def _interval(part: Tensor, strength: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return (2 * torch.rand(part.shape, dtype=dtype, device=part.device) - 1) * strength


def _ball(part: Tensor, p: float, strength: float) -> Tensor:
    """One point of the ball for all images of a group."""
    d = part[0].numel()
    gamma = torch.distributions.Gamma(1 / p, 1.0).sample((d,)).to(part.device)
    point = gamma ** (1 / p) * (2 * torch.randint(2, (d,), device=part.device) - 1)
    radius = strength * float(torch.rand(())) ** (1 / d)
    return (point * (radius / torch.linalg.vector_norm(point, ord=p))).view(part[0].shape)


def _impulses(part: Tensor, share: float, sparsity: float, dtype: torch.dtype = torch.float32) -> Tensor:
    d = part[0].numel()
    changed = part.contiguous(memory_format=torch.contiguous_format).clone()
    for image in changed:
        places = torch.randint(d, (int(d * share),), device=part.device)
        places = places[torch.rand(len(places), dtype=dtype, device=part.device) >= sparsity]
        image.view(-1)[places] = torch.rand(len(places), dtype=dtype, device=part.device).float()
    return changed


def _rectangle(height: int, width: int) -> tuple[slice, slice]:
    while True:
        area = height * width * (0.2 + 0.5 * float(torch.rand(())))
        aspect = math.exp(math.log(0.3) + math.log(11) * float(torch.rand(())))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h < height and w < width:
            top, left = int(torch.randint(height - h + 1, ())), int(torch.randint(width - w + 1, ()))
            return slice(top, top + h), slice(left, left + w)


def _batched(batches: list[Tensor], seed: int) -> None:
    n, size = sum(map(len, batches)), batches[0].shape[-1]
    draws = pnorm_noise.draw(n, (size, size), limits=SMALL, generator=generator(seed, "benchmark", "noise"))
    sources, start = pnorm_noise.sources(batches[0].device, seed), 0
    for images in batches:
        pnorm_noise.apply(images, draws.rows(torch.arange(start, start + len(images))), sources)
        start += len(images)
    _wait(images)


def _looped(batches: list[Tensor], noise: Callable[[Tensor], Tensor], seed: int) -> None:
    torch.manual_seed(seed)
    for images in batches:
        noise(images)


def _wait(images: Tensor) -> None:
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


if __name__ == "__main__":
    show(measure())
