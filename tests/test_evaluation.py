"""Predictions of every cell against corruptions applied one by one, and the scores made of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from impasto.corrupted.sources import CLEAN, Generated
from impasto.corruptions.registry import corrupt
from impasto.data.images import Images
from impasto.errors import ImpastoError
from impasto.evaluation import Predictions, predict_all
from tiny import CPU, ROOT, evaluate, pictures
from tiny import model as network

NAMES = ("a", "b", "c", "d")


def images(n: int = 30) -> Images:
    pixels, labels = pictures(n)
    return Images(pixels.repeat(2, 2).repeat(2, 3), labels, NAMES, "made here")


def predict(models: dict[str, nn.Module], **changes: Any) -> dict[str, Predictions]:
    batch = changes.pop("batch", 1000)
    settings = evaluate(**changes)
    cells = [CLEAN, *((name, severity) for name in settings.corruptions for severity in settings.severities)]
    return predict_all(models, Generated(images(), settings, CPU), cells, CPU, "fp32", batch)


def test_cells_clean_first_then_corruption_by_severity() -> None:
    found = predict({"one": network().eval()})["one"]
    assert found.cells == [("clean", 0), ("gaussian_noise", 1), ("gaussian_noise", 5), ("contrast", 1), ("contrast", 5)]
    assert found.predicted.shape == found.confidence.shape == (5, 30)
    assert np.array_equal(found.labels, np.tile(images().labels, (5, 1)))
    assert found.predicted.dtype == found.labels.dtype == np.int16 and found.confidence.dtype == np.float32


def test_every_prediction_is_that_of_the_corrupted_image() -> None:
    model = network().eval()
    found = predict({"one": model})["one"]
    pixels = torch.from_numpy(images().pixels)
    for index, (name, severity) in enumerate(found.cells):
        shown = corrupt(pixels, name, severity, 4, torch.arange(30), "cifar") if severity else pixels
        with torch.no_grad():
            probabilities = model(shown.float() / 255).softmax(1)
        assert np.array_equal(found.predicted[index], probabilities.argmax(1).numpy())
        assert np.allclose(found.confidence[index], probabilities.amax(1).numpy(), atol=1e-6)


@pytest.mark.parametrize("batch", [1, 7])
def test_the_batch_size_does_not_matter(batch: int) -> None:
    models = {"one": network().eval()}
    one, other = predict(models)["one"], predict(models, batch=batch)["one"]
    assert np.array_equal(one.predicted, other.predicted) and np.allclose(one.confidence, other.confidence, atol=1e-5)


def test_what_differs_in_its_head_alone_shares_the_rest_and_answers_as_it_does_alone() -> None:
    heads = {"attention": "additive_softmax", "taps": [2, 4], "head_dropout": 0.2}
    for changes in ({}, heads):
        models = {name: network(**changes).eval() for name in ("one", "two", "apart")}
        with torch.no_grad():
            for parameter in models["two"].get_submodule("head").parameters():
                parameter.add_(0.3)
            next(models["apart"].get_submodule("stem").parameters()).mul_(0.5)
        alone = {name: predict({name: model})[name] for name, model in models.items()}
        seen: list[str] = []
        for name, model in models.items():
            stem = model.get_submodule("stem")
            stem.register_forward_hook(lambda module, inputs, output, name=name, seen=seen: seen.append(name))
        together = predict(models)
        assert seen == ["one", "apart"] * 5, "of each cell one batch, shown to two networks"
        for name in models:
            assert np.array_equal(alone[name].predicted, together[name].predicted)
            assert np.array_equal(alone[name].confidence, together[name].confidence)
        assert not np.array_equal(alone["one"].confidence, alone["two"].confidence)


def test_models_are_measured_side_by_side_as_they_are_alone() -> None:
    models = {"one": network(seed=1).eval(), "other": network(seed=2).eval()}
    both = predict(models)
    assert list(both) == ["one", "other"]
    for name, model in models.items():
        assert np.array_equal(predict({name: model})[name].confidence, both[name].confidence)
    assert not np.array_equal(both["one"].confidence, both["other"].confidence)


def test_the_seed_is_that_of_the_noise_alone() -> None:
    models = {"one": network().eval()}
    one, other = predict(models)["one"], predict(models, seed=5)["one"]
    changed = [not np.array_equal(a, b) for a, b in zip(one.confidence, other.confidence, strict=True)]
    assert changed == [False, True, True, False, False]


def test_auto_takes_the_constants_of_the_size() -> None:
    models = {"one": network().eval()}
    one, other = predict(models, table="auto")["one"], predict(models, table="cifar")["one"]
    assert np.array_equal(one.confidence, other.confidence)
    assert not np.array_equal(predict(models, table="imagenet")["one"].confidence, one.confidence)


def test_an_unknown_corruption_is_named() -> None:
    with pytest.raises(ImpastoError, match="gaussian_noize"):
        predict({"one": network().eval()}, corruptions=["gaussian_noize"])


@pytest.mark.slow
@pytest.mark.parametrize("corrupted", ["generated", "official"])
def test_memory_does_not_grow_with_the_set(tmp_path: Path, corrupted: str) -> None:
    program = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from impasto.corrupted.sources import choose, open_sets
from impasto.data.images import Images
from impasto.evaluation import predict_all
from impasto.scores import score
from tiny import CPU, evaluate
torch.set_num_threads(1)
for n in (4000, 24000):
    clean, stored = (Path(sys.argv[1]) / f"{n}-{kind}" for kind in ("clean", "stored"))
    clean.mkdir(), stored.mkdir()
    np.lib.format.open_memmap(clean / "images.npy", "w+", np.uint8, (n, 3, 32, 32))
    np.lib.format.open_memmap(stored / "contrast.npy", "w+", np.uint8, (5 * n, 32, 32, 3))
    np.save(stored / "labels.npy", np.zeros(5 * n, np.uint8))
    Images(np.load(clean / "images.npy", mmap_mode="r"), np.zeros(n, np.int64), ("a", "b"), "made").describe(clean)
    settings = evaluate(corruptions=["contrast"], severities=[1, 5], corrupted=sys.argv[2], root=str(stored))
    test, chosen = Images.load(clean), choose(settings, 32)
    cells = chosen.cells(settings.severities)
    model = {"one": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))}
    found = predict_all(model, open_sets(test, settings, chosen, CPU), cells, CPU, "fp32")["one"]
    assert found.predicted.shape == (3, n)
    score(found, test.classes, chosen.means, 1_000_000 // n, settings.seed)  # as many draws for both
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    command = [sys.executable, "-c", program, str(tmp_path), corrupted]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests")))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    small, large = map(int, done.stdout.split())
    assert large - small < 50, "MB; the larger clean set has 74 MB, the corrupted one 369 MB"
