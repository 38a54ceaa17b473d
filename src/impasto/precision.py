"""Arithmetic of the networks: which dtype autocast uses on which device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from impasto.runtime import has_bfloat16

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve(precision: str, device: torch.device) -> str:
    """What ``auto`` means here: fp16 on CUDA, bf16 on a CPU that multiplies it natively, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "fp16"
    return "bf16" if device.type == "cpu" and has_bfloat16() else "fp32"


def unscaled(device: torch.device) -> str:
    """The fastest precision of a device whose gradients need no scaling."""
    return {"cpu": "auto", "cuda": "bf16"}.get(device.type, "fp32")


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The autocast context of a precision (auto, fp32, bf16, fp16) on a device."""
    dtype = _DTYPES[resolve(precision, device)]
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


def in_full(device: torch.device) -> AbstractContextManager[object]:
    """float32 inside an autocast of a device, for layers whose rounding costs most."""
    known = torch.amp.is_autocast_available(device.type)  # not the device ``meta``, on which operations are counted
    return torch.autocast(device.type, enabled=False) if known else nullcontext()
