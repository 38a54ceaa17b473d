"""How numbers are written, on the page and in the card."""

from __future__ import annotations

import re
from collections.abc import Sequence

from impasto.config.schedule import Schedule

THIN = "\u202f"  # narrow no-break space, between a number and its unit
MANY = 3  # changes of a schedule that are told one by one


def percent(value: float) -> str:
    """A fraction as percent with one decimal."""
    return f"{100 * value:.1f}{THIN}%"


def span(interval: tuple[float, float]) -> str:
    """An interval of fractions as percent."""
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}{THIN}%"


def extent(interval: tuple[float, float]) -> str:
    """An interval of plain numbers; one number where it has no length."""
    low, high = interval
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def share(value: float | Schedule) -> str:
    """A fraction that somebody typed, as percent with no more decimals than it needs; a schedule by its steps."""
    if not isinstance(value, Schedule):
        return f"{100 * value:.6g}{THIN}%"
    (_, first), *later = value.steps
    if len(later) > MANY:
        return f"{share(first)} ({share(later[-1][1])} in the end, by {len(later)} steps)"
    words = ", ".join(f"{share(number)} from epoch {epoch}" for epoch, number in later)
    return f"{share(first)} ({words})" if words else share(first)


def decimal(value: float) -> str:
    """Four significant digits, e.g. a Fréchet distance; no exponent below a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as read on a clock: 12.3 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 59.95:
        return f"{seconds:.1f}{THIN}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{THIN}min {whole % 60:02d}{THIN}s"
    return f"{whole // 3600}{THIN}h {whole % 3600 // 60:02d}{THIN}min"


def memory(megabytes: float) -> str:
    """Megabytes, or gigabytes from a thousand on."""
    return f"{megabytes / 1024:.1f}{THIN}GB" if megabytes >= 1000 else f"{megabytes:.0f}{THIN}MB"


def plural(count: int, noun: str) -> str:
    """A count and its noun."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(items: Sequence[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = [str(item) for item in items]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def ranged(numbers: Sequence[int]) -> str:
    """Whole numbers; three or more without a gap as their ends."""
    first, last = numbers[0], numbers[-1]
    whole = len(numbers) > 2 and list(numbers) == list(range(first, last + 1))
    return f"{first} to {last}" if whole else listed(numbers)


def spaced(name: str) -> str:
    """The name of a corruption or a score as words."""
    return name.replace("_", " ")


def literal(text: str) -> str:
    """Text that Markdown, and HTML inside it, show as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))
