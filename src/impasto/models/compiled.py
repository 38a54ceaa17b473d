"""A classifier whose blocks torch.compile turns into fused kernels, at the first batch that reaches them."""

from __future__ import annotations

import os
import shutil

from torch import nn

from impasto.errors import ImpastoError

_COMPILERS = ("g++", "clang++", "c++", "cl")


def compile_parts(model: nn.Module) -> None:
    """Compile each part of a built model, in place.

    The parts and not the whole, so that a pass which changes features between two of them
    (:func:`impasto.models.places.run`) is compiled too. Names of parameters stay what they are, in ``state_dict`` and
    on disk; a copy of the model is not compiled. Results are equal up to rounding.

    Raises:
        ImpastoError: there is no C++ compiler, which the generated code needs on a CPU and its launcher on a GPU.
    """
    named = os.environ.get("CXX")
    if not any(map(shutil.which, [named] if named else _COMPILERS)):
        raise ImpastoError(
            f"train.compile is true, but there is no {named or 'C++ compiler'}",
            where="params.yaml: train.compile",
            remedy="Install one, e.g. g++, and name it in CXX if it is not on the PATH, or set train.compile to false.",
        )
    for part in model.children():
        part.compile()
