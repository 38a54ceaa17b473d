"""The generated reference of parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from typer.testing import CliRunner

from impasto.cli import app
from impasto.commands.schema import document, leaves
from impasto.config.all import SECTIONS
from impasto.config.base import flatten, read_yaml
from tiny import ROOT, change

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
    ("leaf", "allowed"),
    [
        ("seed", "integer, ≥ 0"),
        ("lambda", "number, ≥ 0, ≤ 1, or a schedule `{epoch: number, ...}`"),
        ("alpha_s", "[low, high] in 0 to 1"),
        ("combine_s", "`and` or `or`"),
        ("dataset.root", "text or `null`"),
        ("dataset.size", "integer, ≥ 16, ≤ 512, a multiple of 4"),
        ("augment.flip", "`true` or `false`"),
        ("model.stem_stride", "`1` or `2` or `null`"),
        ("model.depth", "integer or `null`, ≥ 10, ≤ 201"),
        ("seeds", "list, not empty"),
        ("train.averaging.start", "number, > 0, ≤ 1"),
        ("train.momentum", "number, ≥ 0, < 1"),
    ],
)
def test_what_is_allowed(leaf: str, allowed: str) -> None:
    assert cells(leaf)[2] == allowed


def test_defaults_as_yaml_writes_them(params: Path) -> None:
    (params.parent / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    change(params, lambda_s=0.125, alpha_s=[0.1, 0.7], dataset__root=None, augment__flip=True, seeds=[4])
    text = document(params)
    for leaf, default in {
        "lambda_s": "0.125", "alpha_s": "[0.1, 0.7]", "dataset.root": "null", "augment.flip": "true", "seeds": "[4]"
    }.items():  # fmt: skip
        assert f"| `{leaf}` | `{default}` |" in text


@pytest.mark.parametrize("leaf", ["seed", "lambda_s", "alpha_s", "style.method", "train.batch", "finetune.stages"])
def test_readers_are_the_stages_that_track_a_leaf(leaf: str) -> None:
    """dvc.yaml, read without the code under test, names the leaf or a section around it."""
    around = {".".join(leaf.split(".")[: n + 1]) for n in range(leaf.count(".") + 1)}
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    readers = [s for s, facts in stages.items() if s != "check" and around & set(facts.get("params", []))]
    assert cells(leaf)[4] == ", ".join(readers)


def test_the_command_prints_or_writes(params: Path) -> None:
    (params.parent / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    printed = CliRunner().invoke(app, ["schema"])
    written = CliRunner().invoke(app, ["schema", "--out", "docs/parameters.md"])
    assert printed.exit_code == written.exit_code == 0 and written.stdout == ""
    assert printed.stdout == (params.parent / "docs" / "parameters.md").read_text() == document(params)
