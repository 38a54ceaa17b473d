"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from impasto.cli import COMMANDS, app
from tiny import ROOT


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_help_lists_every_command_in_the_order_of_the_pipeline() -> None:
    text = invoke("--help").stdout
    places = [text.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places) and all(line in " ".join(text.split()) for _, line in COMMANDS.values())


def test_no_arguments_show_the_help() -> None:
    done = invoke()
    assert done.exit_code == 0 and "Commands" in done.stdout and done.stderr == ""


def test_every_stage_of_the_pipeline_is_a_command() -> None:
    stages = list(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])
    assert list(COMMANDS)[: len(stages)] == stages


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_options(name: str) -> None:
    done = invoke(name, "--help")
    assert done.exit_code == 0 and "--help" in done.stdout and "Usage" in done.stdout


@pytest.mark.parametrize(
    ("words", "told", "place"),
    [
        (["trian"], "no such command 'trian'", "impasto"),
        (["--whatever"], "no such option: --whatever", "impasto"),
        (["preset", "--whatever"], "no such option: --whatever", "impasto preset"),
        (["train", "--whatever"], "no such option: --whatever", "impasto train"),
        (["schema", "a", "b"], "got unexpected extra argument", "impasto schema"),
        (["gate"], "missing argument 'base'", "impasto gate"),
        (["check"], "missing option '--out'", "impasto check"),
        (["fetch", "--to"], "option '--to' requires an argument", "impasto fetch"),
        (["corrupt", "--seed", "-1"], "invalid value for '--seed': it must be", "impasto corrupt"),
        (["corrupt", "--out", ""], "invalid value for '--out': it must be a path, not empty text", "impasto corrupt"),
        (["corrupt", "--out=", "--name", "fog"], "invalid value for '--out': it must be a path", "impasto corrupt"),
        (["corrupt", "--out", "a", "--images", ""], "invalid value for '--images': it must", "impasto corrupt"),
        (["corrupt", "--gallery", ""], "invalid value for '--gallery': it must be a path", "impasto corrupt"),
        (["corrupt", "--frost-bank", ""], "invalid value for '--frost-bank': it must be a path", "impasto corrupt"),
        (["fetch", "cifar10-c", "--to", ""], "invalid value for '--to': it must be a path", "impasto fetch"),
        (["preset", "smoke", "--params", ""], "invalid value for '--params': it must be a path", "impasto preset"),
        (["check", "--out", ""], "invalid value for '--out': it must be a path", "impasto check"),
        (["corrupt", "--table", "x"], "invalid value for '--table': 'x' is not one of 'auto',", "impasto corrupt"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(words: list[str], told: str, place: str) -> None:
    done = CliRunner().invoke(app, words, prog_name="impasto")
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {told}") and done.stderr.endswith(f" [{place}]. See `{place} --help`.\n")
    assert done.stderr.count("\n") == 1


def test_the_current_folder_is_a_path_and_other_text_may_be_empty(root: Path) -> None:
    assert invoke("fetch", "", "--to", ".").exit_code == 0
    assert "no-image/meta.json does not exist" in invoke("corrupt", "--out", ".", "--images", "no-image").stderr


def test_help_loads_nothing_heavy() -> None:
    """Typing `impasto --help` must not take seconds."""
    code = """
import sys
from typer.testing import CliRunner
from impasto.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
sys.exit(", ".join(name for name in ("torch", "mlflow", "numpy", "pydantic") if name in sys.modules) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_that_of_the_package() -> None:
    done = invoke("--version")
    assert done.exit_code == 0 and done.stdout.strip() == version("impasto")
