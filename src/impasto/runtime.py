"""How a run is carried out, and not what it computes: environment variables with the prefix IMPASTO_."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from impasto.config.base import nearest, reason
from impasto.errors import ImpastoError

if TYPE_CHECKING:
    import torch


PREFIX = "IMPASTO_"


class Runtime(BaseSettings):
    """Settings that invalidate no result."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of a process; 0 takes two, or fewer on fewer cores")
    processes: int = Field(1, ge=1, le=1024, description="processes that compute a stage together on this machine")
    save_seconds: float = Field(15.0, gt=0, le=30, description="longest time between two resume points, seconds")
    quiet: bool = Field(False, description="no progress output")
    log_model: Literal["final", "never"] = Field("final", description="log the final model to MLflow")

    @field_validator("device")
    @classmethod
    def _supported(cls, name: str) -> str:
        """Others that torch knows, as meta or mps, lack something that a stage needs."""
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
            raise ValueError("it must be auto, cpu, cuda or cuda:N")
        return name


@cache
def runtime() -> Runtime:
    """The settings of this process, read once.

    Raises:
        ImpastoError: a variable holds a value that is not allowed, or there is no such setting.
    """
    _refuse_unknown()
    try:
        return Runtime()  # type: ignore[call-arg]  # the environment gives the arguments
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}"
        what = f"{name}={first['input']!r}: {reason(first)}"
        raise ImpastoError(what, where="environment", remedy=f"Correct or unset {name}.") from None


def _refuse_unknown() -> None:
    known = [f"{PREFIX}{name.upper()}" for name in (*Runtime.model_fields, "test_data")]  # the last is the tests' own
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise ImpastoError(f"there is no setting {name}", where="environment", remedy=nearest(name, known))


def first() -> bool:
    """Whether this process speaks and writes for the run: the only one, or the first of those torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@cache
def device() -> torch.device:
    """The device to work on; sets the number of CPU threads as a side effect of the first call.

    Of several processes on a machine each has a GPU of its own, unless one is named, and its share of the cores.

    Raises:
        ImpastoError: the named device does not exist here.
    """
    import torch  # here: it takes seconds, and not every command works on tensors

    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(runtime().threads or max(1, min(2, (os.cpu_count() or 1) // beside)))
    name = runtime().device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and beside > 1:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ImpastoError(
            f"device {name!r} cannot be used: {str(error).splitlines()[0]}",
            where="IMPASTO_DEVICE",
            remedy="Use auto or cpu, or install a driver for it."
            if beside == 1
            else "Start no more processes than the machine has GPUs, or name one device for all.",
        ) from error


@cache
def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively (AVX512-BF16, AMX or Arm BF16); Linux tells, others count as no."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
