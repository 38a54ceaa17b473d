"""Random Inception-v3 weights in the published layout, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from inception_reference import CONVOLUTIONS
from torch import Tensor

from impasto.rng import generator


@pytest.fixture(scope="session")
def inception_weights() -> dict[str, Tensor]:
    """Weights and statistics of batch normalisation that keep the size of the activations."""
    source, found = generator(0, "test-inception"), {}
    for name, (outputs, inputs, height, width) in CONVOLUTIONS.items():
        scale = (2 / (inputs * height * width)) ** 0.5
        found[f"{name}.conv.weight"] = torch.randn(outputs, inputs, height, width, generator=source) * scale
        for leaf, low, high in (
            ("weight", 0.8, 1.2),
            ("bias", -0.1, 0.3),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            found[f"{name}.bn.{leaf}"] = low + (high - low) * torch.rand(outputs, generator=source)
    found["fc.weight"], found["fc.bias"] = (
        torch.randn(1008, 2048, generator=source),
        torch.randn(1008, generator=source),
    )
    return found


@pytest.fixture(scope="session")
def inception_file(inception_weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, with the counters that newer versions of PyTorch write."""
    counters = {f"{name}.bn.num_batches_tracked": torch.tensor(0) for name in CONVOLUTIONS}
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(inception_weights | counters, path)
    return path
