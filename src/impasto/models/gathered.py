"""The features of the images that other processes hold, with their gradient."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function

from impasto import ranks


def gathered(features: Tensor, n: int) -> Tensor:
    """The features of a batch of n images in all its views, channels last.

    Each process has the whole gradient of its own images then, whichever process the loss depends on them in.

    Args:
        features: float [V b, C, H, W] of the rows :func:`impasto.ranks.share`.
        n: images of the batch, not fewer than there are processes.

    Returns:
        Float [V n, C, H, W], the same bits in all processes.
    """
    found: Tensor = _Gathered.apply(features, n)
    return found


class _Gathered(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, n: int) -> Tensor:
        ctx.n = n
        return ranks.whole(features.movedim(1, -1), n).movedim(-1, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = ranks.total(grads[0].movedim(1, -1).clone())
        return grad.movedim(-1, 1).unflatten(0, (-1, ctx.n))[:, ranks.share(ctx.n)].flatten(0, 1), None
