"""The presets of ST-SACLF: valid, 40 epochs, what they say of the paper, and one real step with its copies."""

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
from impasto.config.augment import Augment
from impasto.config.balance import Balance
from impasto.config.base import Section
from impasto.config.dataset import Dataset
from impasto.config.finetune import Finetune
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.presets import Presets
from impasto.config.style import Style
from impasto.config.train import Train
from impasto.copies import Bank, draw_copies
from impasto.copies_per_class import copies_per_class
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.finetuning import phases
from impasto.loop import Loop
from impasto.models.registry import blocks, build
from impasto.paintings import Paintings
from impasto.phase import base_phase
from tiny import CPU, ROOT, STYLES, augment, stylise

PRESETS = Presets(ROOT / "presets")
NETWORKS = ["st-saclf-resnet50", "st-saclf-vgg16"]
NAMES = [*NETWORKS, *(f"{name} st-saclf-faithful" for name in NETWORKS)]
STATUS, GENDER = (3175, 2298, 644, 639), (5233, 1523)  # training images of version 1.2
CLASSES = {"status": ("noble", "warrior", "incarnation", "commoner"), "gender": ("male", "female")}
Sections = dict[type[Section], Any]


@pytest.fixture
def sections(params: Path) -> Any:
    """From the words of a preset to the sections of its parameters."""

    def of(words: str) -> Sections:
        apply(PRESETS.compose(words.split()).leaves, params, words)
        return dict(check(params))

    return of


@pytest.mark.parametrize("words", NAMES)
def test_forty_epochs_in_stages_that_open_the_whole_network(sections: Any, words: str) -> None:
    model, train, finetune = (sections(words)[kind] for kind in (Model, Train, Finetune))
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
    found = sections(words)
    model, train, balance = found[Model], found[Train], found[Balance]
    assert (balance.p1, balance.p2, found[Dataset].version) == (0.8, 0.2, "1.2")
    with torch.device("meta"):
        network = build(model.model_copy(update={"weights": None}), 4, [0.5] * 3, [0.25] * 3, 0)
    assert sum(p.numel() for p in network.get_submodule("head").parameters()) == head
    assert (train.optimizer, train.weight_decay, train.gamma, train.alpha) == ("adam", 0.0, 2.0, 2.0)
    assert train.batch_norm == "all" and not model.normalise
    rates = [base_phase(train).rate(epoch) / train.learning_rate for epoch in (0, 9, 10, 19)]
    assert rates == pytest.approx([1, 1, 0.1, 0.01 if "vgg16" in words else 0.1])


@pytest.mark.parametrize(
    ("words", "task", "shown"),
    [
        ("st-saclf-vgg16", "status", [3175, 2298, 3175, 3175]),
        ("st-saclf-vgg16 st-saclf-faithful", "status", [5715, 4136, 773, 767]),
        ("st-saclf-gender st-saclf-resnet50", "gender", [5233, 5233]),
        ("st-saclf-resnet50 st-saclf-faithful st-saclf-gender", "gender", [9419, 1828]),
    ],
)
def test_the_classes_of_a_task_are_shown_so_often(sections: Any, words: str, task: str, shown: list[int]) -> None:
    """Both tasks, from their official split, with styles of an image's own class and nothing else."""
    found = sections(words)
    data, balance, counts = found[Dataset], found[Balance], STATUS if task == "status" else GENDER
    assert (data.name, data.task, data.split, data.size) == ("kaokore", task, "official", 256)
    copies = copies_per_class(counts, CLASSES[task], balance)
    assert [n + more for n, more in zip(counts, copies, strict=True)] == shown
    assert (balance.copy_, balance.styles, found[Style].bank) == ("style", "class", "training")
    assert (found[Mix].lambda_, found[Mix].lambda_o, found[Mix].alpha_o) == (0.0, 0.0, (1.0, 1.0))


LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 3])


def pixels(rows: np.ndarray) -> Stream:
    """Images of 128 px, which the map of stride 32 needs."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 3, 128, 128), dtype=np.uint8)
    return Stream(noise, LABELS, rows, CPU)


def fed(found: Sections) -> Feed:
    """One batch of 8, of originals and of the copies that the parameters ask for."""
    own, balance = torch.from_numpy(LABELS), found[Balance]
    wanted = copies_per_class(np.bincount(LABELS).tolist(), CLASSES["status"], balance)
    copies = draw_copies(own, wanted, Bank(len(own), own), balance, found[Mix].alpha_o, 0)
    assert len(copies.content) == sum(wanted) > 0 and torch.equal(own[copies.content], own[copies.style])
    streams = pixels(np.concatenate([np.arange(8), copies.content.numpy()])), pixels(np.arange(8))
    return Feed(
        streams=streams,
        paintings=Paintings(stylise, streams, 1.0, CPU),
        styles=STYLES,
        mix=found[Mix],
        augment=augment(flip=found[Augment].flip),
        strength=balance.strength,
        batch=8,
        seed=0,
        device=CPU,
        copies=copies,
    )


@pytest.mark.parametrize(
    "words", [NAMES[2], *(pytest.param(name, marks=pytest.mark.slow) for name in (NAMES[0], NAMES[1], NAMES[3]))]
)
def test_it_runs_one_step(sections: Any, words: str) -> None:
    of = sections(words)
    model, train = of[Model], of[Train]
    built, found = build(model.model_copy(update={"weights": None}), 4, [0.5] * 3, [0.25] * 3, 0), fed(of)
    assert found.plan(0).stylised.any(), "copies are among the batch"
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    row = Loop(built, found, [base_phase(train)], train, "test").run(0)
    moved = {name for name, tensor in built.state_dict().items() if not torch.equal(tensor, before[name])}
    assert math.isfinite(row["loss"]) and row["loss"] > 0
    assert {name for name, _ in built.named_parameters() if name.startswith("head.")} <= moved
    statistics = {name for name in before if "running_" in name or name.endswith("tracked")}
    assert {name for name in moved if not name.startswith("head.")} == (statistics if "faithful" in words else set())
