"""Progress of long loops: a bar with rate and ETA on a terminal, plain lines elsewhere, nothing when quiet; notices."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import timedelta

from impasto.runtime import first, runtime

_EVERY = 10.0  # seconds between two plain lines


def track(total: int, label: str, unit: str = "it", start: int = 0) -> Iterator[int]:
    """Yield ``start .. total - 1`` and show how far the loop has come.

    Args:
        total: the number of steps of the whole loop, steps done before a resume included.
        label: what the loop does, e.g. ``"fit decoder"``.
        unit: what one step is, e.g. ``"epoch"``.
        start: the first step to do.
    """
    if runtime().quiet or not first():
        yield from range(start, total)
    elif sys.stderr.isatty():
        yield from _bar(total, label, unit, start)
    else:
        yield from _lines(total, label, unit, start)


def notice(text: str) -> None:
    """Say in one line on standard error why nothing seems to happen; nothing when quiet."""
    if first() and not runtime().quiet:
        print(text, file=sys.stderr, flush=True)


def _bar(total: int, label: str, unit: str, start: int) -> Iterator[int]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total, completed=start, rate="")
        begun = time.monotonic()
        for step in range(start, total):
            yield step
            speed = (step + 1 - start) / max(time.monotonic() - begun, 1e-9)
            progress.update(task, completed=step + 1, rate=f"{speed:.1f} {unit}/s")


def _lines(total: int, label: str, unit: str, start: int) -> Iterator[int]:
    begun = last = time.monotonic()
    for step in range(start, total):
        yield step
        now = time.monotonic()
        if now - last >= _EVERY or step + 1 == total:
            last, speed = now, (step + 1 - start) / max(now - begun, 1e-9)
            eta = _duration((total - step - 1) / speed)
            print(f"{label}: {step + 1}/{total} {unit}, {speed:.2f} {unit}/s, ETA {eta}", file=sys.stderr)


def _duration(seconds: float) -> str:
    """``42 s``, and from 100 s on as hours, minutes and seconds."""
    return f"{seconds:.0f} s" if seconds < 100 else str(timedelta(seconds=round(seconds)))
