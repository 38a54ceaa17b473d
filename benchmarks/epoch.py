"""A training epoch with NST + TA against a baseline epoch, painting everything anew or a tenth of it.

Run: ``python benchmarks/epoch.py``. The default network, encoder and images; the decoder has random weights.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from impasto.config.augment import Augment
from impasto.config.base import load
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.train import Train
from impasto.data.stream import Stream
from impasto.feed import Feed
from impasto.loop import Loop
from impasto.models.registry import build
from impasto.paintings import Paintings
from impasto.phase import Phase
from impasto.rng import generator, numpy_generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer
from timing import interleaved, show, single_thread

_CPU = torch.device("cpu")
_PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
_TRAIN = load(_PARAMS, Train)
_MODEL = load(_PARAMS, Model)  # the default network


def loop(images: Stream, painter: Stylizer, lambda_o: float, refresh: float, trivial: bool) -> Loop:
    """The training loop of one arm: lambda 0, so that every arm sees the same number of images."""
    shares = {"lambda": 0.0, "lambda_o": lambda_o, "lambda_s": 0.0, "alpha_o": [1.0, 1.0], "alpha_s": [0.1, 1.0]}
    feed = Feed(
        streams=(images, images),
        paintings=Paintings(painter, (images, images), refresh, _CPU),
        styles=32,
        mix=Mix.model_validate(shares | {"combine_o": "and", "combine_s": "or"}),
        augment=load(_PARAMS, Augment).model_copy(update={"trivial": trivial}),
        strength=0.0,
        batch=128,
        seed=0,
        device=_CPU,
    )
    model = build(_MODEL, 10, [0.5] * 3, [0.25] * 3, seed=0)
    return Loop(model, feed, [Phase(1000, lambda epoch: 0.1)], _TRAIN, "benchmark")


def measure(n: int = 2000, warm: int = 12, repeats: int = 7) -> dict[str, float | int]:
    """Time an epoch of each arm in turn, after ``warm`` epochs that fill the bank; single thread.

    Returns:
        Medians in seconds of processor time, and their ratios to the baseline's.
    """
    with single_thread():
        arms = _arms(n)
        for epoch in range(warm):
            arms["refresh_0.1"].feed.paintings.paint(arms["refresh_0.1"].feed.plan(epoch))
        seconds = interleaved({name: partial(_epoch, arm, warm) for name, arm in arms.items()}, repeats)
    medians = {name: each.processor for name, each in seconds.items()}
    found: dict[str, float | int] = {f"{name}_s": round(value, 3) for name, value in medians.items()}
    ratios = {f"{name}_ratio": round(medians[name] / medians["baseline"], 2) for name in list(arms)[1:]}
    return {"n": n, "repeats": repeats, "lambda_o": 0.3} | found | ratios


def _arms(n: int) -> dict[str, Loop]:
    encoder = EfficientNetLite0Encoder(64)
    bank = encode_styles(procedural_styles(32, 32, min_std=0.08, seed=0), encoder)
    painter = Stylizer(encoder, Decoder(encoder.channels, generator(0, "benchmark", "decoder")).eval(), bank, "bf16")
    pixels = numpy_generator(0, "benchmark").integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    images = Stream(pixels, np.arange(n) % 10, np.arange(n), _CPU)
    return {
        "baseline": loop(images, painter, 0.0, 1.0, trivial=False),
        "refresh_1": loop(images, painter, 0.3, 1.0, trivial=True),
        "refresh_0.1": loop(images, painter, 0.3, 0.1, trivial=True),
    }


def _epoch(arm: Loop, warm: int, number: int) -> None:
    arm.run(warm + number)


if __name__ == "__main__":
    show(measure())
