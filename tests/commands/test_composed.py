"""`impasto preset` on layers, rows and sweeps: listed, composed, written, and read by DVC as they are."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from typer.testing import CliRunner

from impasto.cli import app
from impasto.commands.preset import line, overrides
from impasto.config.all import check
from impasto.config.base import read_yaml
from impasto.config.presets import Presets
from tiny import ROOT

PAPERS = Presets(ROOT / "presets")
SWEEPS = [name for name, row in PAPERS.rows.items() if row.sweep]


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
