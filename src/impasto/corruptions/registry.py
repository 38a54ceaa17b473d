"""The door to the corruptions: their names, and ``corrupt`` on a batch."""

from __future__ import annotations

from functools import cache
from numbers import Integral

import torch
from torch import Tensor

from impasto import rng
from impasto.corruptions import (  # noqa: F401  (each declares its corruptions on import)
    blur,
    defocus,
    digital,
    elastic,
    frost,
    frost_procedural,
    glass,
    jpeg,
    motion,
    noise,
    pixelate,
    snow,
    spatter,
    weather,
    zoom,
)
from impasto.corruptions.catalogue import CATALOGUE, Corruption
from impasto.corruptions.cbar import (  # noqa: F401  (declare their corruptions on import)
    caustic,
    occlusions,
    perlin,
    sparkles,
    spectral,
    splines,
    warps,
    waves,
)
from impasto.corruptions.cbar_tables import CBAR_TABLES
from impasto.corruptions.counter_rng import CounterRng
from impasto.corruptions.sets import NAMES
from impasto.corruptions.tables import TABLES, Parameters, table_for
from impasto.errors import ImpastoError, closest

SMALLEST_SIDE = 16
SEVERITIES = (1, 2, 3, 4, 5)
_CHUNK_PIXELS = {"cpu": 2**16, "cuda": 2**24}  # a CPU chunk and its temporaries stay in the cache


def names() -> tuple[str, ...]:
    """The names of all corruptions: the 19 of -C, ``frost_procedural``, and the 15 of -C-bar."""
    return NAMES


def corrupt(
    images: Tensor,
    name: str,
    severity: int,
    seed: int,
    ids: Tensor,
    table: str | None = None,
    work_dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Corrupt a batch; each image's result depends on (seed, name, severity, its id) and its pixels alone.

    Args:
        images: uint8 [B, 3, H, W], RGB, at least 16 pixels on each side, on any device.
        name: one of :func:`names`.
        severity: 1 (mild) to 5 (severe).
        seed: of all draws.
        ids: int64 [B], what identifies each image, e.g. its row in the test set.
        table: the benchmark whose constants apply, ``cifar``, ``tin`` or ``imagenet``; by default the one whose
            image side is nearest to the shorter side of the images.
        work_dtype: float64, as in the benchmarks, or float32: faster, and up to one grey level off in a few values.

    Returns:
        uint8 [B, 3, H, W] on the device of ``images``.

    Raises:
        ImpastoError: an unknown name, table or severity, or images of another kind.
    """
    _check_images(images)
    _check_ids(ids, len(images))
    _check_settings(seed, work_dtype)
    parameters = parameters_of(name, severity, table or table_for(min(images.shape[2:])))
    key, chosen = rng.key(seed, "corruption", name, severity), CATALOGUE[name]
    _keep_freed_memory()
    ids, chunk = ids.to(images.device), _chunk_size(chosen, images)
    if len(images) <= chunk:
        return chosen(images.contiguous(), CounterRng(key, ids), parameters, work_dtype).contiguous()
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        result[part] = chosen(images[part].contiguous(), CounterRng(key, ids[part]), parameters, work_dtype)
    return result


def _chunk_size(chosen: Corruption, images: Tensor) -> int:
    """Images at a time: few enough for the cache, enough that calls cost little; more where all works on bytes."""
    if chosen.whole:
        return len(images)
    fitting = _CHUNK_PIXELS.get(images.device.type, 2**16) // (images.shape[2] * images.shape[3])
    return max(4, 2 * fitting) if chosen.integer and not chosen.stochastic else max(2, fitting)


@cache
def _keep_freed_memory() -> None:
    """Teach the C library to keep what chunks free for the next chunk, up to 62 MiB, for as long as the process runs.

    glibc hands freed blocks back to the system once they add up to twice the largest single one that it got from
    there, and takes them anew page by page: that costs more than the arithmetic of most corruptions. A block of 31 MiB,
    never touched, raises the limit; other C libraries ignore it.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def parameters_of(name: str, severity: int, table: str) -> Parameters:
    """The constants of one corruption at one severity on one benchmark.

    Raises:
        ImpastoError: there is no such table, corruption or severity.
    """
    if table not in TABLES:
        raise _unknown("table", table, tuple(TABLES))
    constants = TABLES[table] | CBAR_TABLES[table]
    if not isinstance(name, str) or name not in constants:
        raise _unknown("corruption", name, tuple(constants))
    if severity not in SEVERITIES or not isinstance(severity, Integral) or isinstance(severity, bool):
        raise ImpastoError(f"severity {severity!r} does not exist", where=name, remedy="Use an integer from 1 to 5.")
    return constants[name][severity - 1]


def _unknown(kind: str, value: str, known: tuple[str, ...]) -> ImpastoError:
    meant = closest(str(value), known)
    remedy = f"Did you mean {meant!r}?" if meant else f"Use one of {', '.join(known)}."
    return ImpastoError(f"unknown {kind} {value!r}", where="corruptions", remedy=remedy)


def _check_images(images: Tensor) -> None:
    remedy = "Give uint8 RGB images [B, 3, H, W] of at least 16 pixels a side."
    _check_tensor("images", images)
    if images.dtype != torch.uint8:
        raise ImpastoError(f"images are {images.dtype}, not torch.uint8", where="corruptions", remedy=remedy)
    if images.ndim != 4 or images.shape[1] != 3:
        shape = tuple(images.shape)
        raise ImpastoError(f"images of shape {shape} are not a batch of RGB images", where="corruptions", remedy=remedy)
    if not len(images):
        raise ImpastoError("the batch is empty", where="corruptions", remedy=remedy)
    if min(images.shape[2:]) < SMALLEST_SIDE:
        size = "x".join(map(str, images.shape[2:]))
        raise ImpastoError(f"images of {size} pixels are too small", where="corruptions", remedy=remedy)


def _check_ids(ids: Tensor, count: int) -> None:
    _check_tensor("ids", ids)
    if ids.shape != (count,) or ids.dtype != torch.int64:
        found, remedy = f"{ids.dtype} {list(ids.shape)}", f"Give one int64 number per image: torch.arange({count})."
        raise ImpastoError(f"ids are {found}, not torch.int64 [{count}]", where="corruptions", remedy=remedy)


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        told = f"{name} are a {type(value).__module__}.{type(value).__name__}, not a torch.Tensor"
        raise ImpastoError(told, where="corruptions", remedy="Give torch.as_tensor of them.")


def _check_settings(seed: object, work_dtype: object) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ImpastoError(f"seed {seed!r} is no seed", where="corruptions", remedy="Use an integer from 0 on.")
    if work_dtype not in (torch.float32, torch.float64):
        remedy = "Use torch.float64 or torch.float32."
        raise ImpastoError(f"work_dtype is {work_dtype!r}", where="corruptions", remedy=remedy)
