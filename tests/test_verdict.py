"""The rule that decides a claim, on intervals given by hand."""

from __future__ import annotations

from typing import Any

import pytest

from impasto.comparisons import Effect
from impasto.metrics import Interval
from impasto.verdict import Found, closest, sides, verdict

Spans = dict[str, tuple[float, float]]


def effects(spans: Spans) -> dict[str, Effect]:
    return {name: Effect(sum(each) / 2, Interval(*each), 0.95) for name, each in spans.items()}


def found(plain: Spans, strict: Spans | None = None, band: float = 0.0) -> Found:
    return Found(effects(plain), "points", effects(strict or {}), band)


@pytest.mark.parametrize(
    ("plain", "strict", "wanted"),
    [
        ({"a": (1, 2)}, {}, "supported"),
        ({"a": (-1, 2)}, {}, "undecided"),
        ({"a": (0, 2)}, {}, "undecided"),
        ({"a": (-2, -1)}, {}, "refuted"),
        ({"a": (1, 2), "b": (1, 3)}, {"a": (-1, 4), "b": (-1, 5)}, "supported"),
        ({"a": (1, 2), "b": (-3, -1)}, {"a": (1, 2), "b": (-4, 1)}, "undecided"),
        ({"a": (-1, 2), "b": (-3, -1)}, {"a": (-1, 2), "b": (-4, -0.5)}, "refuted"),
        ({"a": (-1, 2), "b": (1, 3)}, {"a": (-2, 3), "b": (1, 3)}, "undecided"),
    ],
)
def test_all_must_speak_for_a_claim_and_one_may_refute_it(plain: Spans, strict: Spans, wanted: str) -> None:
    """For it by their own intervals, against it by Holm's."""
    assert verdict(found(plain, strict)) == wanted


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        ((-0.4, 0.4), 1), ((-0.6, 0.4), 0), ((-0.4, 0.6), 0), ((-0.9, 0.9), 0), ((-1, -0.6), -1), ((0.6, 1), -1),
        ((1, 1), -1), ((0, 0), 1), ((-0.5, 0), 0), ((0, 0.5), 0), ((0.5, 1), 0),
    ],
)  # fmt: skip
def test_a_correlation_predicts_with_either_sign(span: tuple[float, float], wanted: int) -> None:
    assert sides(found({"rho": span}, band=0.5)) == {"rho": wanted}


def rows(**spans: Any) -> dict[str, dict[str, Any]]:
    """Side, interval and Holm's interval of each effect; the means say nothing."""
    return {
        name: {"mean": 0.0, "side": side, "interval": plain, "holm": {"interval": strict}}
        for name, (side, plain, strict) in spans.items()
    }


def test_what_decides_is_named() -> None:
    """Against it, the surest; else of those that are open, and else of all, that which reaches lowest."""
    against = {"far": (-1, [-9, -2], [-12, -1]), "sure": (-1, [-5, -3], [-6, -2]), "open": (0, [-20, 5], [-30, 9])}
    assert closest(rows(**against)) == "sure"
    assert (
        closest(rows(low=(1, [0.1, 9], [-3, 12]), open=(0, [-0.1, 1], [-1, 2]), wide=(0, [-4, 8], [-5, 9]))) == "wide"
    )
    assert closest(rows(high=(1, [2, 3], [1, 4]), low=(1, [0.5, 9], [-3, 12]))) == "low"
    alone = {"a": {"mean": 0.0, "side": -1, "interval": [-2, -1], "holm": None}}
    assert closest(alone) == "a"
