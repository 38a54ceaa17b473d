"""The presets of ST-SACLF: valid, 40 epochs, what they say of the paper, and one real step of its frozen stage."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impasto.commands.preset import apply
from impasto.config.all import check
from impasto.config.finetune import Finetune
from impasto.config.model import Model
from impasto.config.presets import Presets
from impasto.config.train import Train
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.finetuning import phases
from impasto.models.registry import blocks, build
from impasto.paintings import Paintings
from impasto.phase import base_phase
from impasto.training import Loop
from tiny import CPU, ROOT, STYLES, augment, mix, stylise

PRESETS = Presets(ROOT / "presets")
NETWORKS = ["st-saclf-resnet50", "st-saclf-vgg16"]
NAMES = [*NETWORKS, *(f"{name} st-saclf-faithful" for name in NETWORKS)]


@pytest.fixture
def sections(params: Path) -> Any:
    """From the words of a preset to the sections of its parameters."""

    def of(words: str) -> tuple[Model, Train, Finetune]:
        apply(PRESETS.compose(words.split()).leaves, params, words)
        found = check(params)
        model, train, finetune = found[Model], found[Train], found[Finetune]
        assert isinstance(model, Model) and isinstance(train, Train) and isinstance(finetune, Finetune)
        return model, train, finetune

    return of


@pytest.mark.parametrize("words", NAMES)
def test_forty_epochs_in_stages_that_open_the_whole_network(sections: Any, words: str) -> None:
    model, train, finetune = sections(words)
    assert train.epochs + sum(stage.epochs for stage in finetune.stages) == 40
    with torch.device("meta"):
        network = build(model.model_copy(update={"weights": None}), 4, [0.5] * 3, [0.25] * 3, 0)
        assert network(torch.empty(1, 3, 256, 256)).shape == (1, 4)
    opened = [train.open, *(stage.open for stage in finetune.stages)]
    assert opened == sorted(opened) and opened[0] == 1 and opened[-1] == len(blocks(network))
    rates = [phase.rate(0) for phase in [base_phase(train), *phases(finetune)]]
    assert all(later <= rate for rate, later in pairwise(rates))
    assert ("faithful" in words) == (rates[-1] == rates[0])


@pytest.mark.parametrize(("words", "head"), [(NAMES[2], 20_072_452), (NAMES[3], 1_151_492)])
def test_faithful_is_as_published(sections: Any, words: str, head: int) -> None:
    model, train, _ = sections(words)
    with torch.device("meta"):
        network = build(model.model_copy(update={"weights": None}), 4, [0.5] * 3, [0.25] * 3, 0)
    assert sum(p.numel() for p in network.get_submodule("head").parameters()) == head
    assert (train.optimizer, train.weight_decay, train.gamma, train.alpha) == ("adam", 0.0, 2.0, 2.0)
    assert train.batch_norm == "all" and not model.normalise
    rates = [base_phase(train).rate(epoch) / train.learning_rate for epoch in (0, 9, 10, 19)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01 if "vgg16" in words else 0.1])


def pixels() -> Stream:
    """Four images of 128 px: the map of stride 32 needs them."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 3, 128, 128), dtype=np.uint8)
    return Stream(noise, np.arange(4), np.arange(4), CPU)


@pytest.mark.parametrize(
    "words", [NAMES[2], *(pytest.param(name, marks=pytest.mark.slow) for name in (NAMES[0], NAMES[1], NAMES[3]))]
)
def test_it_runs_one_step(sections: Any, words: str) -> None:
    model, train, _ = sections(words)
    built = build(model.model_copy(update={"weights": None}), 4, [0.5] * 3, [0.25] * 3, 0)
    streams = pixels(), pixels()
    found = Feed(
        streams=streams,
        paintings=Paintings(stylise, streams, 1.0, CPU),
        styles=STYLES,
        mix=mix(lambda_=0.0, lambda_o=0.0, lambda_s=0.0),
        augment=augment(flip=True),
        strength=0.0,
        batch=4,
        seed=0,
        device=CPU,
    )
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    row = Loop(built, found, [base_phase(train)], train, "test").run(0)
    moved = {name for name, tensor in built.state_dict().items() if not torch.equal(tensor, before[name])}
    assert math.isfinite(row["loss"]) and row["loss"] > 0
    assert {name for name, _ in built.named_parameters() if name.startswith("head.")} <= moved
    statistics = {name for name in before if "running_" in name or name.endswith("tracked")}
    assert {name for name in moved if not name.startswith("head.")} == (statistics if "faithful" in words else set())
