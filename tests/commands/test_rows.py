"""Every row of the paper's tables and both ends of its sweeps: valid, planned, and one real step on the CPU.

Rows that differ in nothing that a step sees (epochs, seeds, the size of the validation split) share one step, and so
do the datasets of 32 px, which differ in the number of classes alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from impasto.config.all import Of, check
from impasto.config.augment import Augment
from impasto.config.balance import Balance
from impasto.config.base import S, Section, read_yaml
from impasto.config.dataset import Dataset
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.presets import Presets
from impasto.config.style import Difference, Style
from impasto.config.synthetic import Synthetic
from impasto.config.train import Train
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.loop import Loop
from impasto.models.registry import build
from impasto.paintings import Paintings
from impasto.phase import base_phase
from impasto.rng import generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.stylize import Stylizer
from style.style_doubles import RandomEncoder
from style.style_doubles import pictures as style_pictures
from tiny import CPU, ROOT

CLASSES = {"cifar10": 10, "cifar100": 100, "tiny_imagenet": 200}
STYLES = 60
PRESETS = Presets(ROOT / "presets")
ROWS = [name for name, row in PRESETS.rows.items() if row.layers]
FAITHFUL = ["table2-cifar10-ours", "table2-tiny-imagenet-ours", "table5-cifar100-densenet-ours", "table2-cifar10-ta"]
NAMES = [*ROWS, *(f"{name} faithful" for name in FAITHFUL)]
Sections = dict[type[Section], Section]


def picker(sections: Sections) -> Of:
    def of(section: type[S]) -> S:
        value = sections[section]
        assert isinstance(value, section)
        return value

    return of


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """From the words of a preset to its sections, one for the first and one for the last point of a sweep."""
    folder = tmp_path_factory.mktemp("rows")

    @cache
    def of(words: str) -> list[Sections]:
        found = PRESETS.compose(words.split())
        points = list(found.points())
        return [lay(found.leaves | point) for point in (points if len(points) == 1 else [points[0], points[-1]])]

    def lay(leaves: dict[str, Any]) -> Sections:
        params = folder / "params.yaml"
        tree = read_yaml(ROOT / "params.yaml")
        for leaf, value in leaves.items():
            *sections, last = leaf.split(".")
            inner = tree
            for section in sections:
                inner = inner[section]
            assert last in inner, leaf
            inner[last] = value
        params.write_text(json.dumps(tree))  # which is YAML, and read in a tenth of the time that apply takes
        return check(params)

    return of


def stream(n: int, classes: int, size: int, seed: int) -> Stream:
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8)
    return Stream(pixels, np.arange(n) % classes, np.arange(n), CPU)


@cache
def painter(faithful: Collection[Difference]) -> Stylizer:
    """AdaIN with a small random encoder: the published networks take a second and a half an image on a CPU."""
    encoder = RandomEncoder()
    bank = encode_styles(style_pictures(STYLES), encoder)
    return Stylizer(encoder, Decoder(encoder.channels, generator(0, "test-decoder")), bank, faithful=faithful)


def feed(of: Of, n: int, size: int, batch: int) -> Feed:
    """What :class:`impasto.stages.classifier.Inputs` makes of the parameters, of n images in each stream."""
    classes, style = CLASSES[of(Dataset).name], of(Style)
    pool = n if of(Synthetic).source != "none" else 0
    streams = stream(n, classes, size, 1), stream(pool, classes, size, 2)
    return Feed(
        streams=streams,
        paintings=Paintings(painter(style.differences), streams, style.refresh, CPU),
        styles=STYLES,
        mix=of(Mix),
        augment=of(Augment),
        strength=of(Balance).strength,
        batch=batch,
        seed=0,
        device=CPU,
        faithful=style.differences,
        views=3 if of(Train).consistency else 1,
    )


@pytest.mark.parametrize("words", NAMES)
@pytest.mark.parametrize("epoch", [0, -1], ids=["first", "last"])
def test_it_is_valid_and_plans_its_epochs(settings: Any, words: str, epoch: int) -> None:
    """The first and the last. Labels are those of the dataset's classes, six of each; pixels do not matter here."""
    for sections in settings(words):
        of = picker(sections)
        number, n = epoch % of(Train).epochs, 6 * CLASSES[of(Dataset).name]
        plan, mix = feed(of, n, 4, of(Train).batch).plan(number), of(Mix).at(number)
        shares = plan.shares()
        assert shares["share_synthetic"] == pytest.approx(mix.lambda_, abs=1 / n)
        for name, share, where in (("o", mix.lambda_o, ~plan.synthetic), ("s", mix.lambda_s, plan.synthetic)):
            count = max(int(where.sum()), 1)
            spread = 1 / count + 4 * math.sqrt(share * (1 - share) / count)
            assert shares[f"share_stylised_{name}"] == pytest.approx(share if where.any() else 0, abs=spread)
        assert len(plan.row) == n and len(plan.batches(of(Train).batch)) == math.ceil(n / of(Train).batch)


