"""What Siedel et al. (arXiv 2512.15675) claim, and what runs at this scale say about it.

An effect is a mean over five seeds or more, of differences paired by seed (Student t, 95 %), or of rank correlations
(exact bootstrap over seeds, 95 %); :mod:`impasto.verdict` holds the rule by which effects decide a claim.
The sides, where the claim itself leaves them open:

- Distance rises: each step of the curve, one curve for each seed of split, generator and styles.
- Distance does not predict: were it to predict, accuracy would fall as it rises, or rise with it, rho = -1 or 1.
  Claimed is |rho| < 0.5, of the mean rho over seeds.
- Gains more: lambda_s = 0.5 against lambda_o = 0.5, in batches half synthetic, so that either stylises as many images.
- Balanced: by the mean of clean and robust accuracy, better than every fixed alpha_s.

Runs of one dataset are a mapping: ``seeds`` (list), ``arms`` (arm -> ``clean`` and ``C``, lists in the order of the
seeds, fractions), ``curves`` (seed, as text -> ``lambda_s`` and ``distance``, lists of equal length, the first that of
the classifiers' synthetic images), and ``synthetic``, false where there are no synthetic images at this scale.
:mod:`impasto.claim_runs` reads and checks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from impasto.comparisons import Effect, correlation_over_seeds, effect, holm, paired
from impasto.verdict import UNDECIDED, Found, sides, verdict

LEAST = 5  # seeds
BAND = 0.5  # rank correlation from which on, of either sign, the distance counts as predicting
OURS = "syn-nst-ta"
EIGHT = ("baseline", "ta", "nst", "nst-ta", "syn", "syn-ta", "syn-nst", OURS)
#: lambda_s -> arm.
SHARES = {0.0: f"{OURS}-s0", 0.25: f"{OURS}-s25", 0.5: OURS, 0.75: f"{OURS}-s75", 1.0: f"{OURS}-s100"}
FIXED = tuple(f"{OURS}-a{percent}" for percent in (20, 60, 100))
NO_IMAGES = "no synthetic images at this scale"
MAKE = "`make claims` runs them"


class Claim(NamedTuple):
    """One claim: its text, the arms it needs, whether it needs curves, and how it is measured."""

    text: str
    arms: tuple[str, ...]
    curves: int
    measure: Callable[[Mapping[str, Any]], Found]


def _rises(runs: Mapping[str, Any]) -> Found:
    curves = np.array([curve["distance"] for curve in runs["curves"].values()])
    points = next(iter(runs["curves"].values()))["lambda_s"]
    steps = {
        f"distance, {low:g} to {high:g}": list(map(float, gain))
        for low, high, gain in zip(points[:-1], points[1:], np.diff(curves, axis=1).T, strict=True)
    }
    return several(steps, "distance")


def _predicts(score: str) -> Callable[[Mapping[str, Any]], Found]:
    def measure(runs: Mapping[str, Any]) -> Found:
        curve = runs["curves"][next(iter(runs["curves"]))]
        distances = [float(np.interp(share, curve["lambda_s"], curve["distance"])) for share in SHARES]
        rows = np.transpose([runs["arms"][arm][score] for arm in SHARES.values()]).tolist()
        rho = correlation_over_seeds(distances, rows)
        return Found({f"rho of distance and {_NAMES[score]}": rho}, "rho", {}, BAND)

    return measure


def _better(ours: str, others: Sequence[str], score: str = "C") -> Callable[[Mapping[str, Any]], Found]:
    """Gains of one arm over each of one or several."""

    def measure(runs: Mapping[str, Any]) -> Found:
        gains = {
            f"{_NAMES[score]}, {ours} - {other}": paired(_scores(runs, ours, score), _scores(runs, other, score))
            for other in others
        }
        return several(gains, "points")

    return measure


def several(differences: Mapping[str, Sequence[float]], unit: str) -> Found:
    """Mean differences, with Holm's intervals beside their own where there are two or more."""
    strict = holm(differences) if len(differences) > 1 else {}
    return Found({name: effect(values) for name, values in differences.items()}, unit, strict)


def _scores(runs: Mapping[str, Any], arm: str, score: str) -> list[float]:
    if score == "balance":
        return [(clean + robust) / 2 for clean, robust in zip(*(runs["arms"][arm][n] for n in _SCORES), strict=True)]
    return list(runs["arms"][arm][score])


_SCORES = ("clean", "C")
_NAMES = {"clean": "clean accuracy", "C": "robust accuracy", "balance": "mean of clean and robust accuracy"}

