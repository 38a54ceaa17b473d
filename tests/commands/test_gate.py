"""The gate: which change of a metric fails, and what it prints."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import typer

from impasto.commands.gate import compare, gate, table
from impasto.config.base import read_yaml
from tiny import ROOT

RULES = {
    "C": {"better": "higher", "absolute": 0.03},
    "fd": {"better": "lower", "relative": 0.25},
    "share": {"better": "same", "absolute": 0.01},
}
BEFORE = {"C": 0.80, "fd": 100.0, "share": 0.5}


@pytest.mark.parametrize(
    ("after", "failed"),
    [
        ({}, set()),
        ({"C": 0.771, "fd": 124.0, "share": 0.509}, set()),
        ({"C": 0.99, "fd": 1.0}, set()),
        ({"C": 0.769}, {"C"}),
        ({"fd": 126.0}, {"fd"}),
        ({"share": 0.48}, {"share"}),
        ({"share": 0.52}, {"share"}),
        ({"C": None}, {"C"}),
        ({"C": float("nan"), "fd": float("nan"), "share": float("nan")}, {"C", "fd", "share"}),
    ],
)
def test_what_fails(after: dict[str, float | None], failed: set[str]) -> None:
    now = {name: value for name, value in (BEFORE | after).items() if value is not None}
    assert {change.name for change in compare(BEFORE, now, RULES) if change.failed} == failed  # type: ignore[arg-type]


def test_a_new_metric_cannot_fail() -> None:
    assert not any(change.failed for change in compare({}, BEFORE, RULES))


def test_the_table_names_the_change() -> None:
    text = table(compare(BEFORE, BEFORE | {"C": 0.7}, RULES), "main")
    assert "| C | 0.8000 | 0.7000 | -0.1000 | 0.0300 | **worse** |" in text and "| fd |" in text


def test_every_summary_metric_has_a_rule() -> None:
    summary = json.loads((ROOT / "metrics" / "summary.json").read_text())
    assert set(summary) == set(read_yaml(ROOT / "metrics" / "tolerances.yaml"))


@pytest.fixture
def repository(root: Path) -> Path:
    (root / "metrics").mkdir()
    (root / "metrics" / "summary.json").write_text(json.dumps(BEFORE))
    (root / "metrics" / "tolerances.yaml").write_text(json.dumps(RULES))
    who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def test_against_a_revision(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate("HEAD")
    assert "**worse**" not in capsys.readouterr().out
    (repository / "metrics" / "summary.json").write_text(json.dumps(BEFORE | {"C": 0.5}))
    with pytest.raises(typer.Exit) as caught:
        gate("HEAD")
    assert caught.value.exit_code == 1 and "**worse**" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[1]", '{"C": "x"}', '{"C": null}', "3"])
@pytest.mark.parametrize("committed", [False, True])
def test_a_summary_of_another_shape(
    repository: Path, capsys: pytest.CaptureFixture[str], content: str, committed: bool
) -> None:
    (repository / "metrics" / "summary.json").write_text(content)
    if committed:
        who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        subprocess.run(["git", *who, "commit", "-q", "-a", "-m", "wrong"], cwd=repository, check=True)
        (repository / "metrics" / "summary.json").write_text(json.dumps(BEFORE))
    with pytest.raises(typer.Exit) as caught:
        gate("HEAD")
    assert caught.value.exit_code == 2
    where = "HEAD:metrics/summary.json" if committed else "metrics/summary.json"
    assert where in (told := capsys.readouterr().err) and "Run `dvc repro`" in told


def test_a_revision_that_is_not_there(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        gate("nowhere")
    assert caught.value.exit_code == 2 and "nowhere" in capsys.readouterr().err
