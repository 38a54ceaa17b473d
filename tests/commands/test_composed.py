"""`impasto preset` on layers, rows and sweeps: listed, composed, written, and read by DVC as they are."""

from __future__ import annotations

import json
import shlex
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from typer.testing import CliRunner

from impasto.cli import app
from impasto.commands.preset import line, overrides
from impasto.config.all import check
from impasto.config.base import flatten, read_yaml
from impasto.config.presets import Presets
from tiny import ROOT

PAPERS = Presets(ROOT / "presets")
SWEEPS = [name for name, row in PAPERS.rows.items() if row.sweep]
BEFORE = [(found.leaves | next(found.points())) for name, row in PAPERS.rows.items() if row.layers
          for found in [PAPERS.compose([name])]]  # fmt: skip


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["preset", *arguments])


def comments(path: Path) -> list[str]:
    return [line.split("#")[1].strip() for line in path.read_text().splitlines() if "#" in line]


@pytest.fixture
def real(params: Path) -> Path:
    """The repository's presets beside the parameter file."""
    shutil.copytree(ROOT / "presets", params.parent / "presets")
    return params


def test_the_listing_has_layers_and_tables_and_a_table_its_rows(real: Path) -> None:
    before, listed = real.read_bytes(), invoke().stdout
    assert "\n  ta      " in listed and "\n  table2  " in listed and "+" not in listed.split("siedel")[1].split(":")[0]
    rows = invoke("table3").stdout.splitlines()
    assert rows[0].startswith("Table 3") and len(rows) == 17
    assert "  table3-cifar100-syn-ta          cifar100 wrn syn ta" in rows
    assert "lambda_s swept" in invoke("figure2").stdout and real.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        "table2-cifar10-ours",
        "table2-tiny-imagenet-ta faithful",
        "cifar100 densenet augmix deepaugment",
        "paintings table2-tiny-imagenet-ours c-bar",
        "table5-tiny-imagenet-vit-ours",
        "figure7-cifar10",
    ],
)
def test_what_is_composed_is_written_and_printed_alike(real: Path, words: str) -> None:
    twin, said = real.with_name("twin.yaml"), comments(real)
    twin.write_bytes(real.read_bytes())
    line = shlex.split(invoke(*words.split(), "--options").stdout)
    assert line[:3] == ["dvc", "exp", "run"] and set(line[3::2]) == {"-S"}
    apply_overrides(str(twin), line[4::2])
    assert invoke(*words.split()).exit_code == 0
    assert read_yaml(real) == read_yaml(twin) != read_yaml(ROOT / "params.yaml")
    assert comments(real) == said
    check(real)
    assert invoke(*words.split()).stdout == "", "nothing is left to change"


def over(leaves: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    """A copy of a parameter tree with other leaves."""
    found: dict[str, Any] = deepcopy(tree)
    for leaf, value in leaves.items():
        *sections, last = leaf.split(".")
        inner = found
        for section in sections:
            inner = inner[section]
        inner[last] = value
    return found


@pytest.mark.parametrize("name", [name for name, path in PAPERS.layers.items() if path.parent == PAPERS.folder])
def test_what_stands_alone_is_valid_after_any_row(tmp_path: Path, name: str) -> None:
    """And gives what it gives over the defaults, but for what only the generator reads."""
    file, default, own = tmp_path / "params.yaml", read_yaml(ROOT / "params.yaml"), PAPERS.compose([name]).leaves
    flat = dict(flatten(default))
    for row in BEFORE:
        assert flat | row | own == flat | own
    file.write_text(json.dumps(over(own, over(BEFORE[-1], default))))
    assert read_yaml(file) == over(own, default)
    check(file)


def test_a_row_is_the_same_after_what_stands_alone() -> None:
    default = read_yaml(ROOT / "params.yaml")
    row = PAPERS.compose(["table2-cifar10-ours"]).leaves
    for name in ("smoke", "cifar10-subset", "arm-colour-ta"):
        before = over(PAPERS.compose([name]).leaves, default)
        after, fresh = over(row, before), over(row, default)
        for tree in (after, fresh):
            del tree["synthetic"]["pool"], tree["synthetic"]["generator"]
        assert after == fresh


@pytest.mark.parametrize("options", [[], ["--options"]])
def test_what_is_invalid_is_neither_written_nor_printed(real: Path, options: list[str]) -> None:
    (real.parent / "presets" / "mine.yaml").write_text("# Mine\nevaluate: {root: null}\n")
    (real.parent / "presets" / "short.yaml").write_text("# Short\ntrain: {epochs: 150}\n")
    before = real.read_bytes()
    for words, told in {
        "table2-cifar10-ours mine": "evaluate.corrupted is official, but evaluate.root is null",
        "figure7-cifar10 short": "lambda changes in epoch 200, but train.epochs is 150",
        "figure6-cifar10-ta mine": "evaluate.root is null",
        "table2 ta": "table2 is a list of 44 rows, no preset",
    }.items():
        done = invoke(*words.split(), *options)
        assert done.exit_code == 2 and told in done.stderr and done.stdout == "", done.stderr
    assert real.read_bytes() == before


def test_both_ends_of_a_sweep_must_be_valid(real: Path) -> None:
    (real.parent / "presets" / "none.yaml").write_text("# No images\nsynthetic: {source: none, root: null}\n")
    before = real.read_bytes()
    done = invoke("figure6-cifar10-ta", "none")  # whose first point has lambda 0
    assert done.exit_code == 2 and "lambda is 1.0, but synthetic.source is none" in done.stderr
    assert real.read_bytes() == before


@pytest.mark.parametrize("name", SWEEPS)
def test_dvc_queues_the_points_of_a_sweep(name: str) -> None:
    found = PAPERS.compose([name])
    words = shlex.split(line(found))
    assert words[:4] == ["dvc", "exp", "run", "--queue"]
    queued = get_hydra_sweeps({"params.yaml": words[5::2]})
    points = [sorted(overrides(found.leaves | point)) for point in found.points()]
    said = [
        sorted(word.replace("=True", "=true").replace("=False", "=false") for word in each["params.yaml"])
        for each in queued
    ]
    assert sorted(said) == sorted(points) and len(points) > 1


def test_a_sweep_is_written_with_its_first_point(real: Path) -> None:
    done = invoke("figure5-cifar10")
    told = "dvc exp run --queue -S 'lambda_s=0.0,0.1,0.2,0.3,0.4,0.5' -S 'lambda_o=0.0,0.1,0.2,0.3,0.4,0.5'"
    assert done.exit_code == 0 and done.stdout.endswith(f"the first point of a sweep; for all: {told}\n")
    tree = read_yaml(real)
    assert (tree["lambda"], tree["lambda_s"], tree["lambda_o"], tree["dataset"]["validation"]) == (0.5, 0.0, 0.0, 0.2)
