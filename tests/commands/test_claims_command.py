"""`impasto claims`: what it reads, prints and writes, and the verdicts that are committed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

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
    assert "least of 7: robust accuracy, syn-nst-ta - syn-nst: +2.0 [" in done.stdout
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
    (files / "metrics/claims_runs.json").write_text('{"digits": {"arms": {}}}')
    assert "holds no runs by dataset" in judged().stderr
    (files / "metrics/claims_runs.json").unlink()
    (files / "metrics/fid.csv").unlink()
    told = "neither metrics/claims_runs.json nor metrics/fid.csv exists"
    assert told in judged().stderr


def test_units() -> None:
    one = {"mean": -0.25, "interval": [-0.5, 0.125], "level": 0.95}
    row = {"missing": "", "effects": {"a": one}, "margin": 0.0}
    told = [sentence(row | {"unit": unit}) for unit in ("points", "rho", "distance")]
    assert told[:2] == ["a: -25.0 [-50.0, +12.5] at 95 %", "a: -0.25 [-0.50, +0.12] at 95 %"]
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
