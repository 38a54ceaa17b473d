"""From the section ``model`` to a classifier.

Every classifier is a chain: a normalisation, then the architecture's named blocks from input to head.
The blocks are what fine-tuning opens one after the other. A network is a function from the number of
classes and the parameters that :data:`impasto.config.model.PARAMETERS` gives it, as keywords, to its parts;
it may bring a normalisation of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

from impasto.config.model import Model
from impasto.errors import ImpastoError
from impasto.models.normalise import Normalise
from impasto.models.tapped import Tapped, of_parts
from impasto.rng import key

Network = Callable[..., OrderedDict[str, nn.Module]]
N = TypeVar("N", bound=Network)

_NETWORKS: dict[str, Network] = {}


def register(name: str) -> Callable[[N], N]:
    """Enter a function (number of classes, parameters) -> parts under a value of ``model.name``."""

    def enter(network: N) -> N:
        _NETWORKS[name] = network
        return network

    return enter


def build(config: Model, classes: int, mean: Sequence[float], std: Sequence[float], seed: int) -> nn.Sequential:
    """A classifier from float images (N, 3, H, W) in [0, 1] to logits (N, classes), on the CPU.

    The initial weights depend on the arguments alone; the global generator is left as it was. Dropout,
    if any, draws from the global generator of the model's device, so a training loop must seed that.

    Args:
        config: the architecture.
        classes: number of logits.
        mean: mean of each channel of the training images, in [0, 1]; a network of timm has its own.
        std: standard deviation of each channel.
        seed: seed of the initial weights.

    Raises:
        ImpastoError: timm has no such network, pretrained weights cannot be read or do not fit, or the network has no
            map of a stride that the attention head wants.
    """
    from impasto.models import densenet, from_timm, resnext, timm_maps, wrn  # noqa: F401  the imports enter them above

    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would also reseed the GPUs, which are not restored here.
        torch.default_generator.manual_seed(key(seed, "initial weights"))
        taps: list[str] = []
        if config.attention and config.name == "timm":
            parts = timm_maps.with_attention(config, classes)
        else:
            parts = _NETWORKS[config.name](classes, **config.parameters())
            if config.attention:
                parts, taps = of_parts(parts, config, classes)
    if not config.normalise:
        parts.pop("normalise", None)
        mean, std = [0.0] * 3, [1.0] * 3
    if "normalise" not in parts:
        parts = _normalised(parts, Normalise(mean, std))
    model = Tapped(parts, taps) if config.attention else nn.Sequential(parts)
    # In this memory format convolutions run fastest, on CPU and GPU alike.
    return model.to(memory_format=torch.channels_last)


def _normalised(parts: OrderedDict[str, nn.Module], normalise: Normalise) -> OrderedDict[str, nn.Module]:
    """The parts behind a normalisation, which itself stands behind a change of size."""
    first = {"resize": parts.pop("resize")} if "resize" in parts else {}
    return OrderedDict(**first, normalise=normalise, **parts)


@runtime_checkable
class Divided(Protocol):
    """A part of a classifier that consists of several blocks."""

    def blocks(self) -> list[tuple[str, nn.Module]]:
        """From input to head; together they hold all parameters of the part."""


def blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The blocks of a built model with their names, from input to head; together they hold all parameters."""
    found: list[tuple[str, nn.Module]] = []
    for name, part in model.named_children():
        if isinstance(part, Divided):
            found += part.blocks()
        elif any(True for _ in part.parameters()):  # else it is the normalisation
            found.append((name, part))
    return found


def require_blocks(model: nn.Module, opened: int) -> None:
    """See that so many blocks can be opened.

    Raises:
        ImpastoError: the model has fewer.
    """
    if opened > (count := len(blocks(model))):
        raise ImpastoError(
            f"{opened} blocks are to learn, but the network has {count}",
            where="train.open, finetune.stages",
            remedy=f"Open {count} at most.",
        )
