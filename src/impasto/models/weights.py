"""Pretrained weights from a file into a network, with a new head where the classes differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from impasto.data.weights import is_plain
from impasto.errors import ImpastoError
from impasto.io import one_line, reason

_REMEDY = "Give model.weights a file of that network, or null to start from random weights."


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name, on the CPU.

    Args:
        path: a safetensors file, or one of ``torch.save`` that holds tensors alone: nothing in it is executed.
            Averaged weights, a ``state_dict`` and a ``model`` in a training checkpoint are found, in this order.

    Raises:
        ImpastoError: the file is missing, damaged or holds something else.
    """
    from timm.models import load_state_dict

    if not path.is_file():
        raise ImpastoError(f"model.weights: {path} is no file", where=str(path), remedy="Correct the path.")
    try:
        # said, since timm 1.0.15 would run the code in a pickle by default
        found: dict[str, Tensor] = load_state_dict(str(path), weights_only=True)
    except (AttributeError, TypeError) as error:
        raise _unreadable(path, "it is no mapping of names to tensors") from error
    except Exception as error:  # a damaged file can raise anything
        raise _unreadable(path, reason(error)) from error
    if not all(isinstance(name, str) and is_plain(value) for name, value in found.items()):
        raise _unreadable(path, "it is no mapping of names to tensors")
    return found


def put_weights(network: nn.Module, tensors: dict[str, Tensor], heads: Sequence[str], path: Path) -> int | None:
    """Load tensors into a network; every one must fit, but for a head of other classes, which is drawn anew.

    A new linear head starts from Xavier-uniform weights (Glorot and Bengio 2010, eq. 16), out of the global
    generator, and zero biases, as in the paper's code.

    Args:
        network: takes the tensors.
        tensors: by the network's names.
        heads: names of the network's layers that give the logits.
        path: where the tensors come from, for the message.

    Returns:
        None if the head was loaded too, else the number of classes of the file's head, 0 if it has none.

    Raises:
        ImpastoError: a tensor beside the head is missing, unknown or of another shape.
    """
    own = network.state_dict()
    head = {name for name in (*own, *tensors) if any(name.startswith(f"{layer}.") for layer in heads)}
    new = any(name not in tensors or name not in own or tensors[name].shape != own[name].shape for name in head)
    left_out = head if new else set()
    for name in sorted((own.keys() | tensors.keys()) - left_out):
        if fault := _fault(name, own, tensors):
            raise ImpastoError(f"model.weights do not fit the network: {fault}", where=str(path), remedy=_REMEDY)
    network.load_state_dict({name: t for name, t in tensors.items() if name not in left_out}, strict=False)
    if not new:
        return None
    for layer in heads:
        module = network.get_submodule(layer)
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return next((len(tensors[name]) for name in sorted(head & tensors.keys())), 0)


def _fault(name: str, own: dict[str, Tensor], tensors: dict[str, Tensor]) -> str | None:
    if name not in tensors:
        return f"{name} is missing"
    if name not in own:
        return f"{one_line(name)} is unknown"
    stored, wanted = list(tensors[name].shape), list(own[name].shape)
    return None if stored == wanted else f"{name} is {stored}, expected {wanted}"


def _unreadable(path: Path, why: str) -> ImpastoError:
    return ImpastoError(f"model.weights: {path} cannot be read: {why}", where=str(path), remedy=_REMEDY)
