"""Presets: every one is valid, changes the lines of its leaves and no other, and is refused whole if it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from impasto.cli import app
from impasto.commands.preset import apply, overrides
from impasto.config.all import check
from impasto.config.base import flatten, read_yaml
from impasto.config.presets import read_overlay
from impasto.errors import ImpastoError
from tiny import ROOT

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def lay(overlay: Path, params: Path) -> str:
    """Apply the overlay of a file."""
    return apply(read_overlay(overlay), params, overlay.name)


def write(folder: Path, text: str) -> Path:
    path = folder / "overlay.yaml"
    path.write_text(text)
    return path


def comments(path: Path) -> list[str]:
    return [line.split("#")[1].strip() for line in path.read_text().splitlines() if "#" in line]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_every_preset_is_valid_and_complete(params: Path, preset: Path) -> None:
    before, said = dict(flatten(read_yaml(params))), comments(params)
    lay(preset, params)
    check(params)
    assert dict(flatten(read_yaml(params))) == before | read_overlay(preset)
    assert comments(params) == said
    assert preset.read_text().startswith("# "), "its first line says what it is"


def test_searches_on_paintings_maximise_the_recall_of_the_classes() -> None:
    """Their classes are of unequal size."""
    found = {path.stem: read_overlay(path) for path in PRESETS}
    paintings = {name for name, leaves in found.items() if leaves.get("dataset.name") in {"folder", "kaokore"}}
    balanced = {name for name, leaves in found.items() if leaves.get("tune.objective") == "balanced_accuracy"}
    assert paintings == balanced == {"image-folder", "kaokore-data"}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_applied_twice_changes_nothing_more(params: Path, preset: Path) -> None:
    lay(preset, params)
    once = params.read_text()
    assert lay(preset, params) == "" and params.read_text() == once


def kept(path: Path) -> dict[str, list[str]]:
    """Of every section, its blank lines and the comments on lines of their own, as they follow each other."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line[:1].isalpha():
            section = line.split(":")[0]
        elif not line.strip() or line.lstrip().startswith("#"):
            found.setdefault(section, []).append(line)
    return found


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_blank_lines_stay_and_the_defaults_give_the_file_back(params: Path, preset: Path) -> None:
    before, said = params.read_bytes(), kept(params)
    assert len(said) > 8
    lay(preset, params)
    assert kept(params) == said
    lay(write(params.parent, before.decode()), params)
    assert params.read_bytes() == before


def test_a_preset_without_leaves_changes_no_byte(params: Path) -> None:
    before = params.read_bytes()
    assert lay(write(params.parent, "{}"), params) == ""
    assert params.read_bytes() == before


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        ("lambda_s: 0.75", "lambda_s: 0.75             # probability"),
        ("style: {size: 48}", "  size: 48                 # px of a style image"),
        ("augment: {trivial: false}", "  trivial: false           # TrivialAugment"),
        ("alpha_s: [0.25, 0.5]", "alpha_s: [0.25, 0.5]       # style strength"),
        ("style: {decoder: {iterations: 7}}", "    iterations: 7          # steps"),
    ],
)
def test_one_leaf_is_one_line(params: Path, overlay: str, line: str) -> None:
    difference = lay(write(params.parent, overlay), params).splitlines()
    assert [part[0] for part in difference] == ["-", "+", "@", "-", "+"]
    assert difference[4].startswith(f"+{line}")


