"""Any image classifier of timm by its name, on images of any size."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from impasto.config.model import PACKAGE
from impasto.models import efficientnet_lite0, torchvision_vit
from impasto.models.normalise import Normalise
from impasto.models.pretrained import weights_file
from impasto.models.registry import register
from impasto.models.timm_names import require_network
from impasto.models.weights import put_weights, read_weights
from impasto.runtime import runtime


class Resize(nn.Module):
    """Bilinear resampling with antialiasing to the size that a network takes; images of that size stay as they are."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)

    def forward(self, images: Tensor) -> Tensor:
        """Float (N, C, H, W) to float (N, C, height, width), within the range of the input."""
        if images.shape[-2:] == self.size:
            return images
        return functional.interpolate(images, self.size, mode="bilinear", antialias=True)


class Network(nn.Module):
    """A network of timm that says how it divides into blocks."""

    def __init__(self, network: nn.Module, heads: Sequence[str]) -> None:
        super().__init__()
        self.network, self._heads = network, tuple(heads)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float images (N, 3, H, W) of the network's size to logits (N, classes)."""
        logits: Tensor = self.network(images)
        return logits

    def blocks(self) -> list[tuple[str, nn.Module]]:
        """Timm's layer groups from stem to head; together they hold every parameter once.

        A network for which timm knows none has two: its body as stem, and its head.
        """
        found = groups(self.network, self._heads)
        names = ["stem", *(f"group{n}" for n in range(1, len(found) - 1)), "head"][-len(found) :]
        return list(zip(names, found, strict=True))


@register("timm")
def from_timm(classes: int, *, timm: str, weights: str | None) -> OrderedDict[str, nn.Module]:
    """The parts ``resize``, ``normalise`` and ``timm``.

    Normalisation is that with which timm's weights of this name (or torchvision's, if the file has theirs)
    were trained, whether there are weights or not: it replaces that of the training images.

    Args:
        classes: number of logits.
        timm: name of the network, with or without the tag of a set of weights.
        weights: a file of pretrained weights, see :func:`impasto.models.weights.read_weights`, ``package``, or the name
            of published ones, see :mod:`impasto.models.pretrained`; None for random ones.

    Returns:
        Modules to run one after the other on float images (N, 3, H, W) in [0, 1].

    Raises:
        ImpastoError: timm has no such network, or the weights cannot be had or read or do not fit.
    """
    from timm import create_model

    require_network(timm)
    network: nn.Module = create_model(timm, pretrained=False, num_classes=classes)
    facts: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    heads = [facts["classifier"]] if isinstance(facts["classifier"], str) else list(facts["classifier"] or ())
    found = pretrained(weights, facts)
    if found.tensors:
        _report(found.path, put_weights(network, found.tensors, heads, found.path), classes)
    return OrderedDict(
        resize=Resize(*facts["input_size"][1:]),
        normalise=Normalise(found.mean, found.std),
        timm=Network(network, heads),
    )


class Pretrained(NamedTuple):
    """Tensors by timm's names, none for random weights, where they come from, and what images must be."""

    tensors: dict[str, Tensor]
    path: Path
    mean: Sequence[float]
    std: Sequence[float]


def pretrained(weights: str | None, facts: Mapping[str, Any]) -> Pretrained:
    """Read ``model.weights``.

    Args:
        weights: as :func:`from_timm` takes them.
        facts: what timm knows of its own weights of the network.

    Raises:
        ImpastoError: the weights cannot be read.
    """
    if weights is None:
        return Pretrained({}, Path(), facts["mean"], facts["std"])
    if weights == PACKAGE:
        mean, std = (efficientnet_lite0.MEAN,) * 3, (efficientnet_lite0.STD,) * 3
        return Pretrained(efficientnet_lite0.efficientnet_lite0().state_dict(), Path(weights), mean, std)
    path = weights_file(weights)
    tensors = read_weights(path)
    if torchvision_vit.is_from_torchvision(tensors):
        return Pretrained(torchvision_vit.to_timm(tensors), path, torchvision_vit.MEAN, torchvision_vit.STD)
    return Pretrained(tensors, path, facts["mean"], facts["std"])


def groups(network: nn.Module, heads: Sequence[str]) -> list[nn.Module]:
    """Timm's layer groups from the input on; without any, the body and the layers of these names."""
    from timm.models import group_parameters

    def in_head(name: str) -> int:
        return int(any(name.startswith(f"{layer}.") for layer in heads))

    matcher = getattr(network, "group_matcher", None)
    found = group_parameters(network, matcher(coarse=False) if matcher else in_head)
    return [_block(network, found[n]) for n in range(len(found))]


def _report(path: Path, replaced: int | None, classes: int) -> None:
    if replaced is not None and not runtime().quiet:
        print(f"{path.name}: its head has {replaced} classes; a new one has {classes}", file=sys.stderr)


def _block(network: nn.Module, names: list[str]) -> nn.Module:
    """The modules all of whose parameters are named, so that their batch norms can be frozen, and the rest."""
    modules, loose = nn.ModuleList(), nn.ParameterList()
    for owner in dict.fromkeys(name.rpartition(".")[0] for name in names):
        module, prefix = network.get_submodule(owner), f"{owner}." if owner else ""
        if {f"{prefix}{name}" for name, _ in module.named_parameters()} <= set(names):
            modules.append(module)
        else:
            own = module.named_parameters(recurse=False)
            loose.extend(parameter for name, parameter in own if f"{prefix}{name}" in names)
    return nn.ModuleList([modules, loose])
