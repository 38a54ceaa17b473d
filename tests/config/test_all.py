"""The whole of params.yaml: what is valid, and that each fault is told by name, value and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from impasto.config.all import SECTIONS, check, check_tree
from impasto.config.base import flatten, pick, read_yaml
from impasto.config.mix import Mix
from impasto.config.train import Train
from impasto.errors import ImpastoError
from tiny import ROOT

INVALID = sorted((Path(__file__).parent / "invalid").glob("*.yaml"))
LEAVES = dict(flatten(read_yaml(ROOT / "params.yaml")))
Change = Callable[[dict[str, Any]], object]


def merge(tree: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Lay an overlay over a tree of sections."""
    both = {k: merge(tree[k], v) for k, v in overlay.items() if isinstance(v, dict) and isinstance(tree.get(k), dict)}
    return tree | overlay | both


def edit(params: Path, change: Change) -> None:
    """Change the values of a parameter file."""
    params.write_text(yaml.dump(changed(change), Dumper=yaml.CSafeDumper))


def changed(change: Change) -> dict[str, Any]:
    """The repository's parameters with other values."""
    tree = read_yaml(ROOT / "params.yaml")
    change(tree)
    return tree


def parts(leaf: str) -> tuple[list[str], str]:
    *sections, name = leaf.split(".")
    return sections, name


def inside(tree: dict[str, Any], sections: list[str]) -> dict[str, Any]:
    for section in sections:
        tree = tree[section]
    return tree


def test_the_repository_is_valid(params: Path) -> None:
    found = check(params)
    assert set(found) == set(SECTIONS)
    mix, train = found[Mix], found[Train]
    assert isinstance(mix, Mix) and mix.lambda_ == LEAVES["lambda"] and list(mix.alpha_s) == LEAVES["alpha_s"]
    assert isinstance(train, Train) and train.averaging.start == LEAVES["train.averaging.start"]


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_invalid(params: Path, file: Path) -> None:
    text = file.read_text()
    comment = text.splitlines()[0]
    if comment.startswith("# appended"):
        params.write_text(params.read_text() + text)
    else:
        overlay = YAML(typ="safe").load(text)
        edit(params, lambda tree: tree.update(merge(tree, overlay)))
    with pytest.raises(ImpastoError) as caught:
        check(params)
    for fragment in comment.split("expects: ")[1].split(" | "):
        assert fragment in str(caught.value)
    assert caught.value.where == str(params) and caught.value.remedy
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_needed(leaf: str) -> None:
    sections, name = parts(leaf)
    with pytest.raises(ImpastoError, match=rf"{leaf} is missing .*Add it"):
        check_tree(changed(lambda tree: inside(tree, sections).pop(name)), Path("params.yaml"))


@pytest.mark.parametrize("section", [section.key for section in SECTIONS if section.key])
def test_every_section_is_needed(section: str) -> None:
    with pytest.raises(ImpastoError, match=rf"section '{section}' is missing"):
        check_tree(changed(lambda tree: tree.pop(section)), Path("params.yaml"))


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_refuses_a_value_of_another_kind(leaf: str) -> None:
    """No leaf takes a section, and the message names the leaf."""
    sections, name = parts(leaf)

    def change(tree: dict[str, Any]) -> None:
        inside(tree, sections)[name] = {"a": 1}

    with pytest.raises(ImpastoError, match=rf"{leaf} = |unknown key '{leaf}"):
        check_tree(changed(change), Path("params.yaml"))


@pytest.mark.parametrize("value", [5, -1, 0.5, 10**30, "x", True, None, [], [0.5], ["x"], [[1]], {}])
def test_faults_are_told_in_the_words_of_a_person(params: Path, value: Any) -> None:
    tree = read_yaml(params)
    for leaf in [*LEAVES, *(section.key for section in SECTIONS if section.key)]:
        sections, name = parts(leaf)
        spoilt = deepcopy(tree)
        inside(spoilt, sections)[name] = value
        for section in SECTIONS:
            try:
                pick(spoilt, section, params)
            except ImpastoError as error:
                told = error.what.partition(": ")[2].lower()
                for word in ("valid ", "instance", "input", "tuple", "dictionary", "validation", "boolean", "string"):
                    assert word not in told, error


def valid() -> Iterator[tuple[str, dict[str, Any]]]:
    """Overlays that lie on the edge of what is allowed."""
    yield "no synthetic images", {"lambda": 0, "synthetic": {"source": "none"}}
    yield "few synthetic images do not matter without a source", {
        "lambda": 0, "synthetic": {"source": "none", "count": 1}
    }  # fmt: skip
    yield "whole numbers for shares", {"lambda": 1, "lambda_o": 0, "alpha_o": [0, 1]}
    yield "schedules", {"lambda": {0: 0, 3: 0.4}, "lambda_o": {0: 1}, "lambda_s": {"0": 0.5, "20": 0.1}}
    yield "a schedule without synthetic images", {"lambda": {0: 0, 1: 0.0}, "synthetic": {"source": "none"}}
    yield "batches in parts, and AdamW", {"train": {"batch": 96, "accumulate": 3, "optimizer": "adamw"}}
    yield "an interval of one point", {"alpha_s": [0.5, 0.5]}
    yield "all of the pool", {"synthetic": {"pool": 4000, "count": 4000, "keep": 1.0}}
    yield "a folder", {"dataset": {"name": "folder", "root": "somewhere", "size": 224}}
    yield "an official archive, downloaded", {"dataset": {"name": "cifar100", "root": None}}
    yield "an official archive at hand", {"dataset": {"name": "tiny_imagenet", "root": "somewhere", "size": 64}}
    faces = {"name": "kaokore", "version": "1.2", "task": "status", "split": "official"}
    yield "faces, downloaded", {"dataset": faces | {"size": 256}}
    yield "a version is a number to YAML", {"dataset": faces | {"version": 1.0, "task": "joint", "split": "disjoint"}}
    yield "faces at hand, not all of them", {"dataset": faces | {"root": "somewhere", "published": False}}
    yield "a published pool", {"dataset": {"name": "cifar10"}, "synthetic": {"source": "npz", "root": "edm-cifar10"}}
    yield "an npz file of one's own", {"synthetic": {"source": "npz", "root": "edm-cifar10/mine.npz"}}
    yield "no fine-tuning", {"finetune": {"stages": []}}
    yield "all blocks open", {
        "finetune": {"stages": [{"open": 5, "epochs": 1, "learning_rate": 0.1, "batch_norm": "train"}]}
    }  # fmt: skip
    yield "WRN-28-4", {"model": {"depth": 28, "width": 4}}
    alone = dict.fromkeys(("depth", "width", "stem_stride", "stage_stride", "dropout", "activation", "head_momentum"))
    dense = {"name": "densenet", "depth": 201, "width": 12, "stem_stride": 1, "activation": "relu"}
    yield "DenseNet-201-12", {"model": alone | dense}
    yield (
        "more blocks than other networks have",
        {
            "model": alone | {"name": "timm", "timm": "vit_base_patch16_224"},
            "finetune": {"stages": [{"open": 14, "epochs": 1, "learning_rate": 0.1, "batch_norm": "train"}]},
        },
    )
    yield "a folder of synthetic images", {"synthetic": {"source": "folder", "root": "images", "pool": 1}}


@pytest.mark.parametrize("overlay", [pytest.param(overlay, id=name) for name, overlay in valid()])
def test_valid(params: Path, overlay: dict[str, Any]) -> None:
    edit(params, lambda tree: tree.update(merge(tree, overlay)))
    check(params)
