"""Dropout of several processes: each draws the whole batch's mask, from generators seeded alike, and applies its rows.

So the mask is that of one process, bit for bit on a CPU. The layer itself draws it, on ones of the batch's shape and
memory format, which a kernel may draw in the order of.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.errors import ImpastoError
from impasto.models.shared_batch_norm import uncompiled

#: By how many axes a mask differs, from the first on, images always being the first; 0 stands for all.
_AXES = {
    "torch.nn.modules.dropout.Dropout": 0,
    "torch.nn.modules.dropout.Dropout1d": 2,
    "torch.nn.modules.dropout.Dropout2d": 2,
    "torch.nn.modules.dropout.Dropout3d": 2,
    "timm.layers.drop.DropPath": 1,
}
_RATES = ("p", "drop_prob", "prob", "drop", "dropout", "drop_rate")  # as torch, timm and torchvision call them


def share_dropout(model: nn.Module) -> None:
    """Let what a model drops be drawn for the batch of all processes, in place; one process keeps what it has.

    Raises:
        ImpastoError: something is dropped in another way.
    """
    if ranks.count() == 1:
        return
    for module in list(model.modules()):
        kind: Any = type(module)
        if not _drops(module) or issubclass(kind, _Shared):
            continue
        if _path(kind) not in _AXES:
            raise ImpastoError(
                f"the network has a {kind.__name__}, whose dropout several processes cannot share",
                where="model.name",
                remedy="Set IMPASTO_PROCESSES to 1, or choose another network.",
            )
        module.__class__ = _shared(kind)


def _drops(module: nn.Module) -> bool:
    """Whether a module drops something itself; one that has a rate and a layer with this rate leaves it to that."""
    rates = [getattr(module, name, None) for name in _RATES]
    own = {rate for rate in rates if isinstance(rate, float) and rate > 0}
    inner = {getattr(layer, name, None) for layer in module.modules() if layer is not module for name in _RATES[:2]}
    return bool(own - inner)


def _path(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@cache
def _shared(kind: Any) -> Any:
    return type(f"Shared{kind.__name__}", (_Shared, kind), {"_axes": _AXES[_path(kind)]})


class _Shared(nn.Module):
    """A dropout that in training draws for the batch of all processes."""

    _axes: int

    @uncompiled
    def forward(self, features: Tensor) -> Tensor:
        """Drop of float [V b k, ...], k rows of each of the process's own images in V views."""
        if not (self.training and ranks.together()):
            found: Tensor = super().forward(features)
            return found
        with torch.no_grad():
            some = features
            for axis in range(self._axes or features.dim(), features.dim()):
                some = some.narrow(axis, 0, 1)
            kept = super().forward(_empty(some, ranks.extent(len(some))).fill_(1))
            mask = _empty(some, len(some)).copy_(ranks.own(kept))  # the rest is not kept for the backward pass
        return features.mul_(mask) if getattr(self, "inplace", False) else features * mask


def _empty(features: Tensor, rows: int) -> Tensor:
    """A dense tensor like some features, but of so many rows; the memory format is theirs."""
    strides = list(features.stride())
    if len(features) == 1:  # any stride would do
        strides[0] = max(strides) + 1
    order = sorted(range(features.dim()), key=lambda axis: -strides[axis])
    shape = (rows, *features.shape[1:])
    return torch.empty_permuted(shape, order, dtype=features.dtype, device=features.device)
