"""Batch norm over the images of several processes, on any device; ``nn.SyncBatchNorm`` knows none but CUDA."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from impasto import ranks
from impasto.errors import ImpastoError

Forward = TypeVar("Forward", bound=Callable[..., Tensor])


def share_batch_norm(model: nn.Module) -> None:
    """Let the batch norms of a model see what all processes show it, in place; one process keeps what it has.

    Raises:
        ImpastoError: a batch norm does more than to normalise, drop and activate.
    """
    if ranks.count() == 1:
        return
    for module in [module for module in model.modules() if isinstance(module, _BatchNorm)]:
        kind: Any = type(module)
        if kind.forward is not _BatchNorm.forward and not hasattr(module, "act"):  # timm's own have drop and act
            raise ImpastoError(
                f"the network has a {kind.__name__}, whose statistics several processes cannot share",
                where="model.name",
                remedy="Set IMPASTO_PROCESSES to 1, or choose another network.",
            )
        module.__class__ = _shared(kind)


@cache
def _shared(kind: Any) -> Any:
    return type(f"Shared{kind.__name__}", (_Shared, kind), {})


def uncompiled(forward: Forward) -> Forward:
    """It depends on other processes, which ``torch.compile`` cannot turn into a kernel."""
    return cast(Forward, torch.compiler.disable(forward))


class _Shared(_BatchNorm):
    """A batch norm that in training takes mean and variance over the processes; its state is that of any other."""

    @uncompiled
    def forward(self, features: Tensor) -> Tensor:
        """Normalise float [n, C, ...], n being the process's own; the others have at least one, too."""
        if not (self.training and ranks.together()):
            found: Tensor = super().forward(features)
            return found
        out: Tensor
        out, mean, variance, n = _Normalise.apply(features, self.weight, self.bias, self.eps)
        self._remember(mean, variance * (n / (n - 1)))
        for name in ("drop", "act"):
            out = getattr(self, name)(out) if hasattr(self, name) else out
        return out

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean += share * (mean - self.running_mean)
        self.running_var += share * (variance - self.running_var)


class _Normalise(Function):
    """Normalisation by the statistics of all processes (Ioffe and Szegedy 2015); also gives mean, variance and n."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
        wide, dims = _wide(features), _dims(features)
        variance, mean = torch.var_mean(wide, dims, correction=0)
        n = mean.new_tensor([wide.numel() / wide.shape[1]])
        all_n, means, variances = ranks.collected(torch.cat([n, mean, variance])).split([1, len(mean), len(mean)], 1)
        n = all_n.sum()
        mean = (all_n * means).sum(0) / n
        variance = (all_n * (variances + (means - mean).square())).sum(0) / n
        ctx.save_for_backward(features, weight, mean, (variance + eps).rsqrt(), n)
        ctx.mark_non_differentiable(mean, variance, n)
        out = functional.batch_norm(features, mean, variance, weight, bias, False, 0.0, eps)
        return out, mean, variance, n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        features, weight, mean, scale, n = ctx.saved_tensors
        dims, shape = _dims(features), (-1, *[1] * (features.dim() - 2))
        grad = _wide(grads[0])
        normal = (_wide(features) - mean.view(shape)) * scale.view(shape)
        by_bias, by_weight = grad.sum(dims), (grad * normal).sum(dims)  # of this process: gradients are summed later
        along, across = (ranks.total(torch.cat([by_bias, by_weight])) / n).view(2, *shape)
        scale = scale if weight is None else scale * weight
        moved = ((grad - along - normal * across) * scale.view(shape)).to(features.dtype)
        return moved, None if weight is None else by_weight, None if weight is None else by_bias, None


def _wide(features: Tensor) -> Tensor:
    return features if features.dtype == torch.float64 else features.float()


def _dims(features: Tensor) -> list[int]:
    return [0, *range(2, features.dim())]
