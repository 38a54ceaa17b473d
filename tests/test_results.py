"""docs/results.md: every row stands there once, and says that it was run only where an evaluation lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from results import MEASURED, NOT_RUN, results

from impasto.config.presets import Presets
from tiny import ROOT

PRESETS = Presets(ROOT / "presets")
MADE = [name for name, row in PRESETS.rows.items() if row.layers]
TEXT = results(PRESETS, ROOT / "nowhere")


def evaluation(**scores: tuple[float, float | None]) -> str:
    """What `dvc repro evaluate` writes, as far as it is read."""
    base: dict[str, Any] = {name: {"mean": mean, "std": std, "interval": None} for name, (mean, std) in scores.items()}
    return json.dumps([{"base": base | {"seeds": {}}, "n": 10_000}])


def lines(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if f"`{name}`" in line]


def test_nothing_is_claimed_without_an_evaluation() -> None:
    assert TEXT.startswith(f"**None of these {len(MADE)} presets has been run here.**")
    assert TEXT.count(NOT_RUN) == len(MADE)
    assert all(len(lines(TEXT, name)) == 1 for name in MADE)
    cited = [name for name, row in PRESETS.rows.items() if not row.layers]
    assert cited and all(f"| {name} |" in TEXT for name in cited) and TEXT.count("no preset") == len(cited)


def test_what_was_committed_is_of_a_preset() -> None:
    """A misspelt file would be left out without a word."""
    names = {file.name.split(".")[0] for file in MEASURED.glob("*")}
    assert names <= set(MADE)


def test_a_row_shows_paper_logs_and_what_was_measured_here(tmp_path: Path) -> None:
    scores = evaluation(clean=(0.9651, 0.0012), C=(0.915, 0.001), C15=(0.9126, 0.0008))
    (tmp_path / "table2-cifar10-ours.json").write_text(scores)
    text = results(PRESETS, tmp_path)
    assert text.startswith(f"**1 of these {len(MADE)} presets has been run here.**")
    (line,) = lines(text, "table2-cifar10-ours")
    assert [cell.strip() for cell in line.split("|")][2:5] == [
        "96.66 / 91.35 / 86.1",
        "96.53 ± 0.10 / 91.59 ± 0.07 / 91.28 ± 0.07 / 85.88 ± 0.19",
        "96.51 ± 0.12 / 91.50 ± 0.10 / 91.26 ± 0.08 / –",
    ]
    assert text.count(NOT_RUN) == len(MADE) - 1


def test_a_curve_shows_each_point(tmp_path: Path) -> None:
    (tmp_path / "figure2-cifar100.3.json").write_text(evaluation(clean=(0.8, None), C=(0.6, None)))
    (tmp_path / "figure5-cifar10.7.json").write_text(evaluation(clean=(0.8, None), C=(0.6, None)))
    text = results(PRESETS, tmp_path)
    after = text.splitlines()[text.splitlines().index(lines(text, "figure2-cifar100")[0]) :]
    assert [cell.strip() for cell in after[0].split("|")][2:-1] == [str(n / 10) for n in range(11)]
    assert after[2].startswith("| paper: Acc | 80.42 | 80.36 |") and after[3].startswith("| paper: C19 | 52.59 |")
    cells = [cell.strip() for cell in after[4].split("|")][1:-1]
    assert cells == ["here", *[NOT_RUN] * 3, "80.00 / 60.00 / – / –", *[NOT_RUN] * 7]
    assert "1 of 36 points run" in lines(text, "figure5-cifar10")[0]


def test_distances_and_times_are_shown_as_they_are(tmp_path: Path) -> None:
    row = {"dataset": "cifar10", "original": None} | {str(n / 10): 3.0 + n for n in range(11)}
    (tmp_path / "table1-cifar10.json").write_text(json.dumps([row]))
    (tmp_path / "table7-cifar100-nst-ta.json").write_text(json.dumps([{"wall_seconds": 9000.0}]))
    text = results(PRESETS, tmp_path).splitlines()
    at = text.index(lines("\n".join(text), "table1-cifar10")[0])
    assert text[at] == (
        "| `table1-cifar10`: paper | 1.82 | 2.52 | 3.56 | 5.97 | 9.24 | 13.32 | 18.05 | 23.42 | 29.39 | 36.06 | 43.55 "
        "| 52.03 |  |"
    )
    assert text[at + 1] == "| here | – | " + " | ".join(f"{3 + n}.00" for n in range(11)) + " | |"
    at = text.index(lines("\n".join(text), "table7-cifar100-nst-ta")[0])
    assert text[at].startswith("| `table7-cifar100-nst-ta`: paper | 48 |")
    assert text[at + 1] == "| here | 10.0 | |", "300 epochs of three seeds"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("table3-tiny-imagenet-syn-nst-ta", "Tables 2 and 4 imply 48.76"),
        ("table2-tiny-imagenet-ours-re-n-fn", "48.75 and 44.27"),
        ("table2-cifar10-baseline", "73.14"),
        ("table4-cifar10-ours-jsd", "80 %"),
        ("table4-cifar100-ours-re-n", "Table 2 says Acc 81.25"),
        ("table5-cifar100-resnext-ours", "lambda_o 0.2"),
    ],
)
def test_what_does_not_agree_stands_beside_its_row(name: str, said: str) -> None:
    assert said in lines(TEXT, name)[0]