def test_lists_may_become_empty_or_longer(params: Path) -> None:
    lay(write(params.parent, "finetune: {stages: []}\nseeds: [0, 1, 2]\nevaluate: {corruptions: [fog]}"), params)
    tree = read_yaml(params)
    assert params.read_text().splitlines()[4] == "seeds: [0, 1, 2]           # classifiers: one training run each"
    assert "\n  stages: []               # unfreezing stages; an empty list" in params.read_text()
    assert (tree["finetune"]["stages"], tree["seeds"], tree["evaluate"]["corruptions"]) == ([], [0, 1, 2], ["fog"])


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("lambda_x: 1", "unknown key 'lambda_x'"),
        ("train: {epoch: 1}", "unknown key 'train.epoch'"),
        ("train: {averaging: {stop: 1}}", "unknown key 'train.averaging.stop'"),
        ("seed: {a: 1}", "unknown key 'seed.a'"),
        ("nothing: {a: {b: 1}}", "unknown key 'nothing.a.b'"),
        ("train: {epochs: many}", "train.epochs = 'many'"),
        ("lambda: 0.5\nsynthetic: {source: none}", "lambda is 0.5, but synthetic.source is none"),
        ("train: 5", "train = 5"),
        ("- a list", "no mapping"),
        ("a: [1", "no valid YAML"),
    ],
)
def test_a_wrong_preset_changes_nothing(params: Path, overlay: str, message: str) -> None:
    before = params.read_bytes()
    with pytest.raises(ImpastoError) as caught:
        lay(write(params.parent, overlay), params)
    assert message in str(caught.value) and "overlay.yaml" in str(caught.value)
    assert params.read_bytes() == before
    assert sorted(path.name for path in params.parent.iterdir()) == ["overlay.yaml", "params.yaml"]


@pytest.fixture
def presets(params: Path) -> Path:
    """Two presets beside the parameter file."""
    folder = params.parent / "presets"
    folder.mkdir()
    (folder / "more-style.yaml").write_text("# Much more style\nlambda_s: 0.9\nseeds: [0, 1]\ndataset:\n  root: null\n")
    (folder / "untitled.yaml").write_text("lambda_s: 0.1\naugment: {flip: true}\n")
    return folder


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["preset", *arguments])


@pytest.mark.usefixtures("presets")
def test_listing() -> None:
    done = invoke()
    assert done.exit_code == 0
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()[1:]] == [
        ["more-style", "Much more style"],
        ["untitled"],
    ]


@pytest.mark.usefixtures("presets")
def test_the_command_writes_and_prints_the_difference(params: Path) -> None:
    done = invoke("untitled")
    assert done.exit_code == 0 and "+lambda_s: 0.1 " in done.stdout and "+  flip: true" in done.stdout
    assert read_yaml(params)["augment"]["flip"] is True


@pytest.mark.usefixtures("presets")
def test_a_preset_that_is_not_there(params: Path) -> None:
    done = invoke("more-stile")
    assert done.exit_code == 2
    assert done.stderr == "error: there is no preset 'more-stile' [presets]. Did you mean 'more-style'?\n"


@pytest.mark.usefixtures("presets")
def test_options_for_dvc(params: Path) -> None:
    before = params.read_bytes()
    done = invoke("more-style", "--options")
    assert done.stdout == "dvc exp run -S 'lambda_s=0.9' -S 'seeds=[0,1]' -S 'dataset.root=null'\n"
    assert params.read_bytes() == before


@pytest.mark.parametrize("preset", [*PRESETS, None], ids=lambda path: path.stem if path else "empty-lists")
def test_dvc_reads_the_options_as_the_preset(params: Path, preset: Path | None) -> None:
    """`dvc exp run -S` lays params.yaml out anew; it must stay valid and mean the same."""
    from dvc.utils.hydra import apply_overrides

    file = preset or write(params.parent, "finetune: {stages: []}\nalpha_o: [0.0, 1.0]\nseeds: [3]\n")
    twin = params.with_name("twin.yaml")
    twin.write_bytes(params.read_bytes())
    lay(file, twin)
    apply_overrides(str(params), overrides(read_overlay(file)))
    assert read_yaml(params) == read_yaml(twin)
    check(params)


def test_presets_hold_nothing_that_is_not_in_the_schema() -> None:
    leaves = dict(flatten(YAML(typ="safe").load((ROOT / "params.yaml").read_text())))
    for preset in PRESETS:
        assert set(read_overlay(preset)) <= set(leaves), preset.name
