"""What the benchmarks share: one thread, ways timed in turn, the result of those per image, and it in print."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeVar

import torch

Key = TypeVar("Key")


class Timed(NamedTuple):
    """Seconds by the wall clock, and of the processor, which other work on the machine disturbs far less."""

    wall: float
    processor: float
    result: Any
    """What the way returned in the round that is not counted."""


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread for torch inside, as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def interleaved(ways: Mapping[Key, Callable[[int], object]], repeats: int) -> dict[Key, Timed]:
    """Median times of every way over ``repeats`` rounds, in each of which all are called in turn.

    A round before these, number 0, is not counted: caches fill in it. Every way is given the number of the round.
    """
    results = {name: way(0) for name, way in ways.items()}
    times: dict[Key, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(1, repeats + 1):
        for name, way in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            way(number)
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    medians = {name: map(statistics.median, zip(*each, strict=True)) for name, each in times.items()}
    return {name: Timed(*medians[name], results[name]) for name in ways}


def per_image(
    timed: Mapping[str, Timed],
    n: int,
    repeats: int,
    over: Mapping[str, tuple[str, str]],
    *,
    unit: Literal["microseconds per image", "images per second"] = "microseconds per image",
    clock: Literal["wall", "processor"] = "wall",
) -> dict[str, Any]:
    """The result of a benchmark in which every way works on the same ``n`` images with one thread.

    Args:
        timed: what :func:`interleaved` returned.
        n: images that a way works on in a round.
        repeats: rounds of which ``timed`` holds the medians.
        over: name of a ratio -> (way, the way whose time its time is divided by).
        unit: of the medians in the result.
        clock: which of the two times of a way counts.

    Returns:
        ``n``, ``repeats``, ``threads``, ``unit``, the median of each way, each ratio, and as ``ratio`` the smallest.
    """
    seconds = {name: getattr(each, clock) for name, each in timed.items()}
    if unit == "images per second":
        medians, digits = {name: round(n / each, 1) for name, each in seconds.items()}, 2
    else:
        medians, digits = {name: round(each / n * 1e6, 2) for name, each in seconds.items()}, 1
    ratios = {name: round(seconds[slow] / seconds[fast], digits) for name, (slow, fast) in over.items()}
    facts = {"n": n, "repeats": repeats, "threads": 1, "unit": unit}
    return {**facts, **medians, **ratios, "ratio": min(ratios.values())}


def show(result: Mapping[str, Any]) -> None:
    """Print a line for each single value, a table for each group of rows, and all of it as one line of JSON."""
    for name, value in result.items():
        if not isinstance(value, Mapping):
            print(f"{name:<27} {value!s:>24}")
        elif all(isinstance(row, Mapping) for row in value.values()):
            print(f"\n{name}")
            table(value)
    print(json.dumps(result))


def table(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print rows under the names of the first one's columns; a value that a row lacks is left out."""
    columns = list(next(iter(rows.values())))
    print(f"{'':<32}", *(f"{column:>14}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<32}", *(f"{row.get(column, '')!s:>14}" for column in columns))
