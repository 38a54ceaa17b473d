"""The generated reference of parameters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from typer.testing import CliRunner

from impasto.cli import app
from impasto.commands.schema import document, leaves
from impasto.config.all import SECTIONS
from impasto.config.base import flatten, read_yaml
from tiny import ROOT

FIELDS: dict[str, FieldInfo] = {leaf: field for section in SECTIONS for leaf, field in leaves(section)}
TEXT = document(ROOT / "params.yaml")


def cells(leaf: str) -> list[str]:
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{leaf}` |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_schema_has_the_leaves_of_params_yaml() -> None:
    assert sorted(FIELDS) == sorted(name for name, _ in flatten(read_yaml(ROOT / "params.yaml")))


@pytest.mark.parametrize("leaf", FIELDS)
def test_every_leaf_is_described(leaf: str) -> None:
    description = FIELDS[leaf].description
    assert description and len(description) > 8 and "|" not in description and "\n" not in description
    assert len(cells(leaf)) == 5 and cells(leaf)[3] == description
    assert cells(leaf)[4], "a stage reads it"


@pytest.mark.parametrize(
    ("leaf", "default", "allowed"),
    [
        ("seed", "0", "integer, ≥ 0"),
        ("lambda", "0.5", "number, ≥ 0, ≤ 1"),
        ("alpha_s", "[0.1, 1.0]", "[low, high] in 0 to 1"),
        ("combine_s", "or", "`and` or `or`"),
        ("dataset.root", "null", "text or `null`"),
        ("dataset.size", "32", "integer, ≥ 16, ≤ 512, a multiple of 4"),
        ("augment.flip", "false", "`true` or `false`"),
        ("model.stem_stride", "2", "`1` or `2`"),
        ("seeds", "[0]", "list, not empty"),
        ("train.averaging.start", "0.9", "number, > 0, ≤ 1"),
        ("train.momentum", "0.9", "number, ≥ 0, < 1"),
    ],
)
def test_cells(leaf: str, default: str, allowed: str) -> None:
    found = cells(leaf)
    assert found[2] == allowed
    assert found[1] == f"`{default}`"


@pytest.mark.parametrize("leaf", ["seed", "lambda_s", "alpha_s", "style.method", "train.batch", "finetune.stages"])
def test_readers_are_the_stages_that_track_a_leaf(leaf: str) -> None:
    """dvc.yaml, read without the code under test, names the leaf or a section around it."""
    around = {".".join(leaf.split(".")[: n + 1]) for n in range(leaf.count(".") + 1)}
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    readers = [s for s, facts in stages.items() if s != "check" and around & set(facts.get("params", []))]
    assert cells(leaf)[4] == ", ".join(readers)


def test_defaults_are_those_of_the_file(params: Path) -> None:
    (params.parent / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    params.write_text(params.read_text().replace("lambda_s: 0.5", "lambda_s: 0.125"))
    assert re.search(r"\| `lambda_s` \| `0\.125` \|", document(params))


def test_the_command_prints_or_writes(params: Path) -> None:
    (params.parent / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    printed = CliRunner().invoke(app, ["schema"])
    written = CliRunner().invoke(app, ["schema", "--out", "docs/parameters.md"])
    assert printed.exit_code == written.exit_code == 0 and written.stdout == ""
    assert printed.stdout == (params.parent / "docs" / "parameters.md").read_text() == document(params)
