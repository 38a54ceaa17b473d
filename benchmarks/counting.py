"""Operations and bytes that networks take, counted on the device ``meta``: nothing is computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from impasto.augment.deepaugment import BLOCKS, SCALES, Layer, Noise2Net
from impasto.style.vgg import Vgg19Encoder, VggDecoder, decoder_shapes, encoder_shapes

HALF = 2
"""Bytes of an activation of a network: half precision."""


class Cost(NamedTuple):
    """What one image costs: floating-point operations, bytes written and read, bytes held at once."""

    operations: float
    moved: float
    held: float = 0.0


class _Masks(TorchDispatchMode):
    """Storages of dropout's masks: on ``meta`` they are float, on a GPU the fused kernel keeps a byte a number."""

    def __init__(self) -> None:
        super().__init__()
        self.storages: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten.bernoulli_:
            self.storages.add(_storage(found))
        return found


class _Moved(TorchDispatchMode):
    """Bytes that operations read and write, each by itself; views cost nothing."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        read, written = ([x for x in values if isinstance(x, Tensor)] for values in (_flat(args), _flat(found)))
        views = {_storage(x) for x in read} & {_storage(x) for x in written}
        if read and (func._schema.is_mutable or not views):
            self.total += sum(x.numel() * x.element_size() for x in (*read, *written))
        return found


def training(network: nn.Module, size: int, batch: int = 2) -> Cost:
    """Operations of a forward pass and, as held, the bytes that it saves for the backward pass.

    Statistics of a whole batch are left out. A matrix of attention is saved here, which a fused kernel does not save.
    """
    saved: dict[int, int] = {}
    alive: list[Tensor] = []  # or else a new storage may get the number of one that is gone
    weights = {_storage(parameter) for parameter in network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = _storage(tensor)
        if tensor.is_floating_point() and tensor.ndim > 1 and storage not in weights:
            alive.append(tensor)
            saved[storage] = tensor.numel() * (1 if storage in masks.storages else HALF)
        return tensor

    images = torch.rand(batch, 3, size, size, device="meta")
    masks = _Masks()
    with FlopCounterMode(display=False) as counted, masks, saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images)
    return Cost(counted.get_total_flops() / batch, 0.0, sum(saved.values()) / batch)


def stylising(side: int) -> Cost:
    """VGG-19, AdaIN's encoder and decoder."""
    weights = [
        {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        for shapes in (encoder_shapes(), decoder_shapes())
    ]
    encoder, decoder = Vgg19Encoder(side, weights[0]), VggDecoder(weights[1])
    moved, largest = 0.0, 0.0

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved, largest
        through = (inputs[0].numel() + output.numel()) * HALF
        moved, largest = moved + through, max(largest, through)

    for layer in (*encoder.layers, *decoder.quick):
        layer.register_forward_hook(note)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        levels = encoder.levels(torch.empty(1, 3, side, side, device="meta"))
        decoder(levels[-1])
    return Cost(counted.get_total_flops(), moved, largest + sum(level.numel() for level in levels) * HALF)


def distorting(side: int, image: int) -> Cost:
    """Noise2Net in float32, as it runs: the mean over its kernels, which are 1 or 3 with equal chances.

    Args:
        side: to which it enlarges, px.
        image: height and width of the images, px.
    """
    sizes = [_noise2net(Noise2Net(((Layer(k, 1),) * (SCALES - 1),) * BLOCKS, side), image) for k in (1, 3)]
    return Cost(*(sum(each) / len(sizes) for each in zip(*sizes, strict=True)))


def _noise2net(network: Noise2Net, image: int, batch: int = 2) -> Cost:
    draws = network.draw(batch, torch.Generator(), share=1.0)
    draws = draws._replace(**{name: column.to("meta") for name, column in draws._asdict().items()})
    images, one = torch.empty(batch, 3, image, image, device="meta"), torch.empty(1, 3, 1, 1, device="meta")
    with FlopCounterMode(display=False) as counted, _Moved() as moved:
        network.apply(images, draws, one, one)
    return Cost(counted.get_total_flops() / batch, moved.total / batch)


def _flat(value: Any) -> list[Any]:
    return [inner for each in value for inner in _flat(each)] if isinstance(value, list | tuple) else [value]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
