"""The rule by which the effects that a claim compares decide it.

A claim is *supported* if the interval of its effect lies wholly on the claimed side, *refuted* if wholly on the other,
else *undecided*. Where it makes several comparisons, it holds only if all of them do, and fails if one does. So the
interval of each at 95 % must lie on the claimed side to support it: an intersection-union test, which needs no
correction (Berger 1982). But one on the other side was looked for among several: to refute, it must lie there with
Holm's interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from impasto.comparisons import Effect, side

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"


class Found(NamedTuple):
    """What a claim compares.

    Attributes:
        effects: by name, with the interval that decides in favour of the claim.
        unit: ``points``, ``rho`` or ``distance``.
        strict: of several effects the same with Holm's intervals, which decide against it; else none.
        band: the claimed side is that between -band and band; 0 for that above 0.
    """

    effects: dict[str, Effect]
    unit: str
    strict: dict[str, Effect]
    band: float = 0.0


def sides(found: Found) -> dict[str, int]:
    """Of each effect 1 if it speaks for the claim, -1 if against it, 0 if it leaves it open."""
    told = {}
    for name, one in found.effects.items():
        below, above = side(one.interval, -found.band), side(one.interval, found.band)
        strict = found.strict.get(name, one).interval
        against = side(strict, -found.band) == -1 or (found.band > 0 and side(strict, found.band) == 1)
        told[name] = -int(against) or int(below == 1 and (found.band == 0 or above == -1))
    return told


def verdict(found: Found) -> str:
    """Supported if every effect speaks for the claim, refuted if any speaks against it, else undecided."""
    told = sides(found).values()
    if -1 in told:
        return REFUTED
    return SUPPORTED if all(told) else UNDECIDED


def closest(effects: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of the effect that decides, of several whose claimed side is above 0.

    Of those against the claim the one most surely so, else of those that are open, else of all, the one whose
    interval reaches lowest.
    """

    def depth(name: str) -> tuple[int, float]:
        one = effects[name]
        return one["side"], float(
            one["holm"]["interval"][1] if one["side"] == -1 and one["holm"] else one["interval"][0]
        )

    return min(effects, key=depth)
