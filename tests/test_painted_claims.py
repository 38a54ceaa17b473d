"""Verdicts on constructed runs of the paintings, and what the documentation says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import painted
import pytest

OWN = (0.001, -0.001, 0.0005, 0.0, -0.0005)  # of a seed
CELLS = {"p0-20": 0.71, "p0-80": 0.705, "p40-0": 0.71, "p40-20": 0.73, "p40-80": 0.71, "p80-0": 0.73, "p80-20": 0.76,
         "p80-80": 0.735}  # fmt: skip
#: A score of each arm such that every claim holds.
HOLDING = CELLS | {
    "originals": 0.70, "duplicates": 0.71, "rules": 0.72, "reconstruction": 0.71, "class": 0.75, "any": 0.73,
    "external": 0.72, "attention-gap": 0.74, "attention-dot": 0.7, "once": 0.70, "redrawn": 0.71, "hardest": 0.74,
}  # fmt: skip


@pytest.fixture
def claims(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("painted_claims")


def runs(means: dict[str, float], **scores: dict[str, float]) -> dict[str, Any]:
    """Every score of an arm is its mean, less noise of its own, unless a score has means of its own."""
    names = ("clean", "balanced", "minority", "majority", "C")
    return {
        "arms": {
            arm: {
                name: [scores.get(name, {}).get(arm, mean) + OWN[(seed + place) % 5] for seed in range(5)]
                for name in names
            }
            for place, (arm, mean) in enumerate(means.items())
        }
    }


def verdicts(claims: ModuleType, found: dict[str, Any]) -> dict[str, str]:
    return {row["claim"]: row["verdict"] for row in claims.judge(found)}


def test_every_claim_that_holds_is_supported(claims: ModuleType) -> None:
    assert verdicts(claims, runs(HOLDING)) == dict.fromkeys(claims.CLAIMS, "supported")


@pytest.mark.parametrize(
    ("claim", "arm", "score"),
    [
        ("bias", "originals", "minority"), ("accuracy", "originals", "clean"), ("no-cost", "originals", "majority"),
        ("style", "rules", "minority"), ("style", "reconstruction", "minority"), ("own-class", "any", "balanced"),
        ("kept", "p0-80", "balanced"), ("p1", "p40-80", "clean"), ("p2", "p0-80", "balanced"),
        ("attention", "attention-gap", "balanced"), ("hardest", "redrawn", "minority"),
    ],
)  # fmt: skip
def test_an_arm_that_is_better_refutes(claims: ModuleType, claim: str, arm: str, score: str) -> None:
    found = verdicts(claims, runs(HOLDING, **{score: {arm: 0.95}}))
    assert found[claim] == "refuted"


def test_a_small_loss_of_the_majority_is_no_cost(claims: ModuleType) -> None:
    for loss, verdict in ((0.005, "supported"), (0.015, "refuted"), (0.01, "undecided")):
        found = runs(HOLDING, majority={"originals": HOLDING["class"] + loss})
        assert verdicts(claims, found)["no-cost"] == verdict


def test_the_grid_is_compared_along_its_axes(claims: ModuleType) -> None:
    (row,) = (row for row in claims.judge(runs(HOLDING)) if row["claim"] == "p1")
    gain = (0.73 + 0.76 + 0.735) / 3 - (0.70 + 0.71 + 0.705) / 3
    assert row["effects"]["accuracy, p1 80 % - 0 %"]["mean"] == pytest.approx(gain, abs=1e-3)
    assert set(row["effects"]) == {"accuracy, p1 80 % - 0 %", "accuracy, p1 80 % - 40 %"}


def test_what_was_not_run_is_told_and_not_judged(claims: ModuleType) -> None:
    some = {arm: mean for arm, mean in HOLDING.items() if arm not in ("any", "hardest", "p0-20")}
    rows = {row["claim"]: row for row in claims.judge(runs(some))}
    assert {name for name, row in rows.items() if row["missing"]} == {"own-class", "hardest", "p1", "p2"}
    assert rows["p1"]["missing"] == "not run: p0-20; `make paintings` runs them"
    assert all(row["verdict"] == "undecided" for row in rows.values() if row["missing"])


def test_the_page_shows_what_was_measured_or_that_nothing_was(claims: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "paintings.json"
    assert painted.paintings(file) == "**Not run yet**: `make paintings` runs and judges it."
    found = runs(HOLDING)
    names = ("clean", "balanced", "minority", "majority", "C")
    arms = {
        arm: {"core_minutes": 1.5} | {k: v for name in names for k, v in ((name, mean), (f"{name}_std", 0.001))}
        for arm, mean in HOLDING.items()
    }
    facts = {"n": 408, "classes": list("abcdefg"), "seeds": [0, 1, 2, 3, 4], "imbalance": 10.0, "size": 128}
    facts |= {"corruptions": ["fog", "snow"], "severities": [3], "revision": "0123456789", "hardware": "2 cores"}
    file.write_text(json.dumps(facts | {"arms": arms, "claims": claims.judge(found)}))
    page = painted.paintings(file)
    assert page.startswith("**10 supported, 0 refuted, 0 undecided**")
    assert "| originals alone | 70.0 ± 0.1 |" in page and "| p1 = 0.8, p2 = 0.2 | 76.0 ± 0.1 |" in page
    assert "| styles of the class; attention: `dot` |" in page and "thinned out to 10 : 1" in page
    assert "over 5 seeds, 408 test images of 128 px" in page and "revision 0123456" in page
