"""Committed figures, read, and put as the documentation puts them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def load(name: str) -> Any:
    """A committed metrics file."""
    file = ROOT / "metrics" / name
    if not file.exists():
        sys.exit(
            f"error: {file} does not exist. Run `make repro`, `make ablation` or `make bench`, whichever makes it."
        )
    found = json.loads(file.read_text(encoding="utf-8"))
    return found[0] if isinstance(found, list) else found


def micro(value: float) -> str:
    """Microseconds, to a tenth below 100."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def times_as(ratio: float) -> str:
    """A ratio, to a tenth below 100."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.1f}x"


def percent(value: float) -> str:
    """A fraction in percent, one decimal."""
    return f"{100 * value:.1f}"


def span(interval: list[float], sign: bool = False) -> str:
    """An interval in percent, in brackets."""
    low, high = (f"{100 * bound:+.1f}" if sign else percent(bound) for bound in interval)
    return f"[{low}, {high}]"
