"""`impasto claims`: what it reads, prints and writes, and the verdicts that are committed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from verdicts import claims as page

from impasto.claims import needed
from impasto.cli import app
from impasto.commands.claims import sentence, table
from tiny import ROOT


def judged(*words: str) -> Result:
    return CliRunner().invoke(app, ["claims", *words])


@pytest.fixture
def files(root: Path) -> Path:
    """An ablation of the eight arms, five seeds, and a curve."""
    arms = ("baseline", "ta", "nst", "nst-ta", "syn", "syn-ta", "syn-nst", "syn-nst-ta")
    scores = {arm: [0.5 + k / 50 + ((seed * 3 + k) % 5) / 2000 for seed in range(5)] for k, arm in enumerate(arms)}
    rows = {arm: {"clean_seeds": row, "C_seeds": row} for arm, row in scores.items()}
    (root / "metrics").mkdir()
    (root / "metrics/ablation.json").write_text(json.dumps({"seeds": [0, 1, 2, 3, 4], "arms": rows}))
    (root / "metrics/fid.csv").write_text("lambda_s,distance\n0.0,10.0\n1.0,20.0\n")
    return root


def test_the_ablation_decides_what_it_can(files: Path) -> None:
    done = judged()
    written = json.loads((files / "metrics/claims.json").read_text())
    assert done.exit_code == 0 and done.stdout.strip() == table(written["claims"])
    assert written["origin"] == "metrics/ablation.json and metrics/fid.csv"
    assert written["facts"] == {"digits": {"seeds": [0, 1, 2, 3, 4]}}
    decided = {row["claim"]: row["verdict"] for row in written["claims"] if not row["missing"]}
    assert decided == {"best-of-eight": "supported"}
    assert "decisive of 7: robust accuracy, syn-nst-ta - syn-nst: +2.0 [" in done.stdout
    assert "7 above, 0 below, 0 open" in done.stdout and done.stdout.count("not run: ") == 8


def test_runs_that_are_missing_or_incomplete_are_one_line(files: Path) -> None:
    done = judged("--runs", "mine.json")
    assert done.exit_code == 2
    assert done.stderr == "error: mine.json does not exist [mine.json]. Run `make claims`, which takes hours.\n"
    arms = {arm: {"clean": [0.5] * 5, "C": [0.5] * 5} for arm in needed(True)[2:]}
    runs = {"digits": {"seeds": [0, 1, 2, 3, 4], "arms": arms, "curves": {}, "synthetic": True}}
    (files / "metrics/claims_runs.json").write_text(json.dumps(runs))
    done = judged()
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and not (files / "metrics/claims.json").exists()
    assert (
        f"digits lacks the arms {', '.join(needed(True)[:2])} [" in done.stderr and "Run `make claims`" in done.stderr
    )
    (files / "metrics/claims_runs.json").unlink()
    (files / "metrics/fid.csv").unlink()
    told = "neither metrics/claims_runs.json nor metrics/fid.csv exists"
    assert told in judged().stderr


def runs() -> dict[str, Any]:
    """What `make claims` writes, on digits."""
    arms = {arm: {"clean": [0.5, 0.6, 0.7, 0.6, 0.5], "C": [0.5] * 5} for arm in needed(True)}
    curves = {"0": {"lambda_s": [0.0, 0.5, 1.0], "distance": [1, 2.5, 3.5]}}
    return {"seeds": [0, 1, 2, 3, 4], "arms": arms, "curves": curves, "synthetic": True, "n": 10}


def spoilt(*path: Any, value: Any) -> dict[str, Any]:
    """The same with one value changed, or taken out if it is ``...``."""
    found = {"digits": runs()}
    inside: Any = found
    for step in path[:-1]:
        inside = inside[step]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return found


ARM, SYN = ("digits", "arms", "syn"), ("digits", "curves", "0")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "holds no runs by dataset"),
        ([], "holds no runs by dataset"),
        (5, "holds no runs by dataset"),
        ({"digits": 5}, "digits: it must be"),
        ({"digits": {"arms": {}}}, "digits.seeds is missing"),
        ({"letters": {}}, "there is no dataset 'letters' [metrics/claims_runs.json]. There are digits and"),
        (spoilt("digits", "seeds", value=[0, 1, 2, 3]), "digits: 4 seed(s), fewer than 5"),
        (spoilt("digits", "seeds", value=[0, 1, 2, 3, 3]), "digits: a seed is there twice"),
        (spoilt("digits", "seeds", value=5), "digits.seeds: "),
        (spoilt("digits", "arms", value=["syn"]), "digits.arms: "),
        (spoilt("digits", "synthetic", value="yes"), "digits.synthetic: "),
        (spoilt("digits", "n", value=0), "digits.n: "),
        (spoilt(*ARM, value=None), "digits.arms.syn: "),
        (spoilt(*ARM, "clean", value=...), "digits.arms.syn.clean"),
        (spoilt(*ARM, "C", value=[0.5] * 4), "digits: arm syn has not 5 scores"),
        (spoilt(*ARM, "C", 2, value=None), "digits.arms.syn.C.2: "),
        (spoilt(*ARM, "C", 2, value="0.5"), "digits.arms.syn.C.2: "),
        (spoilt(*ARM, "C", 2, value=50.0), "digits.arms.syn.C.2: "),
        (spoilt(*ARM, "C", 2, value=float("nan")), "digits.arms.syn.C.2: "),
        (spoilt(*SYN, value=[1, 2]), "digits.curves.0: "),
        (spoilt(*SYN, "distance", value=[1, 2]), "digits.curves.0: it has 3 shares, but 2 distances"),
        (spoilt(*SYN, "lambda_s", value=[0.0, 0.0, 1.0]), "digits.curves.0: lambda_s must rise from 0 to 1"),
        (spoilt(*SYN, "lambda_s", value=[]), "digits.curves.0: lambda_s must rise from 0 to 1"),
        (
            spoilt("digits", "curves", "1", value={"lambda_s": [0, 1], "distance": [1, 2]}),
            "digits: the curves have not the same lambda_s",
        ),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_one_line(files: Path, content: Any, told: str) -> None:
    file = files / "metrics/claims_runs.json"
    file.write_text(json.dumps({"digits": runs()}))
    assert judged("--out", "first.json").exit_code == 0, "what is spoilt here was whole"
    file.write_text(json.dumps(content))
    done = judged()
    assert done.exit_code == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert told in done.stderr and "claims_runs.json]" in done.stderr
    assert not (files / "metrics/claims.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("ablation.json", "[]", "metrics/ablation.json holds no arms"),
        ("ablation.json", '{"seeds": [0, 1, 2, 3, 4], "arms": {"syn": {"clean": 0.5}}}', "digits.arms.syn"),
        ("fid.csv", "lambda_s,value\n0.0,1.0\n", "metrics/fid.csv holds no curve"),
        ("fid.csv", "lambda_s,distance\n0.0,high\n", "metrics/fid.csv holds no curve"),
    ],
)
def test_an_ablation_of_another_form_is_one_line(files: Path, name: str, content: str, told: str) -> None:
    (files / "metrics" / name).write_text(content)
    done = judged()
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and told in done.stderr, done.stderr


def test_units() -> None:
    one = {"mean": -0.25, "interval": [-0.5, 0.125], "level": 0.95, "side": 0, "holm": None}
    row = {"missing": "", "effects": {"a": one}}
    told = [sentence(row | {"unit": unit}) for unit in ("points", "rho", "distance")]
    assert told[:2] == ["a: -25.0 [-50.0, +12.5] at 95 %", "a: -0.25 [-0.50, +0.12] at 95 %"]
    several = row | {
        "unit": "points",
        "effects": {"a": one | {"holm": {"interval": [-1, 0.5], "level": 0.975}}, "b": one},
    }
    wanted = "a: -25.0 [-50.0, +12.5] at 95 %, Holm's [-100.0, +50.0] at 97.5 %; 0 above, 0 below, 2 open"
    assert sentence(several) == f"decisive of 2: {wanted}"
    assert sentence(row | {"missing": "not run"}) == "not run"


def test_without_verdicts_the_page_names_the_command(tmp_path: Path) -> None:
    assert "`make claims`" in page(tmp_path / "claims.json")


def test_the_committed_verdicts_are_those_of_the_committed_runs(root: Path) -> None:
    (root / "metrics").mkdir()
    for name in ("ablation.json", "fid.csv", "claims_runs.json"):
        words = ["git", "show", f"HEAD:metrics/{name}"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
        if done.returncode == 0:
            (root / "metrics" / name).write_bytes(done.stdout)
    if not (root / "metrics/ablation.json").exists():
        pytest.skip("not in a git checkout with committed metrics")
    committed = json.loads((ROOT / "metrics/claims.json").read_text())
    assert judged().stdout.strip() == table(committed["claims"]), "run `impasto claims` and `make docs`"
