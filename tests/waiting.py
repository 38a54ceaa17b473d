"""A stand-in for a GPU on a CPU: it knows which tensors would live there, and refuses whatever the host waits for.

What is moved by ``.to(device)`` or made with ``device=`` lives on the device, and so does all that is computed from
it. A plan, drawn on the CPU, may be read as one likes: that waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_READS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "equal",
    "is_nonzero",
    "_unique2",
    "unique_dim",
    "bincount",
}
_COPIES = {Tensor.cpu, Tensor.numpy, Tensor.tolist}


class WaitError(RuntimeError):
    """The host would wait for the device."""


class Device:
    """The tensors that live there, by their storage; storages are kept, so that no address serves twice."""

    def __init__(self) -> None:
        self._storages: dict[int, torch.UntypedStorage] = {}

    def holds(self, *values: Any) -> bool:
        """Whether one of the tensors among the values lives there."""
        found = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
        return any(tensor.untyped_storage()._cdata in self._storages for tensor in found)

    def take(self, values: Any) -> Any:
        """Let tensors live there from now on."""
        for leaf in tree_leaves(values):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                self._storages[storage._cdata] = storage
        return values


class _Operations(TorchDispatchMode):
    """Every operation, also those inside torch and of the backward pass."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, there = func.overloadpacket.__name__, self.device.holds(args, kwargs)
        if there and name in _READS:
            raise WaitError(f"{name} of a tensor on the device")
        if name in {"index", "index_put_", "index_put", "_index_put_impl_"}:
            masks = (i for i in args[1] if i is not None and i.dtype in (torch.bool, torch.uint8))
            if any(self.device.holds(mask) for mask in masks):
                raise WaitError(f"{name} with a mask on the device, whose length it must ask for")
        if there and name == "repeat_interleave" and (kwargs or {}).get("output_size") is None:
            raise WaitError("repeat_interleave without output_size")
        found = func(*args, **(kwargs or {}))
        return self.device.take(found) if there else found


class _Calls(TorchFunctionMode):
    """Calls from Python: moves to the device and back, of which a CPU makes nothing that an operation would show."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _COPIES and self.device.holds(args[0]):
            raise WaitError(f"{func.__name__} of a tensor on the device")
        found = func(*args, **kwargs)
        if func is Tensor.to and any(isinstance(each, torch.device) for each in (*args, *kwargs.values())):
            if not self.device.holds(args[0]) and not kwargs.get("non_blocking"):
                raise WaitError("a copy to the device that is not non_blocking")
            return self.device.take(found.clone() if found is args[0] else found)
        if isinstance(kwargs.get("device"), torch.device):  # the text "cpu" is the host itself
            if func is torch.tensor:
                raise WaitError("torch.tensor on the device, a copy that blocks")
            return self.device.take(found)
        return found


@contextmanager
def never_waiting(*there: Any) -> Iterator[Device]:
    """Refuse, inside, what a GPU would be waited for; ``there`` holds tensors that live on the device already.

    Raises:
        WaitError: at the operation itself.
    """
    device = Device()
    device.take(there)
    with _Calls(device), _Operations(device):
        yield device
