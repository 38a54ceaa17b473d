"""Attention over positions of several feature maps, pooled and classified (ST-SACLF, arXiv 2408.01827).

The estimators weigh the positions i of a map l, projected to width D by P, with a global feature g, the mean over the
positions of the last map:

    additive_softmax   softmax_i  u (P l_i + g)
    dot                softmax_i  (P l_i) g
    tanh_additive      softmax_i  u tanh(P l_i + V g)
    sigmoid            sigmoid    u (P l_i + g)
    gap                the same for all positions

The first is that of ST-SACLF, after Jetley et al. (ICLR 2018). Its score is linear, so that g adds u g to every
position of an image, and the softmax takes it away again: the weights do not depend on g. In ``dot`` g decides which
direction counts, and in ``tanh_additive`` (Bahdanau et al. 2015) it acts inside a nonlinearity: neither loses it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.config.model import LEAST
from impasto.errors import ImpastoError

#: Estimators with a learned direction u for each map.
_DIRECTED = ("additive_softmax", "tanh_additive", "sigmoid")


class Tap(nn.Module):
    """One map's projection and estimator.

    P is linear, so that (P l_i) q = l_i (P^T q) and sum_i a_i P l_i = P sum_i a_i l_i: wherever no nonlinearity lies in
    between, positions are scored and summed at the map's own width, which a large map with few channels thanks.

    Args:
        channels: of the map.
        width: D; a map that has it is not projected.
        estimator: a value of ``model.attention``.
    """

    def __init__(self, channels: int, width: int, estimator: str) -> None:
        super().__init__()
        self.estimator = estimator
        self.projection = nn.Conv2d(channels, width, 1, bias=False) if channels != width else None
        self.direction = nn.Parameter(torch.empty(width)) if estimator in _DIRECTED else None
        if self.direction is not None:
            nn.init.uniform_(self.direction, -(width**-0.5), width**-0.5)  # as PyTorch draws a layer of D inputs

    def project(self, vectors: Tensor) -> Tensor:
        """Vectors [N, channels] to [N, D]."""
        if self.projection is None:
            return vectors
        found: Tensor = functional.linear(vectors, self.projection.weight.flatten(1))
        return found

    def weights(self, features: Tensor, context: Tensor) -> Tensor:
        """How much each position counts.

        Args:
            features: [N, channels, H, W].
            context: [N, D], the global feature; for tanh_additive V of it.

        Returns:
            float32 [N, H, W] (float64 of such features), not negative; their sum is 1 for each image, and for
            ``sigmoid`` at most 1.
        """
        n, _, height, width = features.shape
        scores = features.new_zeros(n, height, width) if self.estimator == "gap" else self._scores(features, context)
        scores = _wide(scores).flatten(1)
        found = scores.sigmoid() / scores.shape[1] if self.estimator == "sigmoid" else scores.softmax(1)
        return found.view(n, height, width)

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """The weighted sum over positions, projected: [N, channels, H, W] and [N, D] to [N, D]."""
        weights = self.weights(features, context).to(features.dtype)
        return self.project(torch.einsum("nhw,nchw->nc", weights, features))

    def _scores(self, features: Tensor, context: Tensor) -> Tensor:
        if self.direction is None:
            return torch.einsum("nchw,nc->nhw", features, self._back(context))
        if self.estimator == "tanh_additive":
            projected = features if self.projection is None else self.projection(features)
            inner = torch.tanh(projected + context[:, :, None, None])
            return functional.conv2d(inner, self.direction[None, :, None, None])[:, 0]
        key = self._back(self.direction[None])
        local = functional.conv2d(features, key[:, :, None, None])[:, 0]
        return _wide(local) + _wide(context @ self.direction)[:, None, None]

    def _back(self, queries: Tensor) -> Tensor:
        """P^T: queries [N, D] at the map's width, [N, channels]."""
        if self.projection is None:
            return queries
        weight: Tensor = self.projection.weight
        return queries @ weight.flatten(1)


def _wide(numbers: Tensor) -> Tensor:
    """In half precision a large constant on all scores would blur their differences."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()


class AttentionHead(nn.Module):
    """Attention on each map, the pooled features side by side, then dense, ReLU, dropout, dense.

    Args:
        strides: of the maps, from the first to the last.
        channels: of the maps.
        classes: number of logits.
        estimator: a value of ``model.attention``.
        width: D; None takes the last map's.
        dropout: share dropped between the dense layers.
        finish: what the network's own head does with the last map before it pools it, e.g. a norm.
    """

    def __init__(
        self,
        strides: Sequence[int],
        channels: Sequence[int],
        classes: int,
        *,
        estimator: str,
        width: int | None,
        dropout: float,
        finish: nn.Module | None = None,
    ) -> None:
        super().__init__()
        width = width or channels[-1]
        self.strides, self.finish = tuple(strides), finish or nn.Identity()
        self.taps = nn.ModuleList(Tap(count, width, estimator) for count in channels)
        self.context = nn.Linear(width, width, bias=False) if estimator == "tanh_additive" else nn.Identity()
        dense = nn.Linear(len(channels) * width, width)
        self.classify = nn.Sequential(dense, nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps [N, channels, H, W] of the strides to logits [N, classes].

        Raises:
            ImpastoError: a map has fewer than 4 x 4 positions.
        """
        return self.rest(self.finished(maps))

    def rest(self, maps: Sequence[Tensor]) -> Tensor:
        """What :meth:`finished` returns to logits [N, classes]."""
        context = self._context(maps)
        pooled = [tap(features, context) for tap, features in zip(self.taps, maps, strict=True)]
        logits: Tensor = self.classify(torch.cat(pooled, 1))
        return logits

    def weights(self, maps: Sequence[Tensor]) -> dict[int, Tensor]:
        """Stride -> attention float32 [N, H, W], see :meth:`Tap.weights`; takes what ``forward`` takes."""
        maps = self.finished(maps)
        context, each = self._context(maps), zip(self.strides, self.taps, maps, strict=True)
        return {stride: tap.weights(features, context) for stride, tap, features in each if isinstance(tap, Tap)}

    def finished(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps of which ``forward`` speaks, the last one finished.

        Raises:
            ImpastoError: a map has fewer than 4 x 4 positions.
        """
        for stride, features in zip(self.strides, maps, strict=True):
            if min(features.shape[2:]) < LEAST:
                height, width = features.shape[2:]
                raise ImpastoError(
                    f"the map of stride {stride} has {height} x {width} positions; attention needs {LEAST} x {LEAST}",
                    where="model.taps",
                    remedy="Leave this stride out of model.taps, or raise dataset.size.",
                )
        return [*maps[:-1], self.finish(maps[-1])]

    def _context(self, maps: Sequence[Tensor]) -> Tensor:
        """The context of the estimators [N, D]."""
        last = self.taps[-1]
        assert isinstance(last, Tap)
        context: Tensor = self.context(last.project(maps[-1].mean((2, 3))))
        return context
