"""Classifiers whose head sees several maps of the network, chosen by their strides, in place of the last one alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from impasto.config.model import Model
from impasto.errors import ImpastoError
from impasto.models.attention import AttentionHead
from impasto.models.layers import POOLED

Parts = OrderedDict[str, nn.Module]
Change = Callable[[str, Tensor], Tensor]


class Tapped(nn.Sequential):
    """A chain of parts, of which the last one, ``head``, takes the maps of some others.

    Args:
        parts: names and parts, from input to head; a part that returns a list of maps ends the body.
        taps: names of the parts whose outputs the head takes, if no part returns a list.
    """

    head: AttentionHead

    def __init__(self, parts: Parts, taps: Sequence[str]) -> None:
        super().__init__(parts)
        self._taps = frozenset(taps)

    def maps(self, images: Tensor, change: Change | None = None) -> list[Tensor]:
        """What the head takes of images float [N, 3, H, W] in [0, 1].

        Args:
            images: of any size that leaves each map 4 x 4 positions.
            change: from a part's name and output to what enters the next part.
        """
        found: list[Tensor] = []
        x: Tensor | list[Tensor] = images
        for name, part in list(self.named_children())[:-1]:
            x = part(x)
            if isinstance(x, list):
                return x
            x = x if change is None else change(name, x)
            if name in self._taps:
                found.append(x)
        return found

    def forward(self, images: Tensor, change: Change | None = None) -> Tensor:
        """Images as in :meth:`maps` to logits [N, classes]."""
        logits: Tensor = self.head(self.maps(images, change))
        return logits

    def attention(self, images: Tensor) -> dict[int, Tensor]:
        """Where the classifier looks: stride -> float32 [N, h, w], not negative, of sum 1 (for ``sigmoid`` at most 1).

        The maps are as the network has them, from the upper left on; none is enlarged.
        """
        return self.head.weights(self.maps(images))


def of_parts(parts: Parts, config: Model, classes: int) -> tuple[Parts, list[str]]:
    """The parts of a network with an attention head in place of its own, and the names of the tapped ones.

    The last map passes what the own head does before it pools (in a pre-activation network a norm and a
    nonlinearity); the others are as the stages leave them. Of two maps of one stride the later one is meant.

    Args:
        parts: stem, stages and head, as a network of :mod:`impasto.models.registry` returns them.
        config: its section.
        classes: number of logits.

    Raises:
        ImpastoError: no map has one of the strides.
    """
    *body, head = parts
    found = _measured(parts, body)
    taps = chosen([stride for stride, _ in found], config.taps or [], config.name)
    own, last = parts[head], taps[-1]
    finish = own[:-POOLED] if last == len(body) - 1 and isinstance(own, nn.Sequential) else None
    kept = OrderedDict((name, parts[name]) for name in body[: last + 1])
    kept[head] = attention_head(config, [found[tap][1] for tap in taps], classes, finish)
    return kept, [body[tap] for tap in taps]


def attention_head(
    config: Model, channels: Sequence[int], classes: int, finish: nn.Module | None = None
) -> AttentionHead:
    """The head that the section ``model`` describes, for maps of these channels."""
    assert config.taps and config.attention and config.head_dropout is not None
    return AttentionHead(
        config.taps,
        channels,
        classes,
        estimator=config.attention,
        width=config.projection,
        dropout=config.head_dropout,
        finish=finish,
    )


def chosen(strides: Sequence[int], taps: Sequence[int], network: str) -> list[int]:
    """Where the last map of each wanted stride stands among all maps.

    Raises:
        ImpastoError: there is no such stride.
    """
    places = {stride: place for place, stride in enumerate(strides)}
    for tap in taps:
        if tap not in places:
            raise ImpastoError(
                f"model.taps: {network} has no map of stride {tap}",
                where="model.taps",
                remedy=f"Its strides are {', '.join(map(str, sorted(places)))}.",
            )
    return [places[tap] for tap in taps]


def _measured(parts: Parts, names: Sequence[str], side: int = 256) -> list[tuple[int, int]]:
    """Stride and channels of what each part returns, found on a copy that holds no numbers."""
    found: list[tuple[int, int]] = []
    with torch.no_grad():
        x = torch.empty(1, 3, side, side, device="meta")
        for name in names:
            x = deepcopy(parts[name]).to("meta").eval()(x)
            found.append((round(side / x.shape[-1]), x.shape[1]))
    return found
