"""What two processes on the CPU cost over one with as many threads in all: an epoch of training, and an evaluation.

Run: ``python benchmarks/processes.py``. All ways live side by side and work in turn.
"""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
import torch

from epoch import loop
from evaluate import prepared
from impasto import ranks
from impasto.data.images import Images
from impasto.data.stream import Stream
from impasto.evaluation import predict_all
from impasto.rng import generator, numpy_generator
from impasto.style.bank import encode_styles
from impasto.style.decoder import Decoder
from impasto.style.encoders import EfficientNetLite0Encoder
from impasto.style.procedural import procedural_styles
from impasto.style.stylize import Stylizer
from timing import show

WAYS = {"one": (1, 2), "two": (2, 1), "thread": (1, 1)}
"""Processes, and threads of each."""
WORKS = ("epoch", "evaluate")
_CPU = torch.device("cpu")


class Took(NamedTuple):
    """Seconds until the last process was done, and of the processor in all of them."""

    wall: float
    processor: float


def measure(
    n: int = 1000, repeats: int = 5, names: Sequence[str] = ("contrast", "jpeg_compression")
) -> dict[str, float | int]:
    """Time ``WAYS`` on ``n`` images: an epoch with NST + TA, and an evaluation on ``names``.

    Returns:
        Medians in seconds of wall and of processor time. ``ratio`` is the wall time of two processes over that of one
        of two threads; ``cpu_ratio`` their processor time over that of one of a thread: threads wait in busy loops,
        which counts as work, and for long where others want the cores.
    """
    groups = {way: _started(*each, n, names) for way, each in WAYS.items()}
    times: dict[tuple[str, str], list[Took]] = {(work, way): [] for work in WORKS for way in WAYS}
    for number in range(repeats + 1):
        for work, way in times:
            took = _round(groups[way], (work, number))
            times[work, way] += [took] if number else []  # caches fill in the first round
    for pipes in groups.values():
        _round(pipes, None)
    found: dict[str, float | int] = {"n": n, "repeats": repeats, "threads": 2}
    for work in WORKS:
        took = {way: Took(*map(statistics.median, zip(*times[work, way], strict=True))) for way in WAYS}
        found |= {f"{work}_{way}_s": round(each.wall, 3) for way, each in took.items()}
        found |= {f"{work}_{way}_cpu_s": round(each.processor, 3) for way, each in took.items()}
        found[f"{work}_ratio"] = round(took["two"].wall / took["one"].wall, 2)
        found[f"{work}_cpu_ratio"] = round(took["two"].processor / took["thread"].processor, 2)
    return found


def _started(count: int, threads: int, n: int, names: Sequence[str]) -> list[Connection]:
    """Processes that form a group, one of them none, with their variables as torchrun sets them."""
    context = get_context("forkserver")  # it imports once, and forks what holds no locks
    context.set_forkserver_preload(["impasto.training", "impasto.evaluation", "impasto.style.stylize"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    shared |= {"IMPASTO_DEVICE": "cpu", "IMPASTO_THREADS": threads, "IMPASTO_QUIET": 1}
    pipes = []
    for rank in range(count):
        ours, theirs = context.Pipe()
        given = {name: str(value) for name, value in (shared | {"RANK": rank, "LOCAL_RANK": rank}).items()}
        context.Process(target=_serve, args=(theirs, given, n, names), daemon=True).start()
        theirs.close()  # or its end would go unnoticed
        pipes.append(ours)
    return pipes


def _round(pipes: Sequence[Connection], asked: tuple[str, int] | None) -> Took:
    for pipe in pipes:
        pipe.send(asked)
    took = [pipe.recv() for pipe in pipes]
    return Took(max(each.wall for each in took), sum(each.processor for each in took))


def _serve(pipe: Connection, environment: Mapping[str, str], n: int, names: Sequence[str]) -> None:
    """One process: it does what it is asked for, as long as it is asked for something, and tells how long it took."""
    os.environ.update(environment)
    torch.set_num_threads(int(environment["IMPASTO_THREADS"]))
    pixels = numpy_generator(0, "benchmark").integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    images = Images(pixels, np.arange(n) % 10, tuple("0123456789"), "noise")
    with ranks.joined():
        works: dict[str, Callable[[int], Any]] = {"epoch": _training(images), "evaluate": _evaluation(images, names)}
        while asked := pipe.recv():
            wall, processor = time.perf_counter(), time.process_time()
            works[asked[0]](asked[1])
            pipe.send(Took(time.perf_counter() - wall, time.process_time() - processor))
    pipe.send(Took(0.0, 0.0))


def _training(images: Images) -> Callable[[int], Any]:
    encoder = EfficientNetLite0Encoder(64)
    bank = encode_styles(procedural_styles(32, 32, min_std=0.08, seed=0), encoder)
    painter = Stylizer(encoder, Decoder(encoder.channels, generator(0, "benchmark", "decoder")).eval(), bank, "bf16")
    stream = Stream(images.pixels, images.labels, np.arange(len(images)), _CPU)
    return loop(stream, painter, 0.3, 1.0, trivial=True).run


def _evaluation(images: Images, names: Sequence[str]) -> Callable[[int], Any]:
    model, sets, cells = prepared(images, names)
    return lambda _: predict_all({"network": model}, sets, cells, _CPU, "fp32", -(-len(images) // 4))


if __name__ == "__main__":
    show(measure())
