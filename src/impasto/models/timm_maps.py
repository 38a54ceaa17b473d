"""The feature maps of a network of timm, for a head that sees several of them."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from impasto.config.model import Model
from impasto.errors import ImpastoError
from impasto.models.from_timm import Resize, groups, pretrained
from impasto.models.normalise import Normalise
from impasto.models.tapped import attention_head, chosen
from impasto.models.timm_names import require_network
from impasto.models.weights import put_weights
from impasto.runtime import runtime


class Maps(nn.Module):
    """A network of timm up to the last of some maps, which says how it divides into blocks.

    Args:
        network: without what lies behind that map.
        indices: of the maps, as timm counts them.
    """

    def __init__(self, network: nn.Module, indices: Sequence[int]) -> None:
        super().__init__()
        self.network, self._indices = network, list(indices)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised float images [N, 3, H, W] to maps [N, channels, H / stride, W / stride]."""
        network: Any = self.network
        maps: list[Tensor] = network.forward_intermediates(images, indices=self._indices, intermediates_only=True)
        return maps

    def blocks(self) -> list[tuple[str, nn.Module]]:
        """Timm's layer groups from the stem on; together they hold every parameter once."""
        return [(f"group{n}" if n else "stem", block) for n, block in enumerate(groups(self.network, ()))]


def with_attention(config: Model, classes: int) -> OrderedDict[str, nn.Module]:
    """The parts ``normalise``, ``timm`` and ``head``, before them ``resize`` if the network takes one size alone.

    Other images keep their size, unlike with the network's own head: the maps are as large as it says. Of two maps of
    one stride timm names the later one. Of pretrained weights those behind the last map are left out.

    Raises:
        ImpastoError: timm has no such network or none of its maps, or the weights do not fit.
    """
    from timm import create_model

    assert config.timm and config.taps
    require_network(config.timm)
    network: Any = create_model(config.timm, pretrained=False, num_classes=0)
    facts: dict[str, Any] = network.pretrained_cfg
    maps = _maps(network, config.timm)
    indices = chosen([stride for stride, _ in maps], config.taps, config.timm)
    network.prune_intermediate_layers(indices, prune_norm=True, prune_head=True)
    found = pretrained(config.weights, facts)
    if found.tensors:
        _put(network, found.tensors, found.path)
    fixed = {"resize": Resize(*facts["input_size"][1:])} if facts.get("fixed_input_size") else {}
    return OrderedDict(
        **fixed,
        normalise=Normalise(found.mean, found.std),
        timm=Maps(network, indices),
        head=attention_head(config, [maps[index][1] for index in indices], classes),
    )


def _maps(network: Any, name: str) -> list[tuple[int, int]]:
    """Stride and channels of each map."""
    known = [hasattr(network, part) for part in ("forward_intermediates", "prune_intermediate_layers", "feature_info")]
    if not all(known):
        raise ImpastoError(
            f"model.attention needs the maps of {name}, which timm cannot give",
            where="model.timm",
            remedy="Choose another network, or set model.attention to null.",
        )
    return [(info["reduction"], info["num_chs"]) for info in network.feature_info]


def _put(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load what the network has; the rest, a head above all, lies behind its last map."""
    own = network.state_dict().keys()
    put_weights(network, {name: tensor for name, tensor in tensors.items() if name in own}, [], path)
    behind = sorted({name.rpartition(".")[0] for name in tensors.keys() - own})
    if behind and not runtime().quiet:
        print(f"{path.name}: {', '.join(behind[:4])}{', ...' * (len(behind) > 4)} left out", file=sys.stderr)
