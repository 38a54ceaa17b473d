"""A classifier on disk: weights as safetensors beside a JSON file from which the network can be rebuilt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from impasto.config.model import HEAD, Model
from impasto.errors import ImpastoError
from impasto.io import atomic, missing, read_json, write_json
from impasto.models.registry import build

_LATER = {"stage_stride": 1, "head_momentum": 0.1, "timm": None, "weights": None}
_LATER |= {"normalise": True} | dict.fromkeys(HEAD)
"""Parameters that models saved before these existed were built with."""


def save_model(folder: Path, model: nn.Module, config: Model, classes: tuple[str, ...], **facts: Any) -> None:
    """Write ``model.safetensors`` and, last, ``model.json``.

    Args:
        folder: made if it does not exist.
        model: built by :func:`impasto.models.registry.build` from ``config``.
        config: the architecture.
        classes: names of the classes.
        facts: further JSON values to keep beside it, e.g. the seed.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic(folder / "model.safetensors") as part:
        part.write_bytes(save(tensors))
    write_json(folder / "model.json", {"model": config.model_dump(), "classes": list(classes), **facts})


def load_model(folder: Path, device: torch.device) -> tuple[nn.Module, Model, tuple[str, ...]]:
    """Rebuild a saved classifier in evaluation mode.

    Returns:
        (model, its architecture, names of its classes).

    Raises:
        ImpastoError: a file is missing or damaged, or the weights do not fit the architecture.
    """
    facts, remedy = read_json(folder / "model.json"), "Delete the folder and run `dvc repro`."
    try:
        config, classes = Model.model_validate(_LATER | facts["model"]), tuple(facts["classes"])
    except (KeyError, TypeError, ValueError) as error:
        what = f"{folder / 'model.json'} describes no model"
        raise ImpastoError(what, where=str(folder), remedy=remedy) from error
    # The saved state holds the statistics, and weights that need no pretrained file any more.
    plain = config.model_copy(update={"weights": None})
    model = build(plain, len(classes), [0.0] * 3, [1.0] * 3, seed=0)
    if not (folder / "model.safetensors").exists():
        raise missing(folder / "model.safetensors")
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (RuntimeError, SafetensorError) as error:
        raise ImpastoError(
            f"the weights do not fit the architecture: {str(error).splitlines()[0]}",
            where=str(folder),
            remedy=remedy,
        ) from error
    return model.eval().to(device), config, classes