CLAIMS = {
    "distance-rises": Claim("The Fréchet distance rises with lambda_s.", (), LEAST, _rises),
    "distance-robust": Claim(
        "It does not predict robust accuracy over lambda_s.", tuple(SHARES.values()), 1, _predicts("C")
    ),
    "distance-clean": Claim(
        "It does not predict clean accuracy over lambda_s.", tuple(SHARES.values()), 1, _predicts("clean")
    ),
    "best-of-eight": Claim(
        "SYN + NST + TA has the best robust accuracy of the eight arms.", EIGHT, 0, _better(OURS, EIGHT[:-1])
    ),
    "nst-on-synthetic": Claim(
        "NST gains more robust accuracy on synthetic than on original images.",
        ("syn-nst-originals", "syn-nst-synthetic"), 0, _better("syn-nst-synthetic", ["syn-nst-originals"]),
    ),
    "random-alpha": Claim(
        "A random alpha_s is the balanced choice.", (OURS, *FIXED), 0, _better(OURS, FIXED, "balance")
    ),
    "mixing-degrades": Claim(
        "Mixup + CutMix on top of SYN + NST + TA degrade robust accuracy.",
        (OURS, f"{OURS}-mix"), 0, _better(OURS, [f"{OURS}-mix"]),
    ),
    "erasing-helps": Claim(
        "Random erasing + noise on top of SYN + NST + TA raise robust accuracy.",
        (OURS, f"{OURS}-re-n"), 0, _better(f"{OURS}-re-n", [OURS]),
    ),
}  # fmt: skip
#: Without synthetic images, the two claims on what is put on top are tested on top of NST + TA.
WITHOUT = {
    "mixing-degrades": Claim(
        "Mixup + CutMix on top of NST + TA degrade robust accuracy.",
        ("nst-ta", "nst-ta-mix"), 0, _better("nst-ta", ["nst-ta-mix"]),
    ),
    "erasing-helps": Claim(
        "Random erasing + noise on top of NST + TA raise robust accuracy.",
        ("nst-ta", "nst-ta-re-n"), 0, _better("nst-ta-re-n", ["nst-ta"]),
    ),
}  # fmt: skip


def needed(synthetic: bool) -> list[str]:
    """The arms that the claims need, each once, with or without synthetic images."""
    claims = CLAIMS if synthetic else WITHOUT
    return list(dict.fromkeys(arm for claim in claims.values() for arm in claim.arms))


def judge(dataset: str, runs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The verdict on each claim.

    Args:
        dataset: its name in what is told.
        runs: as described above, without arms and seeds where nothing was run.

    Returns:
        One row for each claim: ``dataset``, ``claim``, ``text``, ``verdict``, ``effects`` (name -> ``mean``,
        ``interval``, ``level``; ``holm``, the latter two of Holm, or null; ``side``, 1, -1 or 0 for in favour, against
        or open), ``unit`` and ``missing``, why it is undecided without an effect, else "".
    """
    return [{"dataset": dataset, "claim": key} | _row(key, claim, runs) for key, claim in CLAIMS.items()]


def _row(key: str, claim: Claim, runs: Mapping[str, Any]) -> dict[str, Any]:
    if not runs["synthetic"]:
        claim = WITHOUT.get(key, claim)
        if key not in WITHOUT:
            return _unknown(claim, NO_IMAGES)
    return judged(claim, runs)


def judged(claim: Claim, runs: Mapping[str, Any], make: str = MAKE) -> dict[str, Any]:
    """The verdict on one claim, without ``dataset`` and ``claim`` (see :func:`judge`).

    Args:
        claim: of any paper.
        runs: as :func:`judge` takes them.
        make: what is told to run what is missing.
    """
    if lacking := _lacking(claim, runs, make):
        return _unknown(claim, lacking)
    found = claim.measure(runs)
    told = sides(found)
    effects = {
        name: _interval(one) | {"mean": one.mean, "side": told[name], "holm": strict and _interval(strict)}
        for name, one in found.effects.items()
        for strict in (found.strict.get(name),)
    }
    return {"text": claim.text, "verdict": verdict(found), "effects": effects, "unit": found.unit, "missing": ""}


def _interval(one: Effect) -> dict[str, Any]:
    return {"interval": list(one.interval), "level": one.level}


def _lacking(claim: Claim, runs: Mapping[str, Any], make: str) -> str:
    if arms := [arm for arm in claim.arms if arm not in runs["arms"]]:
        return f"not run: {', '.join(arms)}; {make}"
    if len(curves := runs["curves"]) >= claim.curves:
        return ""
    rising = sum(bool(np.all(np.diff(curve["distance"]) > 0)) for curve in curves.values())
    told = f", of which {rising} rise(s) at every step" if curves else ""
    return f"{len(curves)} curve(s){told}; {claim.curves} are needed; {make}"


def _unknown(claim: Claim, missing: str) -> dict[str, Any]:
    return {"text": claim.text, "verdict": UNDECIDED, "effects": {}, "unit": "", "missing": missing}
