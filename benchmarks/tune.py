"""What `impasto tune` adds to each trial, over training the same trials one by one: on Ray, and in one process.

Run: ``python benchmarks/tune.py``; the first needs the extra ``tune``. The default network on random pictures.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from impasto.checkpoint import Resume
from impasto.commands.preset import apply
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.train import Train
from impasto.data.images import Images
from impasto.io import write_json, write_npy
from impasto.models.registry import build
from impasto.phase import base_phase
from impasto.rng import numpy_generator
from impasto.runtime import device
from impasto.stages.classifier import Inputs
from impasto.stages.command import Stage
from impasto.style.bank import StyleBank
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.stylize import BANK
from impasto.tracking.search import search_run
from impasto.tracking.stage import StageRun
from impasto.training import fit
from impasto.tuning.cluster import ray_workers
from impasto.tuning.run import carry_out, prepare
from impasto.tuning.space import inputs_of
from impasto.tuning.workers import Here, Workers
from timing import show, single_thread

_ROOT = Path(__file__).resolve().parents[1]


def measure(
    n: int = 2000, trials: int = 8, epochs: int = 2, repeats: int = 5, ray: bool | None = None
) -> dict[str, Any]:
    """Seconds of a trial by `fit` alone, and what each of the ways adds to it: medians over repeats, one at a time.

    Args:
        n: training images.
        trials: of a search; their learning rates differ.
        epochs: of a trial.
        repeats: searches of each way; Ray is started once, and what that takes is told apart.
        ray: whether Ray is measured; None: where it is installed.
    """
    ray = find_spec("ray") is not None if ray is None else ray
    with single_thread(), _folder(n, trials, epochs) as root:
        plain = [_timed(lambda: _plain(root, trials)) / trials for _ in range(repeats + 1)][1:]
        found = {"n": n, "trials": trials, "epochs": epochs, "repeats": repeats, "plain_s": _median(plain)}
        found["here_added_s"] = round(_added(root, Here(), trials, repeats) - found["plain_s"], 3)
        if ray:
            begun = time.perf_counter()
            with ray_workers(None, cpus=max(1, os.cpu_count() or 1), gpus=0) as workers:  # one trial at a time
                found["ray_start_s"] = round(time.perf_counter() - begun, 1)
                found["ray_added_s"] = round(_added(root, workers, trials, repeats) - found["plain_s"], 3)
    return found


def _added(root: Path, workers: Workers, trials: int, repeats: int) -> float:
    """Median seconds of a trial in a search, after one that is not counted: a worker imports torch in it."""
    return _median([_timed(lambda: _search(root, workers)) / trials for _ in range(repeats + 1)][1:])


def _search(root: Path, workers: Workers) -> None:
    shutil.rmtree(root / "sweeps", ignore_errors=True)
    plan = prepare(root, root / "params.yaml")
    with search_run(plan.key, "benchmark", plan.tree, {}) as log:
        carry_out(plan, workers, log, 1, lambda done: None)


def _plain(root: Path, trials: int) -> None:
    """The trials as a loop of `fit`, the images opened once."""
    given = {name: root / path for name, path in inputs_of(root / "dvc.yaml").items()}
    this = Stage("train", root / "params.yaml", given, StageRun(None))
    inputs, config, train = Inputs(this), this.load(Model), this.load(Train)
    for number in range(trials):
        own = train.model_copy(update={"learning_rate": _rate(number)})
        model = build(config, len(inputs.classes), **inputs.statistics, seed=0).to(device())
        feed = inputs.feed(0, None, this.load(Mix))
        resume = Resume("benchmark", number)
        fit(
            model,
            feed,
            inputs.validation,
            [base_phase(own)],
            own,
            purpose="train, seed 0",
            resume=resume,
            on_epoch=lambda epoch, row: None,
        )
        resume.finish()
        shutil.rmtree(resume.folder, ignore_errors=True)


def _rate(number: int) -> float:
    return round(0.05 + 0.01 * number, 3)


@contextmanager
def _folder(n: int, trials: int, epochs: int) -> Iterator[Path]:
    """A repository with what training reads, as the current folder."""
    before = Path.cwd()
    with TemporaryDirectory(prefix="impasto-benchmark-") as name, _environment(DVC_ROOT=name, IMPASTO_QUIET="1"):
        root = Path(name)
        for file in ("params.yaml", "dvc.yaml"):
            shutil.copy(_ROOT / file, root / file)
        (root / "src").symlink_to(_ROOT / "src")
        draws = numpy_generator(0, "benchmark")
        for folder, count in (("data/raw/train", n + 100), ("data/pool", 200)):
            pixels = draws.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
            Images(pixels, np.arange(count) % 10, tuple("abcdefghij"), "made").save(root / folder)
        write_npy(root / "data/split/train.npy", np.arange(n))
        write_npy(root / "data/split/validation.npy", np.arange(n, n + 100))
        write_npy(root / "data/synthetic/index.npy", np.arange(200))
        (root / "models/style").mkdir(parents=True)
        width = EfficientNetLite0Encoder.channels
        StyleBank(*(torch.rand(5, each) for each in (width, width, 3, 3))).save(root / "models/style" / BANK)
        write_json(root / "models/style/meta.json", {"styles": 5})
        rates = {"parameter": "train.learning_rate", "values": [_rate(number) for number in range(trials)]}
        leaves = {
            "style.method": "colour",
            "tune.objective": "accuracy",
            "train.epochs": epochs,
            "train.period": epochs,
        }
        searches = [{"method": "grid", "space": [rates]}]
        apply(leaves | {"train.averaging.start": 1.0, "tune.searches": searches}, root / "params.yaml", "benchmark")
        os.chdir(root)
        try:
            yield root
        finally:
            os.chdir(before)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _timed(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


if __name__ == "__main__":
    show(measure())
