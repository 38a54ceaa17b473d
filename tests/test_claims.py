"""Verdicts on constructed runs, where they are known."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from impasto.claims import CLAIMS, EIGHT, FIXED, OURS, SHARES, WITHOUT, judge, needed
from impasto.verdict import closest

JITTER = (0.0, 0.004, -0.004, 0.002, -0.002)  # of a seed: shared by all arms, hence gone from paired differences
OWN = (0.001, -0.001, 0.0005, 0.0, -0.0005)  # what remains
#: Robust accuracy of each arm such that every claim holds.
ROBUST = {
    "baseline": 0.50, "ta": 0.55, "nst": 0.60, "nst-ta": 0.65, "syn": 0.52, "syn-ta": 0.57, "syn-nst": 0.62, OURS: 0.7,
    **{arm: c for arm, c in zip(SHARES.values(), (0.68, 0.66, 0.7, 0.665, 0.675), strict=True) if arm != OURS},
    "syn-nst-originals": 0.60, "syn-nst-synthetic": 0.63,
    **dict.fromkeys(FIXED, 0.68), f"{OURS}-mix": 0.66, f"{OURS}-re-n": 0.73,
}  # fmt: skip


def scores(mean: float, place: int) -> list[float]:
    """One score per seed, whose noise of its own depends on the arm."""
    return [mean + shared + OWN[(seed + place) % 5] for seed, shared in enumerate(JITTER)]


def holding() -> dict[str, Any]:
    """Runs of which every claim holds."""
    points = [0.0, 0.5, 1.0]
    return {
        "seeds": [0, 1, 2, 3, 4],
        "synthetic": True,
        "arms": {arm: {"clean": scores(c, k), "C": scores(c, k)} for k, (arm, c) in enumerate(ROBUST.items())},
        "curves": {
            str(seed): {"lambda_s": points, "distance": [100 + seed, 300 + 3 * seed, 900 - 5 * seed]}
            for seed in range(5)
        },
    }


def verdicts(runs: dict[str, Any]) -> dict[str, str]:
    return {row["claim"]: row["verdict"] for row in judge("digits", runs)}


def test_every_claim_that_holds_is_supported() -> None:
    assert verdicts(holding()) == dict.fromkeys(CLAIMS, "supported")
    assert set(needed(True)) == set(ROBUST)


@pytest.mark.parametrize(
    ("claim", "ours", "other"),
    [
        ("best-of-eight", OURS, "nst-ta"),
        ("nst-on-synthetic", "syn-nst-synthetic", "syn-nst-originals"),
        ("random-alpha", OURS, FIXED[1]),
        ("mixing-degrades", OURS, f"{OURS}-mix"),
        ("erasing-helps", f"{OURS}-re-n", OURS),
    ],
)
def test_a_difference_turned_round_refutes_and_a_tie_is_undecided(claim: str, ours: str, other: str) -> None:
    runs = holding()
    arms = runs["arms"]
    arms[ours], arms[other] = arms[other], arms[ours]
    assert verdicts(runs)[claim] == "refuted"
    arms[other] = copy.deepcopy(arms[ours])
    assert verdicts(runs)[claim] == "undecided"


def test_best_of_eight_needs_all_seven_and_tells_the_closest() -> None:
    runs = holding()
    runs["arms"]["nst-ta"]["C"] = [
        a + b for a, b in zip(runs["arms"][OURS]["C"], (-0.02, 0.01, 0, 0.02, -0.01), strict=True)
    ]
    (row,) = [row for row in judge("digits", runs) if row["claim"] == "best-of-eight"]
    assert row["verdict"] == "undecided" and len(row["effects"]) == len(EIGHT) - 1
    assert closest(row["effects"]) == f"robust accuracy, {OURS} - nst-ta"


def test_one_step_down_in_every_curve_refutes_that_the_distance_rises() -> None:
    runs = holding()
    for curve in runs["curves"].values():
        curve["distance"][2] = curve["distance"][1] - 50 - curve["distance"][0] / 10
    assert verdicts(runs)["distance-rises"] == "refuted"
    runs["curves"]["4"]["distance"][2] = 5000
    assert verdicts(runs)["distance-rises"] == "undecided"


@pytest.mark.parametrize(("name", "claim"), [("C", "distance-robust"), ("clean", "distance-clean")])
def test_accuracy_that_falls_or_rises_with_the_distance_refutes_that_it_predicts_nothing(name: str, claim: str) -> None:
    runs = holding()
    for place, (share, arm) in enumerate(SHARES.items()):
        runs["arms"][arm][name] = scores(0.7 - share / 10, place)
    assert verdicts(runs)[claim] == "refuted"
    for place, (share, arm) in enumerate(SHARES.items()):
        runs["arms"][arm][name] = scores(0.7 + share / 10, place)
    assert verdicts(runs)[claim] == "refuted", "an accuracy that rises with it is predicted as well"
    for place, arm in enumerate(SHARES.values()):  # falls for three seeds, rises for two
        runs["arms"][arm][name] = [0.7 + (0.01 if seed > 2 else -0.01) * place for seed in range(5)]
    assert verdicts(runs)[claim] == "undecided"
    for arm in SHARES.values():
        runs["arms"][arm][name] = [0.7] * 5
    assert verdicts(runs)[claim] == "supported"


def test_balance_weighs_clean_and_robust_alike() -> None:
    runs = holding()
    for arm in FIXED:  # more robust by 2 points, but 6 points less clean
        runs["arms"][arm] = {"clean": scores(0.64, 0), "C": scores(0.72, 1)}
    assert verdicts(runs)["random-alpha"] == "supported"


def test_what_is_lacking_is_undecided_and_named() -> None:
    runs = holding()
    del runs["arms"][f"{OURS}-mix"]
    runs["curves"] = {"0": runs["curves"]["0"]}
    rows = {row["claim"]: row for row in judge("digits", runs)}
    told = {key: row["missing"] for key, row in rows.items() if row["missing"]}
    assert set(told) == {"mixing-degrades", "distance-rises"} and not rows["mixing-degrades"]["effects"]
    assert told["mixing-degrades"] == "not run: syn-nst-ta-mix; `make claims` runs them"
    assert told["distance-rises"].startswith("1 curve(s), of which 1 rise(s) at every step; 5 are needed")
    assert {rows[key]["verdict"] for key in told} == {"undecided"}


def test_without_synthetic_images_only_what_stands_on_nst_and_ta_is_tested() -> None:
    arms = {"nst-ta": 0.65, "nst-ta-mix": 0.62, "nst-ta-re-n": 0.60}
    assert set(needed(False)) == set(arms)
    runs = {
        "seeds": list(range(5)), "synthetic": False, "curves": {},
        "arms": {arm: {"clean": scores(c, k), "C": scores(c, k)} for k, (arm, c) in enumerate(arms.items())},
    }  # fmt: skip
    rows = {row["claim"]: row for row in judge("cifar10-subset", runs)}
    assert rows["mixing-degrades"]["verdict"] == "supported" and rows["erasing-helps"]["verdict"] == "refuted"
    for key in set(CLAIMS) - set(WITHOUT):
        assert (rows[key]["verdict"], rows[key]["missing"]) == ("undecided", "no synthetic images at this scale")


def test_seven_comparisons_support_without_correction_and_refute_with_it() -> None:
    """Best of eight holds if each of seven differences does; one of seven that is against it was looked for."""
    runs, noise = holding(), (-0.01, 0.01, 0.0, 0.012, -0.012)
    for sign, wanted in ((1, "supported"), (-1, "undecided")):
        for arm in EIGHT[:-1]:
            ours = runs["arms"][OURS]["C"]
            runs["arms"][arm]["C"] = [a - sign * 0.015 - b for a, b in zip(ours, noise, strict=True)]
        (row,) = [row for row in judge("digits", runs) if row["claim"] == "best-of-eight"]
        one = row["effects"][f"robust accuracy, {OURS} - syn"]
        (low, high), (least, most) = one["interval"], one["holm"]["interval"]
        assert low * high > 0 > least * most, "sure by itself, unsure among seven"
        assert row["verdict"] == wanted and (one["level"], one["side"]) == (0.95, 1 if sign > 0 else 0)
