"""Any image classifier of timm by its name, on images of any size."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from impasto.models import torchvision_vit
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
        from timm.models import group_parameters

        matcher = getattr(self.network, "group_matcher", None)
        groups = group_parameters(self.network, matcher(coarse=False) if matcher else self._in_head)
        last = len(groups) - 1
        names = ["stem", *(f"group{n}" for n in range(1, last)), "head"][-len(groups) :]
        return [(name, _block(self.network, groups[n])) for n, name in enumerate(names)]

    def _in_head(self, name: str) -> int:
        return int(any(name.startswith(f"{layer}.") for layer in self._heads))


@register("timm")
def from_timm(classes: int, *, timm: str, weights: str | None) -> OrderedDict[str, nn.Module]:
    """The parts ``resize``, ``normalise`` and ``timm``.

    Normalisation is that with which timm's weights of this name (or torchvision's, if the file has theirs)
    were trained, whether there are weights or not: it replaces that of the training images.

    Args:
        classes: number of logits.
        timm: name of the network, with or without the tag of a set of weights.
        weights: a file of pretrained weights, see :func:`impasto.models.weights.read_weights`, or the name of published
            ones, see :mod:`impasto.models.pretrained`; None for random ones.

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
    mean, std = facts["mean"], facts["std"]
    if weights:
        path = weights_file(weights)
        tensors = read_weights(path)
        if torchvision_vit.is_from_torchvision(tensors):
            tensors, mean, std = torchvision_vit.to_timm(tensors), torchvision_vit.MEAN, torchvision_vit.STD
        _report(path, put_weights(network, tensors, heads, path), classes)
    return OrderedDict(
        resize=Resize(*facts["input_size"][1:]), normalise=Normalise(mean, std), timm=Network(network, heads)
    )


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
