"""A share of a class's subset by coverage: the last images drawn give way to those farthest from all others chosen.

Farthest-first costs (images chosen) x (candidates) distances, which for a class of 100,000 is hours. Above 4,096
candidates it therefore works in groups, as in G. Malkomes et al., "Fast Distributed k-Center Clustering with Outliers
on Massive Data", NeurIPS 2015: the candidates are dealt out at random, and each group covers itself. The cost grows
with the images chosen, about 0.1 ms of one core each; a group's cover also covers its part of the whole, so the
largest radius of a group bounds that of the class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from impasto.data.images import to_device
from impasto.synthetic.coverage import cover, covering_radius

_GROUP = 4096  # candidates that cover themselves without groups
_PICKS = 64  # fewer picks in a group would cover it poorly; so few are cheap without groups


class Spread(NamedTuple):
    """The chosen rows of a class, int64 [q], and what coverage changed, for JSON."""

    rows: np.ndarray
    record: dict[str, float | int]


def spread(
    drawn: np.ndarray, allowed: np.ndarray, features: np.ndarray, share: float, source: np.random.Generator,
    device: torch.device,
) -> Spread:  # fmt: skip
    """Keep the first of the rows drawn at random, and choose the last ``round(share q)`` by coverage instead.

    So raising the share replaces drawn images one after the other and moves no other.

    Args:
        drawn: int64 [q], in random order.
        allowed: int64 [A], the rows of the class that may be chosen, ``drawn`` among them.
        features: float [P, D], of the whole pool; ``allowed`` are rows of it.
        share: of the q rows, in [0, 1].
        source: deals the candidates out to groups.
        device: where distances are computed.

    Returns:
        The rows, and under ``radius_drawn`` and ``radius`` the largest distance of a candidate to the nearest image
        of the subset, as it was drawn and as it is now; with several groups, within the groups.
    """
    kept = len(drawn) - round(share * len(drawn))
    picks = len(drawn) - kept
    if not picks:
        return Spread(drawn, {"by_coverage": 0})
    order = np.concatenate([drawn, source.permutation(np.setdiff1d(allowed, drawn))])
    groups = min(-(-len(order) // _GROUP), -(-picks // _PICKS))
    chosen, before, after = [drawn[:kept]], 0.0, 0.0
    for group in range(groups):
        # Dealt in turns: every group gets its part of the kept rows, of the picks and of the rest.
        rows = order[group::groups]
        given, wanted = len(range(group, kept, groups)), len(range(group, len(drawn), groups))
        points = to_device(features[rows], device)
        found = cover(points, wanted - given, given)
        chosen.append(rows[found.rows.cpu().numpy()])
        before, after = max(before, covering_radius(points, wanted)), max(after, float(found.radii[-1]))
    record = {"by_coverage": picks, "groups": groups, "radius_drawn": round(before, 6), "radius": round(after, 6)}
    return Spread(np.concatenate(chosen), record)
