"""What the benchmarks share: one thread, ways timed in turn, and the result in print."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

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
