"""Weights of other projects: read without running code, checked tensor by tensor, kept as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from impasto.data.origin import Origin
from impasto.errors import ImpastoError
from impasto.io import atomic, missing, one_line, reason

Shapes = Mapping[str, torch.Size]
"""The shape of every tensor of a network, by its name."""

_COUNTER = "num_batches_tracked"  # of batch normalisation: nothing to a frozen network, and absent from old files


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    """What a file must hold to fill ``network``; the network may live on the device "meta"."""
    return {name: tensor.shape for name, tensor in network.state_dict().items() if not name.endswith(_COUNTER)}


def read_weights(path: Path, wanted: Shapes) -> dict[str, Tensor]:
    """Read a ``.pth`` file with ``weights_only``, which refuses everything but tensors, onto the CPU.

    Args:
        path: the file, of the present or the old (before torch 1.6) format.
        wanted: the tensors that it must hold, no more and no fewer.

    Returns:
        Contiguous float32 tensors by name, in the order of ``wanted``.

    Raises:
        ImpastoError: the file is missing or is none of tensors by name, a name is missing or unknown, a shape
            differs, or a tensor is not float32 or not finite. The error names the first such tensor.
    """
    if not path.exists():
        raise missing(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        raise _wrong(path, f"cannot be read as weights ({reason(error)})") from error
    if not isinstance(found, dict) or not all(map(is_plain, found.values())):
        raise _wrong(path, "holds no tensors by name")
    found = {str(name): tensor for name, tensor in found.items() if not str(name).endswith(_COUNTER)}
    if fault := _fault(found, wanted):
        raise _wrong(path, fault)
    return {name: found[name].contiguous() for name in wanted}


def is_plain(value: object) -> bool:
    """Whether this is a tensor whose entries lie in memory one beside the other: not sparse, not without any."""
    return isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta


def save_weights(path: Path, tensors: Mapping[str, Tensor], origin: Origin) -> None:
    """Write tensors as safetensors, atomically, with the identity of the file that they come from.

    The identity is a single entry of the metadata: of several, safetensors would not keep the order.
    """
    with atomic(path) as part:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, part, {"origin": origin.text()}
        )


def load_weights(path: Path, wanted: Shapes) -> tuple[dict[str, Tensor], Origin]:
    """Read what :func:`save_weights` wrote, onto the CPU.

    Raises:
        ImpastoError: as :func:`read_weights`, or the file says nothing of its origin.
    """
    if not path.exists():
        raise missing(path)
    try:
        with safe_open(path, "pt") as file:
            origin = Origin(**json.loads((file.metadata() or {})["origin"]))
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except Exception as error:  # as above
        raise _wrong(path, f"is no file of converted weights ({reason(error)})") from error
    if fault := _fault(found, wanted):
        raise _wrong(path, fault)
    return {name: found[name] for name in wanted}, origin


def _fault(found: Mapping[str, Tensor], wanted: Shapes) -> str | None:
    """What is wrong with the first tensor that is, in words."""
    if lacking := [name for name in wanted if name not in found]:
        return f"lacks {lacking[0]!r} and {len(lacking) - 1} more of {len(wanted)} tensors"
    if unknown := [name for name in found if name not in wanted]:
        return f"holds {one_line(repr(unknown[0]))} and {len(unknown) - 1} more tensors that the network does not have"
    for name, shape in wanted.items():
        tensor = found[name]
        if tensor.shape != shape or tensor.dtype != torch.float32:
            kinds = [f"{str(kind).removeprefix('torch.')} {list(size)}" for kind, size in
                     ((tensor.dtype, tensor.shape), (torch.float32, shape))]  # fmt: skip
            return f"has {name!r} as {kinds[0]}, expected {kinds[1]}"
        if not bool(tensor.isfinite().all()):
            return f"has entries in {name!r} that are not finite"
    return None


def _wrong(path: Path, fault: str) -> ImpastoError:
    remedy = "Delete it and let it be made or downloaded anew, or name the right file."
    return ImpastoError(f"{path} {fault}", where=str(path), remedy=remedy)