@cache
def network(model: Model, classes: int) -> nn.Sequential:
    """The row's network as the stage builds it, without the file of pretrained weights."""
    return build(model.model_copy(update={"weights": None}), classes, [0.5] * 3, [0.25] * 3, 0)


@cache
def step(key: str, size: int, classes: int) -> tuple[float, int, int]:
    """One epoch of one batch of two images, or four where `faithful` must paint an exact share of them.

    Returns the loss, how many tensors learned, and how many images were painted. The epoch is the first whose plan
    paints something, if the row paints at all.
    """
    of = picker(STEPS[key])
    train, n = of(Train), 4 if of(Style).faithful else 2
    found = feed(of, n, size, n)
    loop = Loop(network(of(Model), classes), found, [base_phase(train)], train, "test")
    paints = any(paints_what(of))
    epoch = next((e for e in range(train.epochs) if not paints or found.plan(e).stylised.any()), 0)
    before = [p.detach().clone() for p in loop.model.parameters()]
    row = loop.run(epoch)
    learned = sum(not torch.equal(a, b) for a, b in zip(before, loop.model.parameters(), strict=True))
    return row["loss"], learned, found.paintings.repainted


STEPS: dict[str, Sections] = {}


def paints_what(of: Of) -> tuple[bool, bool]:
    """Whether some originals and some synthetic images can be painted; `faithful` rounds a share of two down."""
    mix, least = of(Mix).at(0), 0.5 if of(Style).faithful else 1e-9
    return mix.lambda_ < 1 and mix.lambda_o >= least, mix.lambda_ > 0 and mix.lambda_s >= least


def what_a_step_sees(of: Of) -> str:
    """The leaves that decide how a step goes; shares as whether there are any."""
    mix = of(Mix).at(0)
    shares = [mix.lambda_ > 0, mix.lambda_ < 1, *paints_what(of)]
    ends = {"epochs", "batch", "period", "period_factor", "averaging", "weight_decay"}
    parts = [of(Model), of(Augment), of(Train).model_dump(exclude=ends), of(Style).faithful, of(Dataset).size, *shares]
    return repr(parts)


@pytest.mark.parametrize(
    "words", [pytest.param(words, marks=pytest.mark.slow) if "vit" in words else words for words in NAMES]
)
def test_it_runs_one_step(settings: Any, words: str) -> None:
    for sections in settings(words):
        of = picker(sections)
        key, classes = what_a_step_sees(of), {32: 100, 64: 200}[of(Dataset).size]
        STEPS.setdefault(key, sections | {Dataset: of(Dataset)})
        loss, learned, painted = step(key, of(Dataset).size, classes)
        parameters = len(list(network(of(Model), classes).parameters()))
        assert math.isfinite(loss) and loss > 0
        assert learned >= 0.9 * parameters, "a bias before a batch norm may have no gradient"
        assert (painted > 0) == any(paints_what(of))


@pytest.mark.parametrize(
    ("name", "parameters", "gigamacs"),
    [
        ("table2-cifar10-baseline", 5_853_098, 0.959),
        ("table2-cifar100-ta", 5_876_228, 0.959),
        ("table2-tiny-imagenet-ours", 5_901_928, 0.989),
        ("table5-cifar100-densenet-baseline", 2_669_380, 0.192),
        ("table5-tiny-imagenet-densenet-ours", 2_741_480, 0.192),
        ("table5-cifar100-resnext-syn", 4_866_468, 0.773),
        ("table5-tiny-imagenet-resnext-ta-re-n", 4_968_968, 0.798),
    ],
)
def test_networks_are_as_large_and_as_dear_as_the_papers(
    settings: Any, name: str, parameters: int, gigamacs: float
) -> None:
    """Counted in the authors' networks; a wrong stride would cost four times as much, or a quarter."""
    of = picker(settings(name)[0])
    side, model = of(Dataset).size, network(of(Model), CLASSES[of(Dataset).name]).eval()
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 3, side, side))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gigamacs, abs=0.0015)
