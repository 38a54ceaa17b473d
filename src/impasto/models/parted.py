"""A classifier cut in front of its head: what a frozen network makes of an image, and what learns from that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from impasto.models.registry import blocks
from impasto.models.tapped import Tapped


class Parted(NamedTuple):
    """The two parts of a classifier; ``head(body(images))`` is what the classifier returns, bit for bit.

    Attributes:
        body: images float32 [N, 3, H, W] in [0, 1] to features, one tensor [N, ...] or several.
        head: features to logits [N, classes].
        parts: the modules of the body.
    """

    body: Callable[[Tensor], list[Tensor]]
    head: Callable[[list[Tensor]], Tensor]
    parts: list[nn.Module]

    def digest(self) -> str:
        """SHA-256 of the layers, as they print themselves, and of their numbers; of bodies that return the same."""
        found = hashlib.sha256()
        for part in self.parts:
            found.update(repr(part).encode())
            for name, tensor in part.state_dict().items():
                found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return found.hexdigest()


def parted(model: nn.Module) -> Parted | None:
    """Cut a built model; None where its head is no part of its own, as in a whole network of timm."""
    *body, head = model.children()
    if not body or blocks(model)[-1][1] is not head:
        return None
    if isinstance(model, Tapped):
        return Parted(model.maps, model.head, body)
    return Parted(lambda images: [_through(body, images)], lambda features: head(features[0]), body)


def _through(parts: Sequence[nn.Module], x: Tensor) -> Tensor:
    for part in parts:
        x = part(x)
    return x


def is_still(part: nn.Module) -> bool:
    """Whether a module in the mode that it is in always returns the same: no statistics move, and nothing is drawn."""
    for module in part.modules():
        moves = isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
        shares = (getattr(module, name, None) for name in ("p", "drop_prob"))  # of dropout, and of dropped paths
        draws = module.training and any(isinstance(share, float) and share > 0 for share in shares)
        if moves or draws:
            return False
    return True
